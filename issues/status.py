"""Changing the status of an issue, and saying something about it."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from geo.cities import City
from issues.actors import Actor, Role
from issues.catalogue import Service
from issues.commands import CommandIdUsed, claim_command
from issues.event_kinds import EventKind
from issues.events import NewEvent, append_event, append_note, find_event
from issues.issue import Issue, IssueMerged, IssueNotFound, IssueView, lock_issues, read_issue
from issues.lifecycle import NotAllowed, NoticeKind, Status, check_transition, notice_of
from issues.telling import give_notice
from issues.work_orders import crew_has_issue


@dataclass(frozen=True, slots=True)
class StatusChange:
    """What became of a command.

    Attributes:
        issue: As it stands now.
        event_id: Of what was written; None where the issue stood so already and nothing was said.
        status: What the command brought about. On a repeat, the issue may have moved on since.
        repeated: Whether this command had been carried out before.
    """

    issue: IssueView
    event_id: UUID | None
    status: Status
    repeated: bool


async def change_status(
    session: AsyncSession,
    city_id: int,
    issue_id: UUID,
    status: Status,
    *,
    actor: Actor,
    note: str | None = None,
    public: bool = False,
    command_id: UUID | None = None,
    cause: UUID | None = None,
    now: datetime,
) -> StatusChange:
    """Bring an issue to a status, with a note or without; with a note alone where it stands so already.

    The issue is locked, and what is written joins the caller's transaction: the event, the notice to residents, and
    the job that tells them.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        issue_id: The issue.
        status: Where it shall stand.
        actor: Who asks: an agent or above, or the crew of one of its work orders.
        note: What there is to say; None or blank for nothing.
        public: Whether the note is for everybody. The status always is; a note that is not is for staff only.
        command_id: The client's id, which makes the command safe to repeat; its event has it too.
        cause: The event or work order that brings it about.
        now: Time of the change.

    Raises:
        IssueNotFound: the city has no such issue.
        IssueMerged: its reports are in another issue, whose status is the one to change.
        NotAllowed: the actor may not do this, or not to this issue.
        TransitionNotAllowed: the issue's status does not lead there.
        CommandIdUsed: another command had this id.
    """
    said = (note or "").strip() or None
    content = ("issue.status", issue_id, status, said, public)
    if not await claim_command(session, city_id, command_id, content, actor=actor, now=now):
        return await _first_result(session, city_id, issue_id, status, command_id)
    issue = await _lock_for(session, city_id, issue_id, actor)
    if issue.status is not status:
        check_transition(issue.status, status, actor)
    return await move_issue(
        session, issue, status, actor=actor, note=said, public=public, event_id=command_id, cause=cause, now=now
    )


async def move_issue(
    session: AsyncSession,
    issue: IssueView,
    status: Status,
    *,
    actor: Actor,
    note: str | None = None,
    public: bool = False,
    event_id: UUID | None = None,
    cause: UUID | None = None,
    now: datetime,
) -> StatusChange:
    """Write a change of status, or a note alone, for an issue that the caller has locked and may change so.

    Arguments as for `change_status`, which is the way in for people. The event has the id given, else one of ours.

    Raises:
        CommandIdUsed: an event has that id.
    """
    before = issue.status
    changed = before is not status
    if not changed and note is None:
        return StatusChange(issue, None, status, repeated=False)
    public_note = public and note is not None
    event = NewEvent(
        issue_id=issue.id,
        kind=EventKind.STATUS if changed else EventKind.NOTE,
        actor=actor.sender,
        at=now,
        public=changed or public_note,
        data={"from": before, "to": status},
        id=event_id or new_id(),
        cause=cause,
    )
    if not await append_event(session, issue.city_id, event):
        raise CommandIdUsed(event.id)
    if note is not None:
        await append_note(session, issue.city_id, event.id, note, public=public)
    if event.public:
        issue = await _update(session, issue, status, now=now)
    kind = notice_of(before, status, public_note=public_note)
    if kind is not None:
        await _give_notice(session, issue, event.id, kind, public_note=public_note, now=now)
    return StatusChange(issue, event.id, status, repeated=False)


async def _first_result(
    session: AsyncSession, city_id: int, issue_id: UUID, status: Status, command_id: UUID | None
) -> StatusChange:
    """Say what came of a command that was carried out before."""
    assert command_id is not None  # noqa: S101 - what has no id is never a repeat
    issue = await read_issue(session, city_id, issue_id)
    assert issue is not None  # noqa: S101 - it was there when the command was carried out
    event = await find_event(session, city_id, command_id)
    return StatusChange(issue, None if event is None else event.id, status, repeated=True)


async def _lock_for(session: AsyncSession, city_id: int, issue_id: UUID, actor: Actor) -> IssueView:
    """Lock an issue whose status the actor may change: an agent or above, or a crew with a work order for it."""
    issue = (await lock_issues(session, city_id, [issue_id])).get(issue_id)
    if issue is None:
        raise IssueNotFound(issue_id)
    if not await _may_change(session, issue, actor):
        raise NotAllowed(actor.role, "status")
    if issue.merged_into is not None:
        raise IssueMerged(issue_id, issue.merged_into)
    return issue


async def _may_change(session: AsyncSession, issue: IssueView, actor: Actor) -> bool:
    if actor.at_least(Role.AGENT):
        return True
    return actor.crew_code is not None and await crew_has_issue(session, issue.city_id, actor.crew_code, issue.id)


async def _update(session: AsyncSession, issue: IssueView, status: Status, *, now: datetime) -> IssueView:
    # Clocks of several machines differ a little; who asks what changed since a time must not miss this.
    updated_at = max(issue.updated_at, now)
    key = (Issue.city_id == issue.city_id, Issue.id == issue.id)
    await session.execute(update(Issue).where(*key).values(status=status, updated_at=updated_at))
    return replace(issue, status=status, updated_at=updated_at)


async def notice_params(session: AsyncSession, issue: IssueView) -> dict[str, str]:
    """Put together what residents can be told of an issue: its ids, its status, the names of its service."""
    of_service = (Service.city_id == issue.city_id, Service.code == issue.service_code)
    query = select(City.jurisdiction_id, City.locale, Service.names, Service.safety).join(
        City, City.id == Service.city_id
    )
    city = (await session.execute(query.where(*of_service))).one()
    # A lock screen is read by others too: what kind of private problem somebody reported stays off it.
    names = {} if issue.private else {f"service_{language}": name for language, name in city.names.items()}
    return {
        "issue_id": str(issue.id),
        "number": issue.number,
        "jurisdiction_id": city.jurisdiction_id,
        "locale": city.locale,
        "status": issue.status,
        **({"safety": "true"} if city.safety else {}),
        **names,
    }


async def _give_notice(
    session: AsyncSession, issue: IssueView, event_id: UUID, kind: NoticeKind, *, public_note: bool, now: datetime
) -> None:
    """Write down what residents are to be told, and enqueue the telling."""
    params = await notice_params(session, issue)
    if public_note:
        params["note"] = "public"  # that there is one; what it says is to be read where the issue is
    await give_notice(session, issue.city_id, event_id, issue.id, kind=kind, params=params, at=now)
