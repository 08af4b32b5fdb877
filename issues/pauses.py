"""Pauses: days on which the clocks of a city's deadlines stand still, declared when they come."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, Text, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from issues.deadlines import Pause

# How many pauses there are, and how many of them were withdrawn: neither ever falls.
PausesVersion = tuple[int, int]
NO_PAUSES: Final[PausesVersion] = (0, 0)


class PauseRow(Base):
    """A pause that a city declared."""

    __tablename__ = "pause"
    __table_args__ = (Index("uq_pause_city_id_key", "city_id", "key", unique=True),)

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[UUID] = mapped_column(server_default=text("gen_random_uuid()"))  # its id for those who declare it
    begins: Mapped[date]
    ends: Mapped[date]  # the last day
    service_codes: Mapped[list[str]] = mapped_column(ARRAY(Text))  # none for all
    reason: Mapped[str]  # in French
    reason_en: Mapped[str] = mapped_column(server_default="")
    declared_at: Mapped[datetime]
    declared_by: Mapped[str] = mapped_column(server_default="")
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by: Mapped[str | None]


@dataclass(frozen=True, slots=True)
class PauseView:
    """A pause with its reason.

    Attributes:
        id: Made by whoever declared it.
        pause: When clocks stand still, and for which services.
        reasons: Why, by language.
        declared_at: When it was declared.
    """

    id: UUID
    pause: Pause
    reasons: dict[str, str]
    declared_at: datetime


@dataclass(eq=False)
class PauseNotFound(Exception):
    """The city has declared no pause of this id."""

    pause_id: UUID


@dataclass(eq=False)
class PauseIdTaken(Exception):
    """Another pause of the city has this id, or it was withdrawn."""

    pause_id: UUID


async def load_pauses(session: AsyncSession, city_id: int) -> tuple[Pause, ...]:
    """Read a city's pauses that stand; needs no city named, for they are told to everybody."""
    return tuple(view.pause for view in await list_pauses(session, city_id, since=date.min))


async def list_pauses(session: AsyncSession, city_id: int, *, since: date) -> Sequence[PauseView]:
    """List a city's pauses that stand and end on a day or later, the first to begin first."""
    rows = await session.scalars(
        select(PauseRow)
        .where(PauseRow.city_id == city_id, PauseRow.withdrawn_at.is_(None), PauseRow.ends >= since)
        .order_by(PauseRow.begins, PauseRow.id)
    )
    return [view_of(row) for row in rows]


async def pauses_version(session: AsyncSession) -> PausesVersion:
    """Read what changes whenever any city declares or withdraws a pause."""
    query = select(func.count(), func.count(PauseRow.withdrawn_at))
    declared, withdrawn = (await session.execute(query)).one()
    return declared, withdrawn


def view_of(row: PauseRow) -> PauseView:
    """See a row as others do."""
    return PauseView(
        row.key,
        Pause(row.begins, row.ends, frozenset(row.service_codes)),
        {"fr": row.reason, "en": row.reason_en or row.reason},
        row.declared_at,
    )
