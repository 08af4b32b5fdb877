"""Keys that this installation signs with: the same for all its processes, and after a restart."""

from sqlalchemy import LargeBinary, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class SigningKey(Base):
    """A random key for one purpose, made with the table; whoever replaces it ends what was signed before."""

    __tablename__ = "signing_key"

    purpose: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary)


async def signing_key(session: AsyncSession, purpose: str) -> bytes:
    """Read the key for a purpose, which a migration has made."""
    return (await session.scalars(select(SigningKey.key).where(SigningKey.purpose == purpose))).one()
