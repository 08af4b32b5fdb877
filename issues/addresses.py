"""Issues whose address the city's own data do not know, kept until another geocoder has been asked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from geo.points import LonLat


@dataclass(frozen=True, slots=True)
class Unaddressed:
    """An issue that tells only what is near it.

    Attributes:
        line: What it says now; see `issues.whereabouts`.
    """

    city_id: int
    issue_id: UUID
    at: LonLat
    line: str


async def next_unaddressed(session: AsyncSession, city_id: int, *, now: datetime) -> Unaddressed | None:
    """Find the issue whose address is to be asked for next; None where none is due.

    The newest comes first: many old ones that came at once hold up no new report.
    """
    row = (await session.execute(_NEXT, {"city": city_id, "now": now})).one_or_none()
    return None if row is None else Unaddressed(city_id, row.id, LonLat(row.lon, row.lat), row.address)


async def note_address(session: AsyncSession, issue: Unaddressed, address: str | None, *, now: datetime) -> None:
    """Give an issue, and the work orders that lead to it, the address found; None says that nobody knows one.

    Where the issue was moved meanwhile, nothing is written: the address is another place's.
    """
    if address is None:
        await session.execute(_LEAVE, _key(issue))
        return
    # First the orders, while the issue still waits: afterwards nothing tells that it did.
    await session.execute(_WRITE_ORDERS, _key(issue) | {"address": address, "line": issue.line, "now": now})
    await session.execute(_WRITE, _key(issue) | {"address": address, "now": now})


async def ask_later(session: AsyncSession, issue: Unaddressed, *, now: datetime) -> None:
    """Have an issue wait as long again as it is old, a minute at least and a day at most."""
    await session.execute(_LATER, _key(issue) | {"now": now})


def _key(issue: Unaddressed) -> dict[str, Any]:
    return {"city": issue.city_id, "issue": issue.issue_id, "lon": issue.at.lon, "lat": issue.at.lat}


# Where private things are is told to nobody outside, whenever and however they became private.
_NEXT: Final = text(
    """
    SELECT id, ST_X(place::geometry) AS lon, ST_Y(place::geometry) AS lat, address FROM issue
    WHERE city_id = :city AND address_ask_at <= :now AND NOT private ORDER BY address_ask_at DESC, id DESC LIMIT 1
    """
)
_STILL_WAITS: Final = (
    "issue.city_id = :city AND issue.id = :issue AND issue.address_ask_at IS NOT NULL"
    " AND issue.place = ST_Point(:lon, :lat, 4326)::geography"
)
# All of these are made of constants.
_WRITE: Final = text(
    f"""
    UPDATE issue SET address = :address, address_ask_at = NULL, updated_at = greatest(updated_at, :now)
    WHERE {_STILL_WAITS}
    """  # noqa: S608
)
_WRITE_ORDERS: Final = text(
    f"""
    UPDATE work_order SET address = :address, updated_at = greatest(work_order.updated_at, :now)
    FROM issue
    WHERE {_STILL_WAITS} AND work_order.city_id = :city AND work_order.address = :line
      AND work_order.place = issue.place
      AND work_order.id IN (SELECT work_order_id FROM work_order_issue WHERE city_id = :city AND issue_id = :issue)
    """  # noqa: S608
)
_LEAVE: Final = text(f"UPDATE issue SET address_ask_at = NULL WHERE {_STILL_WAITS}")  # noqa: S608
_LATER: Final = text(
    f"""
    UPDATE issue SET address_ask_at = :now + least(greatest(:now - opened_at, interval '1 minute'), interval '1 day')
    WHERE {_STILL_WAITS}
    """  # noqa: S608
)
