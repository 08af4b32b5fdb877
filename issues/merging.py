"""Merging issues that turn out to be one problem."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from issues.actors import Actor, Role
from issues.audience import Newcomers, find_authors, find_family
from issues.catalogue import Service
from issues.commands import claim_command
from issues.event_kinds import EventKind
from issues.events import NewEvent
from issues.issue import IssueView
from issues.lifecycle import ACTIVE_ORDERS, CLOSED, NotAllowed, OrderStatus, issue_status_after, notice_of
from issues.moving import recount
from issues.regrouping import (
    Move,
    OrderMove,
    Regrouping,
    check_unmerged,
    hold_issues,
    list_moves,
    move_reports,
    read_regrouping,
    record,
    set_survivor,
    take_orders,
)
from issues.reports import Report
from issues.status import move_issue, notice_params
from issues.telling import give_notice
from issues.work_orders import WorkOrder, WorkOrderIssue

# Why a merge asks for confirmation, as words for programs.
DISTRICTS: Final = "districts"
DEPARTMENTS: Final = "departments"
SERVICES: Final = "services"
ENDED: Final = "ended"
PRIVATE: Final = "private"


@dataclass(eq=False)
class MergeNeedsConfirmation(Exception):
    """Issues that look too different to be one without somebody saying so twice.

    Attributes:
        reasons: `districts` or `departments` where they are in several; `services` where they are of services that
            are not taken for each other (neither the same nor siblings); `ended` where a closed one would take over
            an open one; `private` where several people's private reports would be in one.
    """

    reasons: tuple[str, ...]


@dataclass(eq=False)
class MixedPrivacy(Exception):
    """A private issue and a public one: merged, either everybody would see the one or nobody the other."""

    issue_id: UUID


async def merge_issues(
    session: AsyncSession,
    city_id: int,
    issue_id: UUID,
    other_ids: Collection[UUID],
    *,
    actor: Actor,
    note: str | None = None,
    confirmed: bool = False,
    command_id: UUID | None = None,
    now: datetime,
) -> Regrouping:
    """Have one issue take over the reports and the work orders of others.

    The others stay, empty, with `merged_into`; their followers hear of the survivor, and whoever had last heard
    another status of theirs is told its own. An active work order brings the survivor where it would bring any issue.

    Args:
        session: Open transaction of the city that holds no locks; committed by the caller.
        city_id: The city.
        issue_id: The one that survives.
        other_ids: Those that it takes over; itself among them, or none, is nothing to do.
        actor: An agent or above.
        note: Why; for staff. None or blank for nothing.
        confirmed: Whether the actor wants it although it looks unlikely.
        command_id: The client's id, which makes the command safe to repeat; its event has it too.
        now: Time of the merge.

    Raises:
        NotAllowed: the actor merges nothing.
        IssueNotFound: the city lacks one of them.
        IssueMerged: one was merged before.
        MixedPrivacy: some are private, others not.
        MergeNeedsConfirmation: it looks unlikely, and was not confirmed.
        CommandIdUsed: another command has the id.
    """
    if not actor.at_least(Role.AGENT):
        raise NotAllowed(actor.role, "merge")
    said, wanted = (note or "").strip() or None, sorted(set(other_ids) - {issue_id})
    content = ("issue.merge", issue_id, wanted, said)
    if not await claim_command(session, city_id, command_id, content, actor=actor, now=now):
        return await read_regrouping(session, city_id, issue_id, command_id)
    return await take_over(
        session, city_id, issue_id, wanted, actor=actor, note=said, confirmed=confirmed, event_id=command_id, now=now
    )


async def take_over(
    session: AsyncSession,
    city_id: int,
    issue_id: UUID,
    other_ids: Sequence[UUID],
    *,
    actor: Actor,
    note: str | None,
    confirmed: bool,
    event_id: UUID | None,
    pair_id: UUID | None = None,
    now: datetime,
) -> Regrouping:
    """Do what `merge_issues` does, for a command that was claimed and whose actor may give it.

    The event gets the id given, or one of ours, and names the pair of the review queue that was confirmed.
    """
    held = await hold_issues(session, city_id, [issue_id, *other_ids])
    check_unmerged(held.values())
    survivor, others = held[issue_id], [held[other_id] for other_id in other_ids]
    if not others:
        return Regrouping(None, survivor)
    await _check_likeness(session, survivor, others, confirmed=confirmed)
    event_id = event_id or new_id()
    await _merge(session, survivor, others, actor=actor, note=note, event_id=event_id, pair_id=pair_id, now=now)
    return await read_regrouping(session, city_id, issue_id, event_id)


async def _check_likeness(
    session: AsyncSession, survivor: IssueView, others: Sequence[IssueView], *, confirmed: bool
) -> None:
    together = [survivor, *others]
    for issue in others:
        if issue.private is not survivor.private:
            raise MixedPrivacy(issue.id)
    reasons = []
    if len({(issue.layer, issue.district_code) for issue in together}) > 1:
        reasons.append(DISTRICTS)
    if len({issue.department_code for issue in together}) > 1:
        reasons.append(DEPARTMENTS)
    if await _are_unlike(session, survivor, others):
        reasons.append(SERVICES)
    if survivor.status in CLOSED and not CLOSED.issuperset(issue.status for issue in others):
        reasons.append(ENDED)
    if survivor.private and await _count_people(session, together) > 1:
        reasons.append(PRIVATE)
    if reasons and not confirmed:
        raise MergeNeedsConfirmation(tuple(reasons))


async def _are_unlike(session: AsyncSession, survivor: IssueView, others: Sequence[IssueView]) -> bool:
    """Whether one is of a service that nobody takes for the survivor's."""
    codes = {issue.service_code for issue in others} - {survivor.service_code}
    if not codes:
        return False
    query = select(Service.code, Service.siblings).where(
        Service.city_id == survivor.city_id, Service.code.in_([survivor.service_code, *codes])
    )
    siblings = {code: set(named) for code, named in await session.execute(query)}
    own = siblings[survivor.service_code]
    return any(code not in own and survivor.service_code not in siblings[code] for code in codes)


async def _count_people(session: AsyncSession, issues: Sequence[IssueView]) -> int:
    """Count who reported them; each report without a name may be another person's."""
    person = func.coalesce(Report.person_id, Report.id)
    query = select(func.count(person.distinct())).where(
        Report.city_id == issues[0].city_id, Report.issue_id.in_([issue.id for issue in issues])
    )
    return (await session.scalars(query)).one()


async def _merge(
    session: AsyncSession,
    survivor: IssueView,
    others: Sequence[IssueView],
    *,
    actor: Actor,
    note: str | None,
    event_id: UUID,
    pair_id: UUID | None,
    now: datetime,
) -> None:
    city_id = survivor.city_id
    heard = await _note_newcomers(session, survivor, others, now=now)
    moves: list[Move] = []
    orders: list[OrderMove] = []
    for other in others:
        moves += await list_moves(session, city_id, other.id, survivor.id)
        orders += await take_orders(session, city_id, other.id, survivor.id, now=now)
    await move_reports(session, city_id, moves, now=now)
    data = {
        "issues": [str(other.id) for other in others],
        "moves": [move.to_json() for move in moves],
        "orders": [order.to_json() for order in orders],
        **({} if pair_id is None else {"match": str(pair_id)}),
    }
    event = NewEvent(survivor.id, EventKind.MERGED, actor.sender, now, public=True, data=data, id=event_id)
    await record(session, city_id, event, note=note)
    told = await _empty(session, survivor, others, actor=actor, cause=event_id, now=now)
    survivor = await recount(session, survivor, now=now)
    before = survivor.status
    survivor = await _follow_orders(session, survivor, orders, actor=actor, cause=event_id, now=now)
    if survivor.status is before:  # else everybody has just been told
        await _tell_newcomers(session, survivor, others, heard, told, now=now)


async def _empty(
    session: AsyncSession, survivor: IssueView, others: Sequence[IssueView], *, actor: Actor, cause: UUID, now: datetime
) -> dict[UUID, UUID]:
    """Settle the issues that were emptied; answers with the event in the history of each."""
    events = {}
    for other in others:
        await set_survivor(session, other, survivor.id, now=now)
        await recount(session, other, now=now)
        data = {"into": str(survivor.id)}
        event = NewEvent(other.id, EventKind.MERGED_INTO, actor.sender, now, public=True, data=data, cause=cause)
        await record(session, survivor.city_id, event)
        events[other.id] = event.id
    return events


async def _follow_orders(
    session: AsyncSession,
    survivor: IssueView,
    orders: Sequence[OrderMove],
    *,
    actor: Actor,
    cause: UUID,
    now: datetime,
) -> IssueView:
    """Bring an issue where the active work orders that came to it lead."""
    query = (
        select(WorkOrder.status)
        .join(
            WorkOrderIssue,
            and_(WorkOrderIssue.city_id == WorkOrder.city_id, WorkOrderIssue.work_order_id == WorkOrder.id),
        )
        .where(WorkOrder.city_id == survivor.city_id, WorkOrderIssue.issue_id == survivor.id)
        .where(WorkOrder.id.in_([order.order_id for order in orders]), WorkOrder.status.in_(ACTIVE_ORDERS))
    )
    # In the order of their names, work that has begun comes before work that is planned, which then changes nothing.
    for status in sorted(map(OrderStatus, await session.scalars(query))):
        wanted = issue_status_after(status, survivor.status)
        if wanted is not None:
            moved = await move_issue(session, survivor, wanted, actor=actor, cause=cause, now=now)
            survivor = moved.issue
    return survivor


async def _note_newcomers(
    session: AsyncSession, survivor: IssueView, others: Sequence[IssueView], *, now: datetime
) -> dict[UUID, Newcomers]:
    """Note of each issue that will be taken over who hears of it, and not of the survivor, as long as that shows.

    Followers may be a million, so only the issues are noted that they follow.
    """
    city_id = survivor.city_id
    known_issues = await find_family(session, city_id, survivor.id)
    known_authors = [one.person_id for one in await find_authors(session, city_id, survivor.id, as_of=now)]
    return {
        other.id: Newcomers(
            await find_family(session, city_id, other.id),
            await find_authors(session, city_id, other.id, as_of=now),
            known_issues,
            known_authors,
            (),
        )
        for other in others
    }


async def _tell_newcomers(
    session: AsyncSession,
    survivor: IssueView,
    others: Sequence[IssueView],
    heard: Mapping[UUID, Newcomers],
    events: Mapping[UUID, UUID],
    *,
    now: datetime,
) -> None:
    """Have the people of the issues that were taken over told where theirs stands now, where that is news; each once.

    They are told by jobs, part by part, as everybody is of a status.
    """
    params = await notice_params(session, survivor)
    told_by: list[UUID] = []
    for other in others:
        kind = notice_of(other.status, survivor.status, public_note=False)
        if kind is not None:
            newcomers = replace(heard[other.id], told_by=tuple(told_by))
            event_id = events[other.id]
            await give_notice(
                session,
                survivor.city_id,
                event_id,
                survivor.id,
                kind=kind,
                params=params,
                newcomers=newcomers,
                at=now,
            )
            told_by.append(event_id)
