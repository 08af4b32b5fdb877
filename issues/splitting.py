"""Taking reports out of an issue that they are not about: by staff, or by the sender of one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from db.connections import driver_connection
from issues.actors import Actor, Role
from issues.city import CityBook
from issues.commands import claim_command
from issues.corrections import ReportWithdrawn
from issues.event_kinds import EventKind
from issues.events import NewEvent
from issues.issue import IssueView
from issues.lifecycle import NotAllowed, Status
from issues.moving import let_go, open_issue, place_of, recount, relocation_of
from issues.pairs import tell_apart
from issues.regrouping import Regrouping, check_unmerged, hold_issues, list_moves, move_reports, read_regrouping, record
from issues.reports import Receipt, ReportView, read_receipt
from issues.status import move_issue


@dataclass(eq=False)
class ReportNotInIssue(Exception):
    """A report is in another issue than the one to be split.

    Attributes:
        issue_id: The one that it is in.
    """

    report_id: UUID
    issue_id: UUID


@dataclass(eq=False)
class NothingWouldRemain(Exception):
    """A split would take every report of an issue, which is no split."""

    issue_id: UUID


async def split_issue(
    session: AsyncSession,
    issue_id: UUID,
    report_ids: Collection[UUID],
    *,
    city: CityBook,
    actor: Actor,
    note: str | None = None,
    command_id: UUID | None = None,
    now: datetime,
) -> Regrouping:
    """Open an issue of their own for some reports of another, at the place of the earliest of them.

    The two are never paired again, unless this is undone. The city has looked at them, so the new issue is
    acknowledged, and their authors are told, unless the old one was only received as well. Work orders stay with the
    old one.

    Args:
        session: Open transaction of the city that holds no locks; committed by the caller.
        issue_id: The issue to split.
        report_ids: The reports that go; at least one.
        city: The city.
        actor: An agent or above.
        note: Why; for staff. None or blank for nothing.
        command_id: The client's id, which makes the command safe to repeat; its event has it too.
        now: Time of the split.

    Returns:
        The old issue, and the new one as the only other.

    Raises:
        NotAllowed: the actor splits nothing.
        IssueNotFound, ReportNotFound: the city has no such issue or report.
        IssueMerged: the issue's reports are in another one.
        ReportNotInIssue: a report is in another issue.
        NothingWouldRemain: all its reports would go.
        ServiceNotOffered: the city no longer offers the service of the earliest report.
        CommandIdUsed: another command has the id.
    """
    if not actor.at_least(Role.AGENT):
        raise NotAllowed(actor.role, "split")
    said, wanted = (note or "").strip() or None, sorted(set(report_ids))
    content = ("issue.split", issue_id, wanted, said)
    if not await claim_command(session, city.id, command_id, content, actor=actor, now=now):
        return await read_regrouping(session, city.id, issue_id, command_id)
    reports, issues = await _hold_reports(session, city, wanted, issue_id)
    issue = issues[issue_id]
    check_unmerged([issue])
    _check_split(issue, reports)
    event_id = command_id or new_id()
    await _part(session, issue, reports, EventKind.SPLIT, city=city, actor=actor, note=said, event_id=event_id, now=now)
    return await read_regrouping(session, city.id, issue_id, event_id)


async def leave_issue(
    session: AsyncSession,
    report_id: UUID,
    *,
    city: CityBook,
    actor: Actor,
    by_author: bool,
    command_id: UUID | None = None,
    now: datetime,
) -> Receipt:
    """Open an issue of its own for a report whose sender says that it is not the same problem.

    A report that is alone in its issue has its own already, and stays.

    Args:
        session: Open transaction of the city that holds no locks; committed by the caller.
        report_id: The report.
        city: The report's city.
        actor: Who asks.
        by_author: Whether that is the report's sender.
        command_id: The client's id, which makes the command safe to repeat; its event has it too.
        now: Time of leaving.

    Returns:
        The report, and its issue as it is now.

    Raises:
        ReportNotFound: the city has no such report.
        NotAllowed: the actor is neither the sender nor an agent or above.
        ReportWithdrawn: it was taken back.
        ServiceNotOffered: the city no longer offers the report's service at its place.
        CommandIdUsed: another command has the id.
    """
    if not by_author and not actor.at_least(Role.AGENT):
        raise NotAllowed(actor.role, "leave")
    if await claim_command(session, city.id, command_id, ("report.leave", report_id), actor=actor, now=now):
        (report,), issues = await _hold_reports(session, city, [report_id])
        issue = issues[report.issue_id]
        if report.withdrawn_at is not None:
            raise ReportWithdrawn(report_id)
        if issue.report_count > 1:
            event_id = command_id or new_id()
            await _part(
                session, issue, [report], EventKind.LEFT, city=city, actor=actor, note=None, event_id=event_id, now=now
            )
    return await read_receipt(session, city.id, report_id)


async def _hold_reports(
    session: AsyncSession, city: CityBook, report_ids: Sequence[UUID], *issue_ids: UUID
) -> tuple[list[ReportView], dict[UUID, IssueView]]:
    """Lock the issues of reports, and others, so that none of these reports changes its issue or its place."""
    while True:
        seen = [(await read_receipt(session, city.id, report_id)).report for report_id in report_ids]
        wanted = {*issue_ids, *(report.issue_id for report in seen)}
        async with session.begin_nested() as attempt:
            issues = await hold_issues(session, city.id, wanted, *(report.at for report in seen))
            reports = [(await read_receipt(session, city.id, report_id)).report for report_id in report_ids]
            if [(each.issue_id, each.at) for each in reports] == [(each.issue_id, each.at) for each in seen]:
                return reports, issues
            # Somebody moved one since it was read: other locks are needed, and these are let go.
            await attempt.rollback()


def _check_split(issue: IssueView, reports: Sequence[ReportView]) -> None:
    for report in reports:
        if report.issue_id != issue.id:
            raise ReportNotInIssue(report.id, report.issue_id)
        if report.withdrawn_at is not None:
            raise ReportWithdrawn(report.id)
    if len(reports) >= issue.report_count:
        raise NothingWouldRemain(issue.id)


async def _part(
    session: AsyncSession,
    issue: IssueView,
    reports: Sequence[ReportView],
    kind: EventKind,
    *,
    city: CityBook,
    actor: Actor,
    note: str | None,
    event_id: UUID,
    now: datetime,
) -> None:
    """Take held reports out of their issue into one of their own."""
    first = min(reports, key=lambda report: (report.received_at, report.id))
    relocation = relocation_of(first, place_of(first), city)
    opened = await open_issue(session, first, relocation, left=issue, city=city, now=now)
    moves = await list_moves(session, city.id, issue.id, opened.id, report_ids=[report.id for report in reports])
    await move_reports(session, city.id, moves, now=now)
    data = {"issues": [str(opened.id)], "moves": [move.to_json() for move in moves], "orders": []}
    event = NewEvent(issue.id, kind, actor.sender, now, public=True, data=data, id=event_id)
    await record(session, city.id, event, note=note)
    opening = {"report_id": str(first.id)}
    event = NewEvent(opened.id, EventKind.OPENED, actor.sender, now, public=True, data=opening, cause=event_id)
    await record(session, city.id, event)
    opened = await recount(session, opened, now=now)
    await let_go(session, issue, cause=event_id, now=now)
    if kind == EventKind.SPLIT:
        connection = await driver_connection(session)
        await tell_apart(connection, city.id, first.id, issue.id, cause=event_id, by=actor.sender, now=now)
    if kind == EventKind.SPLIT and issue.status is not Status.RECEIVED:
        await move_issue(session, opened, Status.ACKNOWLEDGED, actor=actor, cause=event_id, now=now)
