"""A city's public issues as a layer of map tiles (Mapbox Vector Tile 2.1), made by PostGIS."""

from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from geo.tiling import Tile
from issues.cells import CELL_BITS, DEEPEST
from issues.issue import PUBLIC_SQL

LAYER: Final = "issues"
# Nobody tells more points apart in a tile, and drawing each costs as much as drawing a cell.
MOST_POINTS: Final = 500

# The columns of cells are named one by one: the key then leads to each column's few rows. Their range says the same
# to a planner that has seen no statistics of the table yet.
_IN_TILE: Final = """
city_id = %(city)s AND z = %(z)s AND x = ANY(%(columns)s::integer[]) AND x BETWEEN %(x)s AND %(x)s + %(side)s - 1
AND y BETWEEN %(y)s AND %(y)s + %(side)s - 1
"""
# Each cell is a point at its middle. Cells lie on the tile's own grid, so nothing is projected.
_CELLS: Final = f"""
SELECT ST_AsMVT(shown, '{LAYER}', 4096, 'at') FROM (
    SELECT issue_count, open_count,
           ST_MakePoint((x - %(x)s) * %(step)s + %(step)s / 2, (y - %(y)s) * %(step)s + %(step)s / 2) AS at
    FROM issue_cell WHERE {_IN_TILE}
) AS shown
"""  # noqa: S608 - made of constants
_TOTAL: Final = f"SELECT coalesce(sum(issue_count), 0) FROM issue_cell WHERE {_IN_TILE}"  # noqa: S608 - as above
# It reads the view, for only there may the map's index be used under row-level security.
_POINTS: Final = f"""
SELECT ST_AsMVT(shown, '{LAYER}', 4096, 'at') FROM (
    SELECT id::text AS id, number, service_code, status,
           ST_AsMVTGeom(ST_Transform(place::geometry, 3857),
                        ST_TileEnvelope(%(z)s::integer, %(x)s::integer, %(y)s::integer), 4096, 0) AS at
    FROM issue_map
    WHERE city_id = %(city)s::integer AND {PUBLIC_SQL}
      AND place::geometry && ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, 4326)
) AS shown
"""  # noqa: S608 - made of constants


async def issue_layer(session: AsyncSession, city_id: int, tile: Tile) -> bytes:
    """Draw the layer `issues` of a tile: counted cells up to zoom 14, the issues themselves beyond.

    A cell has `issue_count` and `open_count`, a point `id`, `number`, `service_code` and `status`. Tiles beyond zoom 14
    with more than 500 issues go on showing cells, as long as a cell is smaller than a tile. Only what the public list
    shows is there: nothing of private services, nothing merged into another issue, nothing without a report.

    Returns:
        The layer's bytes; none where the tile has no issue.
    """
    connection = await driver_connection(session)
    smaller = max(0, tile.z - DEEPEST)
    if smaller <= CELL_BITS:
        cells = _cells_of(tile, 1 << (CELL_BITS - smaller))
        values = {"city": city_id, "z": min(tile.z, DEEPEST), **cells}
        if not smaller or await _one(connection, _TOTAL, values) > MOST_POINTS:
            return bytes(await _one(connection, _CELLS, values))
    west, south, east, north = tile.bounds
    box = {"west": west, "south": south, "east": east, "north": north}
    return bytes(await _one(connection, _POINTS, {"city": city_id, "z": tile.z, "x": tile.x, "y": tile.y, **box}))


def _cells_of(tile: Tile, side: int) -> dict[str, Any]:
    """Name the cells of a tile that has so many from one side to the other."""
    x, y = tile.x * side, tile.y * side
    return {"x": x, "y": y, "side": side, "step": 4096 // side, "columns": list(range(x, x + side))}


async def _one(connection: Any, query: str, values: dict[str, Any]) -> Any:
    # Planned for this tile each time: a plan for any tile would walk through the table.
    (value,) = await (await connection.execute(query, values, prepare=False)).fetchone()
    return value
