"""Who is responsible: the first rule of the city whose conditions all hold.

A rule may ask for the kind of problem, the district, the owner of the nearest road or asset, the hour and the
season; what it leaves out may be anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from geo.owners import OwnedNearby


class Day(StrEnum):
    """What day it is: a holiday is a holiday, whatever day of the week it falls on."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"
    HOLIDAY = "holiday"


WEEK = tuple(Day)[:7]
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """Times of day on some days, in the city's own time.

    Attributes:
        days: The days; empty for all.
        begins: First minute of the day.
        ends: First minute that is no more part of it; not after `begins` where it is the next morning, which then
            counts as part of the day before. Both the same is the whole day.
    """

    days: frozenset[Day] = frozenset()
    begins: int = 0
    ends: int = 0

    def holds(self, moment: Moment) -> bool:
        """Whether a moment lies in these hours."""
        if self.begins < self.ends:
            return self.begins <= moment.minute < self.ends and self._on(moment.day)
        if moment.minute >= self.begins:
            return self._on(moment.day)
        return moment.minute < self.ends and self._on(moment.day_before)

    def _on(self, day: Day) -> bool:
        return not self.days or day in self.days


@dataclass(frozen=True, slots=True)
class Season:
    """A part of each year, from a (month, day) to another, both included; across New Year where it ends before."""

    begins: tuple[int, int]
    ends: tuple[int, int]

    def holds(self, moment: Moment) -> bool:
        """Whether a moment lies in the season."""
        if self.begins <= self.ends:
            return self.begins <= moment.date <= self.ends
        return moment.date >= self.begins or moment.date <= self.ends


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as rules see it.

    Attributes:
        day: What day it is, and `day_before` what the day before was.
        minute: Of the day.
        date: Month and day of the month.
    """

    day: Day
    day_before: Day
    minute: int
    date: tuple[int, int]

    @classmethod
    def of(cls, local: datetime, holidays: Collection[Any]) -> Self:
        """Look at a time of the city's own clock; `holidays` are dates."""
        day = local.date()
        before = day.fromordinal(day.toordinal() - 1)
        kind, kind_before = (Day.HOLIDAY if each in holidays else WEEK[each.weekday()] for each in (day, before))
        return cls(kind, kind_before, local.hour * 60 + local.minute, (day.month, day.day))


@dataclass(frozen=True, slots=True)
class Beside:
    """Near a road, or an asset of some kind, that somebody owns.

    Attributes:
        kind: `geo.owners.ROAD`, or the kind of asset.
        owners: Codes of owners, one of which has the nearest of that kind; empty for any.
        within_m: How far it may be.
    """

    kind: str
    owners: frozenset[str]
    within_m: float

    def holds(self, thing: OwnedNearby | None) -> bool:
        """Whether the nearest thing of the kind is near enough and has one of the owners."""
        if thing is None or thing.metres > self.within_m:
            return False
        return not self.owners or thing.owner in self.owners


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What rules look at besides the service.

    Attributes:
        districts: Those the place lies in, as `district_key` writes them.
        things: The nearest road and the nearest asset of each kind, by kind; of those that rules ask for.
        moment: When; None where no rule asks.
    """

    districts: Collection[str]
    things: Mapping[str, OwnedNearby] = field(default_factory=dict)
    moment: Moment | None = None


@dataclass(frozen=True, slots=True)
class RouteRule:
    """Conditions (None matches anything) and who is responsible where they all hold.

    Attributes:
        layer: With `district_code`: only in that district of that layer; without: only where the layer has a district.
        beside: Only near a road or asset of some owner.
        hours: Only at these hours; `season` likewise.
        origin: Where the pack says it: file and line or number.
        names: What the pack calls it, by language; empty where it does not.
    """

    service_code: str | None
    group_code: str | None
    layer: str | None
    district_code: str | None
    department_code: str
    crew_code: str | None
    beside: Beside | None = None
    hours: Hours | None = None
    season: Season | None = None
    origin: str = ""
    names: Mapping[str, str] = field(default_factory=dict)

    def concerns(self, service_code: str, group_code: str) -> bool:
        """Whether the rule is about a service, wherever and whenever it is."""
        return self.service_code in (None, service_code) and self.group_code in (None, group_code)

    def holds(self, here: Circumstances) -> bool:
        """Whether the rule is about a place and a time."""
        if self.layer is not None and not self._holds_in(here.districts):
            return False
        if self.beside is not None and not self.beside.holds(here.things.get(self.beside.kind)):
            return False
        if self.hours is None and self.season is None:
            return True
        assert here.moment is not None, "rules that ask for the time are asked with it"  # noqa: S101
        in_hours = self.hours is None or self.hours.holds(here.moment)
        return in_hours and (self.season is None or self.season.holds(here.moment))

    def _holds_in(self, districts: Collection[str]) -> bool:
        if self.district_code is None:
            return any(key.startswith(f"{self.layer}:") for key in districts)
        return f"{self.layer}:{self.district_code}" in districts


@dataclass(frozen=True, slots=True)
class Needs:
    """What some rules look at, so that nothing else is looked up.

    Attributes:
        reach_m: How far from a place, by the kind of thing: roads and assets.
        time: Whether any of them asks for the hour or the season.
    """

    reach_m: Mapping[str, float]
    time: bool

    @classmethod
    def of(cls, rules: Iterable[RouteRule]) -> Self:
        """Sum up what rules look at."""
        reach_m: dict[str, float] = {}
        time = False
        for rule in rules:
            if rule.beside is not None:
                reach_m[rule.beside.kind] = max(rule.beside.within_m, reach_m.get(rule.beside.kind, 0.0))
            time = time or rule.hours is not None or rule.season is not None
        return cls(reach_m, time)


def district_key(layer: str, code: str) -> str:
    """Name a district across layers: `layer:code`, as issues keep it and as filters take it."""
    return f"{layer}:{code}"


def find_rule(rules: Iterable[RouteRule], here: Circumstances) -> RouteRule | None:
    """Find the rule that says who is responsible; None where none holds: the city does not offer the service there.

    Args:
        rules: The city's rules about one service (`RouteRule.concerns`), in their order.
        here: The place and the time.
    """
    return next((rule for rule in rules if rule.holds(here)), None)
