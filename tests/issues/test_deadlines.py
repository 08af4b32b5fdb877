"""Working days, in the city's own time."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issues.deadlines import expected_at

MONTREAL = ZoneInfo("America/Toronto")
CHRISTMAS = {date(2026, 12, 25), date(2027, 1, 1)}


def local(year, month, day, hour=12):
    return datetime(year, month, day, hour, tzinfo=MONTREAL)


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
    deadline = expected_at(received.astimezone(UTC), working_days=working_days, timezone=MONTREAL, holidays=CHRISTMAS)

    assert deadline.tzinfo is UTC
    assert deadline.astimezone(MONTREAL) == datetime.combine(last_day, time(23, 59, 59), MONTREAL)


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.integers(1, 100),
)
def test_a_deadline_falls_on_a_working_day_and_never_before_the_report(received, working_days):
    deadline = expected_at(received, working_days=working_days, timezone=MONTREAL, holidays=CHRISTMAS)
    day = deadline.astimezone(MONTREAL).date()

    assert day.weekday() < 5
    assert day not in CHRISTMAS
    assert day >= received.astimezone(MONTREAL).date()
    assert expected_at(received, working_days=working_days + 1, timezone=MONTREAL, holidays=CHRISTMAS) > deadline
