"""What becomes private with a pack: issues that the public saw, of services that are private from now on.

None becomes public again where a service is private no more: it was reported as something that nobody else would see.
"""

from collections.abc import Iterator
from typing import Final

from psycopg import AsyncConnection

from issues.issue import PUBLIC_SQL
from issues.packs.services_sheet import ServicesSheet

# Also those that took over a report of such a service by a merge.
_CONCERNED: Final = """
city_id = %(city)s AND NOT private AND (
    service_code = ANY(%(codes)s)
    OR id IN (SELECT issue_id FROM report WHERE city_id = %(city)s AND service_code = ANY(%(codes)s))
)
"""
_COUNT: Final = f"""
SELECT (SELECT count(*) FROM issue WHERE city_id = %(city)s AND {PUBLIC_SQL}),
       (SELECT count(*) FROM issue WHERE {_CONCERNED} AND {PUBLIC_SQL})
"""  # noqa: S608 - made of constants
_HIDE: Final = f"UPDATE issue SET private = true WHERE {_CONCERNED}"  # noqa: S608 - as above
# The worker's next pass then counts everything.
_COUNT_CELLS_ANEW: Final = "DELETE FROM issue_cell_cursor WHERE city_id = %s"


async def count_hidden(connection: AsyncConnection, city_id: int, sheet: ServicesSheet) -> tuple[int, int]:
    """Count a city's public issues, and those of them that a pack makes private."""
    cursor = await connection.execute(_COUNT.encode(), {"city": city_id, "codes": list(_private_codes(sheet))})
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - counts always give their row
    return row[0], row[1]


async def hide_private(connection: AsyncConnection, city_id: int, sheet: ServicesSheet) -> None:
    """Hide the issues of services that are private, open ones and others, from the public."""
    hidden = await connection.execute(_HIDE.encode(), {"city": city_id, "codes": list(_private_codes(sheet))})
    if hidden.rowcount:
        await connection.execute(_COUNT_CELLS_ANEW, [city_id])


def _private_codes(sheet: ServicesSheet) -> Iterator[str]:
    return (service.code for group in sheet.groups for service in group.services if service.private)
