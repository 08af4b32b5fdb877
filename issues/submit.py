"""Receiving a report: the path that every report takes, in one transaction and few round trips.

Plain SQL on the session's own connection: through the ORM the same work costs three times as much.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from db.connections import driver_connection
from db.pipeline import one_message
from db.rates import Allowance, refuse_used_up
from db.tenancy import enter_city
from issues.catalogue import ServiceEntry, ServiceNotOffered
from issues.city import CityBook
from issues.event_kinds import EventKind
from issues.filing import claim_id, file_joining, file_opening
from issues.issue import IssueView
from issues.lifecycle import Status
from issues.match import Candidate, Joins, Match, MatchPolicy, joinable, rank_candidates, suggestible
from issues.neighbours import ask_neighbours, read_candidates, wording_of
from issues.photo_hashes import hashes_sent, with_photos
from issues.placing import Placed, deadline_of, judged_at, lock_keys, place_report
from issues.questions import AnswersRefused, read_answers
from issues.reports import MatchView, Receipt, ReportView, find_report_home, read_receipt
from issues.submission import ANONYMOUS, Submission
from issues.wishes import BY_WISH, find_wished


class IdAlreadyUsed(Exception):
    """Another report has this id.

    Attributes:
        report_id: The id.
        receipt: What was received under it; None for anybody but its sender.
    """

    def __init__(self, report_id: UUID, receipt: Receipt | None) -> None:
        super().__init__(report_id)
        self.report_id = report_id
        self.receipt = receipt


async def submit_report(
    session: AsyncSession,
    submission: Submission,
    *,
    city: CityBook,
    now: datetime,
    allowances: Sequence[Allowance] = (),
) -> Receipt:
    """Store a submission and join it to the open issue it is about, or open a new one.

    Joins the caller's transaction: report, issue and event commit together or not at all.

    Args:
        session: Open transaction that holds no locks; it enters the city here and is committed by the caller.
        submission: Validated input.
        city: The city its position lies in.
        now: Timezone-aware time of receipt.
        allowances: What it counts for, unless it was received before.

    Returns:
        The report, its issue, and the match with its reasons (None where the issue is new). The same submission
        again gets what was stored, with `created` false and the issue as it is now.

    Raises:
        ServiceNotOffered: the city has no such service, or not at this place.
        AnswersRefused: the service asks other questions than were answered, or allows other answers.
        IdAlreadyUsed: the id is another report's.
        AllowanceUsedUp: its sender has sent enough for now.
    """
    try:
        placed = place_report(
            submission.service_code,
            submission.at,
            accuracy_m=submission.likely_accuracy_m,
            city=city,
            received_at=judged_at(channel=submission.channel, captured_at=submission.captured_at, received_at=now),
        )
        answers = read_answers(placed.service.questions, submission.attributes)
    except (ServiceNotOffered, AnswersRefused):
        # The city may have offered and asked something else when the same report was received.
        if (repeated := await _find_repeat(session, submission)) is None:
            raise
        return repeated
    if submission.attributes:
        submission = replace(submission, attributes=answers)
    candidates = await _claim_and_look(session, submission, placed.service, city=city, now=now, allowances=allowances)
    if candidates is None:
        repeated = await _find_repeat(session, submission)
        assert repeated is not None  # noqa: S101 - whoever took the id has committed
        return repeated
    connection = await driver_connection(session)
    rows = _report_rows(submission, placed, city=city, now=now)
    wished = await find_wished(session, city.id, submission.issue_id, service=placed.service, at=submission.at)
    policy = placed.service.policy
    to_compare = submission.photo_ids if candidates else ()
    shown = await hashes_sent(connection, to_compare, uploader=submission.photo_uploader)
    candidates = await with_photos(connection, city.id, candidates, shown)
    ranked = _rank(submission, candidates, shown, policy, now=now)
    likely = ((match.candidate.issue_id, MatchView.of(match)) for match in joinable(ranked, policy))
    for issue_id, view in (*([] if wished is None else [(wished, BY_WISH)]), *likely):
        filed = await file_joining(connection, rows | _joining_rows(issue_id, view))
        if filed is not None:  # else somebody closed the issue since it was read
            return _receipt(submission, placed, *filed, view, now=now)
    rows |= _opening_rows(submission, placed, city=city, now=now)
    doubtful = suggestible(_rank(submission, candidates, shown, policy.for_suggestions(), now=now), policy)
    number = await file_opening(connection, rows, doubtful=doubtful)
    issue = _opened_issue(submission, placed, number, rows)
    return _receipt(submission, placed, number, issue, None, now=now)


async def _claim_and_look(
    session: AsyncSession,
    submission: Submission,
    service: ServiceEntry,
    *,
    city: CityBook,
    now: datetime,
    allowances: Sequence[Allowance],
) -> list[Candidate] | None:
    """Enter the city, claim the id, count it, lock the place, and look which issues are there, in one round trip.

    Returns:
        None where the id is taken. No candidates also where reports of the service are kept apart: nothing is
        locked then.

    Raises:
        AllowanceUsedUp: see `submit_report`; nothing is locked then either.
    """
    looks = service.policy.joins is not Joins.NEVER and bool(service.neighbours)
    connection = await driver_connection(session)
    async with one_message(connection):
        await enter_city(session, city.id)
        home = await claim_id(
            connection,
            city.id,
            submission.id,
            sender=submission.sender,
            fingerprint=submission.fingerprint(),
            tracking_hash=submission.tracking_hash,
            lock_keys=lock_keys(city.id, submission.at) if looks or submission.issue_id is not None else [],
            allowances=allowances,
        )
        if looks:
            neighbours = await ask_neighbours(
                connection,
                city.id,
                service_codes=service.neighbours,
                at=submission.at,
                policy=service.policy.for_suggestions(),
                now=now,
            )
    claimed = await home.fetchone()
    if claimed is None:
        return None
    refuse_used_up(claimed[0], allowances, now=now)
    return await read_candidates(neighbours) if looks else []


def _rank(
    submission: Submission,
    candidates: Sequence[Candidate],
    photos: tuple[int, ...],
    policy: MatchPolicy,
    *,
    now: datetime,
) -> list[Match]:
    return rank_candidates(
        candidates,
        service_code=submission.service_code,
        accuracy_m=submission.likely_accuracy_m,
        policy=policy,
        now=now,
        wording=wording_of(submission.location_source, submission.address_string, submission.description, photos),
    )


async def _find_repeat(session: AsyncSession, submission: Submission) -> Receipt | None:
    return await find_repeat(
        session,
        submission.id,
        sender=submission.sender,
        tracking_hash=submission.tracking_hash,
        fingerprint=submission.fingerprint(),
    )


async def find_repeat(
    session: AsyncSession, report_id: UUID, *, sender: str, tracking_hash: bytes, fingerprint: bytes
) -> Receipt | None:
    """Find what was stored of a report that was received before, whatever its place and service are today.

    Whoever knows the tracking secret is its sender, also where the phone has registered since.

    Args:
        session: Open transaction; left in the report's city.
        report_id: The id it was sent with, perhaps again.
        sender: As in `Submission`, as is `tracking_hash`.
        tracking_hash: Of the secret that came with it, or was made for it.
        fingerprint: Of its content; see `fingerprint_of`.

    Returns:
        None where its id is new.

    Raises:
        IdAlreadyUsed: the id is another report's.
    """
    home = await find_report_home(session, report_id)
    if home is None:
        return None
    same_sender = home.sender == sender or home.tracking_hash == tracking_hash
    same_content = home.fingerprint == fingerprint
    # Two people without a name or a secret cannot be told apart: such a receipt goes only to who knows it all.
    if not same_sender or (sender == ANONYMOUS and not same_content):
        raise IdAlreadyUsed(report_id, None)
    # The city is nearly always the same; where borders moved since, the report has stayed.
    await enter_city(session, home.city_id)
    receipt = await read_receipt(session, home.city_id, report_id)
    if not same_content:
        raise IdAlreadyUsed(report_id, receipt)
    return receipt


def _report_rows(submission: Submission, placed: Placed, *, city: CityBook, now: datetime) -> dict[str, Any]:
    """The values that a report writes, whether it joins or opens."""
    return {
        "city_id": city.id,
        "report_id": submission.id,
        "year": str(city.local_date(now).year),
        "sequence": f"report_number_{city.id}",
        "service_code": placed.service.code,
        "person_id": submission.person_id,
        "channel": submission.channel,
        "location_source": submission.location_source,
        "accuracy_m": submission.accuracy_m,
        "captured_at": submission.captured_at,
        "now": now,
        "near_boundary": placed.near_boundary,
        "match": None,
        "lon": submission.at.lon,
        "lat": submission.at.lat,
        "address_string": submission.address_string,
        "description": submission.description,
        "attributes": json.dumps(submission.attributes),
        "name": submission.contact.name,
        "email": submission.contact.email,
        "phone": submission.contact.phone,
        "event_id": new_id(),
        "actor": submission.actor,
        "photo_ids": list(submission.photo_ids),
        "claimant": submission.photo_uploader,
    }


def _joining_rows(issue_id: UUID, match: MatchView) -> dict[str, Any]:
    """The values that depend on the issue joined."""
    return {"issue_id": issue_id, "event_kind": EventKind.JOINED, "match": json.dumps(match.to_json())}


def _opening_rows(submission: Submission, placed: Placed, *, city: CityBook, now: datetime) -> dict[str, Any]:
    """The values of the issue opened."""
    return {
        "issue_id": new_id(),
        "event_kind": EventKind.OPENED,
        "issue_accuracy_m": submission.likely_accuracy_m,
        **placed.issue_values(),
        "private": placed.service.private,
        "expected_at": deadline_of(placed.service, city=city, received_at=now),
    }


def _opened_issue(submission: Submission, placed: Placed, number: str, rows: Mapping[str, Any]) -> IssueView:
    """The issue as it was just written, without reading it again."""
    now = rows["now"]
    return IssueView(
        city_id=rows["city_id"],
        id=rows["issue_id"],
        number=number,
        status=Status.RECEIVED,
        service_code=placed.service.code,
        at=submission.at,
        accuracy_m=rows["issue_accuracy_m"],
        address=rows["address"],
        layer=placed.layer,
        district_code=placed.district_code,
        districts=placed.districts,
        department_code=placed.rule.department_code,
        crew_code=placed.rule.crew_code,
        near_boundary=placed.near_boundary,
        private=placed.service.private,
        report_count=1,
        opened_at=now,
        last_report_at=now,
        updated_at=now,
        expected_at=rows["expected_at"],
        merged_into=None,
    )


def _receipt(
    submission: Submission, placed: Placed, number: str, issue: IssueView, match: MatchView | None, *, now: datetime
) -> Receipt:
    report = ReportView(
        id=submission.id,
        city_id=issue.city_id,
        number=number,
        issue_id=issue.id,
        service_code=placed.service.code,
        person_id=submission.person_id,
        channel=submission.channel,
        location_source=submission.location_source,
        at=submission.at,
        accuracy_m=submission.accuracy_m,
        address_string=submission.address_string,
        description=submission.description,
        attributes=submission.attributes,
        contact=submission.contact,
        photo_ids=submission.photo_ids,
        captured_at=submission.captured_at,
        received_at=now,
        near_boundary=placed.near_boundary,
        match=match,
    )
    return Receipt(created=True, report=report, issue=issue, match=match, near_boundary=placed.near_boundary)
