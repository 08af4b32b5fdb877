"""Times of day, days of the year and calendars, as the person who fills in a sheet writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Any

from pydantic import BeforeValidator

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)|24:00")
_DATE = re.compile(r"(\d{1,2})-(\d{1,2})")
# February has its 29th day in some years.
_DAYS_OF_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _minute_of_day(value: Any) -> Any:
    """Read 17:30; YAML 1.1 takes that for a number of base 60, which is the minute of the day already."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 24 * 60:
        return value % (24 * 60)
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError("this must be a time of day, such as 17:30")
    hours, minutes = value.split(":")
    return (int(hours) * 60 + int(minutes)) % (24 * 60)


def _day_of_year(value: Any) -> Any:
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    month, day = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= month <= 12 or not 1 <= day <= _DAYS_OF_MONTH[month - 1]:
        raise ValueError("this must be a month and a day, such as 11-15")
    return month, day


def as_list(value: Any) -> Any:
    """Take a text as a list of its words."""
    return value.split() if isinstance(value, str) else value


Minute = Annotated[int, BeforeValidator(_minute_of_day)]
DayOfYear = Annotated[tuple[int, int], BeforeValidator(_day_of_year)]


def known_calendar(code: str) -> str:
    """Check the code of a calendar, such as CA-QC.

    Raises:
        ValueError: nobody keeps such a calendar.
    """
    holidays_of(code, [2026])
    return code


def holidays_of(code: str, years: Iterable[int]) -> frozenset[date]:
    """List the public holidays of a country or a part of it, such as `CA` or `CA-QC`, those moved to a weekday too.

    Raises:
        ValueError: nobody keeps such a calendar.
    """
    # Takes a while to import, and only who loads a pack needs it.
    import holidays  # noqa: PLC0415

    country, _, part = code.partition("-")
    try:
        return frozenset(holidays.country_holidays(country, subdiv=part or None, years=list(years)))
    except NotImplementedError as error:
        raise ValueError(f"no calendar of holidays is known for {code}") from error
