"""Cells of a metric grid over the earth, to lock a place rather than a row.

Two people who report the same hole at the same moment must not open two issues. Each locks the cells around
its own position before it looks for neighbours. A cell is at least as wide as asked, in metres, anywhere on
earth: rows are bands of latitude, and each band cuts its own circle of latitude into whole cells.
"""

from __future__ import annotations

import hashlib
import math

from geo.points import LonLat

# The grid lies on a sphere of the smallest radius of curvature that WGS 84 has (along the meridian, at the
# equator). No length on the ellipsoid spans a larger angle than it does there, so cells come out slightly
# wider than asked and never narrower, and circles reach slightly farther and never less far.
_SPHERE_RADIUS_M = 6_335_439.0

_ROW_SHIFT = 32


def cells_touched(at: LonLat, *, radius_m: float, width_m: float) -> list[int]:
    """Find the cells that whoever acts within `radius_m` of a position has to lock, in lock order.

    They cover the circle of HALF the radius: for any two positions within `radius_m` of each other, the point
    halfway lies in both circles, so the two share a cell.

    Args:
        at: The position.
        radius_m: The largest distance at which two positions may be about one thing.
        width_m: The least width and height of a cell. Everybody who locks must use the same; at least as wide
            as the radius, it gives four cells or fewer (six at worst, where rows of columns are out of step).

    Returns:
        Cell numbers, ascending and without repeats; stable between processes and releases.
    """
    if not (radius_m >= 0.0 and width_m > 0.0):
        raise ValueError(f"radius_m {radius_m!r} must not be negative and width_m {width_m!r} must be positive")
    reach_deg = math.degrees(radius_m / 2.0 / _SPHERE_RADIUS_M)
    south, north = at.lat - reach_deg, at.lat + reach_deg
    half_width_deg = _half_width_deg(at.lat, reach_deg)
    cells: set[int] = set()
    for row in range(_row(max(south, -90.0), width_m), _row(min(north, 90.0), width_m) + 1):
        cells.update(row << _ROW_SHIFT | column for column in _columns(row, at.lon, half_width_deg, width_m))
    return sorted(cells)


def lock_key(city_id: int, cell: int) -> int:
    """The key of a cell's advisory lock: a signed 64-bit number, the same in every process."""
    digest = hashlib.blake2b(f"{city_id}/{cell}".encode(), digest_size=8, person=b"jalon-cell").digest()
    return int.from_bytes(digest, "big", signed=True)


def _row_height_deg(width_m: float) -> float:
    return math.degrees(width_m / _SPHERE_RADIUS_M)


def _row(lat: float, width_m: float) -> int:
    return math.floor((lat + 90.0) / _row_height_deg(width_m))


def _half_width_deg(lat: float, reach_deg: float) -> float:
    """Half the span of longitudes of a circle; 180 (all of them) where it reaches a pole."""
    if abs(lat) + reach_deg >= 90.0:
        return 180.0
    return math.degrees(math.asin(math.sin(math.radians(reach_deg)) / math.cos(math.radians(lat))))


def _columns(row: int, lon: float, half_width_deg: float, width_m: float) -> set[int]:
    """The columns of one row between two longitudes, going round where the last meets the first."""
    count = _column_count(row, width_m)
    step_deg = 360.0 / count
    first = math.floor((lon + 180.0 - half_width_deg) / step_deg)
    last = math.floor((lon + 180.0 + half_width_deg) / step_deg)
    if last - first >= count:
        return set(range(count))
    return {column % count for column in range(first, last + 1)}


def _column_count(row: int, width_m: float) -> int:
    """How many cells go round the earth in a row, measured where the row is shortest: at its edge nearer a pole."""
    height_deg = _row_height_deg(width_m)
    south = row * height_deg - 90.0
    poleward = min(90.0, max(abs(south), abs(south + height_deg)))
    circle_m = 2.0 * math.pi * _SPHERE_RADIUS_M * math.cos(math.radians(poleward))
    return max(1, math.floor(circle_m / width_m))
