"""Working days, in the city's own time."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issues.deadlines import Deadline, Pause, WorkCalendar, expected_at
from issues.packs.times import holidays_of

MONTREAL = ZoneInfo("America/Toronto")
CHRISTMAS = frozenset({date(2026, 12, 25), date(2027, 1, 1)})


def local(year, month, day, hour=12, minute=0, second=0):
    return datetime(year, month, day, hour, minute, second, tzinfo=MONTREAL)


def expected(received, deadline, *, pauses=(), service_code="neige"):
    calendar = WorkCalendar(MONTREAL, CHRISTMAS, pauses=pauses)
    return expected_at(received, deadline, calendar=calendar, service_code=service_code)


@pytest.mark.parametrize(
    ("received", "working_days", "last_day"),
    [
        (local(2026, 11, 23), 1, date(2026, 11, 24)),  # Monday
        (local(2026, 11, 23), 5, date(2026, 11, 30)),
        (local(2026, 11, 27), 1, date(2026, 11, 30)),  # Friday
        (local(2026, 11, 28), 1, date(2026, 11, 30)),  # Saturday
        (local(2026, 11, 29), 2, date(2026, 12, 1)),  # Sunday
        (local(2026, 11, 23), 0, date(2026, 11, 23)),
        (local(2026, 11, 28), 0, date(2026, 11, 30)),
        (local(2026, 12, 24), 1, date(2026, 12, 28)),  # a Friday that is Christmas
        (local(2026, 12, 25), 0, date(2026, 12, 28)),
        # Late in the evening it is already the next day in UTC, but not in Montréal.
        (local(2026, 11, 23, 23), 1, date(2026, 11, 24)),
        # Across the change to summer time.
        (local(2027, 3, 12), 1, date(2027, 3, 15)),
    ],
)
def test_the_last_working_day_is_counted_from_the_day_after(received, working_days, last_day):
    deadline = expected(received.astimezone(UTC), Deadline(working_days))

    assert deadline.tzinfo is UTC
    assert deadline.astimezone(MONTREAL) == datetime.combine(last_day, time(23, 59, 59), MONTREAL)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(1, 100),
)
def test_a_deadline_falls_on_a_working_day_and_never_before_the_report(received, working_days):
    deadline = expected(received, Deadline(working_days))
    day = deadline.astimezone(MONTREAL).date()

    assert day.weekday() < 5
    assert day not in CHRISTMAS
    assert day >= received.astimezone(MONTREAL).date()
    assert expected(received, Deadline(working_days + 1)) > deadline


HOURS, ALL_HOURS, ALL_DAYS = (
    {"in_hours": True},
    {"in_hours": True, "always": True},
    {"always": True},
)


@pytest.mark.parametrize(
    ("received", "amount", "kind", "due"),
    [
        # Eight to half past four is the day's work.
        (local(2026, 11, 23, 9), 4, HOURS, local(2026, 11, 23, 13)),  # Monday
        (local(2026, 11, 23, 6), 4, HOURS, local(2026, 11, 23, 12)),
        (local(2026, 11, 23, 15), 4, HOURS, local(2026, 11, 24, 10, 30)),
        (local(2026, 11, 23, 20), 4, HOURS, local(2026, 11, 24, 12)),
        (local(2026, 11, 27, 16), 4, HOURS, local(2026, 11, 30, 11, 30)),  # over a weekend
        (local(2026, 11, 23, 8), 8.5, HOURS, local(2026, 11, 23, 16, 30)),
        (local(2026, 12, 24, 16), 1, HOURS, local(2026, 12, 28, 8, 30)),  # over Christmas
        (local(2026, 12, 24, 16), 24, ALL_HOURS, local(2026, 12, 25, 16)),
        # The night on which clocks go on has an hour less.
        (local(2027, 3, 13, 20), 12, ALL_HOURS, local(2027, 3, 14, 9)),
        (local(2026, 12, 24, 16), 2, ALL_DAYS, local(2026, 12, 26, 23, 59, 59)),
    ],
)
def test_hours_are_counted_while_the_clock_runs(received, amount, kind, due):
    assert expected(received, Deadline(amount, **kind)) == due


SNOW = Pause(date(2026, 11, 24), date(2026, 11, 25))


@pytest.mark.parametrize(
    ("deadline", "pause", "due"),
    [
        (Deadline(2), SNOW, local(2026, 11, 27, 23, 59, 59)),
        (Deadline(2, always=True), SNOW, local(2026, 11, 27, 23, 59, 59)),
        (Deadline(4, in_hours=True), SNOW, local(2026, 11, 26, 10)),
        (Deadline(24, in_hours=True, always=True), SNOW, local(2026, 11, 26, 14, 30)),
        (Deadline(2), Pause(SNOW.begins, SNOW.ends, frozenset({"neige"})), local(2026, 11, 27, 23, 59, 59)),
        (Deadline(2), Pause(SNOW.begins, SNOW.ends, frozenset({"trottoir"})), local(2026, 11, 25, 23, 59, 59)),
    ],
)
def test_a_pause_stops_the_clock_of_its_services(deadline, pause, due):
    received = local(2026, 11, 23, 14, 30)  # a Monday

    assert expected(received, deadline, pauses=(pause,)) == due


def test_quebecs_calendar_has_its_own_holidays():
    days = holidays_of("CA-QC", [2026])

    assert {date(2026, 5, 18), date(2026, 6, 24), date(2026, 10, 12), date(2026, 12, 25)} < days
    assert date(2026, 8, 3) not in days  # kept in other provinces
    with pytest.raises(ValueError, match="no calendar"):
        holidays_of("CA-XX", [2026])
