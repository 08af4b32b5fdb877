"""Open issues around a place: the read behind joining and suggesting."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import TupleRow

from geo.civic import read_address
from geo.points import LonLat
from issues.issue import OPEN_SQL
from issues.match import Candidate, MatchPolicy, Wording

# So many nearest ones of each service are scored; on a crowded square the rest would score lower anyway.
_MOST_PER_SERVICE = 20

# It reads the view, for only there may the partial index be used under row-level security. One search per service,
# because an index condition of equality keeps the search inside that service's part of the tree. Parameters are
# cast to the columns' types, or the index loses its first columns.
_SEARCH = f"""
SELECT near.id, near.service_code, near.distance_m, near.accuracy_m, near.last_report_at, near.report_count,
       opener.address, opener.words
FROM unnest(ARRAY[{{service_codes}}]) AS service(code)
CROSS JOIN LATERAL (
    SELECT id, service_code, accuracy_m, last_report_at, report_count,
           ST_Distance(place, ST_Point(%(lon)s::float8, %(lat)s::float8, 4326)::geography) AS distance_m
    FROM issue_map
    WHERE city_id = %(city_id)s::integer AND service_code = service.code AND {OPEN_SQL}
      AND ST_DWithin(place, ST_Point(%(lon)s::float8, %(lat)s::float8, 4326)::geography, %(radius_m)s::float8)
      AND last_report_at >= %(since)s::timestamptz AND NOT private
    ORDER BY place <-> ST_Point(%(lon)s::float8, %(lat)s::float8, 4326)::geography, id
    LIMIT {_MOST_PER_SERVICE}
) AS near
LEFT JOIN LATERAL (
    SELECT CASE WHEN r.location_source = 'address' THEN p.address_string END AS address, p.description AS words
    FROM report r JOIN report_personal p ON p.city_id = r.city_id AND p.report_id = r.id
    WHERE r.city_id = %(city_id)s::integer AND r.issue_id = near.id
    ORDER BY r.received_at, r.id LIMIT 1
) AS opener ON true
"""  # noqa: S608 - made of constants


@cache
def _search(services: int) -> str:
    """The search for so many services.

    Each has a parameter of its own: of one array the planner would not know how long it is, think a plan without
    the values dear, and make a new one for every report, which takes longer than the search.
    """
    return _SEARCH.format(service_codes=", ".join(f"%(service_{n})s::text" for n in range(services)))


async def ask_neighbours(
    connection: AsyncConnection,
    city_id: int,
    *,
    service_codes: Sequence[str],
    at: LonLat,
    policy: MatchPolicy,
    now: datetime,
) -> AsyncCursor[TupleRow]:
    """Ask for open issues that lie within a policy's radius and window; `read_candidates` takes the answer.

    Two steps, so that the question can travel in a pipeline with others.
    """
    values = {
        "lon": at.lon,
        "lat": at.lat,
        "city_id": city_id,
        "radius_m": policy.radius_m,
        "since": now - timedelta(days=policy.window_days),
    }
    codes = {f"service_{n}": code for n, code in enumerate(service_codes)}
    return await connection.execute(_search(len(codes)), values | codes, prepare=True)


async def read_candidates(cursor: AsyncCursor[TupleRow]) -> list[Candidate]:
    """Read what `ask_neighbours` found, in no particular order.

    Words and address are those of the first report. An address counts only where the place was told by it: one that
    was worked out from a position says nothing that the position does not.
    """
    return [
        Candidate(
            id_, code, metres, accuracy_m, last_at, reports=reports, address=read_address(address), words=words or ""
        )
        for id_, code, metres, accuracy_m, last_at, reports, address, words in await cursor.fetchall()
    ]


def wording_of(location_source: str, address: str | None, words: str | None, photos: tuple[int, ...] = ()) -> Wording:
    """What a report says and shows beside its position, as far as it counts; see `read_candidates`."""
    return Wording(read_address(address) if location_source == "address" else None, words or "", photos)
