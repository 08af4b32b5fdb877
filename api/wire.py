"""What uvicorn does where a client does not speak HTTP: there the application is never asked."""

import asyncio
import json
from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.language import FALLBACK
from api.responses import PROBLEM
from api.scope import OVERRUN, STALL_S, UNREAD
from issues.languages import LOCALES, Languages, load_languages, msgid

_HEAD_S: Final = 30.0  # where nobody says otherwise
_LEAVE_S: Final = 1.0  # while the server stops
_LINGER_S: Final = 2.0
_HEAD: Final = (
    b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-language: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
)


class _Refusal(NamedTuple):
    """What is said of a request that the application never sees."""

    slug: str
    title: str
    detail: str
    field: str


_UNREADABLE: Final = _Refusal(
    "malformed-request",
    msgid("Unreadable request"),
    msgid("This is not HTTP, or the body is longer than the request announced."),
    "body",
)
_STALLED: Final = _Refusal(
    "request-stalled",
    msgid("Nothing came"),
    msgid("Nothing or too little came within {seconds} seconds, and nothing of it was kept. Send it again."),
    "headers",
)


class ProblemHttpProtocol(HttpToolsProtocol):
    """Answers what cannot be read with a problem document, and takes back the request before it.

    Bytes beyond the length that a request announced are read as the next request, and are none. Whoever sends them
    is confused about what they sent, so nothing of the request before may be kept if it can still be helped.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # uvicorn lets bytes after the end of a request pass where it is the last of its connection.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
        self._is_refused = False
        self._has_begun = False
        self._is_leaving = False
        self._head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Wait for the first request; uvicorn would wait for ever."""
        super().connection_made(transport)
        self._await_head()

    def on_message_begin(self) -> None:
        """Wait for the rest of a head that has begun to come."""
        super().on_message_begin()
        self._has_begun = True
        if self._head_due is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """Stop waiting: for the body it is the application that waits."""
        self._stop_waiting()
        super().on_headers_complete()
        if self._is_leaving:
            self.cycle.keep_alive = False

    def shutdown(self) -> None:
        """Leave once what is on its way here is answered; uvicorn would reset whom it has only just let in."""
        cycle: RequestResponseCycle | None = self.cycle
        is_answering = cycle is not None and not cycle.response_complete
        if is_answering or self._head_due is None:
            super().shutdown()
            return
        self._is_leaving = True
        self._stop_waiting()
        self._head_due = self.loop.call_later(_LEAVE_S, self._give_up_waiting, _LEAVE_S)

    def _await_head(self) -> None:
        stall_s = self.app_state.get(STALL_S, _HEAD_S)
        self._head_due = self.loop.call_later(stall_s, self._give_up_waiting, stall_s)

    def _stop_waiting(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _give_up_waiting(self, stall_s: float) -> None:
        self._head_due = None
        cycle: RequestResponseCycle | None = self.cycle
        if self.transport.is_closing():
            return
        if cycle is not None and not cycle.response_complete:
            self._await_head()  # the request before is still being answered
        elif not self._has_begun:
            self.transport.close()  # nothing came that could be answered
        else:
            self._refuse(408, _STALLED, self.headers, seconds=round(stall_s))

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave what came last to the request that was being received; uvicorn would throw it away."""
        self._stop_waiting()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            cast(dict[str, Any], cycle.scope)[UNREAD] = bytes(cycle.body)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in bytes; those after a refusal are thrown away."""
        if not self._is_refused:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own text, in English only
        """Answer, close, and tell the request that is being answered."""
        headers: Iterable[tuple[bytes, bytes]] = self.headers or []
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            cast(dict[str, Any], cycle.scope)[OVERRUN] = True
            cycle.disconnected = True  # its own answer would be a second one
            cycle.message_event.set()
            headers = cycle.scope["headers"]
        self._refuse(400, _UNREADABLE, headers)

    def _refuse(
        self, status: int, refusal: "_Refusal", headers: Iterable[tuple[bytes, bytes]], **params: object
    ) -> None:
        self._stop_waiting()
        accepted = next((value for name, value in headers if name == b"accept-language"), None)
        language = _languages().choose(None, accepted.decode("latin-1") if accepted else None, FALLBACK)
        body = _document(language, status, refusal, **params)
        self._is_refused = True
        head = _HEAD % (status, HTTPStatus(status).phrase.encode(), PROBLEM.encode(), language.encode(), len(body))
        self.transport.write(head + body)
        self.transport.write_eof()
        # Closed at once, with bytes still coming, the connection would be reset before the answer was read.
        self.loop.call_later(_LINGER_S, self.transport.close)


@cache
def _languages() -> Languages:
    return load_languages([LOCALES, Path(__file__).parent / "locales"])


@cache
def _document(language: str, status: int, refusal: _Refusal, **params: object) -> bytes:
    """Write the problem; there is no request, hence no id to ask about."""
    translate = _languages().translate
    detail = translate(language, refusal.detail, **params)
    return json.dumps(
        {
            "type": f"/problems/{refusal.slug}",
            "title": translate(language, refusal.title),
            "status": status,
            "detail": detail,
            "errors": [{"field": refusal.field, "detail": detail}],
        },
        ensure_ascii=False,
    ).encode()
