"""Secrets that callers hold, found by their hash."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from secrets import token_urlsafe
from uuid import UUID

from sqlalchemy import CheckConstraint, LargeBinary
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.tenancy import driver_connection


class CredentialKind(StrEnum):
    """What a secret stands for."""

    DEVICE = "device"
    STAFF = "staff"
    KEY = "key"


class Credential(Base):
    """A secret's SHA-256 and what it stands for; 32 random bytes need no slow hash."""

    __tablename__ = "credential"
    __table_args__ = (CheckConstraint("kind IN ('device', 'staff', 'key')", name="kind"),)

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    kind: Mapped[str]
    subject: Mapped[UUID] = mapped_column(index=True)
    city_id: Mapped[int | None]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class KnownCredential:
    """What a caller's secret stands for: a device, or a person on the staff of a city."""

    kind: CredentialKind
    subject: UUID
    city_id: int | None


def hash_secret(secret: str) -> bytes:
    """Hash a secret for storing and finding it (SHA-256 of its text)."""
    return sha256(secret.encode()).digest()


def new_secret() -> str:
    """Make a secret: 32 random bytes, base64url."""
    return token_urlsafe(32)


async def find_credential(session: AsyncSession, secret: str, *, now: datetime) -> KnownCredential | None:
    """Find what a secret stands for; None where it is unknown or has expired."""
    connection = await driver_connection(session)
    cursor = await connection.execute(
        "SELECT kind, subject, city_id FROM credential WHERE hash = %s AND (expires_at IS NULL OR expires_at > %s)",
        (hash_secret(secret), now),
    )
    row = await cursor.fetchone()
    return None if row is None else KnownCredential(CredentialKind(row[0]), row[1], row[2])
