"""When somebody may be told: quiet hours, digests and most a day, by the clock on their own wall; pure.

A wall clock is not a line. In the night when clocks go forward an hour is missing from it, in the one when they go
back an hour comes twice. Where a time of it has two readings, quiet begins at the earlier and ends at the later; so
nobody is rung up in a minute that their clock calls quiet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MORNING: Final = time(8)
"""When what was too much for a day is told on the next, where its person named no time for digests."""
FALLBACK_AFTER: Final = timedelta(hours=4)

_DAY: Final = timedelta(days=1)
_MOST_DAYS: Final = 9  # a week, and a day on either side for zones that skip one


class Means(StrEnum):
    """A way to reach a person."""

    PUSH = "push"
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Quiet:
    """From when to when, by the wall clock, nobody rings; over midnight where it begins later than it ends."""

    begins: time
    ends: time

    def holds_at(self, wall: time) -> bool:
        """Tell whether a time of the clock is quiet; its end is not."""
        if self.begins <= self.ends:
            return self.begins <= wall < self.ends
        return wall >= self.begins or wall < self.ends


@dataclass(frozen=True, slots=True)
class Digest:
    """All news at once, at a time of each day, or of one day of the week (0 is Monday)."""

    at: time
    weekday: int | None = None


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person wishes of all that is told to them.

    Attributes:
        kinds: Only news of these kinds; None for all.
        means: How to be reached, the dearest first; each next one where that did not work.
        fallback_after: How long a means is given before the next is tried.
        zone: Of the person's clock; needed for all that follows.
        quiet: When not to ring.
        most_a_day: So many at most; the rest comes together on the next day.
        digest: When to be told, of everything together; None for at once.
        safety_rings: Whether what concerns safety is told at once all the same.
    """

    kinds: tuple[str, ...] | None = None
    means: tuple[Means, ...] = (Means.PUSH, Means.EMAIL)
    fallback_after: timedelta = FALLBACK_AFTER
    zone: ZoneInfo | None = None
    quiet: Quiet | None = None
    most_a_day: int | None = None
    digest: Digest | None = None
    safety_rings: bool = True

    def to_json(self) -> dict[str, Any]:
        """Write them down as `of_json` reads them."""
        quiet, digest = self.quiet, self.digest
        return {
            "kinds": None if self.kinds is None else list(self.kinds),
            "means": [str(means) for means in self.means],
            "fallback_after_s": self.fallback_after.total_seconds(),
            "zone": None if self.zone is None else self.zone.key,
            "quiet": None if quiet is None else [quiet.begins.isoformat(), quiet.ends.isoformat()],
            "most_a_day": self.most_a_day,
            "digest": None if digest is None else [digest.at.isoformat(), digest.weekday],
            "safety_rings": self.safety_rings,
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote."""
        return cls(
            kinds=None if stored["kinds"] is None else tuple(stored["kinds"]),
            means=tuple(Means(means) for means in stored["means"]),
            fallback_after=timedelta(seconds=stored["fallback_after_s"]),
            zone=_zone_of(stored["zone"]),
            quiet=None if stored["quiet"] is None else Quiet(*map(time.fromisoformat, stored["quiet"])),
            most_a_day=stored["most_a_day"],
            digest=None
            if stored["digest"] is None
            else Digest(time.fromisoformat(stored["digest"][0]), stored["digest"][1]),
            safety_rings=stored["safety_rings"],
        )


def _zone_of(name: str | None) -> ZoneInfo | None:
    """Find a zone; None also for one that this machine does not know (any more): who chose it is told at once."""
    try:
        return None if name is None else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


@dataclass(frozen=True, slots=True)
class Turn:
    """When a person's turn to be told is.

    Attributes:
        at: Not before this.
        held: Whether what comes together until then is told together.
        quiet: The quiet hours that follow, as instants: whatever is not out when they begin waits for their end.
    """

    at: datetime
    held: bool = False
    quiet: tuple[datetime, datetime] | None = None


def turn_of(wishes: Preferences, *, told_today: int, safety: bool, now: datetime) -> Turn:
    """Decide when a person is told of something.

    Args:
        wishes: The person's.
        told_today: How often they were rung up on this day of theirs.
        safety: Whether it concerns safety.
        now: The time, aware of its zone.
    """
    if wishes.zone is None or (safety and wishes.safety_rings):
        return Turn(now)
    if wishes.digest is not None:
        at = _next_time(wishes.digest.at, wishes.zone, after=now, weekday=wishes.digest.weekday)
    elif wishes.most_a_day is not None and told_today >= wishes.most_a_day:
        at = _next_time(MORNING, wishes.zone, after=day_of(wishes.zone, now)[1] - timedelta(microseconds=1))
    else:
        at = now
    if wishes.quiet is None:
        return Turn(at, held=at > now)
    at = _after_quiet(wishes.quiet, wishes.zone, at)
    return Turn(at, held=at > now, quiet=_next_quiet(wishes.quiet, wishes.zone, at))


def day_of(zone: ZoneInfo, at: datetime) -> tuple[datetime, datetime]:
    """Get the beginning and the end of the day that a moment lies in, by the clock of a zone."""
    day = at.astimezone(zone).date()
    return min(_readings(day, time(0), zone)), min(_readings(day + _DAY, time(0), zone))


def is_quiet(quiet: Quiet, zone: ZoneInfo, at: datetime) -> bool:
    """Tell whether a moment is quiet by the clock of a zone."""
    return quiet.holds_at(at.astimezone(zone).time())


def _after_quiet(quiet: Quiet, zone: ZoneInfo, at: datetime) -> datetime:
    """Find the first moment from one on that is not quiet; where the clock repeats an hour, after the repetition."""
    if not is_quiet(quiet, zone, at):
        return at
    ends = (max(_readings(day, quiet.ends, zone)) for day in _days(zone, at))
    return next(end for end in ends if end > at and not is_quiet(quiet, zone, end))


def _next_quiet(quiet: Quiet, zone: ZoneInfo, after: datetime) -> tuple[datetime, datetime]:
    """Find the quiet hours that begin next."""
    begins = (min(_readings(day, quiet.begins, zone)) for day in _days(zone, after))
    begin = next(begin for begin in begins if begin > after)
    ends = (max(_readings(day, quiet.ends, zone)) for day in _days(zone, begin))
    return begin, next(end for end in ends if end > begin and not is_quiet(quiet, zone, end))


def _next_time(wall: time, zone: ZoneInfo, *, after: datetime, weekday: int | None = None) -> datetime:
    """Find when a clock shows a time next, on a day of the week where one is named."""
    days = (day for day in _days(zone, after) if weekday in (None, day.weekday()))
    return next(at for day in days if (at := max(_readings(day, wall, zone))) > after)


def _days(zone: ZoneInfo, at: datetime) -> Sequence[date]:
    first = at.astimezone(zone).date() - _DAY
    return [first + number * _DAY for number in range(_MOST_DAYS + 1)]


def _readings(day: date, wall: time, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Tell when a clock shows a time: two moments where it is repeated or left out, else the same twice."""
    first, second = (datetime.combine(day, wall, tzinfo=zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second
