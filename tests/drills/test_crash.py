"""A short crash drill, and proof that it would see a loss; `make drill-crash` is the long one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text

from api.demo.fcm_standin import running_standin
from bench.crash import Plan, Stage, run_drill
from bench.crash_check import find_faults
from bench.drill import answer_slowly, hire_agent
from db.sessions import Database


@pytest.fixture
def fcm_url(tmp_path: Path) -> Iterator[str]:
    with running_standin(tmp_path / "fcm.json") as url:
        answer_slowly(url)
        yield url


@pytest_asyncio.fixture
async def stage(cities, app_url: str, owner_url: str, tmp_path: Path, fcm_url: str) -> Stage:
    agent_secret = await hire_agent(app_url, "montreal.ca")
    return Stage(app_url, owner_url, tmp_path, fcm_url, tmp_path / "fcm.json", agent_secret)


async def test_kills_lose_nothing_and_double_nothing(stage):
    evidence = await run_drill(stage, Plan(kills=4, pause_s=1.0, stories_at_once=4, seed=1, hurry=True))

    assert find_faults(evidence) == []
    assert {kill.name for kill in evidence.kills} == {"serve-1", "serve-2", "work-1", "work-2"}
    assert len(evidence.receipts) >= 8
    assert evidence.pushes


async def test_without_kills_nothing_is_sent_twice_and_a_loss_is_seen(stage):
    lost = []

    async def lose_a_report(owner: Database) -> None:
        async with owner.transaction() as session:
            report = (await session.execute(text("SELECT id, number, issue_id FROM report LIMIT 1"))).one()
            for statement in (
                "DELETE FROM report_photo WHERE report_id = :id",
                "DELETE FROM report_personal WHERE report_id = :id",
                "DELETE FROM report WHERE id = :id",
            ):
                await session.execute(text(statement), {"id": report.id})
            lost.append(report)

    plan = Plan(kills=0, pause_s=1.0, stories_at_once=4, seed=1)
    evidence = await run_drill(stage, plan, before_judging=lose_a_report)

    [report] = lost
    assert evidence.second_sends == 0
    assert find_faults(evidence) == [
        f"report {report.number} was acknowledged and is lost",
        f"issue {report.issue_id} counts 2 reports and has 1",
    ]
