"""Declaring and withdrawing a pause, and moving the deadlines that it stops."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from db.jobs import enqueue
from issues.city import CityBook, with_pauses
from issues.deadlines import Pause
from issues.issue import Issue
from issues.lifecycle import OPEN
from issues.pauses import PauseIdTaken, PauseNotFound, PauseRow, PauseView, view_of
from issues.placing import deadline_of

MOVE_DEADLINES: Final = "issues.move_deadlines"
# By then every process knows of the pause: what was filed by one that did not yet is moved too.
_ALL_KNOW: Final = timedelta(seconds=15)

_MOVE = text(
    """
    UPDATE issue SET expected_at = moved.expected_at, updated_at = greatest(issue.updated_at, :now)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:times AS timestamptz[])) AS moved (id, expected_at)
    WHERE issue.city_id = :city AND issue.id = moved.id
    """
)


@dataclass(frozen=True, slots=True)
class Rescheduled:
    """What a pause, or its end, did.

    Attributes:
        pause: The pause.
        moved: How many open issues have another deadline for it; none where it had been done before.
        is_new: Whether this call did it.
    """

    pause: PauseView
    moved: int = 0
    is_new: bool = False


async def declare_pause(
    session: AsyncSession,
    city: CityBook,
    pause_id: UUID,
    pause: Pause,
    *,
    reasons: Mapping[str, str],
    actor: str,
    now: datetime,
) -> Rescheduled:
    """Declare a pause, and move the deadlines of open issues; again under the same id, nothing is done.

    Every process that serves the city learns of it within seconds, and counts the deadlines of new reports with it.

    Args:
        session: Open transaction of the city, or of the role that owns the tables; committed by the caller.
        city: The city.
        pause_id: Made by whoever declares it.
        pause: When clocks stand still, and for which services, all of which the city has.
        reasons: Why, by language.
        actor: Who declares it.
        now: When.

    Raises:
        PauseIdTaken: another pause has this id, or it was withdrawn.
    """
    row = await _find(session, city.id, pause_id)
    if row is not None:
        if row.withdrawn_at is not None or view_of(row).pause != pause:
            raise PauseIdTaken(pause_id)
        return Rescheduled(view_of(row))
    row = PauseRow(
        city_id=city.id,
        key=pause_id,
        begins=pause.begins,
        ends=pause.ends,
        service_codes=sorted(pause.service_codes),
        reason=reasons["fr"],
        reason_en=reasons["en"],
        declared_at=now,
        declared_by=actor,
    )
    session.add(row)
    await session.flush()
    return Rescheduled(view_of(row), await _moved_for(session, city, row, now=now), is_new=True)


async def withdraw_pause(
    session: AsyncSession, city: CityBook, pause_id: UUID, *, actor: str, now: datetime
) -> Rescheduled:
    """Take a pause back, and the deadlines with it, as if it had never been; again, nothing is done.

    Args:
        session: Open transaction of the city, or of the role that owns the tables; committed by the caller.
        city: The city.
        pause_id: Which one.
        actor: Who takes it back.
        now: When.

    Raises:
        PauseNotFound: the city has declared none of this id.
    """
    row = await _find(session, city.id, pause_id)
    if row is None:
        raise PauseNotFound(pause_id)
    if row.withdrawn_at is not None:
        return Rescheduled(view_of(row))
    row.withdrawn_at, row.withdrawn_by = now, actor
    await session.flush()
    return Rescheduled(view_of(row), await _moved_for(session, city, row, now=now), is_new=True)


async def _find(session: AsyncSession, city_id: int, pause_id: UUID) -> PauseRow | None:
    query = select(PauseRow).where(PauseRow.city_id == city_id, PauseRow.key == pause_id).with_for_update()
    return (await session.scalars(query)).one_or_none()


async def _moved_for(session: AsyncSession, city: CityBook, row: PauseRow, *, now: datetime) -> int:
    """Move deadlines for a change of a pause, now and once more when every process knows of it."""
    told = {"city_id": city.id, "begins": row.begins.isoformat(), "service_codes": row.service_codes}
    await enqueue(session, MOVE_DEADLINES, told, run_after=_ALL_KNOW)
    return await move_deadlines(session, city, begins=row.begins, service_codes=row.service_codes, now=now)


async def move_deadlines(
    session: AsyncSession, city: CityBook, *, begins: date, service_codes: Collection[str], now: datetime
) -> int:
    """Work out anew by when open issues should be dealt with, where that was not over before a day.

    Args:
        session: Open transaction of the city, or of the role that owns the tables; committed by the caller.
        city: The city; its pauses are read anew.
        begins: What was due before this day stays as it is.
        service_codes: The services concerned; empty for all.
        now: When this is done.

    Returns:
        How many issues have another time now.
    """
    city = await with_pauses(session, city)
    codes = list(service_codes or city.catalogue.services)
    issue = Issue.__table__
    rows = await session.execute(
        select(issue.c.id, issue.c.service_code, issue.c.opened_at, issue.c.expected_at)
        .where(
            issue.c.city_id == city.id,
            issue.c.status.in_(OPEN),
            issue.c.merged_into.is_(None),
            issue.c.service_code.in_(codes),
            issue.c.expected_at >= datetime.combine(begins, datetime.min.time(), tzinfo=city.timezone),
        )
        .order_by(issue.c.id)
        .with_for_update(key_share=True)
    )
    moved = {}
    for row in rows:
        expected = deadline_of(city.catalogue.services[row.service_code], city=city, received_at=row.opened_at)
        if expected != row.expected_at:
            moved[row.id] = expected
    values = {"city": city.id, "ids": list(moved), "times": list(moved.values()), "now": now}
    await session.execute(_MOVE, values)
    return len(moved)
