"""What people wish of all that is told to them, in whatever city."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.connections import driver_connection
from db.jobs import enqueue
from push.pacing import Preferences
from push.topics import TOPICS_OF


class Preference(Base):
    """A person's wishes; who has none never said any."""

    __tablename__ = "preference"

    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    wishes: Mapped[dict[str, Any]]  # as `push.pacing.Preferences` writes them
    updated_at: Mapped[datetime]


async def write_preferences(session: AsyncSession, person_id: UUID, wishes: Preferences, *, now: datetime) -> None:
    """Keep what a person wishes; it counts for what happens from now on."""
    connection = await driver_connection(session)
    await connection.execute(
        """
        INSERT INTO preference (person_id, wishes, updated_at) VALUES (%s, %s, %s)
        ON CONFLICT (person_id) DO UPDATE SET wishes = excluded.wishes, updated_at = excluded.updated_at
        """,
        (person_id, Jsonb(wishes.to_json()), now),
    )
    await enqueue(session, TOPICS_OF, {"person_id": str(person_id)})


async def read_preferences(session: AsyncSession, person_id: UUID) -> Preferences:
    """Read what a person wishes; what everybody does where they never said."""
    return (await preferences_of(session, [person_id])).get(person_id, Preferences())


async def forget_preferences(session: AsyncSession, person_id: UUID) -> None:
    """Forget what a person wishes."""
    connection = await driver_connection(session)
    await connection.execute("DELETE FROM preference WHERE person_id = %s", (person_id,))


async def preferences_of(
    session: AsyncSession, persons: Collection[UUID], *, lock: bool = False
) -> Mapping[UUID, Preferences]:
    """Read the wishes of those who said any.

    Args:
        session: Open transaction.
        persons: Whose.
        lock: Let no other transaction do the same for them until this one ends, so that two do not both find that a
            person may be told once more today.
    """
    connection = await driver_connection(session)
    query = "SELECT person_id, wishes FROM preference WHERE person_id = ANY(%s)"
    locking = "SELECT person_id, wishes FROM preference WHERE person_id = ANY(%s) ORDER BY person_id FOR UPDATE"
    cursor = await connection.execute(locking if lock else query, (list(persons),))
    return {person_id: Preferences.of_json(wishes) for person_id, wishes in await cursor.fetchall()}
