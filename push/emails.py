"""E-mail addresses of people, each of a city; used once their owner has said so by a link that was sent there."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, new_id
from db.connections import driver_connection

VERIFY: Final = "verify-email"
"""Kind of the notification that asks whether an address is its person's: the only one that goes to any address."""

# So often may people name one address within an hour, whoever they are: it may belong to somebody else.
_MOST_LETTERS: Final = 3
_WITHIN: Final = timedelta(hours=1)


class EmailAddress(Base):
    """Where a person gets letters from a city; another address is another row's id."""

    __tablename__ = "email_address"
    __table_args__ = (
        UniqueConstraint("city_id", "person_id"),
        Index("ix_email_address_address", "city_id", "address"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID]
    address: Mapped[str]
    locale: Mapped[str]
    asked_at: Mapped[datetime]  # when its owner was last asked
    verified_at: Mapped[datetime | None]
    refused_at: Mapped[datetime | None]  # its server said that there is no such address


@dataclass(frozen=True, slots=True)
class EmailView:
    """A person's address and whether letters go there."""

    id: UUID
    address: str = field(repr=False)
    verified: bool
    refused: bool


class TooManyLetters(Exception):
    """An address has been named too often lately.

    Attributes:
        wait_s: Seconds until it may be named again.
    """

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


async def name_address(
    session: AsyncSession, city_id: int, person_id: UUID, address: str, *, locale: str, now: datetime
) -> tuple[EmailView, bool]:
    """Note a person's address.

    Returns:
        The address, and whether its owner is to be asked now: not where it is verified.

    Raises:
        TooManyLetters: its owner was asked too often.
    """
    there = await find_address(session, city_id, person_id)
    if there is not None and there.address == address and there.verified and not there.refused:
        return there, False
    connection = await driver_connection(session)
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"letters to {address}",))
    asked = await connection.execute(
        "SELECT count(*) FROM notification JOIN email_address ON email_address.city_id = notification.city_id"
        " AND email_address.person_id = notification.person_id"
        " WHERE notification.city_id = %s AND address = %s AND kind = %s AND created_at > %s",
        (city_id, address, VERIFY, now - _WITHIN),
    )
    if ((await asked.fetchone()) or (0,))[0] >= _MOST_LETTERS:
        raise TooManyLetters(_WITHIN.total_seconds())
    named = EmailView(new_id(), address, verified=False, refused=False)
    await connection.execute(
        """
        INSERT INTO email_address (city_id, id, person_id, address, locale, asked_at)
        VALUES (%(city)s, %(id)s, %(person)s, %(address)s, %(locale)s, %(now)s)
        ON CONFLICT (city_id, person_id) DO UPDATE SET
            id = excluded.id, address = excluded.address, locale = excluded.locale, asked_at = excluded.asked_at,
            verified_at = NULL, refused_at = NULL
        """,
        {
            "city": city_id, "id": named.id, "person": person_id, "address": address, "locale": locale, "now": now,
        },
    )  # fmt: skip
    return named, True


async def find_address(session: AsyncSession, city_id: int, person_id: UUID) -> EmailView | None:
    """Find where a person gets letters from a city; None where they named no address."""
    connection = await driver_connection(session)
    cursor = await connection.execute(
        """
        SELECT id, address, verified_at IS NOT NULL, refused_at IS NOT NULL FROM email_address
        WHERE city_id = %s AND person_id = %s
        """,
        (city_id, person_id),
    )
    row = await cursor.fetchone()
    return None if row is None else EmailView(row[0], row[1], verified=row[2], refused=row[3])


async def verify_address(session: AsyncSession, city_id: int, address_id: UUID, *, now: datetime) -> bool:
    """Have letters go to an address from now on; False where its person named another since, or none."""
    connection = await driver_connection(session)
    verified = await connection.execute(
        "UPDATE email_address SET verified_at = coalesce(verified_at, %s), refused_at = NULL"
        " WHERE city_id = %s AND id = %s",
        (now, city_id, address_id),
    )
    return verified.rowcount == 1


async def forget_address_of(session: AsyncSession, city_id: int, person_id: UUID) -> None:
    """Forget a person's address."""
    connection = await driver_connection(session)
    await connection.execute("DELETE FROM email_address WHERE city_id = %s AND person_id = %s", (city_id, person_id))


async def refuse_addresses(
    session: AsyncSession, city_id: int, address_ids: Collection[UUID], *, now: datetime
) -> None:
    """Note that there are no such addresses; nothing is sent there until their people name them again."""
    connection = await driver_connection(session)
    await connection.execute(
        "UPDATE email_address SET refused_at = %s WHERE city_id = %s AND id = ANY(%s)",
        (now, city_id, sorted(address_ids)),
    )
