"""What rules need to know of a place, and who else may be responsible since a position is only known so well."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime

from geo.layers import DistrictAnswer
from geo.owners import OwnedNearby
from geo.points import LonLat
from issues.catalogue import ServiceEntry
from issues.city import CityBook
from issues.routing import Circumstances, Moment, Needs, RouteRule, district_key

# Who does not know where they are better than this is told of everybody around in vain.
_ACCURACY_AT_MOST_M = 100.0


def circumstances_of(
    districts: Collection[str], needs: Needs, *, at: LonLat, city: CityBook, local: datetime
) -> Circumstances:
    """Look up what rules need to know of a place and a time of the city's own clock, and no more."""
    if not needs.reach_m and not needs.time:
        return Circumstances(districts)
    nearest = ((kind, city.owners.nearest(kind, at, within_m=reach_m)) for kind, reach_m in needs.reach_m.items())
    things = {kind: thing for kind, thing in nearest if thing is not None}
    return Circumstances(districts, things, Moment.of(local, city.settings.holidays) if needs.time else None)


@dataclass(frozen=True, slots=True)
class Possibility:
    """Who may be responsible instead.

    Attributes:
        rule: The rule that would decide.
        district: The district (`layer:code`) that the position may lie in; None where it is about a thing.
        thing: The road or asset that may be the nearest, or be near enough, or not.
        metres: How far the position is from where that would be so.
    """

    rule: RouteRule
    district: str | None
    thing: OwnedNearby | None
    metres: float

    def leads_elsewhere(self, rule: RouteRule) -> bool:
        """Whether it makes a difference."""
        return (self.rule.department_code, self.rule.crew_code) != (rule.department_code, rule.crew_code)


def owners_possible(
    service: ServiceEntry, here: Circumstances, *, at: LonLat, accuracy_m: float, city: CityBook
) -> list[Possibility]:
    """Find which rules would decide if the position were elsewhere within its accuracy, by the owners of things.

    Two things are equally near where the position is half the difference between them away.
    """
    accuracy_m = min(accuracy_m, _ACCURACY_AT_MOST_M)
    found = []
    for kind, reach_m in city.catalogue.needs_of(service).reach_m.items():
        around = city.owners.nearest_by_owner(kind, at, within_m=reach_m + 2.0 * accuracy_m)
        for thing in around:
            away_m = (thing.metres - around[0].metres) / 2.0
            if away_m > accuracy_m:
                break
            for metres in (max(0.0, thing.metres - accuracy_m), thing.metres + accuracy_m):
                there = replace(here, things={**here.things, kind: replace(thing, metres=metres)})
                rule = city.catalogue.find_rule(service, there)
                if rule is not None:
                    found.append(Possibility(rule, None, thing, away_m))
    return found


def districts_possible(
    service: ServiceEntry,
    here: Circumstances,
    answers: Collection[DistrictAnswer],
    *,
    at: LonLat,
    accuracy_m: float,
    city: CityBook,
    on: date,
) -> list[Possibility]:
    """Find which rules would decide if the position lay in another district within its accuracy."""
    found = []
    for answer in answers:
        rest = [key for key in here.districts if key != district_key(answer.layer, answer.code)]
        for code, metres in city.map.layer(answer.layer).others_within(at, answer, metres=accuracy_m, on=on):
            key = district_key(answer.layer, code)
            rule = city.catalogue.find_rule(service, replace(here, districts=[*rest, key]))
            if rule is not None:
                found.append(Possibility(rule, key, None, metres))
    return found


def others_responsible(rule: RouteRule, possible: Collection[Possibility]) -> list[Possibility]:
    """Keep of what is possible the nearest of each department and crew that is not the rule's, the nearest first."""
    others: dict[tuple[str, str | None], Possibility] = {}
    for possibility in sorted(possible, key=lambda each: each.metres):
        if possibility.leads_elsewhere(rule):
            others.setdefault((possibility.rule.department_code, possibility.rule.crew_code), possibility)
    return list(others.values())
