"""Re-routing: giving open issues to whom today's pack says they belong, by the day on which each was received.

Loading a pack does none of this by itself. Open issues are looked at by the thousand, each batch in a transaction of
its own: a city with a million of them goes on taking reports meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, and_, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from issues.actors import SYSTEM
from issues.catalogue import ServiceNotOffered
from issues.city import CityBook
from issues.event_kinds import EventKind
from issues.events import EventView, NewEvent, append_event
from issues.issue import Issue, IssueView, issue_columns, view_of
from issues.lifecycle import OPEN
from issues.placing import judged_at, place_report
from issues.reports import Report

BATCH: Final = 1_000
_FIRST: Final = UUID(int=0)
# What a route says of an issue, by column.
_ROUTED: Final = ("layer", "district_code", "districts", "department_code", "crew_code", "near_boundary")


@dataclass(frozen=True, slots=True)
class Rerouting:
    """An open issue that belongs to somebody else than it says.

    Attributes:
        issue: As it stands.
        to: What is to change, by column; empty where nobody offers its service there any more, so that it stays.
    """

    issue: IssueView
    to: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """What was found among some open issues.

    Attributes:
        looked_at: How many there were.
        changes: Those that change, or would.
        last: The last of them, to go on from; None where there are no more.
    """

    looked_at: int
    changes: list[Rerouting]
    last: UUID | None


async def reroute(session: AsyncSession, city: CityBook, *, after: UUID | None, dry_run: bool, now: datetime) -> Batch:
    """Find which of the next open issues belong to somebody else now, and give them to whom they belong.

    Args:
        session: Open transaction of the city; committed by the caller.
        city: The city, as its pack stands.
        after: The last issue looked at; None to begin.
        dry_run: Only tell.
        now: When this is done.
    """
    rows = await _open_issues(session, city.id, after or _FIRST, lock=not dry_run)
    changes = [change for row in rows if (change := _change(row, city)) is not None]
    if not dry_run:
        for change in changes:
            if change.to:
                await _write(session, city.id, change, now=now)
    return Batch(len(rows), changes, rows[-1].id if len(rows) == BATCH else None)


async def _open_issues(session: AsyncSession, city_id: int, after: UUID, *, lock: bool) -> list[Row[Any]]:
    """Read open issues, each with what its opening report is judged by."""
    issue, report = Issue.__table__, Report.__table__
    opener = and_(report.c.city_id == issue.c.city_id, report.c.number == issue.c.number)
    query = (
        select(*issue_columns(issue), func.coalesce(report.c.channel, "").label("channel"), report.c.captured_at)
        .select_from(issue.outerjoin(report, opener))
        .where(issue.c.city_id == city_id, issue.c.id > after, issue.c.status.in_(OPEN), issue.c.merged_into.is_(None))
        .order_by(issue.c.id)
        .limit(BATCH)
    )
    return list(await session.execute(query.with_for_update(of=issue, key_share=True) if lock else query))


def _change(row: Row[Any], city: CityBook) -> Rerouting | None:
    issue = view_of(row)
    when = judged_at(channel=row.channel, captured_at=row.captured_at, received_at=issue.opened_at)
    try:
        placed = place_report(issue.service_code, issue.at, accuracy_m=issue.accuracy_m, city=city, received_at=when)
    except ServiceNotOffered:
        return Rerouting(issue, {})
    values = placed.issue_values()
    new = {name: values[name] for name in _ROUTED}
    return None if new == _route_of(issue) else Rerouting(issue, new)


# Orders that lead to the very place of the issue tell its district too; their crew stays, for somebody planned it.
_TELL_ORDERS = text(
    """
    UPDATE work_order SET layer = issue.layer, district_code = issue.district_code,
                          updated_at = greatest(work_order.updated_at, :now)
    FROM issue
    WHERE issue.city_id = :city AND issue.id = :issue AND work_order.city_id = :city
      AND work_order.status IN ('planned', 'in_progress')
      AND work_order.id IN (SELECT work_order_id FROM work_order_issue WHERE city_id = :city AND issue_id = :issue)
      AND work_order.place = issue.place
    """
)


async def _write(session: AsyncSession, city_id: int, change: Rerouting, *, now: datetime) -> None:
    issue = change.issue
    await _give(session, issue, change.to, now=now)
    data = {"from": _route_of(issue), "to": dict(change.to)}
    rerouted = NewEvent(issue.id, EventKind.REROUTED, SYSTEM.sender, now, public=False, data=data)
    await append_event(session, city_id, rerouted)


async def route_back(session: AsyncSession, issue: IssueView, event: EventView, *, now: datetime) -> bool:
    """Give an issue, locked by the caller, back to whom it belonged before a re-routing.

    Returns:
        False where it belongs to somebody else again by now: nothing is written then.
    """
    if _route_of(issue) != event.data["to"]:
        return False
    await _give(session, issue, event.data["from"], now=now)
    return True


async def _give(session: AsyncSession, issue: IssueView, route: Mapping[str, Any], *, now: datetime) -> None:
    key = (Issue.city_id == issue.city_id, Issue.id == issue.id)
    await session.execute(update(Issue).where(*key).values(**route, updated_at=max(issue.updated_at, now)))
    await session.execute(_TELL_ORDERS, {"city": issue.city_id, "issue": issue.id, "now": now})


def _route_of(issue: IssueView) -> dict[str, Any]:
    return {name: getattr(issue, name) for name in _ROUTED} | {"districts": list(issue.districts)}
