"""Pauses: days on which the clocks of a city's deadlines stand still, declared when they come."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, Identity, Text, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from issues.deadlines import Pause


class PauseRow(Base):
    """A pause that a city declared."""

    __tablename__ = "pause"

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    begins: Mapped[date]
    ends: Mapped[date]  # the last day
    service_codes: Mapped[list[str]] = mapped_column(ARRAY(Text))  # none for all
    reason: Mapped[str]
    declared_at: Mapped[datetime]


async def load_pauses(session: AsyncSession, city_id: int) -> tuple[Pause, ...]:
    """Read a city's pauses; needs no city named, for they are told to everybody."""
    rows = await session.scalars(select(PauseRow).where(PauseRow.city_id == city_id).order_by(PauseRow.begins))
    return tuple(Pause(row.begins, row.ends, frozenset(row.service_codes)) for row in rows)
