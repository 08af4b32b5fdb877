"""A short intake drill, and proof that its judge would see losses; `make drill-intake` is the long one."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from bench.intake_drill import Outcome, Plan, judge_outcome, run_drill
from bench.outbox import Kind
from bench.stage import Stage, empty_stage
from media.store import original_key

PLAN = Plan(phones=10, items=12, at_once=10, kills=3, stops=1, seed=7, hurry=True)


@dataclass(frozen=True)
class Drilled:
    """A drill that is over, with all that it left."""

    stage: Stage
    outcome: Outcome


@pytest.fixture
def drilled() -> Iterator[Drilled]:
    """A drill in Montréal, on a server of its own that may be stopped, and writes durably as such a one must."""
    folder = Path(tempfile.mkdtemp(prefix="jalon-test-"))
    folder.chmod(0o755)  # the database server runs under an account of its own
    with empty_stage(folder) as stage:
        yield Drilled(stage, asyncio.run(run_drill(stage, folder, PLAN)))
    shutil.rmtree(folder)


LOSE_A_REPORT = """
WITH lost AS (SELECT min(id::text)::uuid AS id FROM report),
     photos AS (DELETE FROM report_photo USING lost WHERE report_id = lost.id),
     personal AS (DELETE FROM report_personal USING lost WHERE report_id = lost.id),
     corrections AS (DELETE FROM report_correction USING lost WHERE report_id = lost.id)
DELETE FROM report USING lost WHERE report.id = lost.id RETURNING report.id
"""
DETACH_A_PHOTO = """
DELETE FROM photo_claim WHERE photo_id = (SELECT min(id::text)::uuid FROM photo) RETURNING photo_id
"""
LOSE_A_PHOTO = "DELETE FROM photo WHERE id = (SELECT min(id::text)::uuid FROM photo) RETURNING id"
UNDO_A_CORRECTION = """
DELETE FROM report_correction WHERE event_id = (
    SELECT min(event_id::text)::uuid FROM report_correction WHERE words IS NOT NULL
) RETURNING report_id
"""
UNDO_A_WITHDRAWAL = """
UPDATE report SET withdrawn_at = NULL WHERE id = (
    SELECT min(id::text)::uuid FROM report WHERE withdrawn_at IS NOT NULL
) RETURNING id
"""


LOSSES = [
    (LOSE_A_REPORT, "report {} was acknowledged and is lost"),
    (LOSE_A_PHOTO, "photo {} was acknowledged and is lost"),
    (DETACH_A_PHOTO, "photo {} is attached to None"),
    (UNDO_A_CORRECTION, "report {}: words in force"),
    (UNDO_A_WITHDRAWAL, "report {} is not taken back"),
]


async def test_on_bad_lines_while_everything_is_killed_nothing_is_lost_or_doubled_which_would_be_seen(
    drilled, subtests
):
    """All that is judged of one drill, which takes longer than the judging."""
    outcome = drilled.outcome

    assert await judge_outcome(drilled.stage, outcome) == []
    assert sum(deed.startswith("killed") for deed in outcome.broken) == PLAN.kills
    assert sum(deed.startswith("stopped") for deed in outcome.broken) == PLAN.stops
    assert outcome.network.counts["cut"] > PLAN.phones
    assert {item.kind for told in outcome.promises for item in told.items.values()} == set(Kind)

    for loss, fault in LOSSES:
        with subtests.test(fault):
            await sees_a_loss_in_the_rows(drilled, loss, fault)
    with subtests.test("an altered byte of an original"):
        await sees_an_altered_byte_of_an_original(drilled)
    with subtests.test("an object that nobody names"):
        await sees_an_object_that_nobody_names(drilled)


async def sees_a_loss_in_the_rows(drilled, loss, fault):
    lost: list[UUID] = []

    async def damage(session: AsyncSession) -> None:
        lost.extend(await session.scalars(text(loss)))

    faults = await judge_outcome(drilled.stage, drilled.outcome, damage=damage)

    [lost_id] = lost
    assert [found for found in faults if found.startswith(fault.format(lost_id))] != []


async def sees_an_altered_byte_of_an_original(drilled):
    with drilled.stage.cluster.connect(drilled.stage.database) as connection:
        rows = connection.execute("SELECT id, sha256, upload_id FROM photo ORDER BY id LIMIT 1").fetchall()
    [(photo_id, sha256, upload_id)] = rows
    file = drilled.outcome.photos / original_key(sha256, upload_id)
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    faults = await judge_outcome(drilled.stage, drilled.outcome)
    file.write_bytes(content)

    [fault] = faults
    assert fault.startswith(f"the bytes of photo {photo_id} are others than the phone's")


async def sees_an_object_that_nobody_names(drilled):
    orphan = drilled.outcome.photos / "originals" / "orphan"
    orphan.write_bytes(b"nobody's")

    faults = await judge_outcome(drilled.stage, drilled.outcome)
    orphan.unlink()

    assert faults == ["originals/orphan is in the store and named by nobody"]
