"""Corrections of a report: words added, its place put right, all of it taken back. What was sent first stays."""

from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from db.connections import driver_connection
from geo.points import distance_m
from issues.actors import Actor, Role
from issues.city import CityBook
from issues.commands import CommandIdUsed, claim_command
from issues.event_kinds import EventKind
from issues.events import NewEvent, append_event
from issues.issue import IssueView
from issues.lifecycle import NotAllowed
from issues.moving import (
    Held,
    NewPlace,
    Relocation,
    hold_report,
    let_go,
    move_to_another,
    place_of,
    point,
    put_place_right,
    recount,
    relocation_of,
    take_issue_along,
)
from issues.pairing import pair_issue
from issues.pairs import forget_pairs
from issues.reports import Receipt, Report, ReportCorrection, ReportView, read_receipt

PLACE_WINDOW: Final = timedelta(minutes=15)
"""How long after receipt senders may put the place of their report right; staff may at any time."""


@dataclass(eq=False)
class ReportWithdrawn(Exception):
    """The report was taken back, so there is nothing to correct in it."""

    report_id: UUID


@dataclass(eq=False)
class PlaceSettled(Exception):
    """The time in which its sender could put a report's place right is over.

    Attributes:
        until: When it ended.
    """

    report_id: UUID
    until: datetime


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to change in a report.

    Attributes:
        words: Added to those that are there; None or blank for none.
        place: Where it is after all; None leaves it where it is.
    """

    words: str | None = None
    place: NewPlace | None = None


async def correct_report(
    session: AsyncSession,
    report_id: UUID,
    correction: Correction,
    *,
    city: CityBook,
    actor: Actor,
    by_author: bool,
    command_id: UUID | None = None,
    now: datetime,
) -> Receipt:
    """Add words to a report, or put its place right, or both; what stood there is kept for its sender and for staff.

    A place farther from the issue than its service's reports join takes the report out of it: it joins another issue
    or opens one, as if it had been filed there when it was received. Nearer, the report stays; an issue that has no
    other report moves along, to whoever is responsible at the new place. Words that the report has already, or the
    place it has, change nothing.

    Args:
        session: Open transaction of the city; committed by the caller.
        report_id: The report.
        correction: What is to change; its place lies in the city.
        city: The report's city.
        actor: Who asks.
        by_author: Whether that is the report's sender, who may at any time add words.
        command_id: The client's id, which makes the command safe to repeat; its event has it too.
        now: Time of receipt of the correction.

    Returns:
        The report and its issue as they are now.

    Raises:
        ReportNotFound: the city has no such report.
        NotAllowed: the actor is neither the sender nor an agent or above.
        ReportWithdrawn: it was taken back.
        PlaceSettled: the sender's time to put the place right is over.
        ServiceNotOffered: the city does not offer the report's service at the new place.
        CommandIdUsed: another command had this id.
    """
    _check_actor(actor, by_author=by_author)
    words = (correction.words or "").strip() or None
    content = ("report.correct", report_id, words, None if correction.place is None else astuple(correction.place))
    if not await claim_command(session, city.id, command_id, content, actor=actor, now=now):
        return await read_receipt(session, city.id, report_id)
    relocation = None
    if correction.place is not None:
        report = (await read_receipt(session, city.id, report_id)).report
        if correction.place != place_of(report):
            _check_time(report, actor, now=now)
            relocation = relocation_of(report, correction.place, city)
    held = await hold_report(session, city, report_id, relocation)
    if held.report.withdrawn_at is not None:
        raise ReportWithdrawn(report_id)
    if relocation is not None and relocation.place == place_of(held.report):
        relocation = None
    if words in {held.report.description, *(each.words for each in held.report.corrections)}:
        words = None
    if words is not None or relocation is not None:
        event_id = command_id or new_id()
        await _correct(session, held, words, relocation, city=city, actor=actor, event_id=event_id, now=now)
    return await read_receipt(session, city.id, report_id)


async def withdraw_report(
    session: AsyncSession,
    report_id: UUID,
    *,
    city: CityBook,
    actor: Actor,
    by_author: bool,
    command_id: UUID | None = None,
    now: datetime,
) -> Receipt:
    """Take a report back: its issue counts it no more, and its sender hears nothing more of it.

    It stays readable for its sender and for staff, with its number. An issue without reports is closed where nothing
    was done about it yet. Arguments as for `correct_report`; a report taken back before is answered as it is.

    Raises:
        ReportNotFound, NotAllowed, CommandIdUsed: as for `correct_report`.
    """
    _check_actor(actor, by_author=by_author)
    if await claim_command(session, city.id, command_id, ("report.withdraw", report_id), actor=actor, now=now):
        held = await hold_report(session, city, report_id)
        if held.report.withdrawn_at is None:
            key = (Report.city_id == city.id, Report.id == report_id)
            await session.execute(update(Report).where(*key).values(withdrawn_at=now))
            event_id = command_id or new_id()
            await _record(session, held, EventKind.WITHDRAWN, {}, public=True, actor=actor, event_id=event_id, now=now)
            await let_go(session, held.issue, cause=event_id, now=now)
    return await read_receipt(session, city.id, report_id)


def _check_actor(actor: Actor, *, by_author: bool) -> None:
    if not by_author and not actor.at_least(Role.AGENT):
        raise NotAllowed(actor.role, "correct")


def _check_time(report: ReportView, actor: Actor, *, now: datetime) -> None:
    """Let senders put a place right soon after receipt; staff whenever somebody tells them."""
    until = report.received_at + PLACE_WINDOW
    if now > until and not actor.at_least(Role.AGENT):
        raise PlaceSettled(report.id, until)


async def _correct(
    session: AsyncSession,
    held: Held,
    words: str | None,
    relocation: Relocation | None,
    *,
    city: CityBook,
    actor: Actor,
    event_id: UUID,
    now: datetime,
) -> None:
    """Write a correction that changes something: the rows, then the event, then what it leaves behind."""
    fields = [name for name, value in (("words", words), ("place", relocation)) if value is not None]
    data: dict[str, Any] = {"fields": fields}
    issue = held.issue
    if relocation is not None:
        await put_place_right(session, held.report, relocation)
        issue = await _follow_place(session, held, relocation, city=city, actor=actor, event_id=event_id, now=now)
        data |= _what_became(held.issue, issue)
    public = relocation is not None
    await _record(session, held, EventKind.CORRECTED, data, public=public, actor=actor, event_id=event_id, now=now)
    await session.execute(insert(ReportCorrection).values(**_kept(held.report, words, relocation), event_id=event_id))
    if issue.id != held.issue.id:
        await let_go(session, held.issue, cause=event_id, now=now)
    else:
        await recount(session, issue, now=now)
    if relocation is not None:
        await _pair_anew(session, held.report.id, {held.issue.id, issue.id}, city=city, now=now)


async def _pair_anew(
    session: AsyncSession, report_id: UUID, issue_ids: Collection[UUID], *, city: CityBook, now: datetime
) -> None:
    """Replace what the review queue says of a report's former place by what there is to say of where it is now."""
    await forget_pairs(await driver_connection(session), city.id, report_id)
    for issue_id in sorted(issue_ids):
        await pair_issue(session, city.id, city.catalogue, issue_id, now=now)


async def _follow_place(
    session: AsyncSession,
    held: Held,
    relocation: Relocation,
    *,
    city: CityBook,
    actor: Actor,
    event_id: UUID,
    now: datetime,
) -> IssueView:
    """Find out in which issue a report is after its place was put right."""
    if distance_m(relocation.place.at, held.issue.at) > relocation.placed.service.policy.radius_m:
        return await move_to_another(session, held, relocation, city=city, actor=actor, cause=event_id, now=now)
    if held.issue.report_count == 1:
        return await take_issue_along(session, held, relocation, city=city, now=now)
    return held.issue


def _what_became(before: IssueView, after: IssueView) -> Mapping[str, Any]:
    if after.id != before.id:
        return {"to": str(after.id)}
    if after.department_code != before.department_code:
        return {"department": {"from": before.department_code, "to": after.department_code}}
    return {}


def _kept(report: ReportView, words: str | None, relocation: Relocation | None) -> dict[str, Any]:
    """What staff can still read of a report that was corrected, by column."""
    former = None if relocation is None else place_of(report)
    return {
        "city_id": report.city_id,
        "report_id": report.id,
        "words": words,
        "place": None if former is None else point(former.at),
        "accuracy_m": None if former is None else former.accuracy_m,
        "location_source": None if former is None else former.location_source,
    }


async def _record(
    session: AsyncSession,
    held: Held,
    kind: EventKind,
    data: Mapping[str, Any],
    *,
    public: bool,
    actor: Actor,
    event_id: UUID,
    now: datetime,
) -> None:
    told = {"report_id": str(held.report.id), **data}
    event = NewEvent(held.issue.id, kind, actor.sender, now, public=public, data=told, id=event_id)
    if not await append_event(session, held.issue.city_id, event):
        raise CommandIdUsed(event_id)
