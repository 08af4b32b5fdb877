"""What becomes private with a pack: issues that the public saw, of services that are private from now on.

None becomes public again where a service is private no more: it was reported as something that nobody else would see.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from psycopg import AsyncConnection
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from issues.cells import count_all
from issues.issue import PUBLIC_SQL

HIDE_PRIVATE: Final = "issues.hide_private"
ALL_KNOW: Final = timedelta(seconds=15)
"""By then every process knows of a pack: what was filed by one that did not yet is hidden too."""

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
_HIDE: Final = f"UPDATE issue SET private = true, address_ask_at = NULL WHERE {_CONCERNED}"  # noqa: S608 - as above
# Who only follows such an issue, or subscribed to its place, is not told what still waits for them; its authors are,
# whose news name their report. What is being sent this moment is passed by.
_SILENCE: Final = """
UPDATE delivery SET state = 'superseded' WHERE city_id = %(city)s AND id IN (
    SELECT delivery.id FROM delivery
    JOIN notification AS news ON news.city_id = %(city)s AND news.id = delivery.notification_id
    JOIN event ON event.city_id = %(city)s AND event.id = news.event_id
    JOIN issue ON issue.city_id = %(city)s AND issue.id = event.issue_id
    WHERE delivery.city_id = %(city)s AND delivery.state IN ('queued', 'held') AND private
      AND (lease IS NULL OR due_at <= now()) AND NOT news.params ? 'report_id'
    FOR UPDATE OF delivery SKIP LOCKED
)
"""
_CODES: Final = "SELECT code FROM service WHERE city_id = %s AND private"


async def count_hidden(connection: AsyncConnection, city_id: int, codes: Sequence[str]) -> tuple[int, int]:
    """Count a city's public issues, and those of them that are hidden once these services are private."""
    cursor = await connection.execute(_COUNT.encode(), {"city": city_id, "codes": list(codes)})
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - counts always give their row
    return row[0], row[1]


async def hide_private(session: AsyncSession, city_id: int) -> int:
    """Hide a city's issues of services that are private, open ones and others, from the public and who follows them.

    Args:
        session: Open transaction of the city, or of the role that owns the tables; committed by the caller.
        city_id: The city.

    Returns:
        How many were hidden; none where that was done before.
    """
    connection = await driver_connection(session)
    codes = [code for (code,) in await (await connection.execute(_CODES, (city_id,))).fetchall()]
    hidden = (await connection.execute(_HIDE.encode(), {"city": city_id, "codes": codes})).rowcount
    await connection.execute(_SILENCE, {"city": city_id})
    if hidden:
        await count_all(session, city_id)
    return hidden
