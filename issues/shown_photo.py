"""Which photo of an issue goes with what people are told: one that everybody may see."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from psycopg.rows import class_row
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection

# As `issues.reports.photo_release` has it. Whose photo it is decides who named it (`photo_claim`).
_PHOTO: Final = """
WITH shown AS (
    SELECT issue.city_id, issue.id FROM issue JOIN city ON city.id = issue.city_id
    WHERE issue.city_id = %(city)s AND issue.id = %(issue)s AND NOT private AND city.settings ->> 'photos' = 'public'
), named AS (
    SELECT photo_id, o.id AS target_id, 0 AS rank, o.updated_at AS at, -p.position AS position
    FROM shown JOIN work_order_issue w ON w.city_id = shown.city_id AND w.issue_id = shown.id
    JOIN work_order o ON o.city_id = w.city_id AND o.id = w.work_order_id AND o.status = 'done'
    JOIN work_order_photo p ON p.city_id = o.city_id AND p.work_order_id = o.id
    WHERE %(fixed)s AND NOT EXISTS (
        SELECT FROM work_order_issue x JOIN issue i ON i.city_id = x.city_id AND i.id = x.issue_id
        WHERE x.city_id = o.city_id AND x.work_order_id = o.id AND i.private)
    UNION ALL
    SELECT photo_id, r.id, 1, NULL, row_number() OVER (ORDER BY r.received_at, r.id, p.position)
    FROM shown JOIN report r ON r.city_id = shown.city_id AND r.issue_id = shown.id AND r.withdrawn_at IS NULL
    JOIN report_photo p ON p.city_id = r.city_id AND p.report_id = r.id
)
SELECT photo.id, small_key FROM named JOIN photo ON photo.id = photo_id AND photo.state = 'ready'
JOIN photo_claim c ON c.photo_id = photo.id AND c.sender = uploader AND c.target_id = named.target_id
ORDER BY rank, at DESC, named.position, photo.id LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class ShownPhoto:
    """A photo, and where its small picture is in the store; None where it was not made."""

    id: UUID
    small_key: str | None


async def find_shown_photo(session: AsyncSession, city_id: int, issue_id: UUID, *, fixed: bool) -> ShownPhoto | None:
    """Find the photo to show: the first that residents sent, or once it is fixed the last of the crew that did it.

    Args:
        session: Open transaction of the city.
        city_id: The city.
        issue_id: The issue.
        fixed: Whether it is told of as fixed; the residents' photo then stands in for a crew's.

    Returns:
        None where there is none for everybody to see.
    """
    cursor = (await driver_connection(session)).cursor(row_factory=class_row(ShownPhoto))
    await cursor.execute(_PHOTO, {"city": city_id, "issue": issue_id, "fixed": fixed})
    return await cursor.fetchone()
