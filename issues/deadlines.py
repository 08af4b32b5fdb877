"""By when an issue should be dealt with: days or hours on the city's own clock, which holidays and pauses stop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

_WEEKDAYS = frozenset(range(5))
_END_OF_DAY = time(23, 59, 59)
_DAY_MINUTES = 24 * 60


class Priority(StrEnum):
    """How soon a kind of problem should be seen to; a pack may give each its own deadline."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Expected(StrEnum):
    """What a city tells residents of when it will have dealt with a problem."""

    DEADLINE = "deadline"  # by when it wants to
    HISTORY = "history"  # how long similar ones took
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long a city gives itself.

    Attributes:
        amount: So many days, or hours.
        in_hours: Whether it is hours.
        always: Whether the clock runs day and night, on holidays too; else on working days, in working hours.
    """

    amount: float
    in_hours: bool = False
    always: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Days on which all clocks stand still, such as after a snowstorm.

    Attributes:
        begins: The first day, and `ends` the last.
        service_codes: The services whose clocks stand still; empty for all.
    """

    begins: date
    ends: date
    service_codes: frozenset[str] = frozenset()

    def stops(self, day: date, service_code: str) -> bool:
        """Whether a service's clock stands still on a day."""
        return self.begins <= day <= self.ends and (not self.service_codes or service_code in self.service_codes)


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """When a city works.

    Attributes:
        timezone: The city's time zone: it decides which day it is, and when that day ends.
        holidays: Days on which nobody works.
        days: The days of the week on which people work, 0 for Monday.
        begins: First minute of the day in which people work, and `ends` the first in which they no longer do.
        pauses: When clocks stand still.
    """

    timezone: ZoneInfo
    holidays: frozenset[date] = frozenset()
    days: frozenset[int] = _WEEKDAYS
    begins: int = 8 * 60
    ends: int = 16 * 60 + 30
    pauses: tuple[Pause, ...] = ()

    def runs_on(self, day: date, service_code: str, *, always: bool) -> bool:
        """Whether a service's clock runs on a day."""
        if self.pauses and any(pause.stops(day, service_code) for pause in self.pauses):
            return False
        return always or (day.weekday() in self.days and day not in self.holidays)

    def window(self, day: date, *, always: bool) -> tuple[datetime, datetime]:
        """From when to when the clock runs on such a day, in UTC."""
        begins, ends = (0, _DAY_MINUTES) if always else (self.begins, self.ends)
        return self._at(day, begins), self._at(day, ends)

    def _at(self, day: date, minute: int) -> datetime:
        day += timedelta(days=minute // _DAY_MINUTES)
        clock = time(minute % _DAY_MINUTES // 60, minute % 60)
        return datetime.combine(day, clock, tzinfo=self.timezone).astimezone(UTC)


def expected_at(received_at: datetime, deadline: Deadline, *, calendar: WorkCalendar, service_code: str) -> datetime:
    """Find by when a report should have been dealt with.

    Days end at their end: so many days on which the clock runs after the local day of receipt; 0 means that day
    itself, or the next on which it runs. Hours count from the moment of receipt, or from when the clock next runs.

    Args:
        received_at: When the report was received.
        deadline: How long the city gives itself.
        calendar: When it works.
        service_code: What was reported; pauses may be for some services.

    Returns:
        A time in UTC.
    """
    day = received_at.astimezone(calendar.timezone).date()
    if deadline.in_hours:
        return _after_hours(received_at, day, deadline, calendar, service_code)
    for _ in range(int(deadline.amount)):
        day = _running_day(day + timedelta(days=1), deadline, calendar, service_code)
    day = _running_day(day, deadline, calendar, service_code)
    return datetime.combine(day, _END_OF_DAY, tzinfo=calendar.timezone).astimezone(UTC)


def _after_hours(
    received_at: datetime, day: date, deadline: Deadline, calendar: WorkCalendar, service_code: str
) -> datetime:
    left = timedelta(hours=deadline.amount)
    now = received_at.astimezone(UTC)
    while True:
        day = _running_day(day, deadline, calendar, service_code)
        begins, ends = calendar.window(day, always=deadline.always)
        now = max(now, begins)
        if now + left <= ends:
            return now + left
        left -= max(ends - now, timedelta(0))
        day += timedelta(days=1)


def _running_day(day: date, deadline: Deadline, calendar: WorkCalendar, service_code: str) -> date:
    """The first day from this one on which the clock runs."""
    while not calendar.runs_on(day, service_code, always=deadline.always):
        day += timedelta(days=1)
    return day
