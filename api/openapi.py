"""The description of the API that programs read: what FastAPI cannot see for itself is added here."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from api.models.problems import ProblemDocument
from api.models.reports import ReportIn
from api.models.sync import SyncIn
from api.responses import PROBLEM

_REF: Final = "#/components/schemas/{model}"
# Models of bodies that handlers read for themselves.
_UNSEEN: Final[Sequence[type[BaseModel]]] = (ProblemDocument, ReportIn, SyncIn)
# Where wrong parameters are 400, as its standards have it, and never 422.
OPEN_DATA_PATH: Final = "/v1/ogc/"
_TEXTS: Final[Mapping[int, str]] = {
    400: "Not readable.",
    401: "The secret is unknown, or there is none.",
    403: "Not for this caller.",
    404: "Not there, or not for this caller.",
    408: "Nothing came for too long.",
    409: "It does not fit what is there already.",
    410: "It was there, and is gone.",
    412: "Another version of the protocol.",
    413: "Too large.",
    415: "Of a kind that is not taken.",
    416: "It ends before the range that is asked for.",
    422: "Fields are wrong; all of them are named.",
    423: "Another request is at it.",
    429: "Its sender has sent enough for now; `Retry-After` says when to send it again.",
    460: "The bytes do not have the checksum that came with them.",
    500: "A mistake of ours.",
    503: "Not available now, or too much is going on; `Retry-After` says when to try again.",
}

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """Declare that a call may answer with problem documents of these statuses."""
    content = {PROBLEM: {"schema": {"$ref": _REF.format(model=ProblemDocument.__name__)}}}
    return {status: {"description": _TEXTS[status], "content": content} for status in statuses}


def created_at_location(description: str) -> Responses:
    """Declare that an answer of status 201 says where to find what was made."""
    schema = {"type": "string", "format": "uri-reference"}
    location = {"description": "Where it is from now on.", "schema": schema}
    return {201: {"description": description, "headers": {"Location": location}}}


def request_body(*bodies: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Declare the bodies, by media type, that a handler reads for itself."""
    return {"requestBody": {"required": True, "content": {media_type: dict(body) for media_type, body in bodies}}}


def model_body(model: type[BaseModel]) -> dict[str, Any]:
    """Describe a body by its model, which is among those added here."""
    return {"schema": {"$ref": _REF.format(model=model.__name__)}}


def binary(description: str) -> dict[str, Any]:
    """Describe a body or answer of bytes."""
    return {"schema": {"type": "string", "format": "binary", "description": description}}


def describe(app: FastAPI) -> dict[str, Any]:
    """Build the OpenAPI document, once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        for model in _UNSEEN:
            schema = model.model_json_schema(ref_template=_REF)
            schemas.update(schema.pop("$defs", {}))
            schemas[model.__name__] = schema
        components["securitySchemes"] = {
            "secret": {
                "type": "http",
                "scheme": "bearer",
                "description": "A device's own secret, a report's tracking secret, a staff session or an API key.",
            }
        }
        for path, operations in document["paths"].items():
            for operation in operations.values():
                if path.startswith(OPEN_DATA_PATH):
                    del operation["responses"]["422"]
                operation["summary"] = _summary(operation)
        document["security"] = [{}, {"secret": []}]
        app.openapi_schema = document
    return app.openapi_schema


def _summary(operation: Mapping[str, Any]) -> str:
    """Say in a line what a call does: what its description says first."""
    return re.split(r"[.;]\s|\n", operation["description"] + " ", maxsplit=1)[0]
