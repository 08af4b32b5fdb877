"""A short crash drill, and proof that its judge would see a loss; `make drill-crash` is the long one."""

from datetime import UTC, datetime
from pathlib import Path

import pytest_asyncio

from api.demo.fcm_standin import running_standin
from bench.crash import Plan, Stage, run_drill
from bench.crash_check import find_faults
from issues.actors import Role
from issues.staff import add_staff


@pytest_asyncio.fixture
async def stage(cities, database, app_url: str, owner_url: str, tmp_path: Path):
    montreal = cities.by_jurisdiction("montreal.ca")
    async with database.transaction(montreal.id) as session:
        agent = await add_staff(session, montreal.id, name="Agathe", role=Role.AGENT, now=datetime.now(UTC))
    with running_standin(tmp_path / "fcm.json") as url:
        yield Stage(app_url, owner_url, tmp_path, url, tmp_path / "fcm.json", agent.secret)


async def test_nothing_acknowledged_is_lost_or_doubled_by_kills(stage):
    evidence = await run_drill(stage, Plan(kills=4, pause_s=1.0, stories_at_once=4, seed=1, hurry=True))

    assert find_faults(evidence) == []
    assert len(evidence.kills) == 4
    assert evidence.receipts
