"""What waits in the outbox, and for what."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.rows import class_row
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection

MOST_COUNTED: Final = 100_000
"""More than so many are not counted: who asks every few seconds must not read a million rows for it."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """A city's pushes that wait or are on their way.

    Attributes:
        queued: How many, up to `MOST_COUNTED`.
        overdue_s: For how long the oldest has been due; 0 where none is.
    """

    queued: int
    overdue_s: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why pushes of a channel wait that were tried already.

    Attributes:
        channel: Of which kind the devices' addresses are, or 'email' or 'topic'.
        error: What they last came back with.
        queued: How many.
        next_at: When the first of them is tried again.
    """

    channel: str
    error: str
    queued: int
    next_at: datetime


async def push_backlog(session: AsyncSession, city_id: int, *, now: datetime) -> Backlog:
    """Count what waits in a city; reads the index of what is due, and no more of it than is counted."""
    connection = await driver_connection(session)
    cursor = await connection.execute(
        """
        SELECT count(*), extract(epoch FROM %(now)s - min(due_at))::float8
        FROM (
            SELECT due_at FROM delivery WHERE city_id = %(city)s AND state = 'queued' AND attempts >= 0
            ORDER BY due_at, id LIMIT %(most)s
        ) AS waiting
        """,
        {"city": city_id, "now": now, "most": MOST_COUNTED},
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - a count always gives its row
    return Backlog(row[0], max(0.0, row[1] or 0.0))


async def push_troubles(session: AsyncSession, city_id: int, *, now: datetime) -> list[Trouble]:
    """Find what those of a city's pushes wait for that are put off, what most wait for first.

    A project or platform whose credentials are refused shows here, as does a channel that is not set up.
    """
    connection = await driver_connection(session)
    cursor = connection.cursor(row_factory=class_row(Trouble))
    await cursor.execute(
        """
        SELECT CASE WHEN topic.id IS NOT NULL THEN 'topic' ELSE coalesce(push_kind, 'email') END AS channel,
               last_error AS error, count(*) AS queued, min(due_at) AS next_at
        FROM delivery
        LEFT JOIN device ON device.id = delivery.device_id
        LEFT JOIN topic ON topic.city_id = %(city)s AND topic.id = delivery.device_id
        WHERE delivery.city_id = %(city)s AND state = 'queued' AND attempts >= 0 AND due_at > %(now)s
          AND lease IS NULL AND last_error IS NOT NULL
        GROUP BY channel, error ORDER BY queued DESC, channel, error
        """,
        {"city": city_id, "now": now},
    )
    return await cursor.fetchall()
