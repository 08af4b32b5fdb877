"""By when an issue should be dealt with: working days in the city's own time zone."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_SATURDAY = 5
_END_OF_DAY = time(23, 59, 59)


def expected_at(
    received_at: datetime, *, working_days: int, timezone: ZoneInfo, holidays: Collection[date] = ()
) -> datetime:
    """Find the end of the last working day that a city gives itself.

    Args:
        received_at: When the report was received.
        working_days: How many working days after the local day of receipt; 0 means that day itself, or the next
            working day where it is none.
        timezone: The city's time zone: it decides which day it is, and when that day ends.
        holidays: Days besides Saturdays and Sundays on which nobody works; the city's pack lists them.

    Returns:
        The last second of that day, in UTC.
    """
    day = received_at.astimezone(timezone).date()
    for _ in range(working_days):
        day = _working_day_from(day + timedelta(days=1), holidays)
    day = _working_day_from(day, holidays)
    return datetime.combine(day, _END_OF_DAY, tzinfo=timezone).astimezone(UTC)


def _working_day_from(day: date, holidays: Collection[date]) -> date:
    while day.weekday() >= _SATURDAY or day in holidays:
        day += timedelta(days=1)
    return day
