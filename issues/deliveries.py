"""What became of the pushes about an issue, for the city's staff: how many phones heard, and why others did not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from issues.browse import find_issue


@dataclass(frozen=True, slots=True)
class DeliveryCount:
    """How many pushes about one event stand alike; on which devices is nobody's business.

    Attributes:
        kind: What was told, such as ``resolved``.
        state: ``queued``, ``sent``, ``forgotten``, ``dead``, ``expired`` or ``superseded``.
        sent_at: When the last of them was sent; None where none was.
        last_error: One of the reasons why those that were not sent were not.
    """

    event_id: UUID
    at: datetime
    kind: str
    state: str
    count: int
    sent_at: datetime | None
    last_error: str | None


async def count_deliveries(session: AsyncSession, city_id: int, issue_id: UUID) -> Sequence[DeliveryCount]:
    """Count the pushes about an issue by event and state, in the order of the events.

    Raises:
        IssueNotFound: the city has no such issue.
    """
    await find_issue(session, city_id, issue_id, staff=True)
    connection = await driver_connection(session)
    cursor = connection.cursor(row_factory=class_row(DeliveryCount))
    await cursor.execute(
        """
        SELECT event.id AS event_id, event.at, notification.kind, state, count(*) AS count, max(sent_at) AS sent_at,
               max(last_error) FILTER (WHERE state <> 'sent') AS last_error
        FROM event
        JOIN notification ON notification.city_id = %(city)s AND notification.event_id = event.id
        JOIN delivery ON delivery.city_id = %(city)s AND delivery.notification_id = notification.id
        WHERE event.city_id = %(city)s AND event.issue_id = %(issue)s
        GROUP BY event.id, event.at, event.seq, notification.kind, state ORDER BY event.seq, state
        """,
        {"city": city_id, "issue": issue_id},
    )
    return await cursor.fetchall()
