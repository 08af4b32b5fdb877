"""Civic numbers from the ranges that cities keep by piece of street: 7360 to 7400 on its left.

Pure. Numbers are spread evenly over a piece, on its side, as everybody does who has nothing better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.points import LonLat, MetresPerDegree

# Houses begin a little behind the crossing, and stand a little off the middle of the street: less, or the last houses
# of two streets would stand at one place on the corner.
_FROM_CROSSING_M: Final = 12.0
_FROM_MIDDLE_M: Final = 8.0
# Numbers nearer to each other than this would be told apart by less than a phone knows of its place.
_APART_M: Final = 15.0
# A street's direction is told from so far before and behind.
_A_LITTLE_M: Final = 0.5


@dataclass(frozen=True, slots=True)
class CivicRange:
    """The numbers on one side of a piece of street.

    Attributes:
        line: The piece, as a LineString in WGS 84 degrees, not empty.
        first: The number where its drawing begins.
        last: The number where its drawing ends; may be the lower one.
        left: On which side the numbers stand, seen in the direction of its drawing.
    """

    line: shapely.LineString
    first: int
    last: int
    left: bool


def place_ranges(ranges: Sequence[CivicRange]) -> Iterator[tuple[int, int, LonLat]]:
    """Place the numbers of ranges: those at the ends of each piece, and between them one every 15 m or so.

    Args:
        ranges: Of one city: a degree is worth the same in all of it.

    Returns:
        The position of a range among those given, a number (even or odd as the ends of its range are), and where it
        is; range by range, in the order of drawing.
    """
    if not ranges:
        return
    lines = np.array([each.line for each in ranges], dtype=object)
    scale = MetresPerDegree.around(float(shapely.get_y(shapely.get_point(lines[0], 0))))
    degree = np.array([scale.lon, scale.lat])
    flat = shapely.transform(lines, lambda degrees: degrees * degree)
    lengths_m = shapely.length(flat)
    spread = [_spread(each, float(length_m)) for each, length_m in zip(ranges, lengths_m, strict=True)]
    of_range = np.repeat(np.arange(len(ranges)), [len(civics) for civics, _ in spread])
    along_m = np.concatenate([metres for _, metres in spread])
    side_m = np.array([_FROM_MIDDLE_M if each.left else -_FROM_MIDDLE_M for each in ranges])[of_range]
    places = _beside(flat[of_range], along_m, side_m) / degree
    civics = [civic for each, _ in spread for civic in each]
    for number, civic, (lon, lat) in zip(of_range.tolist(), civics, places.tolist(), strict=True):
        yield number, civic, LonLat(lon, lat)


def _spread(numbers: CivicRange, length_m: float) -> tuple[list[int], list[float]]:
    """Choose numbers of a range, and how far along the piece each of them stands."""
    step = 2 if (numbers.last - numbers.first) % 2 == 0 else 1
    steps = abs(numbers.last - numbers.first) // step
    if steps == 0:
        return [numbers.first], [length_m / 2.0]
    inset_m = min(_FROM_CROSSING_M, length_m / 4.0)
    between = max(1, min(steps, int((length_m - 2.0 * inset_m) // _APART_M)))
    signed = step if numbers.last > numbers.first else -step
    shares = [number / between for number in range(between + 1)]
    return (
        [numbers.first + round(share * steps) * signed for share in shares],
        [inset_m + share * (length_m - 2.0 * inset_m) for share in shares],
    )


def _beside(
    lines: NDArray[np.object_], along_m: NDArray[np.float64], side_m: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A point for each line in metres, so far along it and so far to its left."""
    here, ahead, behind = (
        shapely.get_coordinates(shapely.line_interpolate_point(lines, np.maximum(along_m + offset_m, 0.0)))
        for offset_m in (0.0, _A_LITTLE_M, -_A_LITTLE_M)
    )
    towards = ahead - behind
    length = np.hypot(towards[:, 0], towards[:, 1])
    length[length == 0.0] = 1.0
    return np.asarray(here + np.column_stack((-towards[:, 1], towards[:, 0])) * (side_m / length)[:, None])
