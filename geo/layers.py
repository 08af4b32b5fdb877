"""One layer of districts, held in process and answered in microseconds.

The plane is cut into small cells the first time somebody asks about one. A cell keeps the districts that come
near it, so that most positions, deep inside one district, cost two dictionary look-ups; and it keeps their
pieces around the cell in metres, so that near a border the distance to the next district takes one short sum.

Every position has one answer: on a line, a corner, or where districts overlap, the smaller district has it, then
the lower code; in a gap, the nearest district within 25 m, and the answer says so; in a hole wider than that, nobody.
A sliver is a district, a gap or an overlap like any other. Polygons that the 180th meridian cuts in two are one, and
a pole is in every district that reaches it, whatever longitude it is given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod, Transformer
from shapely.geometry.base import BaseGeometry

from geo.points import LonLat, MetresPerDegree

_EARTH = Geod(ellps="WGS84")

# Cells of this size are nearly always inside one district; the reach is what a phone's accuracy outdoors stays below.
_CELL_M = 150.0
_REACH_M = 60.0
GAP_M = 25.0
"""How far from the nearest district a position in none still belongs to it."""
# Distances are compared as they would be read: of two districts as near to the centimetre, the smaller has a gap.
_GAP_DECIMALS = 2
# An accuracy worse than this tells nothing: everything nearby counts as near.
_FARTHEST_REACH_M = 20_000.0
_HALF_TURN_DEG = 180.0
_POLE_DEG = 90.0
# Poleward of this, flat sums in degrees no longer hold; parallels are then drawn as curves, by steps so short.
_POLAR_DEG = 85.0
_POLAR_STEP_DEG = 0.1
# Pieces are cut a little larger than the reach, so that a cut is never what is nearest.
_CUT_MARGIN = 1.02


@dataclass(frozen=True, slots=True)
class DistrictShape:
    """A district as a map needs it.

    Attributes:
        code: Its code, unique in the layer on any one day.
        names: Its name by language.
        polygon: A valid Polygon or MultiPolygon in WGS 84 degrees, longitude first.
        valid_from: First day it is valid; None for always.
        valid_to: First day it is no longer valid; None for ever.
    """

    code: str
    names: Mapping[str, str]
    polygon: BaseGeometry
    valid_from: date | None = None
    valid_to: date | None = None

    def is_valid_on(self, day: date) -> bool:
        """Whether the district exists on a day."""
        begun = self.valid_from is None or self.valid_from <= day
        return begun and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class DistrictAnswer:
    """The district of one layer that a position belongs to.

    Attributes:
        layer: Code of the layer.
        code: Code of the district.
        names: Its name by language.
        near_boundary: Whether the position's accuracy reaches another district of the layer, or it lies in none.
        edge_m: Metres to the nearest other district; None where the accuracy does not reach one.
        gap_m: Metres to the district itself, where the position lies in none and this is the nearest; else None.
    """

    layer: str
    code: str
    names: Mapping[str, str]
    near_boundary: bool
    edge_m: float | None
    gap_m: float | None = None


@dataclass(frozen=True, slots=True)
class _Piece:
    """What lies of a district around a cell, in metres from the cell's middle."""

    ground: BaseGeometry
    west: float
    south: float
    east: float
    north: float

    @classmethod
    def of(cls, ground: BaseGeometry) -> _Piece:
        return cls(ground, *ground.bounds)

    def may_be_within(self, x: float, y: float, metres: float) -> bool:
        """Whether the box around the piece is within reach; spares most positions a measurement."""
        return self.west - metres <= x <= self.east + metres and self.south - metres <= y <= self.north + metres


@dataclass(frozen=True, slots=True)
class _Cell:
    """The districts within reach of a small box, the one that wins first.

    Where there is one candidate, `covering` names it if it covers the whole cell; pieces are for several only.
    """

    candidates: tuple[int, ...]
    covering: int | None
    lon: float
    lat: float
    scale: MetresPerDegree
    pieces: Mapping[int, _Piece]

    def other_within(self, lon: float, lat: float, home: int, candidates: Sequence[int], metres: float) -> float | None:
        """Metres from a position to the nearest candidate but its home; None where that is farther than asked."""
        x, y = (lon - self.lon) * self.scale.lon, (lat - self.lat) * self.scale.lat
        pieces = [self.pieces[candidate] for candidate in candidates if candidate != home]
        near = [piece.ground for piece in pieces if piece.may_be_within(x, y, metres)]
        if not near:
            return None
        point = shapely.Point(x, y)
        nearest_m = min(float(shapely.distance(ground, point)) for ground in near)
        return nearest_m if nearest_m <= metres else None


class LayerMap:
    """The districts of one layer, for looking up positions; immutable but for the cells it has cut."""

    def __init__(self, code: str, districts: Sequence[DistrictShape], *, names: Mapping[str, str]) -> None:
        """Index districts; where several hold a position, the smaller wins, then the lower code."""
        self.code = code
        self.names = names
        self.districts = sorted(districts, key=lambda district: (_area_m2(district.polygon), district.code))
        polygons, self._unwrapped = unwrap([district.polygon for district in self.districts])
        self._polygons = np.array(polygons, dtype=object)
        shapely.prepare(self._polygons)
        self._tree = shapely.STRtree(self._polygons)
        self._dated = any(district.valid_from or district.valid_to for district in self.districts)
        self._west, self._south, self._east, self._north = _bounds(self._polygons)
        middle = MetresPerDegree.around((self._south + self._north) / 2.0)
        self._lon_step, self._lat_step = _CELL_M / middle.lon, _CELL_M / middle.lat
        # Twice the gap, for a degree of longitude may be shorter than in the middle; around a pole all are near.
        self._is_polar = max(-self._south, self._north) > _POLAR_DEG
        lon_margin = 360.0 if self._is_polar else 2.0 * GAP_M / middle.lon
        lat_margin = 2.0 * GAP_M / middle.lat
        self._least_lon, self._most_lon = self._west - lon_margin, self._east + lon_margin
        self._least_lat, self._most_lat = self._south - lat_margin, self._north + lat_margin
        self._cells: dict[tuple[int, int], _Cell] = {}
        # Most cells have one candidate; those of one district are one and the same.
        self._whole = [_Cell((i,), i, 0.0, 0.0, middle, {}) for i in range(len(self.districts))]
        self._partly = [_Cell((i,), None, 0.0, 0.0, middle, {}) for i in range(len(self.districts))]
        self._far_from_edges = [DistrictAnswer(code, d.code, d.names, False, None) for d in self.districts]

    def district_at(self, at: LonLat, *, accuracy_m: float, on: date) -> DistrictAnswer | None:
        """Find the district a position belongs to on a day; None outside all. See `CityMap.districts_at`."""
        lon, lat = at.lon, at.lat
        if self._unwrapped and lon < 0.0:
            lon += 360.0
        if not (self._least_lon <= lon <= self._most_lon and self._least_lat <= lat <= self._most_lat):
            return None
        kept = accuracy_m <= _REACH_M and not self._is_polar
        cell = self._cell_of(lon, lat) if kept else self._cell_around(lon, lat, max(accuracy_m, GAP_M))
        candidates = cell.candidates
        if self._dated:
            candidates = tuple(i for i in candidates if self.districts[i].is_valid_on(on))
        gap_m = None
        home = self._home_of(lon, lat, candidates, cell.covering)
        if home is None:
            nearest = self._nearest_to(lon, lat, candidates)
            if nearest is None:
                return None
            gap_m, home = nearest
        edge_m = None
        if len(candidates) > 1:
            edge_m = cell.other_within(lon, lat, home, candidates, accuracy_m)
        if edge_m is None and gap_m is None:
            return self._far_from_edges[home]
        district = self.districts[home]
        return DistrictAnswer(self.code, district.code, district.names, True, edge_m, gap_m)

    def others_within(self, at: LonLat, answer: DistrictAnswer, *, metres: float, on: date) -> list[tuple[str, float]]:
        """List the other districts that lie within reach of a position, the nearest first, with the metres to them."""
        lon = at.lon + 360.0 if self._unwrapped and at.lon < 0.0 else at.lon
        found = [
            (away_m, self.districts[i].code)
            for i, away_m in self._distances(lon, at.lat, min(metres, _FARTHEST_REACH_M))
            if self.districts[i].is_valid_on(on) and self.districts[i].code != answer.code
        ]
        return [(code, away_m) for away_m, code in sorted(found)]

    def edge_m(self, at: LonLat, answer: DistrictAnswer, *, on: date) -> float:
        """Measure how far the edge of the district that has a position is, whatever lies behind. Takes a while."""
        lon = at.lon + 360.0 if self._unwrapped and at.lon < 0.0 else at.lon
        home = next(i for i, d in enumerate(self.districts) if d.code == answer.code and d.is_valid_on(on))
        edge = _Frame.around(lon, at.lat).lay_out(shapely.boundary(self._polygons[home]))
        return float(shapely.distance(edge, shapely.Point(0.0, 0.0)))

    def _home_of(self, lon: float, lat: float, candidates: Sequence[int], covering: int | None) -> int | None:
        if covering is not None:
            return covering if candidates else None
        is_plain = abs(lat) != _POLE_DEG and abs(lon) != _HALF_TURN_DEG
        has = shapely.intersects_xy if is_plain else holds
        for candidate in candidates:
            if has(self._polygons[candidate], lon, lat):
                return candidate
        return None

    def _nearest_to(self, lon: float, lat: float, candidates: Sequence[int]) -> tuple[float, int] | None:
        """Find which of some districts a position in none of them is nearest to, if it is near enough."""
        near = [(round(m, _GAP_DECIMALS), i) for i, m in self._distances(lon, lat, GAP_M) if i in candidates]
        return min(near, default=None)

    def _distances(self, lon: float, lat: float, within_m: float) -> list[tuple[int, float]]:
        """Measure how far the districts around a position are from it; those within reach."""
        frame = _Frame.around(lon, lat)
        surroundings = self._surroundings((lon, lat, lon, lat), within_m, frame.scale)
        here = shapely.Point(0.0, 0.0)
        found = []
        for i in self._tree.query(surroundings, predicate="intersects"):
            piece = shapely.intersection(self._polygons[i], surroundings)
            away_m = math.inf if piece.is_empty else float(shapely.distance(frame.lay_out(piece), here))
            if away_m <= within_m:
                found.append((int(i), away_m))
        return found

    def _cell_of(self, lon: float, lat: float) -> _Cell:
        column = math.floor((lon - self._west) / self._lon_step)
        row = math.floor((lat - self._south) / self._lat_step)
        cell = self._cells.get((column, row))
        if cell is None:
            west, south = self._west + column * self._lon_step, self._south + row * self._lat_step
            cell = self._cut((west, south, west + self._lon_step, south + self._lat_step), _REACH_M)
            self._cells[column, row] = cell
        return cell

    def _cell_around(self, lon: float, lat: float, reach_m: float) -> _Cell:
        """A cell of one position, for an accuracy that the kept cells do not reach, or at a pole."""
        return self._cut((lon, lat, lon, lat), min(reach_m, _FARTHEST_REACH_M))

    def _cut(self, bounds: tuple[float, float, float, float], reach_m: float) -> _Cell:
        """Cut out what lies within reach of a box (west, south, east, north in degrees)."""
        west, south, east, north = bounds
        frame = _Frame.around((west + east) / 2.0, (south + north) / 2.0)
        surroundings = self._surroundings(bounds, reach_m, frame.scale)
        candidates = [int(i) for i in sorted(self._tree.query(surroundings, predicate="intersects"))]
        if len(candidates) == 1:
            whole = shapely.covers(self._polygons[candidates[0]], shapely.box(*bounds))
            return (self._whole if whole else self._partly)[candidates[0]]
        cut = {i: shapely.intersection(self._polygons[i], surroundings) for i in candidates}
        # Nothing is left of a district that only touches the box around: it is out of reach.
        pieces = {i: _Piece.of(frame.lay_out(piece)) for i, piece in cut.items() if not piece.is_empty}
        return _Cell(tuple(pieces), None, frame.lon, frame.lat, frame.scale, pieces)

    def _surroundings(
        self, bounds: tuple[float, float, float, float], reach_m: float, scale: MetresPerDegree
    ) -> BaseGeometry:
        """Draw a box that holds all within reach of a box; around a pole, the parallels all the way round."""
        west, south, east, north = bounds
        lat_reach = _CUT_MARGIN * reach_m / scale.lat
        south, north = max(south - lat_reach, -_POLE_DEG), min(north + lat_reach, _POLE_DEG)
        if max(-south, north) > _POLAR_DEG:
            return shapely.box(self._west, south, self._east, north)
        lon_reach = _CUT_MARGIN * reach_m / scale.lon
        return shapely.box(west - lon_reach, south, east + lon_reach, north)


@dataclass(frozen=True, slots=True)
class _Frame:
    """A plane in metres around a position: flat sums nearly everywhere, a projection where meridians run together."""

    lon: float
    lat: float
    scale: MetresPerDegree

    @classmethod
    def around(cls, lon: float, lat: float) -> _Frame:
        return cls(lon, lat, MetresPerDegree.around(lat))

    def lay_out(self, shape: BaseGeometry) -> BaseGeometry:
        if abs(self.lat) > _POLAR_DEG:
            projection = f"+proj=aeqd +lat_0={self.lat!r} +lon_0={self.lon!r} +datum=WGS84"
            transformer = Transformer.from_crs("EPSG:4326", projection, always_xy=True)
            fine = shapely.segmentize(shape, _POLAR_STEP_DEG)
            return shapely.transform(fine, lambda degrees: np.column_stack(transformer.transform(*degrees.T)))
        middle, metres = (self.lon, self.lat), (self.scale.lon, self.scale.lat)
        return shapely.transform(shape, lambda degrees: (degrees - middle) * metres)


def holds(polygon: BaseGeometry, lon: float, lat: float) -> bool:
    """Whether a polygon holds a position, its border included, however the position is written."""
    if abs(lat) == _POLE_DEG:  # whose longitude may be any
        return bool(shapely.intersects(polygon, shapely.LineString([(-_HALF_TURN_DEG, lat), (360.0, lat)])))
    if abs(lon) == _HALF_TURN_DEG:
        return bool(shapely.intersects(polygon, shapely.MultiPoint([(lon, lat), (-lon, lat)])))
    return bool(shapely.intersects_xy(polygon, lon, lat))


def unwrap(shapes: Sequence[BaseGeometry]) -> tuple[list[BaseGeometry], bool]:
    """Join what the 180th meridian cuts in two: longitudes then run from 0 to 360 degrees.

    Returns:
        The shapes, and whether they were shifted: only such as touch the meridian, and do not lie across Greenwich.
    """
    west, _, east, _ = shapely.bounds(shapely.get_parts(np.array(shapes, dtype=object))).T
    touches = np.any((west == -_HALF_TURN_DEG) | (east == _HALF_TURN_DEG))
    if not touches or np.any((west < 0.0) & (east >= 0.0)):
        return list(shapes), False
    shifted = shapely.transform(np.array(shapes, dtype=object), lambda degrees: degrees + _turns(degrees))
    return [shapely.union_all(shapely.get_parts(shape)) for shape in shifted], True


def _turns(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.column_stack((np.where(degrees[:, 0] < 0.0, 360.0, 0.0), np.zeros(len(degrees))))


def _area_m2(polygon: BaseGeometry) -> int:
    """To the square metre: two districts of one size are not told apart by the last digit of a sum."""
    return round(abs(_EARTH.geometry_area_perimeter(polygon)[0]))


def _bounds(polygons: np.ndarray) -> tuple[float, float, float, float]:
    if polygons.size == 0:
        return math.inf, math.inf, -math.inf, -math.inf
    west, south, east, north = shapely.total_bounds(polygons)
    return float(west), float(south), float(east), float(north)
