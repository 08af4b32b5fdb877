"""Syncing: a whole outbox in one call."""

import json
from typing import Final

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.auth import authenticate
from api.deps import Now, Served
from api.middleware import IncomingBody
from api.models.sync import SyncEnvelope, SyncIn, SyncOut
from api.openapi import model_body, problems, request_body
from api.problems.refusals import InvalidFields, MalformedBody, MediaTypeNotSupported
from api.problems.validation import field_errors
from api.responses import answer
from api.scope import BODY, CALLER
from api.sync import work_off

router = APIRouter(prefix="/v1/sync", tags=["sync"])

SYNC_LIMIT_BYTES: Final = 1_000_000
_JSON_TYPE: Final = "application/json"


@router.post(
    "",
    response_model=SyncOut,
    responses=problems(400, 413, 415),
    openapi_extra=request_body((_JSON_TYPE, model_body(SyncIn))),
)
async def sync(*, request: Request, served: Served, now: Now) -> Response:
    """Send up to 100 calls that waited in an outbox, in order; each has its own transaction and its own result.

    An item whose result is `final` may leave the outbox. The others are sent again as they are, after `retry_after`
    seconds where the server says so: what was done before is done once. One item that is refused does not stop the
    others; after 20 seconds the rest is left for another call. The body may come compressed.
    """
    async with served.database.transaction() as session:
        request.scope[CALLER] = await authenticate(session, request, now=now)
    items = (await _read_envelope(request)).items
    return answer(SyncOut(items=await work_off(request, items)))


async def _read_envelope(request: Request) -> SyncEnvelope:
    """Read an outbox, its items not looked at yet.

    Raises:
        MediaTypeNotSupported, MalformedBody, InvalidFields, BodyTooLarge: as for any body of JSON.
    """
    media_type = request.headers.get("content-type", _JSON_TYPE).partition(";")[0].strip().lower()
    if media_type != _JSON_TYPE:
        raise MediaTypeNotSupported([_JSON_TYPE])
    body: IncomingBody = request.scope[BODY]
    body.limit_bytes = SYNC_LIMIT_BYTES
    received = await request.body()
    try:
        # Not Pydantic's parser, to which half a character in one item makes all of them unreadable.
        return SyncEnvelope.model_validate(json.loads(received))
    except ValidationError as error:
        raise InvalidFields(field_errors(error.errors(include_url=False, include_input=False))) from error
    except (ValueError, RecursionError) as error:
        raise MalformedBody from error
