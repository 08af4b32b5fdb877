"""Answers on their way out: JSON, GeoJSON and problem documents."""

import math
import random
from collections.abc import Mapping
from typing import Any, Final, Self
from urllib.parse import urlencode

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from api.listener import Listener
from api.problems.particulars import Problem
from api.problems.table import problem_document
from api.scope import REQUEST_ID

JSON: Final = "application/json; charset=utf-8"
PROBLEM: Final = "application/problem+json"


class GeoJson(JSONResponse):
    """An answer in GeoJSON; FastAPI describes the models of no answers but those of JSON."""

    media_type = "application/geo+json"

    def render(self, content: bytes) -> bytes:
        """Take bytes that are JSON already."""
        return content

    @classmethod
    def of(cls, body: BaseModel) -> Self:
        """Answer with a model."""
        return cls(_json_bytes(body))


def answer(body: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a model, which FastAPI's own way would validate a second time."""
    return Response(_json_bytes(body), status, headers=headers, media_type=JSON)


def created(body: BaseModel, path: str, *, jurisdiction_id: str) -> Response:
    """Answer with what was made, and where it is from now on."""
    location = f"{path}?{urlencode({'jurisdiction_id': jurisdiction_id})}"
    return answer(body, status=201, headers={"Location": location})


def _json_bytes(body: BaseModel) -> bytes:
    return body.__pydantic_serializer__.to_json(body, by_alias=True)


def problem_answer(problem: Problem, error: Exception, listener: Listener, request: HTTPConnection) -> Response:
    """Answer with a problem document."""
    headers: dict[str, str] = {"Cache-Control": "no-store"}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if problem.status == 408:
        headers["Connection"] = "close"  # what is still to come of the request belongs to no other
    if (wait_s := problem.wait_s(error)) is not None:
        headers["Retry-After"] = str(_spread(wait_s))
    if isinstance(error, HTTPException):
        headers |= error.headers or {}
    document: dict[str, Any] = problem_document(problem, error, listener, request_id=request.scope[REQUEST_ID])
    return Response(to_json(document), problem.status, headers=headers, media_type=PROBLEM)


def _spread(wait_s: float) -> int:
    """Lengthen a wait by up to a quarter, so that phones that were refused together do not come back together."""
    whole_s = math.ceil(wait_s)
    return whole_s + random.randrange(max(3, whole_s // 4))  # noqa: S311 - not a secret
