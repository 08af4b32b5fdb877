"""A pause moves the deadlines of what is open; and how long issues usually took."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, text

from issues.city import load_cities
from issues.deadlines import Pause
from issues.issue import Issue
from issues.rescheduling import declare_pause, move_deadlines
from issues.usual_times import NONE_KNOWN, UsualTime, load_usual_times, work_out_usual_times
from tests.issues.towns import ESSAI, NOON, east_of, file, set_status, submission

SNOW = Pause(date(2026, 11, 26), date(2026, 11, 27), frozenset({"nid-de-poule"}))


def end_of(day):
    return datetime(2026, 12, day, 23, 59, 59, tzinfo=ZoneInfo("America/Toronto"))


async def test_a_pause_moves_open_issues_of_its_services_and_those_to_come(owner, database, city):
    paused, closed, other = [
        (await file(database, city, submission(east_of(ESSAI.middle, metres), service_code=code))).issue
        for metres, code in ((0.0, "nid-de-poule"), (500.0, "nid-de-poule"), (900.0, "lampadaire"))
    ]
    await set_status(owner, closed.id, "resolved")

    async with owner.transaction() as session:
        await declare_pause(session, city, SNOW, reason="Tempête", now=NOON)
        now_paused = (await load_cities(session)).by_id(city.id)
        assert now_paused is not None
        moved = await move_deadlines(
            session, now_paused, begins=SNOW.begins, service_codes=SNOW.service_codes, now=NOON
        )
        due = {row.id: row.expected_at for row in await session.execute(select(Issue.id, Issue.expected_at))}

    assert moved == 1
    assert paused.expected_at == end_of(1)
    assert due == {paused.id: end_of(3), closed.id: end_of(1), other.id: end_of(1)}
    later = await file(database, now_paused, submission(east_of(ESSAI.middle, -500.0)))
    assert later.issue.expected_at == end_of(3)
    async with database.transaction() as session:
        assert (await load_cities(session, known=None)).by_id(city.id).calendar.pauses == (SNOW,)


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
