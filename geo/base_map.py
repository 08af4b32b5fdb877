"""A city's base map as one PMTiles file (version 3): districts, streets and their names, made when a pack is loaded.

Apps draw the map of a city with it, without any other service. It lies in the database, so that each server has it,
and is read in pieces: PMTiles is made for clients that ask for ranges of bytes.
"""

import gzip
import hashlib
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import shapely
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from psycopg import AsyncConnection
from shapely.geometry.base import BaseGeometry
from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.connections import driver_connection
from geo.map_layers import DISTRICTS, FIRST_ZOOM_OF_STREETS, STREETS, pack_layers
from geo.tiling import Tile, tile_at

NAMES: Final = "names"
# From all of a city in a tile or two, to where clients only have to enlarge what is there.
FIRST_ZOOM: Final = 8
LAST_ZOOM: Final = 14
_FIRST_ZOOM_OF_MAIN_STREETS: Final = 10
# As OpenStreetMap and French road registers call the streets that one sees from afar.
_MAIN_KINDS: Final = ("motorway", "trunk", "primary", "secondary", "autoroute", "boulevard", "route")

_MAIN_STREETS: Final = f"""
SELECT ST_AsMVT(shown, '{STREETS}', 4096, 'shape') FROM (
    SELECT name, kind,
           ST_AsMVTGeom(ST_Transform(ST_Simplify(line::geometry, %(half_step)s), 3857),
                        ST_TileEnvelope(%(z)s, %(x)s, %(y)s), 4096, 64) AS shape
    FROM street
    WHERE city_id = %(city)s::integer AND lower(kind) = ANY(%(kinds)s::text[])
      AND line && ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, 4326)::geography
    ORDER BY id
) AS shown WHERE shape IS NOT NULL
"""  # noqa: S608 - made of constants
# Where a district's name is written: once, in the tile that holds the point.
_NAMES: Final = f"""
SELECT ST_AsMVT(shown, '{NAMES}', 4096, 'at') FROM (
    SELECT layer, code, names ->> 'fr' AS name_fr, names ->> 'en' AS name_en,
           ST_AsMVTGeom(ST_Transform(label.at, 3857), ST_TileEnvelope(%(z)s, %(x)s, %(y)s), 4096, 0) AS at
    FROM district CROSS JOIN LATERAL (SELECT ST_PointOnSurface(polygon) AS at) AS label
    WHERE city_id = %(city)s::integer AND valid_from <= %(day)s AND (valid_to IS NULL OR %(day)s < valid_to)
      AND polygon && ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, 4326)
      AND label.at && ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, 4326)
    ORDER BY layer, code
) AS shown WHERE at IS NOT NULL
"""  # noqa: S608 - made of constants


class BaseMap(Base):
    """The base map of a city, as of its last load."""

    __tablename__ = "base_map"

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    sha256: Mapped[str]
    content: Mapped[bytes]  # kept uncompressed (its tiles are compressed), so that a range is read by itself


@dataclass(frozen=True, slots=True)
class BaseMapFile:
    """What is known of a base map without reading it."""

    sha256: str
    length: int


def tiles_over(outline: BaseGeometry) -> list[Tile]:
    """List the tiles of a base map that a city's outline reaches (WGS 84 degrees), in the order of the file."""
    west, south, east, north = outline.bounds
    shapely.prepare(outline)
    tiles = []
    for zoom in range(FIRST_ZOOM, LAST_ZOOM + 1):
        first, last = tile_at(west, north, zoom), tile_at(min(east, 180.0), south, zoom)
        box = [Tile(zoom, x, y) for x in range(first.x, last.x + 1) for y in range(first.y, last.y + 1)]
        tiles += [tile for tile in box if outline.intersects(shapely.box(*tile.bounds))]
    return sorted(tiles, key=lambda tile: zxy_to_tileid(tile.z, tile.x, tile.y))


async def make_base_map(
    session: AsyncSession, city_id: int, *, on: date, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> BaseMapFile:
    """Draw a city's base map and keep it in place of the one before.

    Args:
        session: Open transaction of the role that owns the tables; committed by the caller.
        city_id: The city, with its districts and streets loaded.
        on: The day whose districts are drawn.
        progress: Told how many tiles are drawn, and of how many.
    """
    connection = await driver_connection(session)
    query = "SELECT ST_AsBinary(outline), names ->> 'fr' FROM city WHERE id = %s"
    row = await (await connection.execute(query, (city_id,))).fetchone()
    assert row is not None  # noqa: S101 - the caller's city
    outline = shapely.from_wkb(bytes(row[0]))
    file = io.BytesIO()
    writer: Any = Writer(file)  # type: ignore[no-untyped-call]  # it has no types
    tiles = tiles_over(outline)
    for done, tile in enumerate(tiles):
        progress(done, len(tiles))
        layers = await pack_layers(session, city_id, tile, on=on)
        drawn = b"".join(layers.values()) + await _own_layers(connection, city_id, tile, on)
        if drawn:
            writer.write_tile(zxy_to_tileid(tile.z, tile.x, tile.y), gzip.compress(drawn, mtime=0))
    writer.finalize(*_heading(outline.bounds, str(row[1])))
    progress(len(tiles), len(tiles))
    content = file.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    await connection.execute(
        """
        INSERT INTO base_map (city_id, sha256, content) VALUES (%s, %s, %s)
        ON CONFLICT (city_id) DO UPDATE SET sha256 = excluded.sha256, content = excluded.content
        """,
        (city_id, sha256, content),
    )
    return BaseMapFile(sha256, len(content))


async def find_base_map(session: AsyncSession, city_id: int) -> BaseMapFile | None:
    """Find a city's base map; None where none was made."""
    connection = await driver_connection(session)
    query = "SELECT sha256, length(content) FROM base_map WHERE city_id = %s"
    row = await (await connection.execute(query, (city_id,))).fetchone()
    return None if row is None else BaseMapFile(*row)


async def read_piece(session: AsyncSession, city_id: int, sha256: str, *, start: int, length: int) -> bytes | None:
    """Read bytes of a base map; None where another was made meanwhile."""
    connection = await driver_connection(session)
    query = "SELECT substring(content FROM %s FOR %s) FROM base_map WHERE city_id = %s AND sha256 = %s"
    row = await (await connection.execute(query, (start + 1, length, city_id, sha256))).fetchone()
    return None if row is None else bytes(row[0])


async def _own_layers(connection: AsyncConnection, city_id: int, tile: Tile, on: date) -> bytes:
    west, south, east, north = tile.bounds
    values: dict[str, Any] = {
        "city": city_id, "z": tile.z, "x": tile.x, "y": tile.y, "day": on, "kinds": list(_MAIN_KINDS),
        "west": west, "south": south, "east": east, "north": north, "half_step": (east - west) / 8192,
    }  # fmt: skip
    queries = [_NAMES]
    if _FIRST_ZOOM_OF_MAIN_STREETS <= tile.z < FIRST_ZOOM_OF_STREETS:
        queries.append(_MAIN_STREETS)
    drawn = b""
    for query in queries:
        row = await (await connection.execute(query, values, prepare=False)).fetchone()
        drawn += b"" if row is None else bytes(row[0])
    return drawn


def _heading(bounds: Sequence[float], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header of the file, in ten-millionths of a degree, and what it says of itself (TileJSON's vector_layers)."""
    west, south, east, north = (math.floor(degrees * 10_000_000) for degrees in bounds)
    header = {
        "tile_type": TileType.MVT,
        "tile_compression": Compression.GZIP,
        "min_lon_e7": west,
        "min_lat_e7": south,
        "max_lon_e7": east,
        "max_lat_e7": north,
        "center_zoom": FIRST_ZOOM_OF_STREETS - 2,
        "center_lon_e7": (west + east) // 2,
        "center_lat_e7": (south + north) // 2,
    }
    named = {"layer": "String", "code": "String", "name_fr": "String", "name_en": "String"}
    fields = {DISTRICTS: named, NAMES: named, STREETS: {"name": "String", "kind": "String"}}
    layers = [
        {"id": layer, "fields": said, "minzoom": FIRST_ZOOM, "maxzoom": LAST_ZOOM} for layer, said in fields.items()
    ]
    return header, {"name": name, "format": "pbf", "vector_layers": layers}
