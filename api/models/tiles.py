"""What may be asked of map tiles."""

from enum import StrEnum

from geo import map_layers
from issues import tiles


class TileLayer(StrEnum):
    """A layer of a tile."""

    ISSUES = tiles.LAYER
    DISTRICTS = map_layers.DISTRICTS
    STREETS = map_layers.STREETS
