"""A new version of a layer moves nothing by itself; re-routing tells what it would move, and moves it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text

from db.connections import driver_connection
from issues.city import load_cities
from issues.event_kinds import EventKind
from issues.events import Event
from issues.issue import read_issue
from issues.rerouting import reroute
from issues.undoing import AlreadyUndone, UndoBlocked, undo_event
from tests.issues.people import AGENT, plan
from tests.issues.towns import ESSAI, NOON, east_of, file, set_status, submission

NEW_YEAR = date(2027, 1, 1)
LATER = NOON + timedelta(days=60)
IN_EAST, IN_WEST = ESSAI.middle, east_of(ESSAI.middle, -3_000.0)


async def redistrict(owner, database, city, *, on):
    """From a day on (None for always), all of the town is `ouest`."""
    async with owner.transaction() as session:
        connection = await driver_connection(session)
        if on is None:
            await connection.execute("DELETE FROM district WHERE layer = 'arrondissements' AND code = 'est'")
            await connection.execute(
                "UPDATE district SET polygon = %s::geometry WHERE layer = 'arrondissements'", (ESSAI.box(0, 1),)
            )
        else:
            await connection.execute("UPDATE district SET valid_to = %s WHERE layer = 'arrondissements'", (on,))
            await connection.execute(
                "INSERT INTO district VALUES (%s, 'arrondissements', 'ouest', %s, NULL, '{}', %s::geometry)",
                (city.id, on, ESSAI.box(0, 1)),
            )
    async with database.transaction() as session:
        book = (await load_cities(session)).by_id(city.id)
    assert book is not None
    return book


async def rerouted(database, city, *, dry_run):
    async with database.transaction(city.id) as session:
        return await reroute(session, city, after=None, dry_run=dry_run, now=LATER)


async def stored(database, city, issue):
    async with database.transaction(city.id) as session:
        return await read_issue(session, city.id, issue.id)


async def test_a_corrected_district_moves_open_issues_only_when_told_to(owner, database, city):
    east = (await file(database, city, submission(IN_EAST))).issue
    west = (await file(database, city, submission(IN_WEST))).issue
    closed = (await file(database, city, submission(east_of(IN_EAST, 400.0)))).issue
    await set_status(owner, closed.id, "resolved")
    city = await redistrict(owner, database, city, on=None)

    would = await rerouted(database, city, dry_run=True)

    assert [(change.issue.id, change.to["department_code"], change.to["crew_code"]) for change in would.changes] == [
        (east.id, "voirie", "equipe-1")
    ]
    assert await stored(database, city, east) == east

    assert (await rerouted(database, city, dry_run=False)).changes == would.changes
    moved = await stored(database, city, east)
    assert (moved.district_code, moved.department_code, moved.crew_code) == ("ouest", "voirie", "equipe-1")
    assert moved.updated_at == LATER
    assert await stored(database, city, west) == west
    assert (await stored(database, city, closed)).district_code == "est"
    async with database.transaction(city.id) as session:
        events = (await session.scalars(select(Event).where(Event.kind == EventKind.REROUTED))).all()
        assert [(event.issue_id, event.public, event.data["from"]["district_code"]) for event in events] == [
            (east.id, False, "est")
        ]
    assert (await rerouted(database, city, dry_run=False)).changes == []


async def moved_to_the_west(owner, database, city):
    """An issue of `est` that a new layer gave to others, with an order there: it as it was, and the event."""
    before = (await file(database, city, submission(IN_EAST))).issue
    await plan(database, before, crew_code="equipe-est")
    await rerouted(database, await redistrict(owner, database, city, on=None), dry_run=False)
    async with database.transaction(city.id) as session:
        event = await session.scalar(select(Event).where(Event.kind == EventKind.REROUTED))
        assert event is not None
        return before, event.id


async def undo(database, issue, event_id):
    async with database.transaction(issue.city_id) as session:
        return await undo_event(session, issue.city_id, issue.id, event_id, actor=AGENT, now=LATER)


async def test_a_rerouting_is_undone_once(owner, database, city):
    before, event_id = await moved_to_the_west(owner, database, city)

    undone = await undo(database, before, event_id)

    now = await stored(database, city, before)
    assert now == replace(before, status=now.status, updated_at=LATER)
    assert undone.issue == now
    async with database.transaction(city.id) as session:
        assert (await session.execute(text("SELECT district_code FROM work_order"))).all() == [("est",)]
        event = await session.get(Event, (city.id, undone.event_id))
        assert event is not None
        assert (event.kind, event.public) == (EventKind.UNDONE, False)
        assert (event.undoes, event.actor) == (event_id, AGENT.sender)
    with pytest.raises(AlreadyUndone):
        await undo(database, before, event_id)


async def test_an_issue_that_went_on_after_a_rerouting_stays_there(owner, database, city):
    before, event_id = await moved_to_the_west(owner, database, city)
    async with database.transaction(city.id) as session:
        await session.execute(text("UPDATE issue SET department_code = 'parcs'"))

    with pytest.raises(UndoBlocked) as blocked:
        await undo(database, before, event_id)

    assert (blocked.value.stayed, blocked.value.possible) == ((), False)
    assert (await stored(database, city, before)).department_code == "parcs"


async def test_a_version_to_come_moves_nothing_received_before(owner, database, city):
    await file(database, city, submission(IN_EAST))
    city = await redistrict(owner, database, city, on=NEW_YEAR)

    assert (await rerouted(database, city, dry_run=True)).changes == []
    # The last minute of the year in Québec is the next year's in UTC.
    for metres, minute, district in ((300.0, 4 * 60 + 59, "est"), (600.0, 5 * 60, "ouest")):
        now = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
        receipt = await file(database, city, submission(east_of(IN_EAST, metres)), now=now)
        assert receipt.issue.district_code == district
    assert (await rerouted(database, city, dry_run=True)).changes == []


@pytest.mark.parametrize(
    ("channel", "captured_at", "district"),
    [
        ("import", NOON - timedelta(days=400), "est"),
        ("app", NOON - timedelta(days=400), "ouest"),
        ("import", None, "ouest"),
        ("import", datetime(1, 1, 1, tzinfo=UTC), "ouest"),  # a clock that was never set
    ],
)
async def test_what_is_imported_is_judged_by_the_day_it_was_made(owner, database, city, channel, captured_at, district):
    city = await redistrict(owner, database, city, on=date(2026, 1, 1))

    receipt = await file(database, city, submission(IN_EAST, channel=channel, captured_at=captured_at))

    assert receipt.issue.district_code == district
    assert (await rerouted(database, city, dry_run=True)).changes == []


async def test_a_service_that_nobody_offers_any_more_stays_and_is_told(owner, database, city):
    issue = (await file(database, city, submission(IN_EAST))).issue
    async with owner.transaction() as session:
        await session.execute(text("UPDATE service SET offered = false"))
    async with database.transaction() as session:
        city = (await load_cities(session)).by_id(city.id)

    [change] = (await rerouted(database, city, dry_run=False)).changes

    assert (change.issue.id, change.to) == (issue.id, {})
    assert await stored(database, city, issue) == issue
