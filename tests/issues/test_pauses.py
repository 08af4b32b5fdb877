"""A pause moves the deadlines of what is open; and how long issues usually took."""

from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text

from issues.city import load_cities
from issues.deadlines import Pause
from issues.issue import Issue
from issues.pauses import PauseIdTaken, PauseNotFound, list_pauses
from issues.rescheduling import declare_pause, withdraw_pause
from issues.usual_times import NONE_KNOWN, UsualTime, load_usual_times, work_out_usual_times
from tests.issues.people import AGENT
from tests.issues.towns import ESSAI, NOON, east_of, file, set_status, submission

SNOW = Pause(date(2026, 11, 26), date(2026, 11, 27), frozenset({"nid-de-poule"}))


def end_of(day):
    return datetime(2026, 12, day, 23, 59, 59, tzinfo=ZoneInfo("America/Toronto"))


REASONS = {"fr": "Tempête", "en": "Storm"}
SNOW_ID = UUID("01936f3e-b000-7000-8000-00000000000a")


async def due(session):
    return {row.id: row.expected_at for row in await session.execute(select(Issue.id, Issue.expected_at))}


async def declare(session, city, pause=SNOW):
    return await declare_pause(session, city, SNOW_ID, pause, reasons=REASONS, actor=AGENT.sender, now=NOON)


async def test_a_pause_moves_open_issues_of_its_services_and_those_to_come(owner, database, city):
    paused, closed, other = [
        (await file(database, city, submission(east_of(ESSAI.middle, metres), service_code=code))).issue
        for metres, code in ((0.0, "nid-de-poule"), (500.0, "nid-de-poule"), (900.0, "lampadaire"))
    ]
    await set_status(owner, closed.id, "resolved")
    async with database.transaction() as session:
        before = await load_cities(session)

    async with database.transaction(city.id) as session:
        done = await declare(session, city)
        moved = await due(session)

    assert (done.moved, done.is_new, done.pause.reasons) == (1, True, REASONS)
    assert paused.expected_at == end_of(1)
    assert moved == {paused.id: end_of(3), closed.id: end_of(1), other.id: end_of(1)}
    async with database.transaction() as session:
        after = await load_cities(session, known=before)
        assert await load_cities(session, known=after) is after
    assert after.by_id(city.id).calendar.pauses == (SNOW,)
    assert after.by_id(city.id).streets is before.by_id(city.id).streets
    now_paused = after.by_id(city.id)
    assert now_paused is not None
    later = await file(database, now_paused, submission(east_of(ESSAI.middle, -500.0)))
    assert later.issue.expected_at == end_of(3)


async def test_a_pause_that_is_taken_back_gives_the_deadlines_back(database, city):
    issue = (await file(database, city, submission(ESSAI.middle))).issue
    async with database.transaction(city.id) as session:
        await declare(session, city)
        paused = await load_cities(session)

    async with database.transaction(city.id) as session:
        done = await withdraw_pause(session, city, SNOW_ID, actor=AGENT.sender, now=NOON)
        again = await withdraw_pause(session, city, SNOW_ID, actor=AGENT.sender, now=NOON)

    assert (done.moved, done.is_new, again.moved, again.is_new) == (1, True, 0, False)
    async with database.transaction(city.id) as session:
        assert await due(session) == {issue.id: issue.expected_at}
        assert await list_pauses(session, city.id, since=date.min) == []
        assert (await load_cities(session, known=paused)).by_id(city.id).calendar.pauses == ()
        with pytest.raises(PauseIdTaken):
            await declare(session, city)


async def test_a_pause_sent_again_is_declared_once(database, city):
    async with database.transaction(city.id) as session:
        first, second = [await declare(session, city) for _ in range(2)]
        assert (first.is_new, second.is_new, second.pause) == (True, False, first.pause)
        with pytest.raises(PauseIdTaken):
            await declare(session, city, Pause(SNOW.begins, SNOW.ends))
        with pytest.raises(PauseNotFound):
            await withdraw_pause(session, city, UUID(int=1), actor=AGENT.sender, now=NOON)
        assert [found.pause for found in await list_pauses(session, city.id, since=SNOW.ends)] == [SNOW]
        assert await list_pauses(session, city.id, since=SNOW.ends + timedelta(days=1)) == []


_RESOLVED = """
    INSERT INTO event (city_id, id, issue_id, kind, actor, at, public, data)
    SELECT city_id, gen_random_uuid(), id, 'issue.status', 'staff:1', opened_at + make_interval(days => n), true,
           '{"from": "received", "to": "resolved"}'
    FROM (SELECT *, row_number() OVER (ORDER BY number)::int AS n FROM issue WHERE status = 'resolved') AS issue
"""
_MORE = """
    INSERT INTO issue (city_id, id, number, service_code, status, place, accuracy_m, districts, layer, district_code,
        department_code, near_boundary, private, report_count, opened_at, last_report_at, updated_at)
    SELECT city_id, gen_random_uuid(), 'n' || lpad(n::text, 3, '0'), service_code, 'resolved', place, accuracy_m,
        districts, layer, CASE WHEN n <= 10 THEN 'est' ELSE 'ouest' END, department_code, near_boundary, private, 1,
        opened_at, last_report_at, updated_at
    FROM issue, generate_series(1, 15) AS n
"""


async def test_usual_times_are_quantiles_of_the_district_else_of_the_city(owner, database, city):
    await file(database, city, submission(ESSAI.middle))
    async with owner.transaction() as session:
        await session.execute(text(_MORE))
        await session.execute(text(_RESOLVED))

    async with database.transaction(city.id) as session:
        assert await work_out_usual_times(session, city.id, now=NOON + timedelta(days=30)) == 2
        times = await load_usual_times(session)

    # Of fifteen that took 1 to 15 days, the first ten in one district.
    assert times.of(city.id, "nid-de-poule", "arrondissements:est").days == (3, 8)
    assert times.of(city.id, "nid-de-poule", "arrondissements:ouest").days == (4, 12)
    assert times.of(city.id, "nid-de-poule", None).issues == 15
    assert times.of(city.id, "lampadaire", None) is None
    async with database.transaction() as session:
        assert await load_usual_times(session, known=times) is times


async def test_what_is_too_old_or_too_little_is_not_told(database, city):
    async with database.transaction(city.id) as session:
        assert await work_out_usual_times(session, city.id, now=NOON) == 0
        assert await load_usual_times(session) is NONE_KNOWN


def test_less_than_a_day_is_a_day():
    assert UsualTime(600.0, 90_000.0, 12).days == (1, 1)
