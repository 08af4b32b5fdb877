"""Many calls in one: each item of an outbox goes through the application like a request of its own.

So each is checked, authorised, limited, committed and answered by the very code of its own call, and one that is
refused says nothing about the next.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from api.listener import listener_of
from api.models.problems import ProblemDocument
from api.models.sync import SyncItem, SyncKind, SyncResult
from api.problems.refusals import FieldError, InvalidFields, MalformedBody, OutOfTime
from api.problems.table import PROBLEMS
from api.problems.validation import field_errors
from api.responses import problem_answer
from api.scope import REQUEST_ID
from issues.languages import msgid

BUDGET_S: Final = 20.0
"""How long one sync may take; shorter than proxies wait. What was not done by then is to be sent again."""

_NEEDED: Final = msgid("This is needed.")
_NO_SUCH_FIELD: Final = msgid("There is no such field.")
_OTHER_ID: Final = msgid("This has to be the id of the item.")
# What `api.md` has clients retry; everything else that is refused stays refused, unless the answer says when to try.
_WORTH_ANOTHER_TRY: Final = frozenset({401, 408, 425, 429})
# Of the request that brought the outbox, every item has these.
_CONNECTION: Final = ("type", "asgi", "http_version", "scheme", "server", "client")
_PASSED_ON: Final = ("authorization", "accept-language")


@dataclass(frozen=True, slots=True)
class _Call:
    """The call that an item stands for; `takes_body` is false where it is all in the address."""

    method: str
    path: str
    takes_body: bool = True

    @property
    def needs_target(self) -> bool:
        return "{target}" in self.path


_CALLS: Final = {
    SyncKind.REPORT: _Call("POST", "/v1/reports"),
    SyncKind.CORRECTION: _Call("PATCH", "/v1/reports/{target}"),
    SyncKind.LEAVE: _Call("POST", "/v1/reports/{target}/leave"),
    SyncKind.FOLLOW: _Call("PUT", "/v1/issues/{target}/follow", takes_body=False),
    SyncKind.UNFOLLOW: _Call("DELETE", "/v1/issues/{target}/follow", takes_body=False),
    SyncKind.STATUS: _Call("POST", "/v1/issues/{target}/status"),
    SyncKind.WORK_ORDER: _Call("PATCH", "/v1/work-orders/{target}"),
}


@dataclass(slots=True)
class InnerAnswer:
    """What the application answered to one item."""

    status: int = 0
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    async def send(self, message: Message) -> None:
        """Take in an answer (ASGI)."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = Headers(raw=list(message["headers"]))
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


Send = Callable[[SyncItem], Awaitable[InnerAnswer]]


async def work_off(
    request: Request, items: Sequence[Any], *, send: Send | None = None, budget_s: float = BUDGET_S
) -> list[SyncResult]:
    """Do what an outbox holds, item by item, each in a transaction of its own.

    Args:
        request: The request that brought it; its secret and language are those of every item.
        items: As they came, not checked yet.
        send: Does one item; None for the application itself.
        budget_s: How long all of it may take.

    Returns:
        What became of each, in their order. Where the time is over, the one in hand is given up (it may have been
        done: sent again, it is done once) and the rest are left; these are not final.
    """
    send = send or partial(_send, request)
    until = asyncio.get_running_loop().time() + budget_s
    return [_result(_id_of(item), await _do(request, item, send, until)) for item in items]


async def _do(request: Request, item: Any, send: Send, until: float) -> InnerAnswer:
    """Do one item, unless the time (of the event loop's clock) is over."""
    if asyncio.get_running_loop().time() >= until:
        return _refuse(request, OutOfTime())
    try:
        async with asyncio.timeout_at(until):
            return await send(_check(item))
    except TimeoutError:
        return _refuse(request, OutOfTime())
    except (InvalidFields, MalformedBody) as error:
        return _refuse(request, error)


def _check(item: Any) -> SyncItem:
    """Check what an item says of itself; its body is for the call of its kind.

    Raises:
        InvalidFields: fields are wrong; all of them are named.
    """
    try:
        checked = SyncItem.model_validate(item)
    except ValidationError as error:
        raise InvalidFields(field_errors(error.errors(include_url=False, include_input=False))) from error
    call, wrong = _CALLS[checked.kind], []
    if call.needs_target != (checked.target is not None):
        wrong.append(FieldError("target", _NEEDED if call.needs_target else _NO_SUCH_FIELD))
    if checked.tracking is not None and checked.kind not in {SyncKind.CORRECTION, SyncKind.LEAVE}:
        wrong.append(FieldError("tracking", _NO_SUCH_FIELD))
    if checked.body and not call.takes_body:
        wrong.append(FieldError("body", _NO_SUCH_FIELD))
    if str(checked.body.get("id", checked.id)).lower() != str(checked.id):
        wrong.append(FieldError("body.id", _OTHER_ID))
    if wrong:
        raise InvalidFields(wrong)
    return checked


async def _send(request: Request, item: SyncItem) -> InnerAnswer:
    """Send an item through the application, as a request of its own."""
    call, answered = _CALLS[item.kind], InnerAnswer()
    body = _inner_body(item) if call.takes_body else b""
    path = call.path.format(target=item.target)
    query = "" if item.jurisdiction_id is None else urlencode({"jurisdiction_id": item.jurisdiction_id})
    outer = request.scope
    scope = {
        **{
            name: outer[name]
            for name in ("type", "asgi", "http_version", "scheme", "server", "client")
            if name in outer
        },
        "method": call.method,
        "root_path": outer.get("root_path", ""),
        "path": outer.get("root_path", "") + path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": _inner_headers(request, item, body),
        "state": dict(outer.get("state", {})),
    }
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    await request.app(scope, receive, answered.send)
    return answered


def _inner_body(item: SyncItem) -> bytes:
    try:
        # Half a character or no number is written as it came: refusing it is for the call, which names the field.
        return json.dumps({**item.body, "id": str(item.id)}).encode()
    except RecursionError as error:
        raise MalformedBody from error


def _inner_headers(request: Request, item: SyncItem, body: bytes) -> list[tuple[bytes, bytes]]:
    given = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    if item.tracking is not None:
        given["authorization"] = f"Bearer {item.tracking}"
    given["x-request-id"] = request.scope[REQUEST_ID]
    if body:
        given |= {"content-type": "application/json", "content-length": str(len(body))}
    return [(name.encode(), value.encode("latin-1")) for name, value in given.items()]


def _refuse(request: Request, error: Exception) -> InnerAnswer:
    """Refuse an item that no call was made for."""
    response: Response = problem_answer(PROBLEMS[type(error)], error, listener_of(request), request)
    return InnerAnswer(response.status_code, response.headers, bytes(response.body))


def _result(item_id: UUID | None, answered: InnerAnswer) -> SyncResult:
    status, wait = answered.status, answered.headers.get("retry-after")
    told = json.loads(answered.body) if answered.body else None
    went_well = status < 400
    return SyncResult(
        id=item_id,
        status=status,
        final=went_well or not (wait is not None or status in _WORTH_ANOTHER_TRY or status >= 500),
        retry_after=None if wait is None else int(wait),
        body=told if went_well else None,
        problem=None if went_well else ProblemDocument.model_validate(told),
    )


def _id_of(item: Any) -> UUID | None:
    """Get an item's id, also of one that is wrong in other ways."""
    with suppress(ValueError, TypeError, AttributeError, KeyError):
        return UUID(item["id"])
    return None
