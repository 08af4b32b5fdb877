"""The rows of a report, written in single statements: each saves the round trips and the planning of six."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import TupleRow

from db.rates import Allowance, counting_after, counting_values
from geo.points import LonLat
from issues.issue import OPEN_SQL, IssueView
from issues.lifecycle import Status
from issues.match import Match
from issues.pairs import pair_rows, pair_values


@cache
def _first_write(cells: int, allowances: int) -> str:
    """The first write of a report, for so many cells to lock and allowances to count.

    The id comes first: simultaneous copies wait here for each other, and whoever finds it taken counts and locks
    nothing, as whoever sent too much locks nothing. The cells are locked in the order given. This must be a statement
    of its own: what it waited for is seen only by a snapshot taken after it, hence by the next statement. Why there are
    no arrays: see `db.rates.counting_after`.
    """
    keys = ", ".join(f"(%(cell_{n})s::bigint)" for n in range(cells)) or "(NULL::bigint)"
    return f"""
WITH home AS (
    INSERT INTO report_home (id, city_id, sender, fingerprint, tracking_hash)
    VALUES (%(report_id)s, %(city_id)s, %(sender)s, %(fingerprint)s, %(tracking_hash)s)
    ON CONFLICT (id) DO NOTHING RETURNING id
), {counting_after("home", allowances)}
SELECT subjects, CASE WHEN subjects IS NULL THEN pg_advisory_xact_lock(key) END
FROM beyond, home LEFT JOIN (VALUES {keys}) AS cell (key) ON true
"""  # noqa: S608 - made of constants


# Six digits, more when they run out; one sequence a city, so that no row is shared by all its reports.
_NUMBER = "%(year)s || '-' || lpad(n::text, greatest(6, length(n::text)), '0') AS number"

_REPORT_ROWS = """
filed AS (
    INSERT INTO report (city_id, id, number, issue_id, service_code, person_id, channel, location_source, accuracy_m,
                        captured_at, received_at, near_boundary, match)
    SELECT %(city_id)s, %(report_id)s, number, %(issue_id)s, %(service_code)s, %(person_id)s, %(channel)s,
           %(location_source)s, %(accuracy_m)s, %(captured_at)s, %(now)s, %(near_boundary)s, %(match)s::jsonb
    FROM drawn
), personal AS (
    INSERT INTO report_personal (city_id, report_id, place, address_string, description, attributes, name, email, phone)
    SELECT %(city_id)s, %(report_id)s, ST_Point(%(lon)s::float8, %(lat)s::float8, 4326)::geography, %(address_string)s,
           %(description)s, %(attributes)s::jsonb, %(name)s, %(email)s, %(phone)s
    FROM drawn
), told AS (
    INSERT INTO event (city_id, id, issue_id, kind, actor, at, public, data)
    SELECT %(city_id)s, %(event_id)s, %(issue_id)s, %(event_kind)s, %(actor)s, %(now)s, true,
           jsonb_build_object('report_id', %(report_id)s)
    FROM drawn
)"""

# The first report of a sender to name a photo claims it, whether it has arrived or not. In the order of their ids,
# so that two reports that name the same photos never wait for each other.
_PHOTO_ROWS = """, named AS (
    INSERT INTO report_photo (city_id, report_id, position, photo_id)
    SELECT %(city_id)s, %(report_id)s, photo.position, photo.id
    FROM drawn, unnest(%(photo_ids)s::uuid[]) WITH ORDINALITY AS photo(id, position)
), claimed AS (
    INSERT INTO photo_claim (photo_id, sender, city_id, target_id)
    SELECT photo_id, %(claimant)s, %(city_id)s, %(report_id)s
    FROM drawn, unnest(%(photo_ids)s::uuid[]) AS photo_id ORDER BY photo_id
    ON CONFLICT (photo_id, sender) DO NOTHING
)"""

_OPENED = f"""
WITH drawn AS MATERIALIZED (SELECT {_NUMBER} FROM nextval(%(sequence)s::regclass) AS n), opened AS (
    INSERT INTO issue (city_id, id, number, service_code, status, place, accuracy_m, address, address_ask_at,
                       layer, district_code, districts, department_code, crew_code, near_boundary, private,
                       report_count, opened_at, last_report_at, updated_at, expected_at)
    SELECT %(city_id)s, %(issue_id)s, number, %(service_code)s, 'received',
           ST_Point(%(lon)s::float8, %(lat)s::float8, 4326)::geography, %(issue_accuracy_m)s, %(address)s,
           %(address_ask_at)s, %(layer)s, %(district_code)s, %(districts)s::text[], %(department_code)s,
           %(crew_code)s, %(near_boundary)s, %(private)s, 1, %(now)s, %(now)s, %(now)s, %(expected_at)s
    FROM drawn
)"""  # noqa: S608 - made of constants

# The issue was open when it was scored; whoever closed it since has it stay so. All else is made from its row, so
# that nothing is written where it is gone.
_JOINED = f"""
WITH joined AS (
    UPDATE issue SET report_count = report_count + 1, last_report_at = greatest(last_report_at, %(now)s),
                     updated_at = greatest(updated_at, %(now)s)
    WHERE city_id = %(city_id)s AND id = %(issue_id)s AND {OPEN_SQL}
    RETURNING city_id, id, number, status, service_code, ST_X(place::geometry) AS lon, ST_Y(place::geometry) AS lat,
              accuracy_m, address, layer, district_code, districts, department_code, crew_code, near_boundary, private,
              report_count, opened_at, last_report_at, updated_at, expected_at, merged_into
), drawn AS MATERIALIZED (SELECT {_NUMBER} FROM joined, nextval(%(sequence)s::regclass) AS n)"""  # noqa: S608 - made of constants

_JOINED_ROW = "SELECT drawn.number AS report_number, joined.* FROM drawn, joined"
_JOIN = f"{_JOINED}, {_REPORT_ROWS} {_JOINED_ROW}"
_JOIN_WITH_PHOTOS = f"{_JOINED}, {_REPORT_ROWS}{_PHOTO_ROWS} {_JOINED_ROW}"


@cache
def _open(pairs: int, *, with_photos: bool) -> str:
    """Write the statement for a report that opens an issue, with so many others that it may be about."""
    photo_rows = _PHOTO_ROWS if with_photos else ""
    paired = f", paired AS ({pair_rows(pairs)})" if pairs else ""
    return f"{_OPENED}, {_REPORT_ROWS}{photo_rows}{paired} SELECT number FROM drawn"  # noqa: S608 - made of constants


async def claim_id(
    connection: AsyncConnection,
    city_id: int,
    report_id: UUID,
    *,
    sender: str,
    fingerprint: bytes,
    tracking_hash: bytes,
    lock_keys: Sequence[int],
    allowances: Sequence[Allowance],
) -> AsyncCursor[TupleRow]:
    """Write where a report lives, count it, then lock cells; the transaction's first write.

    Returns:
        A cursor that, once the answer is here, has no row where the id was taken; nothing is counted and locked then.
        Otherwise its rows begin with what `db.rates.refuse_used_up` takes.
    """
    return await connection.execute(
        _first_write(len(lock_keys), len(allowances)),
        {
            "report_id": report_id,
            "city_id": city_id,
            "sender": sender,
            "fingerprint": fingerprint,
            "tracking_hash": tracking_hash,
            **{f"cell_{n}": key for n, key in enumerate(lock_keys)},
            **counting_values(allowances),
        },
        prepare=True,
    )


async def file_opening(connection: AsyncConnection, rows: Mapping[str, Any], *, doubtful: Sequence[Match]) -> str:
    """Write a report with the issue it opens; answers with the number of both.

    Args:
        connection: The transaction's connection.
        rows: The values of all rows by name, as the statements above have them.
        doubtful: What else the report may be about, for staff to look at.
    """
    statement = _open(len(doubtful), with_photos=bool(rows["photo_ids"]))
    row = await (await connection.execute(statement, {**rows, **pair_values(doubtful)}, prepare=True)).fetchone()
    assert row is not None  # noqa: S101 - a drawn number is always answered
    return str(row[0])


async def file_joining(connection: AsyncConnection, rows: Mapping[str, Any]) -> tuple[str, IssueView] | None:
    """Write a report into an open issue; answers with the report's number and the issue as it is then.

    Returns:
        None where the issue is no longer open; nothing is written then.
    """
    statement = _JOIN_WITH_PHOTOS if rows["photo_ids"] else _JOIN
    row = await (await connection.execute(statement, rows, prepare=True)).fetchone()
    return None if row is None else (row[0], _joined_issue(row[1:]))


def _joined_issue(row: TupleRow) -> IssueView:
    (city_id, id_, number, status, service_code, lon, lat, accuracy_m, address, layer, district_code, districts,
     department_code, crew_code, near_boundary, private, report_count, opened_at, last_report_at, updated_at,
     expected_at, merged_into) = row  # fmt: skip
    return IssueView(
        city_id=city_id,
        id=id_,
        number=number,
        status=Status(status),
        service_code=service_code,
        at=LonLat(lon, lat),
        accuracy_m=accuracy_m,
        address=address,
        layer=layer,
        district_code=district_code,
        districts=tuple(districts),
        department_code=department_code,
        crew_code=crew_code,
        near_boundary=near_boundary,
        private=private,
        report_count=report_count,
        opened_at=opened_at,
        last_report_at=last_report_at,
        updated_at=updated_at,
        expected_at=expected_at,
        merged_into=merged_into,
    )
