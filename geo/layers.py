"""One layer of districts, held in process and answered in microseconds.

The plane is cut into small cells the first time somebody asks about one. A cell keeps the districts that come
near it, so that most positions, deep inside one district, cost two dictionary look-ups; and it keeps their
pieces around the cell in metres, so that near a border the distance to the next district takes one short sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from geo.points import LonLat, MetresPerDegree

_EARTH = Geod(ellps="WGS84")

# Cells of this size are nearly always inside one district; the reach is what a phone's accuracy outdoors stays below.
_CELL_M = 150.0
_REACH_M = 60.0
# An accuracy worse than this tells nothing: everything nearby counts as near.
_FARTHEST_REACH_M = 20_000.0
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
        near_boundary: Whether the position's accuracy reaches another district of the layer.
        edge_m: Metres to the nearest other district; None where the accuracy does not reach one.
    """

    layer: str
    code: str
    names: Mapping[str, str]
    near_boundary: bool
    edge_m: float | None


@dataclass(frozen=True, slots=True)
class _Piece:
    """What lies of a district around a cell, in metres from the cell's middle."""

    ground: BaseGeometry
    west: float
    south: float
    east: float
    north: float

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

    def other_within(self, at: LonLat, home: int, candidates: Sequence[int], metres: float) -> float | None:
        """Metres from a position to the nearest candidate but its home; None where that is farther than asked."""
        x, y = (at.lon - self.lon) * self.scale.lon, (at.lat - self.lat) * self.scale.lat
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
        self._polygons = np.array([district.polygon for district in self.districts], dtype=object)
        shapely.prepare(self._polygons)
        self._tree = shapely.STRtree(self._polygons)
        self._dated = any(district.valid_from or district.valid_to for district in self.districts)
        self._west, self._south, self._east, self._north = _bounds(self._polygons)
        middle = MetresPerDegree.around((self._south + self._north) / 2.0)
        self._lon_step, self._lat_step = _CELL_M / middle.lon, _CELL_M / middle.lat
        self._cells: dict[tuple[int, int], _Cell] = {}
        # Most cells have one candidate; those of one district are one and the same.
        self._whole = [_Cell((i,), i, 0.0, 0.0, middle, {}) for i in range(len(self.districts))]
        self._partly = [_Cell((i,), None, 0.0, 0.0, middle, {}) for i in range(len(self.districts))]
        self._far_from_edges = [DistrictAnswer(code, d.code, d.names, False, None) for d in self.districts]

    def district_at(self, at: LonLat, *, accuracy_m: float, on: date) -> DistrictAnswer | None:
        """Find the district a position belongs to on a day; None outside all. See `CityMap.districts_at`."""
        if not (self._west <= at.lon <= self._east and self._south <= at.lat <= self._north):
            return None
        cell = self._cell_of(at) if accuracy_m <= _REACH_M else self._cell_around(at, accuracy_m)
        candidates = cell.candidates
        if self._dated:
            candidates = tuple(i for i in candidates if self.districts[i].is_valid_on(on))
        home = self._home_of(at, candidates, cell.covering)
        if home is None:
            return None
        if len(candidates) > 1:
            edge_m = cell.other_within(at, home, candidates, accuracy_m)
            if edge_m is not None:
                district = self.districts[home]
                return DistrictAnswer(self.code, district.code, district.names, True, edge_m)
        return self._far_from_edges[home]

    def _home_of(self, at: LonLat, candidates: Sequence[int], covering: int | None) -> int | None:
        if covering is not None:
            return covering if candidates else None
        for candidate in candidates:
            if shapely.intersects_xy(self._polygons[candidate], at.lon, at.lat):
                return candidate
        return None

    def _cell_of(self, at: LonLat) -> _Cell:
        column = math.floor((at.lon - self._west) / self._lon_step)
        row = math.floor((at.lat - self._south) / self._lat_step)
        cell = self._cells.get((column, row))
        if cell is None:
            west, south = self._west + column * self._lon_step, self._south + row * self._lat_step
            cell = self._cut((west, south, west + self._lon_step, south + self._lat_step), _REACH_M)
            self._cells[column, row] = cell
        return cell

    def _cell_around(self, at: LonLat, accuracy_m: float) -> _Cell:
        """A cell of one position, for an accuracy that the kept cells do not reach."""
        return self._cut((at.lon, at.lat, at.lon, at.lat), min(accuracy_m, _FARTHEST_REACH_M))

    def _cut(self, bounds: tuple[float, float, float, float], reach_m: float) -> _Cell:
        """Cut out what lies within reach of a box (west, south, east, north in degrees)."""
        west, south, east, north = bounds
        lon, lat = (west + east) / 2.0, (south + north) / 2.0
        scale = MetresPerDegree.around(lat)
        lon_reach, lat_reach = _CUT_MARGIN * reach_m / scale.lon, _CUT_MARGIN * reach_m / scale.lat
        surroundings = shapely.box(west - lon_reach, south - lat_reach, east + lon_reach, north + lat_reach)
        candidates = [int(i) for i in sorted(self._tree.query(surroundings, predicate="intersects"))]
        if len(candidates) == 1:
            whole = shapely.covers(self._polygons[candidates[0]], shapely.box(*bounds))
            return (self._whole if whole else self._partly)[candidates[0]]
        cut = {i: shapely.intersection(self._polygons[i], surroundings) for i in candidates}
        # Nothing is left of a district that only touches the box around: it is out of reach.
        pieces = {i: _in_metres(piece, lon, lat, scale) for i, piece in cut.items() if not piece.is_empty}
        return _Cell(tuple(pieces), None, lon, lat, scale, pieces)


def _in_metres(shape: BaseGeometry, lon: float, lat: float, scale: MetresPerDegree) -> _Piece:
    def flatten(degrees: np.ndarray) -> np.ndarray:
        return (degrees - (lon, lat)) * (scale.lon, scale.lat)

    ground = shapely.transform(shape, flatten)
    return _Piece(ground, *ground.bounds)


def _area_m2(polygon: BaseGeometry) -> float:
    return abs(_EARTH.geometry_area_perimeter(polygon)[0])


def _bounds(polygons: np.ndarray) -> tuple[float, float, float, float]:
    if polygons.size == 0:
        return math.inf, math.inf, -math.inf, -math.inf
    west, south, east, north = shapely.total_bounds(polygons)
    return float(west), float(south), float(east), float(north)
