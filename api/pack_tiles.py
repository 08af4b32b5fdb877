"""Districts and streets of tiles drawn lately, kept in process until a pack is loaded anew."""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import date

from sqlalchemy.ext.asyncio import AsyncSession

from geo.map_layers import pack_layers
from geo.tiling import Tile
from issues.city import CityBook

_Key = tuple[int, int, date, Tile]


class PackTiles:
    """The layers that a pack gives to tiles, drawn once for each of the tiles asked for most lately.

    Drawn by PostGIS they cost more than the issues on them, and they change with a load of the pack, or with the day
    a district begins or ends.
    """

    def __init__(self, most_bytes: int) -> None:
        """Keep no more than so many bytes."""
        self._most_bytes = most_bytes
        self._bytes = 0
        self._drawn: OrderedDict[_Key, Mapping[str, bytes]] = OrderedDict()

    async def layers(self, session: AsyncSession, city: CityBook, tile: Tile, *, on: date) -> Mapping[str, bytes]:
        """Get the layers of a tile by name; see `pack_layers`."""
        key = (city.id, city.version, on, tile)
        if (kept := self._drawn.get(key)) is not None:
            self._drawn.move_to_end(key)
            return kept
        drawn = await pack_layers(session, city.id, tile, on=on)
        if key not in self._drawn:
            self._drawn[key] = drawn
            self._bytes += _weight(drawn)
        while self._bytes > self._most_bytes:
            _, oldest = self._drawn.popitem(last=False)
            self._bytes -= _weight(oldest)
        return drawn


def _weight(layers: Mapping[str, bytes]) -> int:
    return 500 + sum(map(len, layers.values()))  # a tile of nothing has its key to keep
