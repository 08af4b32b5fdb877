"""A report whose place was put right, and the issues that it leaves, joins, opens or takes along."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import WKTElement
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from db.connections import driver_connection
from geo.points import LonLat
from issues.actors import SYSTEM, Actor
from issues.cells import leave_cell
from issues.city import CityBook
from issues.event_kinds import EventKind
from issues.events import NewEvent, append_event
from issues.issue import Issue, IssueView, lock_issues, read_issue
from issues.lifecycle import OPEN, Status
from issues.match import Joins, Match, assumed_accuracy_m, joinable, rank_candidates
from issues.neighbours import ask_neighbours, read_candidates, wording_of
from issues.placing import Placed, deadline_of, judged_at, lock_keys, place_report
from issues.reports import MatchView, Report, ReportPersonal, ReportView, read_receipt
from issues.status import move_issue
from issues.telling import tell_authors


@dataclass(frozen=True, slots=True)
class NewPlace:
    """Where a report is after all.

    Attributes:
        at: Position in WGS 84.
        accuracy_m: Radius that holds the true position with 68 %; None where it came without.
        location_source: `gps`, `photo`, `address` or `map`.
    """

    at: LonLat
    accuracy_m: float | None
    location_source: str

    @property
    def likely_accuracy_m(self) -> float:
        """The accuracy to reckon with (metres), also where none was sent."""
        return assumed_accuracy_m(self.location_source) if self.accuracy_m is None else self.accuracy_m


@dataclass(frozen=True, slots=True)
class Relocation:
    """A new place, and what it says of the report's service there."""

    place: NewPlace
    placed: Placed


@dataclass(frozen=True, slots=True)
class Held:
    """A report, locked until the transaction ends, with the issues around it.

    Attributes:
        issue: The one it is in.
        joinable: Open ones that it would join at its new place, best first.
    """

    report: ReportView
    issue: IssueView
    joinable: tuple[tuple[Match, IssueView], ...] = ()


async def hold_report(
    session: AsyncSession, city: CityBook, report_id: UUID, relocation: Relocation | None = None
) -> Held:
    """Lock what a change of a report may touch, in the order of everybody: cells, issues by id, the report.

    Args:
        session: Open transaction of the city that holds no lock of these kinds.
        city: The city.
        report_id: The report.
        relocation: Where it is after all; the cells of the old and of the new place are locked then.

    Raises:
        ReportNotFound: the city has no such report.
    """
    while True:
        seen = (await read_receipt(session, city.id, report_id)).report
        async with session.begin_nested() as attempt:
            matches = [] if relocation is None else await _look_around(session, city, seen, relocation)
            ids = [seen.issue_id, *(match.candidate.issue_id for match in matches)]
            issues = await lock_issues(session, city.id, ids)
            report = await _lock_report(session, city.id, report_id)
            if (report.issue_id, report.at) == (seen.issue_id, seen.at):
                there = [(match, issues[match.candidate.issue_id]) for match in matches]
                own = issues[report.issue_id]
                return Held(report, own, tuple(each for each in there if _takes_report_of(each[1], own)))
            # Somebody moved it since it was read: other locks are needed, and these are let go.
            await attempt.rollback()


async def lock_cells(session: AsyncSession, city_id: int, *places: LonLat) -> None:
    """Lock the cells around positions; what this waited for is seen from the next statement on."""
    connection = await driver_connection(session)
    keys = lock_keys(city_id, *places)
    await connection.execute("SELECT pg_advisory_xact_lock(key) FROM unnest(%s::bigint[]) AS key", (keys,))


def place_of(report: ReportView) -> NewPlace:
    """Where a report is said to be now."""
    return NewPlace(report.at, report.accuracy_m, report.location_source)


def relocation_of(report: ReportView, place: NewPlace, city: CityBook) -> Relocation:
    """Work out what a place says of a report, as if it had been filed there when it was received.

    Raises:
        ServiceNotOffered: the city does not offer the report's service there.
    """
    placed = place_report(
        report.service_code,
        place.at,
        accuracy_m=place.likely_accuracy_m,
        city=city,
        received_at=judged_at(channel=report.channel, captured_at=report.captured_at, received_at=report.received_at),
    )
    return Relocation(place, placed)


async def _look_around(session: AsyncSession, city: CityBook, seen: ReportView, relocation: Relocation) -> list[Match]:
    """Lock the cells of both places, then find the issues that the report may join at the new one."""
    place, service = relocation.place, relocation.placed.service
    await lock_cells(session, city.id, seen.at, place.at)
    if service.policy.joins is not Joins.AUTOMATIC or not service.neighbours:
        return []
    # The day of receipt decides, here as for everything else about a report.
    cursor = await ask_neighbours(
        await driver_connection(session),
        city.id,
        service_codes=service.neighbours,
        at=place.at,
        policy=service.policy,
        now=seen.received_at,
    )
    ranked = rank_candidates(
        await read_candidates(cursor),
        service_code=service.code,
        accuracy_m=place.likely_accuracy_m,
        policy=service.policy,
        now=seen.received_at,
        wording=wording_of(place.location_source, seen.address_string, seen.description),
    )
    return joinable(ranked, service.policy)


async def _lock_report(session: AsyncSession, city_id: int, report_id: UUID) -> ReportView:
    key = (Report.city_id == city_id, Report.id == report_id)
    await session.execute(select(Report.id).where(*key).with_for_update(key_share=True))
    return (await read_receipt(session, city_id, report_id)).report


def _takes_report_of(issue: IssueView, other: IssueView) -> bool:
    """Whether an issue, locked now, is still one that a report of another one may join; private ones never meet."""
    is_open = issue.status in OPEN and issue.merged_into is None
    return issue.id != other.id and is_open and not issue.private and not other.private


async def put_place_right(session: AsyncSession, report: ReportView, relocation: Relocation) -> None:
    """Write a held report's new place; which issue it is in is not touched."""
    place = relocation.place
    key = (Report.city_id == report.city_id, Report.id == report.id)
    await session.execute(
        update(Report)
        .where(*key)
        .values(
            accuracy_m=place.accuracy_m,
            location_source=place.location_source,
            near_boundary=relocation.placed.near_boundary,
        )
    )
    personal = (ReportPersonal.city_id == report.city_id, ReportPersonal.report_id == report.id)
    await session.execute(update(ReportPersonal).where(*personal).values(place=point(place.at)))


async def take_issue_along(
    session: AsyncSession, held: Held, relocation: Relocation, *, city: CityBook, now: datetime
) -> IssueView:
    """Move a held report's issue to the report's new place, and give it to whoever is responsible there.

    Work orders that lead a crew to the old place lead to the new one then.
    """
    key = (Issue.city_id == city.id, Issue.id == held.issue.id)
    values = _issue_values(relocation)
    await leave_cell(session, city.id, held.issue.id)
    await session.execute(update(Issue).where(*key).values(**values, updated_at=max(held.issue.updated_at, now)))
    issue = await _read(session, held.issue)
    before = {"lon": held.issue.at.lon, "lat": held.issue.at.lat}
    await session.execute(_LEAD_ORDERS, {"city": city.id, "issue": issue.id, "now": now, **before})
    return issue


# An order of several issues has the place of one of them. The version stays: a crew's own change fits all the same.
_LEAD_ORDERS = text(
    """
    UPDATE work_order SET place = issue.place, address = issue.address, layer = issue.layer,
                          district_code = issue.district_code, updated_at = greatest(work_order.updated_at, :now)
    FROM issue
    WHERE issue.city_id = :city AND issue.id = :issue AND work_order.city_id = :city
      AND work_order.status IN ('planned', 'in_progress')
      AND work_order.id IN (SELECT work_order_id FROM work_order_issue WHERE city_id = :city AND issue_id = :issue)
      AND work_order.place = ST_Point(:lon, :lat, 4326)::geography
    """
)


async def move_to_another(
    session: AsyncSession,
    held: Held,
    relocation: Relocation,
    *,
    city: CityBook,
    actor: Actor,
    cause: UUID,
    now: datetime,
) -> IssueView:
    """Have a held report join the likeliest open issue at its new place, or open one there.

    The issue that it leaves is for `let_go`; what waits to be told of either is told first.

    Args:
        session: The transaction that holds the report.
        held: The report.
        relocation: Where it is after all.
        city: The city.
        actor: Who corrected the place.
        cause: The event of the correction.
        now: Time of the correction. Deadline and district are those of the time of receipt.
    """
    around = [held.issue.id, *(issue.id for _, issue in held.joinable[:1])]
    await tell_authors(session, city.id, around, now=now)
    if held.joinable:
        match, issue = held.joinable[0]
        await _assign(session, held.report, issue.id, MatchView.of(match))
        kind = EventKind.JOINED
    else:
        issue = await open_issue(session, held.report, relocation, left=held.issue, city=city, now=now)
        await _assign(session, held.report, issue.id, None)
        kind = EventKind.OPENED
    event = NewEvent(
        issue.id, kind, actor.sender, now, public=True, data={"report_id": str(held.report.id)}, cause=cause
    )
    await append_event(session, city.id, event)
    return await recount(session, issue, now=now)


async def let_go(session: AsyncSession, issue: IssueView, *, cause: UUID, now: datetime) -> IssueView:
    """Settle an issue, locked by the caller, that has just lost a report.

    With no report left, and nothing done about it yet, it is closed: nobody says any more that there is a problem.
    Where staff have begun, it stays theirs to end.
    """
    issue = await recount(session, issue, now=now)
    if issue.report_count == 0 and issue.status is Status.RECEIVED:
        return (await move_issue(session, issue, Status.CLOSED, actor=SYSTEM, cause=cause, now=now)).issue
    return issue


_RECOUNT = text(
    """
    UPDATE issue SET updated_at = greatest(updated_at, :now), (report_count, last_report_at) = (
        SELECT count(*), coalesce(max(received_at), issue.last_report_at) FROM report
        WHERE report.city_id = :city AND report.issue_id = :issue AND withdrawn_at IS NULL
    )
    WHERE city_id = :city AND id = :issue
    """
)


async def recount(session: AsyncSession, issue: IssueView, *, now: datetime) -> IssueView:
    """Count the reports of an issue that the caller has locked, those taken back not included."""
    await session.execute(_RECOUNT, {"city": issue.city_id, "issue": issue.id, "now": now})
    return await _read(session, issue)


async def open_issue(
    session: AsyncSession,
    report: ReportView,
    relocation: Relocation,
    *,
    left: IssueView,
    city: CityBook,
    now: datetime,
) -> IssueView:
    """Open an issue for a report that leaves another one; the cells of its place are locked, and it is moved next.

    Out of a private issue it opens a private one, also where its service is private no more.
    """
    issue_id, service = new_id(), relocation.placed.service
    row = {
        "city_id": city.id,
        "id": issue_id,
        "number": report.number,
        "service_code": service.code,
        "status": Status.RECEIVED,
        "private": service.private or left.private,
        "report_count": 1,
        "opened_at": report.received_at,
        "last_report_at": report.received_at,
        "updated_at": now,
        "expected_at": deadline_of(service, city=city, received_at=report.received_at),
    }
    await session.execute(insert(Issue).values(row | _issue_values(relocation)))
    issue = await read_issue(session, city.id, issue_id)
    assert issue is not None  # noqa: S101 - written just now
    return issue


def _issue_values(relocation: Relocation) -> dict[str, Any]:
    place = relocation.place
    own = {"place": point(place.at), "accuracy_m": place.likely_accuracy_m}
    return own | relocation.placed.issue_values()


async def _assign(session: AsyncSession, report: ReportView, issue_id: UUID, match: MatchView | None) -> None:
    key = (Report.city_id == report.city_id, Report.id == report.id)
    values = {"issue_id": issue_id, "match": None if match is None else match.to_json()}
    await session.execute(update(Report).where(*key).values(values))


async def _read(session: AsyncSession, issue: IssueView) -> IssueView:
    found = await read_issue(session, issue.city_id, issue.id)
    assert found is not None  # noqa: S101 - issues are never deleted
    return found


def point(at: LonLat) -> WKTElement:
    """Write a position for a column."""
    return WKTElement(f"POINT({at.lon!r} {at.lat!r})", srid=4326)
