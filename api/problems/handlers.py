"""Where errors arrive that nothing below has answered."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from api.auth import bearer_secret, find_caller
from api.listener import listener_of
from api.openapi import OPEN_DATA_PATH
from api.problems import refusals
from api.problems.particulars import Problem
from api.problems.table import PROBLEMS, UNEXPECTED
from api.problems.validation import field_errors, is_other_media_type, is_unreadable
from api.responses import problem_answer
from api.scope import CALLER
from api.serving import serving_of
from db.sessions import DatabaseUnavailable

_log = structlog.get_logger(__name__)

_BY_STATUS: Final[dict[int, type[Exception]]] = {
    400: refusals.MalformedBody,
    404: refusals.NothingHere,
    405: refusals.MethodNotAllowed,
}


def install_handlers(app: FastAPI) -> None:
    """Have every error of the table answered with its problem document."""
    for situation in PROBLEMS:
        app.add_exception_handler(situation, _answer_situation)
    app.add_exception_handler(refusals.PartRefused, _answer_part)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(ValidationError, _answer_validation)
    app.add_exception_handler(HTTPException, _answer_http)


def unexpected_answer(request: HTTPConnection, error: Exception) -> Response:
    """Answer for a mistake of ours, without a word about what it was."""
    return problem_answer(UNEXPECTED, error, listener_of(request), request)


async def _answer_situation(request: Request, error: Exception, *, field: str | None = None) -> Response:
    if CALLER not in request.scope and not isinstance(error, DatabaseUnavailable):
        await _find_language(request)
    problem = _by_standard(_problem_of(error), request)
    if field is not None:
        problem = replace(problem, fields=(field,))
    if problem.status >= 500:
        _log.warning("request_refused", problem=problem.slug, exc_info=error)
    return problem_answer(problem, error, listener_of(request), request)


async def _answer_part(request: Request, error: Exception) -> Response:
    assert isinstance(error, refusals.PartRefused)  # noqa: S101 - installed for these only
    return await _answer_situation(request, error.why, field=error.field)


async def _answer_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | ValidationError)  # noqa: S101 - installed for these only
    found = error.errors()
    if is_unreadable(found):
        return await _answer_situation(request, refusals.MalformedBody())
    if is_other_media_type(found):
        return await _answer_situation(request, refusals.MediaTypeNotSupported(["application/json"]))
    return await _answer_situation(request, refusals.InvalidFields(field_errors(found)))


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - installed for these only
    situation = _BY_STATUS.get(error.status_code)
    if situation is None:
        raise error
    response = await _answer_situation(request, situation())
    if error.headers:
        response.headers.update(error.headers)
    if error.status_code == 405:
        response.headers["Allow"] = _allowed_methods(request)
    return response


def _allowed_methods(request: Request) -> str:
    """List the methods of an address: a route knows only its own, and HEAD is `api.middleware`'s."""
    path = getattr(request.scope.get("route"), "path", "")
    allowed = {method.upper() for method in request.app.openapi()["paths"].get(path, {"get": None})}
    return ", ".join(sorted(allowed | {"HEAD"} if "GET" in allowed else allowed))


def _problem_of(error: Exception) -> Problem:
    return next(PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS)


def _by_standard(problem: Problem, request: HTTPConnection) -> Problem:
    """Give a problem the status that the standards of open data have for it (OGC API - Features, 7.5 and 7.8).

    A wrong parameter is 400 there, and a city, which is in the path, is found or it is not.
    """
    if problem.status != 422 or not request.url.path.startswith(OPEN_DATA_PATH):
        return problem
    return replace(problem, status=404 if problem is PROBLEMS[refusals.JurisdictionUnknown] else 400)


async def _find_language(request: HTTPConnection) -> None:
    """Find a device's language for an answer that was decided before anybody looked who is calling."""
    try:
        secret = bearer_secret(request)
        if secret is None:
            return
        async with serving_of(request).database.transaction() as session:
            caller = await find_caller(session, secret, now=datetime.now(UTC))
    except (refusals.SecretUnknown, DatabaseUnavailable):
        return
    if caller is not None:
        request.scope[CALLER] = caller
