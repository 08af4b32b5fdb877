"""Which reports are about one problem: staff merge, split and undo; senders say that theirs is not the same."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Body
from starlette.requests import Request
from starlette.responses import Response

from api.deps import CityAgent, CityWords, Now, Served, Transaction
from api.models.regrouping import LeaveIn, MergeIn, RegroupingOut, SplitIn, UndoIn
from api.models.reports import ReportWithIssue
from api.openapi import problems
from api.problems.refusals import ReportNotYetHere, naming
from api.report_access import open_report, show_report
from api.responses import answer
from api.scope import CITY
from issues.merging import merge_issues
from issues.reports import ReportNotFound
from issues.splitting import leave_issue, split_issue
from issues.undoing import undo_event

router = APIRouter(prefix="/v1")

_ISSUES: Final[dict[str, Any]] = {
    "tags": ["issues"],
    "response_model": RegroupingOut,
    "responses": problems(400, 409, 413, 415),
}

# There is nothing that has to be said.
MaybeLeave = Annotated[LeaveIn, Body(default_factory=LeaveIn)]


@router.post("/issues/{issue_id}/merge", **_ISSUES)
async def merge(
    *, caller: CityAgent, session: Transaction, city: CityWords, now: Now, issue_id: UUID, body: MergeIn
) -> Response:
    """Have an issue take over others with their reports, followers and work orders; `/undo` brings them back.

    Across districts, departments or kinds of problem that nobody takes for each other, into an issue that is closed,
    or where private reports of several people would meet, it asks for `confirm`.
    """
    with naming("issue_ids", body.issue_ids):
        merged = await merge_issues(
            session,
            city.book.id,
            issue_id,
            body.issue_ids,
            actor=caller.actor,
            note=body.note,
            confirmed=body.confirm,
            command_id=body.id,
            now=now,
        )
    return answer(RegroupingOut.of(merged, city))


@router.post("/issues/{issue_id}/split", **_ISSUES)
async def split(
    *, caller: CityAgent, session: Transaction, city: CityWords, now: Now, issue_id: UUID, body: SplitIn
) -> Response:
    """Open an issue for some reports of another, at the place of the earliest of them; `/undo` brings them back."""
    with naming("report_ids", body.report_ids):
        divided = await split_issue(
            session,
            issue_id,
            body.report_ids,
            city=city.book,
            actor=caller.actor,
            note=body.note,
            command_id=body.id,
            now=now,
        )
    return answer(RegroupingOut.of(divided, city))


@router.post("/issues/{issue_id}/undo", **_ISSUES)
async def undo(
    *, caller: CityAgent, session: Transaction, city: CityWords, now: Now, issue_id: UUID, body: UndoIn
) -> Response:
    """Undo a merge, split, leave or re-routing. Reports that have gone on are named; `force` puts back the rest."""
    undone = await undo_event(
        session,
        city.book.id,
        issue_id,
        body.event_id,
        actor=caller.actor,
        force=body.force,
        command_id=body.id,
        now=now,
    )
    return answer(RegroupingOut.of(undone, city))


@router.post(
    "/reports/{report_id}/leave",
    tags=["reports"],
    response_model=ReportWithIssue,
    responses=problems(400, 409, 413, 415),
)
async def leave(
    *, request: Request, served: Served, session: Transaction, now: Now, report_id: UUID, body: MaybeLeave
) -> Response:
    """Say that a report is not about the same problem as its issue, and get an issue of its own.

    For its device, its tracking secret, and staff. Before the report has arrived, the answer is 404 with `Retry-After`.
    """
    try:
        access = await open_report(request, session, report_id, now=now)
    except ReportNotFound as error:
        raise ReportNotYetHere(report_id) from error
    city = served.cities.by_id(access.receipt.report.city_id)
    request.scope[CITY] = city
    receipt = await leave_issue(
        session,
        report_id,
        city=city,
        actor=access.caller.actor,
        by_author=access.by_author,
        command_id=body.id,
        now=now,
    )
    return await show_report(request, session, receipt, served, city=city)
