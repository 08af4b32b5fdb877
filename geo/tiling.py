"""Squares of the web map (XYZ tiles in Web Mercator): where they lie, and which there are.

Web Mercator is for drawing only; what lies in a tile is decided in longitude and latitude.
"""

import math
from dataclasses import dataclass
from typing import Final

DEEPEST_ZOOM: Final = 22


class InvalidTile(Exception):
    """There is no such tile.

    Attributes:
        field: `z`, `x` or `y`, the one that is wrong.
        limit: The largest value it may have, at this zoom; the smallest is 0.
    """

    def __init__(self, field: str, limit: int) -> None:
        super().__init__(field, limit)
        self.field = field
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: column `x` from the west and row `y` from the north, of 2^`z` each; raises `InvalidTile`."""

    z: int
    x: int
    y: int

    def __post_init__(self) -> None:
        if not 0 <= self.z <= DEEPEST_ZOOM:
            raise InvalidTile("z", DEEPEST_ZOOM)
        for field, value in (("x", self.x), ("y", self.y)):
            if not 0 <= value < 2**self.z:
                raise InvalidTile(field, 2**self.z - 1)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north in WGS 84 degrees."""
        return (
            _longitude(self.x, self.z),
            _latitude(self.y + 1, self.z),
            _longitude(self.x + 1, self.z),
            _latitude(self.y, self.z),
        )


def tile_at(lon: float, lat: float, zoom: int) -> Tile:
    """Find the tile of a zoom that a position lies in; beyond the edge of the web map, the outermost."""
    across = 1 << zoom
    phi = math.radians(max(-89.0, min(89.0, lat)))
    x = math.floor((lon + 180.0) / 360.0 * across)
    y = math.floor((0.5 - math.asinh(math.tan(phi)) / (2.0 * math.pi)) * across)
    return Tile(zoom, max(0, min(across - 1, x)), max(0, min(across - 1, y)))


def _longitude(x: int, zoom: int) -> float:
    return x / (1 << zoom) * 360.0 - 180.0


def _latitude(y: int, zoom: int) -> float:
    return math.degrees(math.atan(math.sinh(math.pi * (1.0 - 2.0 * y / (1 << zoom)))))
