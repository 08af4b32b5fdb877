"""Undoing a merge, a split or a leave: what still stands of its moves is reversed. Re-routing is undone as well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from db.connections import driver_connection
from issues.actors import Actor, Role
from issues.commands import claim_command
from issues.event_kinds import EventKind
from issues.events import Event, EventNotFound, EventView, NewEvent, find_event
from issues.issue import IssueView
from issues.lifecycle import NotAllowed
from issues.moving import let_go, recount
from issues.pairs import forget_cause
from issues.regrouping import (
    Move,
    OrderMove,
    Regrouping,
    Stayed,
    check_unmerged,
    hold_issues,
    move_back,
    read_regrouping,
    record,
    return_orders,
    set_survivor,
    take_orders,
)
from issues.reports import Report
from issues.rerouting import route_back

UNDOABLE: Final = frozenset({EventKind.MERGED, EventKind.SPLIT, EventKind.LEFT, EventKind.REROUTED})
"""Kinds of event that can be undone; a status is changed back by a transition, a place by another correction."""


@dataclass(eq=False)
class NotUndoable(Exception):
    """An event of this kind cannot be undone."""

    event_id: UUID
    kind: str


@dataclass(eq=False)
class AlreadyUndone(Exception):
    """The event was undone before.

    Attributes:
        undone_by: The event that undid it.
    """

    event_id: UUID
    undone_by: UUID


@dataclass(eq=False)
class UndoBlocked(Exception):
    """Some reports, or a re-routed issue, have gone on since, so not all of the event can be undone.

    Attributes:
        stayed: These reports, and the issues that they are in. Where `possible`, the rest can be undone by force.
    """

    event_id: UUID
    stayed: tuple[Stayed, ...]
    possible: bool


async def undo_event(
    session: AsyncSession,
    city_id: int,
    issue_id: UUID,
    event_id: UUID,
    *,
    actor: Actor,
    force: bool = False,
    command_id: UUID | None = None,
    now: datetime,
) -> Regrouping:
    """Put back the reports and work orders that a merge, a split or a leave moved; a re-routed issue goes back.

    After a merge the issues that were taken over are there again, with the status that they had. After a split or a
    leave the new issue, where it is left without reports, is merged into the old one, so that its id still answers.
    Statuses are not undone: they are changed back by transitions.

    Args:
        session: Open transaction of the city that holds no locks; committed by the caller.
        city_id: The city.
        issue_id: The issue in whose history the event is.
        event_id: The event.
        actor: An agent or above.
        force: Whether to put back what can be where reports have gone on since.
        command_id: The client's id, which makes the command safe to repeat; its event has it too.
        now: Time of the undoing.

    Raises:
        NotAllowed: the actor undoes nothing.
        EventNotFound: the issue has no such event.
        NotUndoable: the event is of another kind.
        AlreadyUndone: somebody undid it.
        IssueMerged: the issue itself was merged since; that is to be undone first.
        UndoBlocked: reports have gone on since, and it was not forced or nothing would be put back.
        CommandIdUsed: another command has the id.
    """
    if not actor.at_least(Role.AGENT):
        raise NotAllowed(actor.role, "undo")
    content = ("issue.undo", issue_id, event_id)
    if not await claim_command(session, city_id, command_id, content, actor=actor, now=now):
        return await read_regrouping(session, city_id, issue_id, command_id)
    event = await find_event(session, city_id, event_id)
    if event is None or event.issue_id != issue_id:
        raise EventNotFound(event_id)
    if event.kind not in UNDOABLE:
        raise NotUndoable(event_id, event.kind)
    held = await hold_issues(session, city_id, {issue_id, *(UUID(other) for other in event.data.get("issues", ()))})
    await _check_undone(session, city_id, event)
    check_unmerged([held[issue_id]])
    own_id = command_id or new_id()
    if event.kind == EventKind.REROUTED:
        if not await route_back(session, held[issue_id], event, now=now):
            raise UndoBlocked(event_id, (), possible=False)
        await _record(session, city_id, event, actor=actor, event_id=own_id, now=now)
        return await read_regrouping(session, city_id, issue_id, own_id)
    standing, stayed = await _weigh(session, city_id, event, held)
    if stayed and not (force and standing):
        raise UndoBlocked(event_id, stayed, possible=bool(standing))
    undo = _undo_merge if event.kind == EventKind.MERGED else _undo_parting
    orders = await undo(session, event, standing, held, own_id, now=now)
    await _record(
        session,
        city_id,
        event,
        moves=standing,
        stayed=stayed,
        orders=orders,
        actor=actor,
        event_id=own_id,
        now=now,
    )
    return await read_regrouping(session, city_id, issue_id, own_id)


async def _check_undone(session: AsyncSession, city_id: int, event: EventView) -> None:
    # The event that undid it is in the same history, whose lock is held.
    query = select(Event.id).where(Event.city_id == city_id, Event.issue_id == event.issue_id, Event.undoes == event.id)
    if (undone_by := await session.scalar(query)) is not None:
        raise AlreadyUndone(event.id, undone_by)


async def _weigh(
    session: AsyncSession, city_id: int, event: EventView, held: Mapping[UUID, IssueView]
) -> tuple[list[Move], tuple[Stayed, ...]]:
    """Tell the moves that still stand from those whose report, or the issue that it came from, has gone on."""
    moves = [Move.read(stored) for stored in event.data["moves"]]
    query = select(Report.id, Report.issue_id).where(
        Report.city_id == city_id, Report.id.in_([move.report_id for move in moves])
    )
    now_in: dict[UUID, UUID] = {row.id: row.issue_id for row in await session.execute(query)}
    standing, stayed = [], []
    for move in moves:
        home = held[move.from_id].merged_into
        has_home = home == (move.to_id if event.kind == EventKind.MERGED else None)
        if now_in[move.report_id] == move.to_id and has_home:
            standing.append(move)
        else:
            stayed.append(Stayed(move.report_id, now_in[move.report_id]))
    return standing, tuple(stayed)


async def _undo_merge(
    session: AsyncSession,
    event: EventView,
    moves: Sequence[Move],
    held: Mapping[UUID, IssueView],
    cause: UUID,
    *,
    now: datetime,
) -> list[OrderMove]:
    """Give the issues that were taken over their reports and orders back."""
    survivor = held[event.issue_id]
    moved = {stored["from"] for stored in event.data["moves"]}
    # One that had no report to give is back as well; one whose reports have all gone on stays merged.
    back = {move.from_id for move in moves} | {UUID(other) for other in event.data["issues"] if other not in moved}
    await move_back(session, survivor.city_id, moves, now=now)
    orders = [OrderMove.read(stored) for stored in event.data["orders"]]
    returning = [order for order in orders if order.from_id in back]
    await return_orders(session, survivor.city_id, returning)
    for issue_id in sorted(back):
        await set_survivor(session, held[issue_id], None, now=now)
        await recount(session, held[issue_id], now=now)
    await let_go(session, survivor, cause=cause, now=now)
    return returning


async def _undo_parting(
    session: AsyncSession,
    event: EventView,
    moves: Sequence[Move],
    held: Mapping[UUID, IssueView],
    cause: UUID,
    *,
    now: datetime,
) -> list[OrderMove]:
    """Bring reports back to the issue that they were taken out of; the one opened for them goes with the last."""
    old = held[event.issue_id]
    opened = next(issue for issue in held.values() if issue.id != old.id)
    await forget_cause(await driver_connection(session), old.city_id, event.id)
    await move_back(session, old.city_id, moves, now=now)
    await recount(session, old, now=now)
    has_reports = exists().where(Report.city_id == old.city_id, Report.issue_id == opened.id)
    if await session.scalar(select(has_reports)):
        await let_go(session, opened, cause=cause, now=now)
        return []
    await set_survivor(session, opened, old.id, now=now)
    await recount(session, opened, now=now)
    return await take_orders(session, old.city_id, opened.id, old.id, now=now)


async def _record(
    session: AsyncSession,
    city_id: int,
    event: EventView,
    *,
    moves: Sequence[Move] = (),
    stayed: Sequence[Stayed] = (),
    orders: Sequence[OrderMove] = (),
    actor: Actor,
    event_id: UUID,
    now: datetime,
) -> None:
    """Write into the history of each issue that took part that the event was undone, and by whom."""
    data: dict[str, Any] = {
        "kind": event.kind,
        "issues": event.data.get("issues", []),
        "moves": [Move(move.report_id, move.to_id, move.from_id, None).to_json() for move in moves],
        "orders": [order.to_json() for order in orders],
        "stayed": [{"report": str(each.report_id), "issue": str(each.issue_id)} for each in stayed],
    }
    undone = NewEvent(
        event.issue_id,
        EventKind.UNDONE,
        actor.sender,
        now,
        public=event.public,
        data=data,
        id=event_id,
        undoes=event.id,
    )
    await record(session, city_id, undone)
    for other in data["issues"]:
        told = {"kind": event.kind}
        there = NewEvent(UUID(other), EventKind.UNDONE, actor.sender, now, public=True, data=told, cause=event_id)
        await record(session, city_id, there)
