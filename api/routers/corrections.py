"""Correcting reports, and taking them back."""

from functools import partial
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api.deps import Now, Served, Transaction
from api.models.corrections import ReportChange
from api.models.reports import ReportWithIssue
from api.openapi import problems
from api.problems.refusals import FieldError, InvalidFields, PlaceInAnotherCity, ReportNotYetHere
from api.report_access import open_report, show_report
from api.scope import CITY
from api.serving import Serving
from geo.points import LonLat
from issues.city import CityBook
from issues.corrections import Correction, correct_report, withdraw_report
from issues.languages import msgid
from issues.moving import NewPlace
from issues.reports import ReportNotFound

router = APIRouter(prefix="/v1/reports", tags=["reports"])

_NEEDED: Final = msgid("This is needed.")
_ALONE: Final = msgid("A report that is taken back is not changed as well.")
_WORDS_AND_PLACE: Final = ("add_description", "lat", "long", "accuracy_m", "location_source")


@router.patch("/{report_id}", response_model=ReportWithIssue, responses=problems(400, 409, 413, 415))
async def patch_report(
    *, request: Request, served: Served, session: Transaction, now: Now, report_id: UUID, body: ReportChange
) -> Response:
    """Add words to a report, put its place right, or take it back; for its device, its tracking secret, and staff.

    Senders may put the place right within 15 minutes of receipt, agents at any time. Far from its issue, the report
    leaves it for another; the answer shows the issue that it is in then. Before the report has arrived, the answer
    is 404 with `Retry-After`.
    """
    _check_fields(body)
    try:
        access = await open_report(request, session, report_id, now=now)
    except ReportNotFound as error:
        raise ReportNotYetHere(report_id) from error
    city = served.cities.by_id(access.receipt.report.city_id)
    request.scope[CITY] = city
    change = withdraw_report if body.withdrawn else partial(correct_report, correction=_correction(body, served, city))
    receipt = await change(
        session,
        report_id,
        city=city,
        actor=access.caller.actor,
        by_author=access.by_author,
        command_id=body.id,
        now=now,
    )
    return await show_report(request, session, receipt, served, city=city)


def _check_fields(body: ReportChange) -> None:
    """Refuse half a position, an accuracy of none, and a withdrawal that changes something as well."""
    wrong = []
    if body.withdrawn:
        wrong = [FieldError(name, _ALONE) for name in _WORDS_AND_PLACE if getattr(body, name) is not None]
    elif any(getattr(body, name) is not None for name in _WORDS_AND_PLACE[1:]):
        wrong = [FieldError(name, _NEEDED) for name in ("lat", "long") if getattr(body, name) is None]
    if wrong:
        raise InvalidFields(wrong)


def _correction(body: ReportChange, served: Serving, city: CityBook) -> Correction:
    """Read what is to change in a report of a city.

    Raises:
        OutsideServiceArea: it lies in no city.
        PlaceInAnotherCity: it lies in another than the report's.
    """
    if body.lat is None or body.long is None:
        return Correction(body.add_description)
    at = LonLat(body.long, body.lat)
    there = served.cities.at(at)
    if there.id != city.id:
        raise PlaceInAnotherCity(there)
    place = NewPlace(at, body.accuracy_m, body.location_source or "map")
    return Correction(body.add_description, place)
