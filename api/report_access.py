"""Who may read and correct a report: its device, whoever has its tracking secret, and the city's staff."""

import re
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from api.auth import NOBODY, Caller, bearer_secret, find_caller
from api.listener import language_of
from api.models.fields import SECRET_PATTERN
from api.models.reports import ReportWithIssue
from api.problems.refusals import SecretUnknown, SignInNeeded
from api.responses import answer
from api.scope import CALLER
from api.serving import Serving
from db.credentials import hash_secret
from db.tenancy import enter_city
from issues.city import CityBook
from issues.events import list_public_notes
from issues.reports import Home, Receipt, ReportNotFound, find_report_home, read_receipt

_SECRET: Final = re.compile(SECRET_PATTERN)


@dataclass(frozen=True, slots=True)
class ReportAccess:
    """A report that a caller may read.

    Attributes:
        by_author: Whether the caller is its sender, as against the city's staff.
    """

    receipt: Receipt
    caller: Caller
    by_author: bool


async def open_report(request: Request, session: AsyncSession, report_id: UUID, *, now: datetime) -> ReportAccess:
    """Find a report that the caller may read; leaves the transaction in its city.

    Raises:
        SignInNeeded: no secret came.
        SecretUnknown: the secret stands for nobody, and is not the report's.
        ReportNotFound: there is no such report, or not for this caller.
    """
    secret = bearer_secret(request)
    if secret is None:
        raise SignInNeeded
    caller = await find_caller(session, secret, now=now)
    request.scope[CALLER] = caller or NOBODY
    home = await find_report_home(session, report_id)
    if caller is None and not _may_track(home, secret):
        raise SecretUnknown
    if home is None:
        raise ReportNotFound(report_id)
    await enter_city(session, home.city_id)
    receipt = await read_receipt(session, home.city_id, report_id)
    by_author = caller is None or _is_sender(caller, home, receipt)
    if caller is not None and not (by_author or caller.is_staff_of(home.city_id)):
        raise ReportNotFound(report_id)
    return ReportAccess(receipt, caller or NOBODY, by_author)


async def show_report(
    request: Request, session: AsyncSession, receipt: Receipt, served: Serving, *, city: CityBook
) -> Response:
    """Answer with a report as those who may read it see it, in the caller's language."""
    notes = await list_public_notes(session, city.id, receipt.issue.id, report_id=receipt.report.id)
    named = served.cities.named(city, language_of(request, city))
    return answer(ReportWithIssue.of(receipt, notes, named))


def _may_track(home: Home | None, secret: str) -> bool:
    """Whether a secret that stands for nobody is a report's own, or may be that of one that is still on its way."""
    if home is None:
        return _SECRET.fullmatch(secret) is not None
    return compare_digest(home.tracking_hash, hash_secret(secret))


def _is_sender(caller: Caller, home: Home, receipt: Receipt) -> bool:
    person_id = caller.actor.person_id
    return home.sender == caller.actor.sender or (person_id is not None and receipt.report.person_id == person_id)
