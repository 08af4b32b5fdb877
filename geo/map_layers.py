"""What a city's pack gives to map tiles: districts and streets, as layers of vector tiles made by PostGIS."""

from datetime import date
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from geo.tiling import Tile

DISTRICTS: Final = "districts"
STREETS: Final = "streets"
# Farther out, streets are thinner than a line is drawn.
FIRST_ZOOM_OF_STREETS: Final = 13

# Cut and thinned in degrees before it is projected: a borough has thousands of corners, few of them in one tile.
# Half a step of the tile's own grid is seen by nobody.
_DISTRICTS: Final = f"""
SELECT ST_AsMVT(shown, '{DISTRICTS}', 4096, 'shape') FROM (
    SELECT layer, code, names ->> 'fr' AS name_fr, names ->> 'en' AS name_en,
           ST_AsMVTGeom(ST_Transform(ST_Simplify(ST_ClipByBox2D(polygon, %(around)s::text::box2d),
                                                 %(half_step)s, true), 3857),
                        ST_TileEnvelope(%(z)s, %(x)s, %(y)s), 4096, 64) AS shape
    FROM district
    WHERE city_id = %(city)s AND valid_from <= %(day)s AND (valid_to IS NULL OR %(day)s < valid_to)
      AND polygon && ST_SetSRID(%(around)s::text::box2d, 4326)
    ORDER BY layer, code
) AS shown WHERE shape IS NOT NULL
"""  # noqa: S608 - made of constants
_STREETS: Final = f"""
SELECT ST_AsMVT(shown, '{STREETS}', 4096, 'shape') FROM (
    SELECT name, kind,
           ST_AsMVTGeom(ST_Transform(line::geometry, 3857), ST_TileEnvelope(%(z)s, %(x)s, %(y)s), 4096, 64) AS shape
    FROM street
    WHERE city_id = %(city)s::integer AND line && ST_SetSRID(%(around)s::text::box2d, 4326)::geography
    ORDER BY id
) AS shown WHERE shape IS NOT NULL
"""  # noqa: S608 - made of constants


async def pack_layers(session: AsyncSession, city_id: int, tile: Tile, *, on: date) -> dict[str, bytes]:
    """Draw the layers `districts` and `streets` of a tile; they change only when the pack is loaded anew.

    A district has `layer`, `code`, `name_fr` and `name_en`; a street, from zoom 13 on, `name` and `kind`.

    Args:
        session: Any open transaction: packs are public.
        city_id: The city.
        tile: Which tile.
        on: The day whose districts are wanted.

    Returns:
        The bytes of each layer, none where the tile has nothing of it; one after another they make a tile.
    """
    connection = await driver_connection(session)
    west, south, east, north = tile.bounds
    margin = (east - west) / 64  # as in the tiles: 64 of 4096 steps
    values = {
        "city": city_id,
        "z": tile.z,
        "x": tile.x,
        "y": tile.y,
        "day": on,
        "around": f"BOX({west - margin} {south - margin}, {east + margin} {north + margin})",
        "half_step": (east - west) / 8192,
    }
    queries = {DISTRICTS: _DISTRICTS} | ({STREETS: _STREETS} if tile.z >= FIRST_ZOOM_OF_STREETS else {})
    layers = {}
    for name, query in queries.items():
        row = await (await connection.execute(query, values, prepare=False)).fetchone()
        layers[name] = b"" if row is None else bytes(row[0])
    return layers
