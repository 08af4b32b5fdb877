"""A pack's own sample points: places whose owner the city knows, to hold the pack against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import shapely

from geo.atlas import CityMap, CityProfile
from geo.layers import LayerMap
from geo.owners import OwnerMap
from geo.points import LonLat
from issues.packs.pack import Pack
from issues.packs.problems import Findings
from issues.packs.schema import POINTS, PointSheet
from issues.packs.sheets import read_lines
from issues.packs.times import holidays_of
from issues.routing import Circumstances, Moment, Needs, RouteRule, district_key, find_rule

_OUTSIDE = "outside"
# Rules that ask for the hour are tried in the middle of the city's day.
_NOON = time(12)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a sample point.

    Attributes:
        line: Its line in `points.csv`.
        point: What stands there.
        expected: Who should answer, as `department/crew` and `layer:district`; `outside` for nobody.
        found: Who does.
    """

    line: int
    point: PointSheet
    expected: Sequence[str]
    found: Sequence[str]

    @property
    def holds(self) -> bool:
        """Whether all that was expected was found."""
        return set(self.expected) <= set(self.found)


def read_points(folder: Path, findings: Findings) -> list[tuple[int, PointSheet]]:
    """Read `points.csv`, each point with its line; what cannot be read is among the findings."""
    if not (folder / POINTS).is_file():
        findings.error(POINTS, "", "there is no such file; its columns are lat,long,service,district,department,crew")
        return []
    return read_lines(folder, POINTS, PointSheet, findings)


def try_points(pack: Pack, points: Iterable[tuple[int, PointSheet]], *, on: date) -> list[Verdict]:
    """Ask a pack who answers at each point, as the server would on a day; needs no database."""
    book = _Book(pack, on)
    verdicts = []
    for line, point in points:
        expected = [word for word in (point.district, _owner(point.department, point.crew)) if word]
        found = book.answers(point.service, LonLat(point.long, point.lat))
        verdicts.append(Verdict(line, point, expected or [_OUTSIDE], found))
    return verdicts


def sample_points(pack: Pack, service: str, *, on: date) -> str:
    """Write a `points.csv` with a point in each district of the responsible layer and whoever answers there now."""
    book = _Book(pack, on)
    lines = [",".join(PointSheet.model_fields)]
    for layer in pack.places.layers:
        for district in layer.districts if layer.responsible else ():
            inside = shapely.point_on_surface(district.polygon)
            at = LonLat(round(inside.x, 6), round(inside.y, 6))
            own = next((key for key in book.districts(at) if key.startswith(f"{layer.code}:")), "")
            department, _, crew = book.answers(service, at)[-1].partition("/")
            lines.append(f"{at.lat},{at.lon},{service},{own},{department},{crew}")
    return "\n".join(lines) + "\n"


class _Book:
    """A pack's answers on one day, without a database."""

    def __init__(self, pack: Pack, on: date) -> None:
        city, places = pack.city, pack.places
        self._on = on
        self._holidays = {*city.holidays, *(holidays_of(city.calendar, [on.year]) if city.calendar else ())}
        self._routes = pack.routes
        self._groups = {service.code: group.code for group in pack.services.groups for service in group.services}
        self._ground = CityMap(
            CityProfile(0, city.jurisdiction_id, city.names, ZoneInfo(city.timezone), city.locale, {}, 0),
            outline=places.outline,
            layers=[LayerMap(layer.code, layer.districts, names=layer.names) for layer in places.layers],
            responsible_layer=city.responsible_layer,
            neighbours=places.neighbours,
        )
        self._owners = OwnerMap(self._ground.middle, places.owned)

    def districts(self, at: LonLat) -> list[str]:
        answers = self._ground.districts_at(at, accuracy_m=0.0, on=self._on)
        return [district_key(answer.layer, answer.code) for answer in answers]

    def answers(self, service: str, at: LonLat) -> list[str]:
        """The districts of a place, the department that answers there, and with its crew where one does the work."""
        if not self._ground.contains(at):
            return [_OUTSIDE]
        districts = self.districts(at)
        rules = [rule for rule in self._routes if rule.concerns(service, self._groups.get(service, ""))]
        owner = find_rule(rules, self._here(rules, districts, at)) if service in self._groups else None
        if owner is None:
            return [*districts, f"no service {service}"]
        crew = [_owner(owner.department_code, owner.crew_code)] if owner.crew_code else []
        return [*districts, owner.department_code, *crew]

    def _here(self, rules: Sequence[RouteRule], districts: Sequence[str], at: LonLat) -> Circumstances:
        """What rules need to know, at noon of the day."""
        needs = Needs.of(rules)
        nearest = {kind: self._owners.nearest(kind, at, within_m=reach_m) for kind, reach_m in needs.reach_m.items()}
        things = {kind: thing for kind, thing in nearest.items() if thing is not None}
        return Circumstances(districts, things, Moment.of(datetime.combine(self._on, _NOON), self._holidays))


def _owner(department: str | None, crew: str | None) -> str:
    return f"{department}/{crew}" if department and crew else department or ""
