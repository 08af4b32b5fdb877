"""Around every request: an id, one log event, its numbers, a limit on its body, and an answer where the code failed.

HEAD is answered here too, for every call at once: as GET, without the body.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from uuid import uuid4

import structlog
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.encodings import decoder_of
from api.listener import listener_of
from api.problems.handlers import unexpected_answer
from api.problems.refusals import BodyOverrun, BodyStalled, BodyTooLarge, TooBusy
from api.problems.table import PROBLEMS
from api.responses import problem_answer
from api.scope import BODY, HEAD_ONLY, LANGUAGE, OVERRUN, REQUEST_ID
from api.serving import Serving

_log = structlog.get_logger(__name__)

JSON_LIMIT_BYTES: Final = 64_000

# A phone at the edge of a network sends ten times as much; who sends less only wants to keep the server busy.
_LEAST_BYTES_PER_S: Final = 1000
_DRAIN_BYTES: Final = 32_000_000
_DRAIN_S: Final = 10.0
_SENDER_GONE: Final = 499  # what proxies note where nobody was left to answer

# A proxy's own id is kept if it is harmless in logs and headers.
_HARMLESS_ID: Final = re.compile(rb"[A-Za-z0-9._-]{8,64}")
_QUIET_ROUTES: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class IncomingBody:
    """The body of a request on its way in: measured against what it announced and what the call accepts.

    One that comes compressed is handed on decoded; the limit is for what is handed on. It may keep the server waiting
    for `stall_s` seconds and, in all, for a second more with every kilobyte that came.
    """

    def __init__(self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes], *, stall_s: float) -> None:
        self.announced_bytes = _announced_bytes(headers.get(b"content-length"))
        self.limit_bytes = JSON_LIMIT_BYTES
        self.stall_s = stall_s
        self._scope = scope
        self._receive = receive
        self._received_bytes = 0
        self._waited_s = 0.0
        self._handed_on_bytes = 0
        self._decoder = decoder_of(headers)
        self._is_coming = bool(self.announced_bytes) or b"transfer-encoding" in headers
        # Whoever waits to be told to go on is rather answered than told to.
        self._is_over = b"expect" in headers or not self._is_coming

    async def receive(self) -> Message:
        """Receive the next message of the request (ASGI).

        Raises:
            BodyTooLarge: the body is larger than the call accepts.
            BodyOverrun: it is longer than it announced.
            BodyStalled: it does not come.
            EncodingNotSupported, BodyUndecodable: see `BodyDecoder`.
        """
        message = await (self._await_more() if self._is_coming else self._receive())
        self._is_over = not message.get("more_body", False)
        self._is_coming = not self._is_over
        if message["type"] == "http.request":
            piece: bytes = message.get("body", b"")
            self._received_bytes += len(piece)
            room = self.limit_bytes - self._handed_on_bytes
            if self._decoder is not None:
                piece = self._decoder.decode(piece, at_most=room + 1, is_last=self._is_over)
                message = {**message, "body": piece}
            self._handed_on_bytes += len(piece)
            if len(piece) > room:
                raise BodyTooLarge(self.limit_bytes, last_part=piece[: max(0, room)])
            if self._is_overrun():
                raise BodyOverrun
        return message

    async def _await_more(self) -> Message:
        clock = asyncio.get_running_loop().time
        began = clock()
        patience_s = self.stall_s + self._received_bytes / _LEAST_BYTES_PER_S - self._waited_s
        try:
            async with asyncio.timeout(min(patience_s, self.stall_s)):
                return await self._receive()
        except TimeoutError:
            self._is_over = True  # there is nothing to drain
            raise BodyStalled(self.stall_s) from None
        finally:
            self._waited_s += clock() - began

    async def drain(self) -> None:
        """Read the rest and throw it away, within reason: a sender that is cut off while sending gets no answer."""
        drained_bytes = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while not self._is_over and drained_bytes < _DRAIN_BYTES:
                    message = await self._receive()
                    self._is_over = not message.get("more_body", False)
                    drained_bytes += len(message.get("body", b""))

    def _is_overrun(self) -> bool:
        """Whether more came than was announced: counted here, or seen by the server, which keeps the rest back."""
        longer = self.announced_bytes is not None and self._received_bytes > self.announced_bytes
        return longer or OVERRUN in self._scope


class RequestFrame:
    """The outermost part of the application (pure ASGI: a wrapped response costs more than the whole frame)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(  # noqa: D102 - as ASGI says
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = dict(scope["headers"])
        request_id = _request_id(headers.get(b"x-request-id"))
        serving: Serving = scope["app"].state.serving
        body = IncomingBody(scope, receive, headers, stall_s=serving.settings.request_stall_s)
        scope[REQUEST_ID], scope[BODY] = request_id, body
        structlog.contextvars.bind_contextvars(request_id=request_id)
        is_head = scope["method"] == "HEAD"
        # A scope of its own: the server has to go on seeing HEAD, or it would wait for the body that was announced.
        inner = {**scope, "method": "GET", HEAD_ONLY: True} if is_head else scope
        answer = _Answer(send, request_id, body, inner, is_head=is_head)
        try:
            if scope["path"] in _QUIET_ROUTES:
                # Those who watch are answered also when nobody else is.
                await self._app(inner, body.receive, answer.send)
            else:
                with serving.requests.entered():
                    await self._app(inner, body.receive, answer.send)
        except TooBusy as error:
            busy = HTTPConnection(inner)
            await problem_answer(PROBLEMS[TooBusy], error, listener_of(busy), busy)(inner, receive, answer.send)
        except ClientDisconnect:
            answer.status = _SENDER_GONE
        except Exception as error:
            _log.exception("request_failed")
            if answer.status is not None:
                raise  # half an answer is out; the server cuts the connection, so that nobody takes it for whole
            await unexpected_answer(HTTPConnection(inner), error)(inner, receive, answer.send)
        finally:
            self._note(inner, serving, scope["method"], answer, seconds=time.perf_counter() - began)

    def _note(self, scope: Scope, serving: Serving, method: str, answer: "_Answer", *, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "(none)")
        status = answer.status or 500
        if status < 300 and scope["method"] != "GET":
            serving.live.touch()
        serving.metrics.count_request(method=method, route=route, status=status, seconds=seconds)
        if route not in _QUIET_ROUTES:
            _log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


class _Answer:
    """Passes an answer on and remembers its status; a refusal does not end before the request is all there."""

    def __init__(self, send: Send, request_id: str, body: IncomingBody, scope: Scope, *, is_head: bool) -> None:
        self.is_head = is_head
        self._body = body
        self._scope = scope
        self.status: int | None = None
        self._send = send
        self._request_id = request_id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [(b"x-request-id", self._request_id.encode()), *_about_language(self._scope.get(LANGUAGE))]
            message["headers"] = [*message["headers"], *own]
        elif self.is_head:
            message = {**message, "body": b""}
        if self.status is not None and self.status >= 400 and _is_last(message):
            # Who reads while sending need not wait for its own end; the answer is complete by its length.
            await self._send({**message, "more_body": True})
            await self._body.drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)


def _about_language(language: str | None) -> list[tuple[bytes, bytes]]:
    """Say in which language an answer is, and what decided it: the device's choice, then what the request asks for."""
    if language is None:
        return []
    return [(b"content-language", language.encode()), (b"vary", b"Authorization, Accept-Language")]


def _is_last(message: Message) -> bool:
    return message["type"] == "http.response.body" and not message.get("more_body", False)


def _request_id(given: bytes | None) -> str:
    if given is not None and _HARMLESS_ID.fullmatch(given):
        return given.decode()
    return uuid4().hex


def _announced_bytes(header: bytes | None) -> int | None:
    return int(header) if header is not None and header.isdigit() else None
