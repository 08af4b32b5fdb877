"""Declaring a pause, and moving the deadlines that it stops."""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from geo.cities import City
from issues.city import CityBook
from issues.deadlines import Pause
from issues.issue import Issue
from issues.lifecycle import OPEN
from issues.pauses import PauseRow
from issues.placing import deadline_of

_MOVE = text(
    """
    UPDATE issue SET expected_at = moved.expected_at, updated_at = greatest(issue.updated_at, :now)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:times AS timestamptz[])) AS moved (id, expected_at)
    WHERE issue.city_id = :city AND issue.id = moved.id
    """
)


async def declare_pause(session: AsyncSession, city: CityBook, pause: Pause, *, reason: str, now: datetime) -> None:
    """Write a pause, and have every process that serves the city read it anew.

    Args:
        session: Open transaction of the role that owns the tables; committed by the caller.
        city: The city.
        pause: When clocks stand still, and for which services.
        reason: In a word, for the city's people.
        now: When it is declared.
    """
    row = {"begins": pause.begins, "ends": pause.ends, "service_codes": sorted(pause.service_codes)}
    await session.execute(insert(PauseRow).values(city_id=city.id, **row, reason=reason, declared_at=now))
    await session.execute(update(City).where(City.id == city.id).values(version=City.version + 1))


async def move_deadlines(
    session: AsyncSession, city: CityBook, *, begins: date, service_codes: Collection[str], now: datetime
) -> int:
    """Work out anew by when open issues should be dealt with, where that was not over before a day.

    Args:
        session: Open transaction of the city, or of the role that owns the tables; committed by the caller.
        city: The city, read since the pause was declared.
        begins: What was due before this day stays as it is.
        service_codes: The services concerned; empty for all.
        now: When this is done.

    Returns:
        How many issues have another time now.
    """
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
