"""Seams between districts: published borders rarely meet exactly, and a resident may stand in between.

Districts drawn one by one leave gaps and overlaps a few metres wide. A gap that is narrow everywhere is nobody's
on paper only; it is given to the district it shares most of its border with. Overlaps are left: `geo.layers`
decides them the same way every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from geo.points import MetresPerDegree

_EARTH = Geod(ellps="WGS84")


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two polygons of a coverage that share ground.

    Attributes:
        first: Position of one in the coverage.
        second: Position of the other, higher.
        area_m2: How much they share.
        shape: What they share.
    """

    first: int
    second: int
    area_m2: float
    shape: BaseGeometry


@dataclass(frozen=True, slots=True)
class Sewn:
    """Polygons whose narrow gaps were closed.

    Attributes:
        polygons: The polygons in their order, as MultiPolygons.
        closed: The gaps that one of them was given.
        left: Those that are too wide for that, and may be meant.
    """

    polygons: Sequence[BaseGeometry]
    closed: Sequence[BaseGeometry]
    left: Sequence[BaseGeometry]


def area_m2(polygon: BaseGeometry) -> float:
    """Geodesic area of a polygon in WGS 84 degrees; 0 for an empty one."""
    return 0.0 if polygon.is_empty else abs(float(_EARTH.geometry_area_perimeter(polygon)[0]))


def close_gaps(polygons: Sequence[BaseGeometry], *, around: Sequence[BaseGeometry] = (), width_m: float) -> Sewn:
    """Give the narrow gaps between polygons to the polygons.

    Args:
        polygons: Valid polygons in WGS 84 degrees.
        around: Polygons that bound gaps too, but are given nothing.
        width_m: A gap is closed if nowhere wider than this.
    """
    sewn = list(polygons)
    closed, left = [], []
    for gap in _gaps(shapely.union_all([*polygons, *around])):
        if not is_narrow(gap, width_m):
            left.append(gap)
            continue
        shared = shapely.length(shapely.intersection(shapely.boundary(gap), polygons))
        taker = int(np.argmax(shared))
        if shared[taker] > 0.0:
            sewn[taker] = as_multi(shapely.union(sewn[taker], gap))
            closed.append(gap)
    return Sewn(sewn, closed, left)


def find_overlaps(polygons: Sequence[BaseGeometry], *, at_least_m2: float) -> list[Overlap]:
    """Find polygons that share more ground than an area, in the order of the polygons."""
    overlaps = []
    ground = np.array(polygons, dtype=object)
    for first, second in sorted(zip(*shapely.STRtree(ground).query(ground, predicate="intersects"), strict=True)):
        if first < second:
            shape = as_multi(shapely.intersection(polygons[first], polygons[second]))
            shared_m2 = area_m2(shape)
            if shared_m2 >= at_least_m2:
                overlaps.append(Overlap(int(first), int(second), shared_m2, shape))
    return overlaps


def merge(polygons: Sequence[BaseGeometry]) -> BaseGeometry:
    """The ground of several polygons together, as a MultiPolygon."""
    return as_multi(shapely.union_all(polygons))


def _gaps(coverage: BaseGeometry) -> list[BaseGeometry]:
    """What borders enclose without its being covered: holes, and gaps between parts that only touch in points."""
    faces = shapely.get_parts(shapely.polygonize([shapely.node(shapely.boundary(coverage))]))
    shapely.prepare(coverage)
    return [face for face in faces if not shapely.intersects(coverage, shapely.point_on_surface(face))]


def is_narrow(ground: BaseGeometry, width_m: float) -> bool:
    """Whether a polygon (WGS 84 degrees) is nowhere wider than so many metres."""
    scale = MetresPerDegree.around(ground.centroid.y)
    in_metres = shapely.transform(ground, lambda degrees: degrees * (scale.lon, scale.lat))
    return bool(in_metres.buffer(-width_m / 2.0).is_empty)


def as_multi(shape: BaseGeometry) -> BaseGeometry:
    """The ground in a shape as a MultiPolygon: lines and points are dropped."""
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.MultiPolygon([part for part in parts if part.geom_type == "Polygon"])
