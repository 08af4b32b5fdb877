"""Filing reports, and reading them back."""

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, nullcontext
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from fastapi import APIRouter
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.auth import Caller, authenticate
from api.deps import Now, Served, Transaction, received_at
from api.filing import (
    Filing,
    Position,
    address_position,
    city_of,
    find_filed,
    make_submission,
    photo_position,
    sent_position,
    settle_filing,
)
from api.limits import allowances_for_photo, allowances_for_report
from api.listener import language_of
from api.models.reports import ReportIn, ReportReceipt, ReportWithIssue
from api.openapi import created_at_location, model_body, problems, request_body
from api.problems.refusals import OutsideServiceArea, PartRefused, PhotoNotReady, PositionNeeded, TokenOfAnotherCity
from api.queries import refuse_unknown_parameters
from api.report_access import open_report, show_report
from api.report_body import FORM_SCHEMA, Filed, is_form, read_report, received_photo
from api.responses import answer, created
from api.scope import CALLER, CITY
from api.serving import Serving, serving_of
from db.jobs import enqueue
from db.rates import count_use, look_ahead
from issues.city import CityBook
from issues.questions import read_answers
from issues.reports import Receipt, find_report_home
from issues.submit import submit_report
from media.photos import MAKE_SAFE, find_photo, record_photo
from media.store import IncomingPhoto

router = APIRouter(prefix="/v1/reports", tags=["reports"])

_Photos = dict[UUID, IncomingPhoto]
_NO_PHOTOS: Final[_Photos] = {}


class _DirectRoute(APIRoute):
    """Gives its endpoint the request alone: FastAPI's collecting of arguments takes a sixth of this call's time."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


async def create_report(request: Request) -> Response:
    """File a report of a problem at a place; answers with the issue it opened or joined, and why.

    Sent again with the same id (or `Idempotency-Key`) and content, it gets the same answer with status 200.
    """
    await refuse_unknown_parameters(request)
    served, now = serving_of(request), await received_at()
    idempotency_key = request.headers.get("idempotency-key")
    # Bodies may come slowly, and photos are stored before the report: no transaction is open over either.
    if is_form(request):
        # Forms are large and kept on disk as they come: not for somebody who would be refused at the end.
        async with served.database.transaction() as session:
            await _identify(request, session, now)
    with served.uploads.entered() if is_form(request) else nullcontext():
        async with read_report(request, served.settings) as filed:
            if filed.photos:
                filing, receipt = await _file_with_photos(request, served, filed, idempotency_key, now)
            else:
                async with served.database.transaction() as session:
                    filing = await _settle(request, session, filed.report, idempotency_key, now)
                    receipt = await _submit(request, served, session, filing, photos=_NO_PHOTOS, now=now)
    city = served.cities.named(served.cities.by_id(receipt.report.city_id), language_of(request))
    served.metrics.count_report(result=_result(receipt))
    tracking = filing.tracking if receipt.created and filing.tracking_made else None
    told = ReportReceipt.of(receipt, city, tracking=tracking)
    if not receipt.created:
        return answer(told)
    return created(told, f"{request.url.path}/{receipt.report.id}", jurisdiction_id=city.jurisdiction_id)


router.add_api_route(
    "",
    create_report,
    methods=["POST"],
    status_code=201,
    response_model=ReportReceipt,
    responses={
        200: {"description": "The same report had been received before.", "model": ReportReceipt},
        **created_at_location("Filed."),
        **problems(400, 409, 413, 415, 429),
    },
    openapi_extra={
        "parameters": [{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}],
        **request_body(
            ("application/json", model_body(ReportIn)),
            ("multipart/form-data", {"schema": FORM_SCHEMA}),
        ),
    },
    route_class_override=_DirectRoute,
)


@router.get("/{report_id}", response_model=ReportWithIssue)
async def read_report_back(
    *, request: Request, served: Served, session: Transaction, now: Now, report_id: UUID
) -> Response:
    """Read a report and the public state of its issue; for its device, its tracking secret, and the city's staff."""
    receipt = (await open_report(request, session, report_id, now=now)).receipt
    city = served.cities.by_id(receipt.report.city_id)
    return await show_report(request, session, receipt, served, city=city)


async def _settle(
    request: Request, session: AsyncSession, report: ReportIn, idempotency_key: str | None, now: datetime
) -> Filing:
    caller = await _identify(request, session, now)
    return settle_filing(report, caller, idempotency_key=idempotency_key)


async def _identify(request: Request, session: AsyncSession, now: datetime) -> Caller:
    """Find out who is calling, once."""
    if CALLER not in request.scope:
        request.scope[CALLER] = await authenticate(session, request, now=now)
    caller: Caller = request.scope[CALLER]
    return caller


async def _submit(
    request: Request, served: Serving, session: AsyncSession, filing: Filing, *, photos: _Photos, now: datetime
) -> Receipt:
    photo_ids = (*filing.report.photo_ids, *photos)
    try:
        position = sent_position(filing.report) or await _found_position(request, served, session, filing, photo_ids)
        city = _city_there(served, filing, position)
    except (PhotoNotReady, PositionNeeded, OutsideServiceArea, PartRefused, TokenOfAnotherCity):
        # The photo may have been there, or border and streets elsewhere, when the same report was received.
        if (repeated := await find_filed(session, filing, photo_ids)) is None:
            raise
        return repeated
    request.scope[CITY] = city
    allowances = allowances_for_report(request, filing.caller, city, now)
    submission = make_submission(filing, position, photo_ids)
    return await submit_report(session, submission, city=city, now=now, allowances=allowances)


async def _found_position(
    request: Request, served: Serving, session: AsyncSession, filing: Filing, photo_ids: tuple[UUID, ...]
) -> Position:
    """Find where a report without a position is: by its photo, else by its address."""
    try:
        return await photo_position(session, filing, photo_ids)
    except PositionNeeded as unplaced:
        jurisdiction_id = request.query_params.get("jurisdiction_id")
        return await address_position(
            session, filing, served.cities, jurisdiction_id=jurisdiction_id, unplaced=unplaced
        )


def _city_there(served: Serving, filing: Filing, position: Position) -> CityBook:
    """Find the city of a report; what is wrong with a place that a photo told is said of the photo."""
    if position.source != "photo" or position.sent:
        return city_of(served.cities, filing.caller, position.at)
    try:
        return city_of(served.cities, filing.caller, position.at)
    except OutsideServiceArea as error:
        raise PartRefused(filing.first_photo, error) from error
    except TokenOfAnotherCity as error:
        raise TokenOfAnotherCity([filing.first_photo]) from error


async def _file_with_photos(
    request: Request, served: Serving, filed: Filed, idempotency_key: str | None, now: datetime
) -> tuple[Filing, Receipt]:
    """Store the photos of a form, then the report with them."""
    async with AsyncExitStack() as uploads:
        incoming = [
            await uploads.enter_async_context(received_photo(served.store, photo, served.settings, position=position))
            for position, photo in enumerate(filed.photos)
        ]
        async with served.database.transaction() as session:
            filing = await _settle(request, session, filed.report, idempotency_key, now)
            position = sent_position(filing.report)
            # The same files again have the same ids, hence the report the same content.
            photos = {uuid5(filing.id, photo.sha256): photo for photo in incoming}
            is_new = await find_report_home(session, filing.id) is None
            if is_new:
                await _look_ahead(request, session, filing, position, photos=photos, now=now)
        if position is None and not filing.id_given:
            raise PositionNeeded  # nothing would connect these photos with the next attempt
        for photo in photos.values():
            await served.store.keep(photo)
        if position is None and is_new:
            # They have to be decoded before the report can be placed, so they come first.
            async with served.database.transaction() as session:
                await _record(request, session, photos, filing, now)
        async with served.database.transaction() as session:
            receipt = await _submit(request, served, session, filing, photos=photos, now=now)
            if receipt.created:
                await _record(request, session, photos, filing, now)
    return filing, receipt


async def _look_ahead(
    request: Request,
    session: AsyncSession,
    filing: Filing,
    position: Position | None,
    *,
    photos: _Photos,
    now: datetime,
) -> None:
    """Refuse what cannot be filed before its photos are kept."""
    if position is not None:
        city = city_of(serving_of(request).cities, filing.caller, position.at)
        service = city.catalogue.offered(filing.report.service_code)
        read_answers(service.questions, filing.report.attributes)
        await look_ahead(session, allowances_for_report(request, filing.caller, city, now), now=now)
    unknown = [photo_id for photo_id in photos if await find_photo(session, photo_id) is None]
    if unknown:
        await look_ahead(session, allowances_for_photo(request, filing.caller, now), now=now, more=len(unknown))


async def _record(request: Request, session: AsyncSession, photos: _Photos, filing: Filing, now: datetime) -> None:
    allowances = allowances_for_photo(request, filing.caller, now)
    for photo_id, photo in photos.items():
        recorded = await record_photo(session, photo_id, photo, uploader=filing.photo_uploader, now=now)
        if recorded.is_new:
            await enqueue(session, MAKE_SAFE, {"photo_id": str(photo_id)})
            await count_use(session, allowances, now=now)


def _result(receipt: Receipt) -> str:
    if not receipt.created:
        return "repeated"
    return "opened" if receipt.match is None else "joined"
