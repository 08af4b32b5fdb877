"""Secrets that callers hold, found by their hash."""

from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from secrets import token_urlsafe
from uuid import UUID

from sqlalchemy import CheckConstraint, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


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


def hash_secret(secret: str) -> bytes:
    """Hash a secret for storing and finding it (SHA-256 of its text)."""
    return sha256(secret.encode()).digest()


def new_secret() -> str:
    """Make a secret: 32 random bytes, base64url."""
    return token_urlsafe(32)
