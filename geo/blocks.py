"""Between which crossings of its street a position lies.

Pure; all lines are in metres on a plane.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import shapely
from shapely.geometry.base import BaseGeometry

# Streets that come so near to each other cross, or end in each other.
_CROSSES_WITHIN_M: Final = 5.0
# So near to a crossing, one is at it.
_AT_CROSSING_M: Final = 15.0


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of a street.

    Attributes:
        street: The street.
        crossing: The street that it crosses right here; None between crossings.
        ends: The nearest crossing streets on both sides, of which the data may know none or one; empty at a crossing.
    """

    street: str
    crossing: str | None = None
    ends: tuple[str, ...] = ()


def block_of(
    here: shapely.Point, street: str, pieces: Iterable[BaseGeometry], others: Iterable[tuple[str, BaseGeometry]]
) -> Block:
    """Tell between which crossings of a street a position lies.

    Args:
        here: The position.
        street: The name of its street.
        pieces: The lines of that street around it, at least one.
        others: Lines of other streets around it, with their names.
    """
    merged = shapely.get_parts(shapely.line_merge(shapely.union_all(list(pieces))))
    line = min(merged, key=here.distance)
    own = shapely.line_locate_point(line, here)
    crossings = sorted(
        (float(shapely.line_locate_point(line, shapely.Point(shapely.shortest_line(line, other).coords[0]))), name)
        for name, other in others
        if shapely.dwithin(line, other, _CROSSES_WITHIN_M)
    )
    nearest = min(crossings, key=lambda crossing: (abs(crossing[0] - own), crossing[1]), default=None)
    if nearest is not None and abs(nearest[0] - own) <= _AT_CROSSING_M:
        return Block(street, crossing=nearest[1])
    before = [name for along, name in crossings if along < own][-1:]
    behind = [name for along, name in crossings if along > own][:1]
    return Block(street, ends=tuple(dict.fromkeys(before + behind)))
