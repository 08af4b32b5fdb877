"""Issues counted by cells of the map: whatever happens to them, in whatever order it is committed."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import text

from bench.plans import plans_of, tell_plans
from db.sessions import Database
from geo.points import LonLat
from geo.tiling import tile_at
from issues.cells import CELL_BITS, DEEPEST, count_all, count_changes
from issues.corrections import Correction, correct_report, withdraw_report
from issues.lifecycle import OPEN, Status
from issues.merging import merge_issues
from issues.moving import NewPlace
from issues.status import change_status
from issues.submit import submit_report
from issues.undoing import undo_event
from tests.issues.people import AGENT
from tests.issues.towns import ESSAI, NOON, east_of, file, submission

LATER = NOON + timedelta(minutes=5)
HERE = ESSAI.middle
FAR = east_of(HERE, 900)
WHERE = (
    "SELECT ST_X(place::geometry), ST_Y(place::geometry), status FROM issue"
    " WHERE NOT private AND merged_into IS NULL AND report_count > 0"
)


@pytest.fixture
def count(database, city):
    """Let the worker look once; answers with the counts there are then, by zoom and cell."""

    async def count(how=count_changes):
        async with database.transaction(city.id) as session:
            await how(session, city.id)
        async with database.transaction(city.id) as session:
            rows = await session.execute(text("SELECT z, x, y, issue_count, open_count FROM issue_cell"))
            return {(z, x, y): (total, still_open) for z, x, y, total, still_open in rows}

    return count


@pytest.fixture
def truth(owner):
    """Count the public issues there are, cell by cell, in another way."""

    async def truth():
        total: Counter[tuple[int, int, int]] = Counter()
        still_open: Counter[tuple[int, int, int]] = Counter()
        async with owner.transaction() as session:
            places = (await session.execute(text(WHERE))).all()
        for lon, lat, status in places:
            for z in range(DEEPEST + 1):
                cell = tile_at(lon, lat, z + CELL_BITS)
                total[z, cell.x, cell.y] += 1
                still_open[z, cell.x, cell.y] += status in OPEN
        return {cell: (total[cell], still_open[cell]) for cell in total}

    return truth


async def test_whatever_happens_to_issues_is_counted(database, city, count, truth):
    async def at_desk(command, *args, **more):
        async with database.transaction(city.id) as session:
            return await command(session, *args, actor=AGENT, now=LATER, **more)

    async def move(receipt, at):
        correction = Correction(place=NewPlace(at, 8.0, "gps"))
        await at_desk(correct_report, receipt.report.id, correction, city=city, by_author=False)

    first = await file(database, city, submission(HERE))
    joined = await file(database, city, submission(HERE))
    lamp = await file(database, city, submission(HERE, service_code="lampadaire"))
    far = await file(database, city, submission(FAR))
    steps = {"filed": await count() == await truth()}
    await file(database, city, submission(HERE, service_code="bruit"))
    steps["private"] = await count() == await truth()
    await at_desk(change_status, city.id, far.issue.id, Status.RESOLVED)
    steps["resolved"] = await count() == await truth()
    merged = await at_desk(merge_issues, city.id, first.issue.id, [far.issue.id])
    steps["merged"] = await count() == await truth()
    await at_desk(undo_event, city.id, first.issue.id, merged.event_id)
    steps["undone"] = await count() == await truth()
    await move(lamp, east_of(HERE, 80))  # the issue goes along, out of its cell
    steps["moved along"] = await count() == await truth()
    await move(joined, FAR)  # to an issue of its own: the one there is resolved
    steps["moved out"] = await count() == await truth()
    await at_desk(withdraw_report, joined.report.id, city=city, by_author=False)
    steps["taken back"] = await count() == await truth()

    assert steps == dict.fromkeys(steps, True)
    assert await count() == await count(count_all)
    assert (await count())[0, 9, 11] == (3, 2)


async def test_a_report_that_commits_late_is_counted_all_the_same(database, city, count):
    async with database.transaction() as late:
        await submit_report(late, submission(HERE), city=city, now=NOON)
        await file(database, city, submission(FAR))
        assert (await count())[0, 9, 11] == (1, 1)  # without waiting for the other one
        await file(database, city, submission(FAR, service_code="trottoir"))
        assert (await count())[0, 9, 11] == (2, 2)

    assert (await count())[0, 9, 11] == (3, 3)


@pytest.mark.parametrize(
    "lost",
    [
        "TRUNCATE issue_cell_cursor, issue_cell",  # a crash, or a city that is new
        "UPDATE issue_cell_cursor SET counted_to = '9000000000'",  # another server's numbers
    ],
)
async def test_all_is_counted_where_it_is_not_known_what_was(owner, database, city, count, truth, lost):
    await file(database, city, submission(HERE))
    await count()
    async with owner.transaction() as session:
        await session.execute(text("DELETE FROM issue_cell"))
        await session.execute(text(lost))

    assert await count() == await truth() != {}


async def test_one_worker_counts_at_a_time(database, city, count):
    async with database.transaction(city.id) as session:
        await count_changes(session, city.id)
        await file(database, city, submission(HERE))
        assert await count() == {}

    assert await count() != {}


async def test_what_lies_beyond_the_web_map_is_in_no_cell(owner, database, city, count):
    for at in (LonLat(HERE.lon, 89.0), LonLat(180.0, HERE.lat)):
        receipt = await file(database, city, submission(HERE, service_code="trottoir"))
        async with owner.transaction() as session:
            point = {"lon": at.lon, "lat": at.lat, "id": receipt.issue.id}
            await session.execute(
                text("UPDATE issue SET place = ST_Point(:lon, :lat, 4326)::geography WHERE id = :id"), point
            )

    assert await count(count_all) == {}


async def test_cells_are_added_up_by_index_before_there_are_statistics(cluster, owner, database, city, app_url):
    await file(database, city, submission(HERE))
    async with database.transaction(city.id) as session:
        await count_all(session, city.id)
    # Beside its one cell 20,000 of a row, as on the first day of a large city.
    async with owner.transaction() as session:
        name = await session.scalar(text("SELECT current_database()"))
        await session.execute(
            text(
                "INSERT INTO issue_cell (city_id, z, x, y, issue_count, open_count)"
                " SELECT city_id, z, -n, y, 1, 1 FROM issue_cell, generate_series(1, 20000) AS n WHERE z = :z"
            ),
            {"z": DEEPEST},
        )
    with cluster.connect(name) as connection:
        tell_plans(connection, name)

    async def count_anew(session):
        await session.execute(text("UPDATE issue_cell SET issue_count = 7 WHERE x >= 0"))
        await session.execute(text("UPDATE issue_cell_cursor SET counted_to = '3'"))
        await count_changes(session, city.id)

    async with Database(app_url) as told:
        plans = [plan for plan in await plans_of(told, city.id, count_anew) if "sum(issue_count)" in plan.statement]

    assert len(plans) == DEEPEST
    assert sum(step.rows for plan in plans for step in plan.steps) <= 10 * DEEPEST
