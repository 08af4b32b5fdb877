"""A small map around a place as SVG: streets, the edges of districts, a pin. For e-mail, paper and plain browsers.

The paths are PostGIS's (ST_AsSVG), in metres around the place, which is the middle. No script, no style sheet, nothing
from elsewhere.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final
from xml.sax.saxutils import escape

from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from geo.points import LonLat, MetresPerDegree, metric_srid

WIDTH_M: Final = 480
HEIGHT_M: Final = 320

# Streets are lines and the edges of districts are lines, so one way of cutting and projecting serves both; an edge that
# two districts share is drawn once. The box is a little larger than the map, for lines that turn when projected.
_PATHS: Final = """
WITH box AS (
    SELECT ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, 4326) AS box,
           ST_Transform(ST_Point(%(lon)s, %(lat)s, 4326), %(srid)s::integer) AS middle
), line AS (
    SELECT 'street' AS sort, kind, ST_Collect(ST_ClipByBox2D(line::geometry, box)) AS line
    FROM street, box WHERE city_id = %(city)s::integer AND line && box::geography GROUP BY kind
    UNION ALL
    SELECT 'edge', '', ST_LineMerge(ST_Union(ST_ClipByBox2D(ST_Boundary(polygon), box)))
    FROM district JOIN layer ON layer.city_id = district.city_id AND layer.code = district.layer, box
    WHERE district.city_id = %(city)s AND responsible AND valid_from <= %(day)s
      AND (valid_to IS NULL OR %(day)s < valid_to) AND polygon && box
)
SELECT sort, kind,
       ST_AsSVG(ST_Translate(ST_Transform(ST_CollectionExtract(line, 2), %(srid)s::integer),
                             -ST_X(middle), -ST_Y(middle)), 1, 1)
FROM line, box WHERE line IS NOT NULL ORDER BY sort, kind
"""

# Metres, by OpenStreetMap's kinds of highway.
_WIDTHS_M: Final = {"motorway": 16, "trunk": 16, "primary": 14, "secondary": 12, "tertiary": 10}
_NARROW_M: Final = {"service": 4, "footway": 2, "path": 2, "cycleway": 2, "steps": 2, "pedestrian": 5}
_USUAL_M: Final = 7

_DOCUMENT: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="{left} {top} {width} {height}" \
role="img"><title>{title}</title>
<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="#f2efe9"/>
<g fill="none" stroke-linecap="round" stroke-linejoin="round">
{lines}
</g>
<path d="M0 0C-3-9-11-14-11-23a11 11 0 0 1 22 0C11-14 3-9 0 0z" fill="#c8102e" stroke="#fff" stroke-width="2"/>
<circle cy="-23" r="4" fill="#fff"/>
</svg>
"""
_STREET: Final = '<path d="{path}" stroke="#fff" stroke-width="{width}"/>'
_EDGE: Final = '<path d="{path}" stroke="#7a5195" stroke-width="3" stroke-dasharray="10 6"/>'


async def draw_minimap(session: AsyncSession, city_id: int, at: LonLat, *, title: str, on: date) -> str:
    """Draw what is around a place, 480 by 320 metres and as many pixels.

    Args:
        session: Any open transaction: packs are public.
        city_id: The city.
        at: The middle, where the pin stands.
        title: What it shows, for those who do not see it.
        on: The day whose districts are wanted.

    Returns:
        An SVG document.
    """
    return write_minimap(await find_paths(session, city_id, at, on=on), title=title)


async def find_paths(session: AsyncSession, city_id: int, at: LonLat, *, on: date) -> list[tuple[str, str, str]]:
    """Find what is around a place, as `draw_minimap`: sort (street or edge), kind of street, and path, in metres."""
    degree = MetresPerDegree.around(at.lat)
    east, north = 0.6 * WIDTH_M / degree.lon, 0.6 * HEIGHT_M / degree.lat
    connection = await driver_connection(session)
    values = {
        "city": city_id,
        "day": on,
        "lon": at.lon,
        "lat": at.lat,
        "srid": metric_srid(at),
        "west": at.lon - east,
        "south": at.lat - north,
        "east": at.lon + east,
        "north": at.lat + north,
    }
    rows = await (await connection.execute(_PATHS, values, prepare=False)).fetchall()
    return [(sort, kind, path) for sort, kind, path in rows if path]


def write_minimap(paths: Sequence[tuple[str, str, str]], *, title: str) -> str:
    """Write the document: streets, the narrow ones first, then edges, then the pin."""
    lines = [_STREET.format(path=path, width=width) for width, path in streets_of(paths)]
    lines += [_EDGE.format(path=path) for sort, _, path in paths if sort == "edge"]
    return _DOCUMENT.format(
        width=WIDTH_M,
        height=HEIGHT_M,
        left=-WIDTH_M // 2,
        top=-HEIGHT_M // 2,
        title=escape(title),
        lines="\n".join(lines),
    )


def streets_of(paths: Sequence[tuple[str, str, str]]) -> list[tuple[int, str]]:
    """Choose the streets among paths, each with its width in metres, the narrow ones first."""
    widths = _WIDTHS_M | _NARROW_M
    return sorted((widths.get(kind, _USUAL_M), path) for sort, kind, path in paths if sort == "street")
