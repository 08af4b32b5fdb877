"""Where is this? The cities' polygons, held in process and asked for every report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo.layers import DistrictAnswer, LayerMap, holds, unwrap
from geo.points import LonLat, MetresPerDegree, longitude_difference

_METRES_PER_LATITUDE_DEGREE_AT_LEAST = 110_574.0


# The version of each city, by its number, ascending.
AtlasVersion = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class CityProfile:
    """What is known of a city besides its polygons.

    Attributes:
        id: Its number inside; tenant tables have it as `city_id`.
        jurisdiction_id: Its name on the wire (Open311), such as `laval.ca`.
        names: Its name by language.
        timezone: The zone of its local time.
        locale: The language for people who have not chosen one.
        settings: Switches of its pack: `photos` and `texts` (`public` or `staff`), `holidays` (ISO dates).
        version: Grows with each load that changed something.
    """

    id: int
    jurisdiction_id: str
    names: Mapping[str, str]
    timezone: ZoneInfo
    locale: str
    settings: Mapping[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class NeighbourShape:
    """A city beside or inside one of ours that is not part of it.

    Attributes:
        code: Its code, unique among the neighbours of one city.
        names: Its name by language.
        outline: A valid Polygon or MultiPolygon in WGS 84 degrees.
    """

    code: str
    names: Mapping[str, str]
    outline: BaseGeometry


class CityMap:
    """The polygons of one city, held in process for answering "where is this?" in microseconds.

    Attributes:
        profile: Who the city is.
        layers: Its layers, the responsible one first.
    """

    def __init__(
        self,
        profile: CityProfile,
        *,
        outline: BaseGeometry,
        layers: Sequence[LayerMap],
        responsible_layer: str | None = None,
        neighbours: Iterable[NeighbourShape] = (),
    ) -> None:
        """Index a city's polygons.

        Args:
            profile: Who the city is.
            outline: Its territory: a valid Polygon or MultiPolygon in WGS 84 degrees.
            layers: Its layers of districts.
            responsible_layer: Code of the layer that decides who answers for a place.
            neighbours: Cities around or inside it that are not part of it.
        """
        self.profile = profile
        self.layers = sorted(layers, key=lambda layer: layer.code != responsible_layer)
        self.responsible_layer = responsible_layer
        [self._outline], self._unwrapped = unwrap([outline])
        shapely.prepare(self._outline)
        self._west, self._south, self._east, self._north = (float(degrees) for degrees in self._outline.bounds)
        self._neighbours = sorted(neighbours, key=lambda neighbour: neighbour.code)
        shapely.prepare([neighbour.outline for neighbour in self._neighbours])

    @property
    def id(self) -> int:
        """The city's number inside."""
        return self.profile.id

    @property
    def jurisdiction_id(self) -> str:
        """The city's name on the wire."""
        return self.profile.jurisdiction_id

    @property
    def middle(self) -> LonLat:
        """The middle of the box around the city."""
        lon = (self._west + self._east) / 2.0
        return LonLat(lon - 360.0 if lon > 180.0 else lon, (self._south + self._north) / 2.0)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """The box around the city: west, south, east and north; across the 180th meridian, west is the larger."""
        east = self._east - 360.0 if self._east > 180.0 else self._east
        return self._west, self._south, east, self._north

    def meets(self, box: tuple[float, float, float, float]) -> bool:
        """Whether a box (west, south, east, north; degrees) and the one around the city have something in common.

        Also where it may be: across the 180th meridian nothing is ruled out.
        """
        west, south, east, north = box
        if west > east or self._unwrapped:
            return south <= self._north and north >= self._south
        return west <= self._east and east >= self._west and south <= self._north and north >= self._south

    def layer(self, code: str) -> LayerMap:
        """One of its layers."""
        return next(layer for layer in self.layers if layer.code == code)

    def contains(self, at: LonLat) -> bool:
        """Whether a position lies in the city, borders included."""
        lon = at.lon + 360.0 if self._unwrapped and at.lon < 0.0 else at.lon
        in_box = self._west <= lon <= self._east and self._south <= at.lat <= self._north
        return (in_box or abs(at.lat) == 90.0) and holds(self._outline, lon, at.lat)

    def districts_at(self, at: LonLat, *, accuracy_m: float, on: date) -> list[DistrictAnswer]:
        """Find the district of each layer that a position (WGS 84) belongs to on a day; empty outside all.

        Borders count as inside, so a shared border lies in both districts; the smaller one wins, then the lower
        code, which keeps the answer repeatable. In a gap between districts, the nearest within 25 m (`GAP_M`) has
        the position, if that lies in the city at all; `gap_m` says so. `near_boundary` is true there, and where the
        position's own accuracy (metres, not negative) reaches another district of the layer. The responsible layer
        comes first.
        """
        answers, in_gap = [], False
        for layer in self.layers:
            answer = layer.district_at(at, accuracy_m=accuracy_m, on=on)
            if answer is not None:
                answers.append(answer)
                in_gap = in_gap or answer.gap_m is not None
        if in_gap and not self.contains(at):
            return [answer for answer in answers if answer.gap_m is None]
        return answers

    @property
    def neighbours(self) -> Sequence[NeighbourShape]:
        """The cities around or inside it that are not part of it, by their codes."""
        return self._neighbours

    def neighbour_at(self, at: LonLat) -> NeighbourShape | None:
        """Find the neighbour of the city that a position lies in; the lower code where several do."""
        for neighbour in self._neighbours:
            if shapely.intersects_xy(neighbour.outline, at.lon, at.lat):
                return neighbour
        return None

    def distance_m(self, at: LonLat, *, within_m: float) -> float | None:
        """Metres from a position to the city (0 inside); None where it is farther than `within_m`.

        Good to 1 part in 1000 up to some 20 km: distances are taken in a plane around the position.
        """
        scale = MetresPerDegree.around(at.lat)
        if not self._box_within(at, within_m, scale):
            return None
        metres = float(shapely.distance(_around(self._outline, at, scale), shapely.Point(0.0, 0.0)))
        return metres if metres <= within_m else None

    def _box_within(self, at: LonLat, within_m: float, scale: MetresPerDegree) -> bool:
        """Whether the box around the city may come within reach; cheap, and never wrongly false."""
        reach_lat = within_m / _METRES_PER_LATITUDE_DEGREE_AT_LEAST
        if not self._south - reach_lat <= at.lat <= self._north + reach_lat:
            return False
        reach_lon = 2.0 * within_m / scale.lon if scale.lon > 0.0 else 360.0
        to_west, to_east = longitude_difference(self._west, at.lon), longitude_difference(at.lon, self._east)
        return to_west >= -reach_lon and to_east >= -reach_lon


class Atlas:
    """All cities of the installation; immutable, replaced as a whole when a pack changes."""

    def __init__(self, cities: Iterable[CityMap]) -> None:
        """Index cities by id and by jurisdiction."""
        self.cities = sorted(cities, key=lambda city: city.jurisdiction_id)
        self._by_id = {city.id: city for city in self.cities}
        self._by_jurisdiction = {city.jurisdiction_id: city for city in self.cities}

    @property
    def version(self) -> AtlasVersion:
        """What it was read from; compare with `geo.cities.atlas_version` to see whether it is out of date."""
        return tuple(sorted((city.id, city.profile.version) for city in self.cities))

    def by_id(self, city_id: int) -> CityMap | None:
        """The city with a number, if it is loaded."""
        return self._by_id.get(city_id)

    def by_jurisdiction(self, jurisdiction_id: str) -> CityMap | None:
        """The city with a jurisdiction id, if it is loaded."""
        return self._by_jurisdiction.get(jurisdiction_id)

    def city_at(self, at: LonLat) -> CityMap | None:
        """The city a position lies in, borders included; the lower jurisdiction id where several claim it."""
        for city in self.cities:
            if city.contains(at):
                return city
        return None

    def nearest_city(self, at: LonLat, *, within_m: float = 5_000.0) -> tuple[CityMap, float] | None:
        """The nearest city and the metres to it (0 inside), for telling people who just missed one.

        Returns:
            None where no city is within `within_m`; the lower jurisdiction id of two at the same distance.
        """
        found: tuple[CityMap, float] | None = None
        for city in self.cities:
            metres = city.distance_m(at, within_m=within_m)
            if metres is not None and (found is None or metres < found[1]):
                found = city, metres
        return found

    def neighbour_at(self, at: LonLat) -> NeighbourShape | None:
        """The city, known to some pack but not loaded itself, that a position lies in."""
        for city in self.cities:
            neighbour = city.neighbour_at(at)
            if neighbour is not None:
                return neighbour
        return None


def _around(shape: BaseGeometry, at: LonLat, scale: MetresPerDegree) -> BaseGeometry:
    """Lay a shape out in metres around a position, the short way round the earth."""

    def flatten(degrees: np.ndarray) -> np.ndarray:
        east = (degrees[:, 0] - at.lon + 180.0) % 360.0 - 180.0
        return np.column_stack((east * scale.lon, (degrees[:, 1] - at.lat) * scale.lat))

    return shapely.transform(shape, flatten)
