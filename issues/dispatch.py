"""Planning work orders for crews, and changing them as the work goes on."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from issues.actors import Actor, Role
from issues.assignments import tell_crew
from issues.commands import CommandIdUsed, claim_command
from issues.event_kinds import EventKind
from issues.events import NewEvent, append_event
from issues.issue import IssueMerged, IssueNotFound, IssueView, lock_issues
from issues.lifecycle import (
    ACTIVE_ORDERS,
    OPEN,
    NotAllowed,
    OrderStatus,
    Status,
    check_order_transition,
    issue_status_after,
)
from issues.order_photos import add_photos
from issues.staff import require_crew
from issues.status import move_issue
from issues.work_orders import (
    WorkOrder,
    WorkOrderIssue,
    WorkOrderView,
    find_work_order,
    read_work_order,
)


@dataclass(frozen=True, slots=True)
class WorkOrderDraft:
    """A work order about to be planned.

    Attributes:
        issue_ids: At least one; place, address and district of the order are those of the first.
        id: Made by the client, so that planning may be repeated; None for one of ours.
        tour_position: Its place in the crew's day; None for the last.
    """

    issue_ids: tuple[UUID, ...]
    crew_code: str
    planned_on: date
    id: UUID | None = None
    tour_position: int | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        if not self.issue_ids:
            raise ValueError("a work order is for at least one issue")


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """A work order, and whether it is new or had been planned before with the same id."""

    order: WorkOrderView
    created: bool


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What shall become of a work order; None leaves a thing as it is.

    Attributes:
        note: Blank takes the note away.
        photo_ids: Photos to add; those there stay. They may arrive later.
    """

    status: OrderStatus | None = None
    crew_code: str | None = None
    planned_on: date | None = None
    tour_position: int | None = None
    note: str | None = None
    photo_ids: tuple[UUID, ...] = ()

    @property
    def concerns_issues(self) -> bool:
        """Whether it is written into the history of the order's issues."""
        return not (self.status is None and self.crew_code is None and self.planned_on is None)


# Who does the work and when: for those who plan.
_PLAN = frozenset({"crew_code", "planned_on"})


@dataclass(eq=False)
class IssueNotOpen(Exception):
    """No work is planned for an issue that is closed."""

    issue_id: UUID
    status: Status


@dataclass(eq=False)
class DayPassed(Exception):
    """No work is planned for a day before today; an order whose day has passed keeps it until somebody changes it."""

    planned_on: date


@dataclass(eq=False)
class StaleWorkOrder(Exception):
    """The order was changed since the version that the caller saw."""

    current: WorkOrderView


async def create_work_order(
    session: AsyncSession, city_id: int, draft: WorkOrderDraft, *, actor: Actor, today: date, now: datetime
) -> PlannedOrder:
    """Plan a job for a crew on a day; its issues become scheduled, and residents and the crew are told.

    Issues on which work goes on already stay in progress.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        draft: What to plan.
        actor: Who plans: an agent or above.
        today: The day that it is in the city.
        now: Time of planning.

    Raises:
        NotAllowed: the actor plans no work.
        DayPassed: the day is before today.
        IssueNotFound: the city lacks one of the issues.
        IssueMerged: the reports of one are in another issue.
        IssueNotOpen: one is closed.
        CrewNotFound: the city lacks the crew.
        CommandIdUsed: another order or command has this id.
    """
    if not actor.at_least(Role.AGENT):
        raise NotAllowed(actor.role, "plan")
    content = ("order.plan", *astuple(draft))
    if not await claim_command(session, city_id, draft.id, content, actor=actor, now=now):
        assert draft.id is not None  # noqa: S101 - what has no id is never a repeat
        return PlannedOrder(await read_work_order(session, city_id, draft.id), created=False)
    _check_day(draft.planned_on, today)
    issues = await lock_issues(session, city_id, draft.issue_ids)
    for issue_id in draft.issue_ids:
        _check_issue(issue_id, issues.get(issue_id))
    await require_crew(session, city_id, draft.crew_code)
    order_id = await _insert(session, city_id, draft, actor=actor, now=now)
    order = await read_work_order(session, city_id, order_id)
    await _record(session, issues.values(), EventKind.ORDER_PLANNED, order, actor=actor, now=now)
    await _move_issues(session, issues.values(), order_id, OrderStatus.PLANNED, actor=actor, now=now)
    await tell_crew(session, order, issues[draft.issue_ids[0]], now=now)
    return PlannedOrder(await read_work_order(session, city_id, order_id), created=True)


async def change_work_order(
    session: AsyncSession,
    city_id: int,
    order_id: UUID,
    change: OrderChange,
    *,
    version: int,
    actor: Actor,
    today: date,
    command_id: UUID | None = None,
    now: datetime,
) -> WorkOrderView:
    """Change a work order, and the status of its issues with it: in progress, resolved, or acknowledged again.

    An issue that is in another active order too stays as it is when this one is done or called off. Where
    everything is as wished already, the order is answered as it stands, whatever the version: so a change whose
    answer was lost may be sent again.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        order_id: The order.
        change: What shall be different.
        version: Of the order that the caller saw.
        actor: Who asks: an agent or above, or its crew, which may not call it off nor move it to another crew or day.
        today: The day that it is in the city.
        command_id: The client's id, which makes the change safe to repeat also after others have changed the order; a
            repeat gets the order as it stands.
        now: Time of the change.

    Raises:
        CommandIdUsed: another command has the id.
        WorkOrderNotFound: there is none for this actor.
        StaleWorkOrder: it was changed since that version.
        NotAllowed: the actor may not change this.
        DayPassed: the day that is wanted is before today.
        TransitionNotAllowed: its status does not lead there.
        CrewNotFound: the city lacks the crew.
        PhotoTaken: a photo is part of another report or order.
    """
    content = ("order.change", order_id, version, *astuple(change))
    if not await claim_command(session, city_id, command_id, content, actor=actor, now=now):
        return await read_work_order(session, city_id, order_id)
    order, issues = await _lock(session, city_id, order_id, actor, with_issues=change.concerns_issues)
    values = _new_values(order, change)
    photo_ids = [photo_id for photo_id in dict.fromkeys(change.photo_ids) if photo_id not in order.photo_ids]
    if not values and not photo_ids:
        return order
    if version != order.version:
        raise StaleWorkOrder(order)
    await _check_change(session, order, values, actor, today=today)
    await add_photos(session, order, photo_ids, actor)
    await _update(session, order, values, now=now)
    await _take_issues_along(session, order, values, issues, actor=actor, now=now)
    changed = await read_work_order(session, city_id, order_id)
    if values.keys() & _PLAN and changed.status in ACTIVE_ORDERS:
        await tell_crew(session, changed, next(iter(issues)), now=now)
    return changed


async def _lock(
    session: AsyncSession, city_id: int, order_id: UUID, actor: Actor, *, with_issues: bool
) -> tuple[WorkOrderView, Collection[IssueView]]:
    """Lock an order that the actor may see, and its issues where they are wanted."""
    key = (WorkOrder.city_id == city_id, WorkOrder.id == order_id)
    while True:
        seen = await find_work_order(session, city_id, order_id, actor=actor)
        async with session.begin_nested() as attempt:
            # Issues are locked before orders, here as everywhere.
            issues = await lock_issues(session, city_id, seen.issue_ids) if with_issues else {}
            await session.execute(select(WorkOrder.id).where(*key).with_for_update())
            order = await find_work_order(session, city_id, order_id, actor=actor)
            if not with_issues or order.issue_ids == seen.issue_ids:
                return order, issues.values()
            # A merge has made it one for another issue since it was read, which is the one to lock.
            await attempt.rollback()


async def _take_issues_along(
    session: AsyncSession,
    order: WorkOrderView,
    values: Mapping[str, Any],
    issues: Collection[IssueView],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Write into the history of an order's issues what changed in it, and bring them where its new status leads."""
    changed = replace(order, **values)
    if values.keys() & _PLAN:
        await _record(session, issues, EventKind.ORDER_RESCHEDULED, changed, actor=actor, now=now)
    if "status" in values:
        free = await _without_those_in_other_orders(session, order, issues, changed.status)
        await _move_issues(session, free, order.id, changed.status, actor=actor, now=now)


def _check_issue(issue_id: UUID, issue: IssueView | None) -> None:
    if issue is None:
        raise IssueNotFound(issue_id)
    if issue.merged_into is not None:
        raise IssueMerged(issue_id, issue.merged_into)
    if issue.status not in OPEN:
        raise IssueNotOpen(issue_id, issue.status)


async def _insert(session: AsyncSession, city_id: int, draft: WorkOrderDraft, *, actor: Actor, now: datetime) -> UUID:
    order_id = draft.id or new_id()
    inserted = await session.execute(
        text(
            """
            INSERT INTO work_order (city_id, id, crew_code, planned_on, tour_position, status, version, place, address,
                                    layer, district_code, note, created_by, created_at, updated_at)
            SELECT city_id, :id, :crew, :day,
                   coalesce(:position, (SELECT coalesce(max(tour_position), 0) + 1 FROM work_order
                                        WHERE city_id = :city AND crew_code = :crew AND planned_on = :day)),
                   'planned', 1, place, address, layer, district_code, :note, :actor, :now, :now
            FROM issue WHERE city_id = :city AND id = :first
            ON CONFLICT (city_id, id) DO NOTHING RETURNING id
            """
        ),
        {
            "city": city_id,
            "id": order_id,
            "crew": draft.crew_code,
            "day": draft.planned_on,
            "position": draft.tour_position,
            "note": (draft.note or "").strip() or None,
            "actor": actor.sender,
            "now": now,
            "first": draft.issue_ids[0],
        },
    )
    if inserted.one_or_none() is None:
        raise CommandIdUsed(order_id)
    links = [
        {"city_id": city_id, "work_order_id": order_id, "issue_id": issue_id}
        for issue_id in dict.fromkeys(draft.issue_ids)
    ]
    await session.execute(insert(WorkOrderIssue), links)
    return order_id


def _new_values(order: WorkOrderView, change: OrderChange) -> dict[str, Any]:
    """Find what a change would make different, by column."""
    wanted = {
        "status": change.status,
        "crew_code": change.crew_code,
        "planned_on": change.planned_on,
        "tour_position": change.tour_position,
    }
    values: dict[str, Any] = {
        name: value for name, value in wanted.items() if value is not None and value != getattr(order, name)
    }
    if change.note is not None and (note := change.note.strip() or None) != order.note:
        values["note"] = note
    return values


def _check_day(planned_on: date, today: date) -> None:
    if planned_on < today:
        raise DayPassed(planned_on)


async def _check_change(
    session: AsyncSession, order: WorkOrderView, values: Mapping[str, Any], actor: Actor, *, today: date
) -> None:
    if values.keys() & _PLAN and not actor.at_least(Role.AGENT):
        raise NotAllowed(actor.role, "plan")
    if "planned_on" in values:
        _check_day(values["planned_on"], today)
    if "status" in values:
        check_order_transition(order.status, values["status"], actor)
    if "crew_code" in values:
        await require_crew(session, order.city_id, values["crew_code"])


async def _update(session: AsyncSession, order: WorkOrderView, values: Mapping[str, Any], *, now: datetime) -> None:
    key = (WorkOrder.city_id == order.city_id, WorkOrder.id == order.id)
    changed = {**values, "version": order.version + 1, "updated_at": max(order.updated_at, now)}
    await session.execute(update(WorkOrder).where(*key).values(changed))


async def _without_those_in_other_orders(
    session: AsyncSession, order: WorkOrderView, issues: Iterable[IssueView], status: OrderStatus
) -> list[IssueView]:
    """Leave out, where an order ends, the issues on which others still work or will."""
    if status in ACTIVE_ORDERS:
        return list(issues)
    others = (
        select(WorkOrderIssue.issue_id)
        .join(
            WorkOrder,
            and_(WorkOrder.city_id == WorkOrderIssue.city_id, WorkOrder.id == WorkOrderIssue.work_order_id),
        )
        .where(WorkOrderIssue.city_id == order.city_id, WorkOrderIssue.issue_id.in_(order.issue_ids))
        .where(WorkOrder.id != order.id, WorkOrder.status.in_(ACTIVE_ORDERS))
    )
    kept = set(await session.scalars(others))
    return [issue for issue in issues if issue.id not in kept]


async def _move_issues(
    session: AsyncSession,
    issues: Iterable[IssueView],
    order_id: UUID,
    status: OrderStatus,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    for issue in issues:
        wanted = issue_status_after(status, issue.status)
        if wanted is not None and issue.merged_into is None:
            await move_issue(session, issue, wanted, actor=actor, cause=order_id, now=now)


async def _record(
    session: AsyncSession,
    issues: Iterable[IssueView],
    kind: EventKind,
    order: WorkOrderView,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Write into the history of each issue, for staff, which crew does the work and when."""
    data = {"crew": order.crew_code, "planned_on": order.planned_on.isoformat()}
    for issue in issues:
        event = NewEvent(issue.id, kind, actor.sender, now, public=False, data=data, cause=order.id)
        await append_event(session, order.city_id, event)
