"""What happens in a city, as it happens (server-sent events)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response, StreamingResponse

from api.auth import authenticate
from api.cities import NamedCity
from api.deps import JurisdictionId, Now, Served, city_looked_at
from api.listener import language_of
from api.models.fields import Text
from api.models.issues import EventOut
from api.openapi import Responses, problems
from api.problems.refusals import FieldError, InvalidFields
from api.scope import HEAD_ONLY
from api.serving import Serving
from db.tenancy import enter_city
from issues.events import end_of_feed, read_feed
from issues.languages import msgid
from issues.pages import InvalidCursor

router = APIRouter(prefix="/v1/events", tags=["events"])

_EVENTS_AT_ONCE: Final = 200
# A comment now and then, so that neither proxies nor phones take the silence for an end.
_SIGN_EVERY_S: Final = 15.0
# Then the client comes again, with the last id it got: whom it belongs to and where it leads is looked at anew.
_LONGEST_S: Final = 600.0
_EVENT_STREAM: Final[Responses] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}

LastEventId = Annotated[Text | None, Header(max_length=1000, description="Goes on after this event.")]


@router.get("", response_class=StreamingResponse, responses={**_EVENT_STREAM, **problems(503)})
async def listen_to_events(
    *,
    request: Request,
    served: Served,
    now: Now,
    jurisdiction_id: JurisdictionId = None,
    last_event_id: LastEventId = None,
) -> Response:
    """Listen to what happens in a city; the city's staff hear internal events too.

    Each event comes with an id. Who was cut off sends the last as `Last-Event-ID`, as browsers do by themselves, and
    misses nothing; who sends none begins with what comes next.
    """
    address = "" if request.client is None else request.client.host
    served.live.refuse_too_many(address)
    async with served.database.transaction() as session:
        caller = await authenticate(session, request, now=now)
        book = city_looked_at(served.cities, caller, jurisdiction_id)
        await enter_city(session, book.id)
        staff = caller.is_staff_of(book.id)
        if last_event_id is None:
            last_event_id = await end_of_feed(session)
        else:  # refused now, while there is somebody to tell
            await _refuse_made_up(session, book.id, last_event_id)
    city = served.cities.named(book, language_of(request, book))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    if HEAD_ONLY in request.scope:  # nobody would hear what follows
        return Response(media_type="text/event-stream", headers=headers)
    stream = _events(served, city, address=address, staff=staff, cursor=last_event_id)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _refuse_made_up(session: AsyncSession, city_id: int, last_event_id: str) -> None:
    try:
        await read_feed(session, city_id, staff=False, limit=1, cursor=last_event_id)
    except InvalidCursor as error:
        raise InvalidFields([FieldError("Last-Event-ID", msgid("No event was sent with this id."))]) from error


async def _events(served: Serving, city: NamedCity, *, address: str, staff: bool, cursor: str) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    ends, signed = clock() + _LONGEST_S, clock()
    async with served.live.listening(address):
        yield f"id: {cursor}\nretry: 2000\n: listening\n\n"
        while clock() < ends and not served.readiness.is_leaving:
            async with served.database.transaction(city.book.id) as session:
                found = await read_feed(session, city.book.id, staff=staff, limit=_EVENTS_AT_ONCE, cursor=cursor)
            for event, behind in found:
                cursor = behind
                data = EventOut.of(event, city).model_dump_json()
                yield f"id: {cursor}\nevent: {event.kind}\ndata: {data}\n\n"
            if not found:
                await served.live.wait()
            if clock() > signed + _SIGN_EVERY_S:
                signed = clock()
                yield ": still here\n\n"
