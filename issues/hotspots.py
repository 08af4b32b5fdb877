"""Hot spots: where open issues of a service lie close together."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.rows import TupleRow
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from geo.points import LonLat, metric_srid
from issues.browse import BoundingBox
from issues.city import CityBook
from issues.issue import OPEN_SQL

# It reads the view, for only there may an index on places be used under row-level security. Each service is clustered
# by itself, in the metres of the city's own zone; the order makes it repeatable to which of two clusters a point on
# the edge of both belongs.
_CLUSTERS: Final = """
WITH open AS (
    SELECT id, service_code, report_count, opened_at, last_report_at,
           ST_Transform(place::geometry, %(srid)s::integer) AS flat
    FROM issue_map WHERE city_id = %(city_id)s::integer AND {open} {narrowed}
), clustered AS (
    SELECT *, ST_ClusterDBSCAN(flat, eps := %(eps_m)s::float8, minpoints := %(least)s::integer)
                  OVER (PARTITION BY service_code ORDER BY id) AS cluster
    FROM open
), spot AS (
    SELECT service_code, (array_agg(id ORDER BY id))[1] AS id, count(*) AS issues, sum(report_count) AS reports,
           min(opened_at) AS first_at, max(last_report_at) AS last_at, ST_Collect(flat) AS points,
           ST_Centroid(ST_Collect(flat)) AS middle
    FROM clustered WHERE cluster IS NOT NULL
    GROUP BY service_code, cluster
    ORDER BY issues DESC, reports DESC, id LIMIT %(limit)s
)
SELECT service_code, id, issues, reports, first_at, last_at, ST_MaxDistance(middle, points) AS radius_m,
       ST_X(ST_Transform(middle, 4326)) AS lon, ST_Y(ST_Transform(middle, 4326)) AS lat
FROM spot ORDER BY issues DESC, reports DESC, id
"""
_OF_SERVICES: Final = "AND service_code = ANY(%(service_codes)s::text[])"
_IN_BOX: Final = "place::geometry && ST_MakeEnvelope(%(west_{n})s, %(south_{n})s, %(east_{n})s, %(north_{n})s, 4326)"


@dataclass(frozen=True, slots=True)
class HotSpot:
    """Open issues of one service that lie close together.

    Attributes:
        id: The lowest id among its issues.
        at: The middle of their places (WGS 84); `radius_m` is how far the outermost lies from it.
        first_at: When the first of them was opened; `last_at` is when one was last reported.
    """

    service_code: str
    id: UUID
    issue_count: int
    report_count: int
    first_at: datetime
    last_at: datetime
    radius_m: float
    at: LonLat


async def find_hotspots(
    session: AsyncSession,
    city: CityBook,
    *,
    reach_m: float,
    least: int,
    service_codes: Sequence[str] = (),
    bbox: BoundingBox | None = None,
    limit: int,
) -> list[HotSpot]:
    """Find where open issues of a service lie close together, private ones included: it is for staff.

    Args:
        session: Open transaction of the city.
        city: The city.
        reach_m: Issues no farther apart than this are together, and so on from each to the next (DBSCAN).
        least: So many issues, itself counted, lie within reach of one that is in the thick of it.
        service_codes: Only these; none for all.
        bbox: Only issues in this box.
        limit: At most so many spots.

    Returns:
        Those with most issues first, then those with most reports.
    """
    halves = () if bbox is None else bbox.halves
    boxes = " OR ".join(_IN_BOX.format(n=n) for n in range(len(halves)))
    narrowed = (_OF_SERVICES if service_codes else "") + (f" AND ({boxes})" if boxes else "")
    values = {
        "city_id": city.id,
        "srid": metric_srid(city.map.middle),
        "eps_m": reach_m,
        "least": least,
        "service_codes": list(service_codes),
        "limit": limit,
        **{f"{edge}_{n}": getattr(half, edge) for n, half in enumerate(halves) for edge in BoundingBox.__slots__},
    }
    connection = await driver_connection(session)
    # Planned for these values each time: the whole city and a street corner are best read in different ways.
    query = _CLUSTERS.format(open=OPEN_SQL, narrowed=narrowed)
    cursor = await connection.execute(query, values, prepare=False)
    return [_spot(row) for row in await cursor.fetchall()]


def _spot(row: TupleRow) -> HotSpot:
    service_code, id_, issues, reports, first_at, last_at, radius_m, lon, lat = row
    return HotSpot(service_code, id_, issues, reports, first_at, last_at, radius_m, LonLat(lon, lat))
