"""Longitude and latitude the wrong way round: found where a place cannot be where its file puts it.

Pure; all shapes are in WGS 84 degrees.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

# West, south, east, north in degrees.
Box = tuple[float, float, float, float]

# No city lies beyond.
_SOUTHERNMOST, _NORTHERNMOST = -60.0, 85.0
# What belongs to a city lies at most so far from its ground.
_AROUND_DEG = 1.0


def on_earth(shape: BaseGeometry) -> bool:
    """Whether all of a shape has longitudes and latitudes that exist (false for metres taken for degrees)."""
    if not np.isfinite(shapely.get_coordinates(shape)).all():
        return False  # a box leaves out of account what is no number
    west, south, east, north = shape.bounds
    return -180.0 <= west <= east <= 180.0 and -90.0 <= south <= north <= 90.0


def put_axes_right(
    shapes: Sequence[BaseGeometry | None], *, around: Box | None
) -> tuple[list[BaseGeometry | None], int]:
    """Turn round the shapes whose longitude and latitude are swapped.

    Swapped is what lies where no city can, or farther than a degree from this one, and where it should once it is
    turned round. Anything else is left as it is.

    Args:
        shapes: Any shapes; None is left out of account.
        around: A box around the city; None where it is not known yet.

    Returns:
        The shapes in the same order, and how many were turned round.
    """
    given = np.array(shapes, dtype=object)
    boxes = shapely.bounds(given)
    swapped = ~_may_be(boxes, around) & _may_be(boxes[:, [1, 0, 3, 2]], around)
    given[swapped] = shapely.transform(given[swapped], lambda xy: xy[:, ::-1])
    return list(given), int(swapped.sum())


def _may_be(boxes: np.ndarray, around: Box | None) -> np.ndarray:
    """Which boxes may be places of the city; never those of nothing, which have no numbers."""
    west, south, east, north = boxes.T
    where = (west >= -180.0) & (east <= 180.0) & (south >= _SOUTHERNMOST) & (north <= _NORTHERNMOST)
    if around is not None:
        where &= (west <= around[2] + _AROUND_DEG) & (east >= around[0] - _AROUND_DEG)
        where &= (south <= around[3] + _AROUND_DEG) & (north >= around[1] - _AROUND_DEG)
    return np.asarray(where, dtype=bool)
