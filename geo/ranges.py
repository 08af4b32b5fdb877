"""Civic numbers from the ranges that cities keep by piece of street: 7360 to 7400 on its left.

Pure. Numbers are spread evenly over a piece, on its side, as everybody does who has nothing better.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.points import LonLat, MetresPerDegree

# Houses begin a little behind the crossing, and stand a little off the middle of the street.
_FROM_CROSSING_M: Final = 8.0
_FROM_MIDDLE_M: Final = 8.0
# Numbers nearer to each other than this would be told apart by less than a phone knows of its place.
_APART_M: Final = 15.0
# A street's direction is told from so far before and behind.
_A_LITTLE_M: Final = 0.5


def numbers_along(line: shapely.LineString, first: int, last: int, *, left: bool) -> Iterator[tuple[int, LonLat]]:
    """Place the numbers of a range along a piece of street: its ends, and between them one every 15 m or so.

    Args:
        line: The piece, as a LineString in WGS 84 degrees.
        first: The number where its drawing begins.
        last: The number where its drawing ends; may be the lower one.
        left: On which side the numbers stand, seen in the direction of its drawing.

    Returns:
        Numbers of the range (all even or all odd where its ends are), each with its position; none for an empty line.
    """
    if line.is_empty:
        return
    west, south = line.coords[0]
    scale = MetresPerDegree.around(south)
    flat = shapely.transform(line, lambda degrees: (degrees - (west, south)) * (scale.lon, scale.lat))
    inset = min(_FROM_CROSSING_M, flat.length / 4.0)
    step = 2 if (last - first) % 2 == 0 else 1
    steps = abs(last - first) // step
    between = max(1, min(steps, int((flat.length - 2.0 * inset) // _APART_M)))
    shares = np.arange(between + 1) / between if steps else np.array([0.5])
    civics = first + np.rint(shares * steps).astype(int) * (step if last > first else -step)
    places = _beside(flat, inset + shares * (flat.length - 2.0 * inset), left=left) / (scale.lon, scale.lat)
    for civic, (east, north) in zip(civics, places, strict=True):
        yield int(civic), LonLat(float(west + east), float(south + north))


def _beside(line: shapely.LineString, along_m: NDArray[np.float64], *, left: bool) -> NDArray[np.float64]:
    """Points beside a line in metres, so far along it."""
    here = shapely.get_coordinates(shapely.line_interpolate_point(line, along_m))
    ahead = shapely.get_coordinates(shapely.line_interpolate_point(line, along_m + _A_LITTLE_M))
    behind = shapely.get_coordinates(shapely.line_interpolate_point(line, np.maximum(along_m - _A_LITTLE_M, 0.0)))
    towards = ahead - behind
    length = np.hypot(towards[:, 0], towards[:, 1])
    length[length == 0.0] = 1.0
    sideways = np.column_stack((-towards[:, 1], towards[:, 0])) / length[:, None]
    return np.asarray(here + sideways * (_FROM_MIDDLE_M if left else -_FROM_MIDDLE_M))
