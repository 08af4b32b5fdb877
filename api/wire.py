"""What uvicorn does where a client does not speak HTTP: there the application is never asked."""

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.language import FALLBACK
from api.responses import PROBLEM
from api.scope import OVERRUN, UNREAD
from issues.languages import LOCALES, Languages, load_languages, msgid

_TITLE: Final = msgid("Unreadable request")
_DETAIL: Final = msgid("This is not HTTP, or the body is longer than the request announced.")
_LINGER_S: Final = 2.0
_HEAD: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: %s\r\ncontent-language: %s\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n"
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

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave what came last to the request that was being received; uvicorn would throw it away."""
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
        accepted = next((value for name, value in headers if name == b"accept-language"), None)
        language = _languages().choose(None, accepted.decode("latin-1") if accepted else None, FALLBACK)
        body = _document(language)
        self._is_refused = True
        self.transport.write(_HEAD % (PROBLEM.encode(), language.encode(), len(body)) + body)
        self.transport.write_eof()
        # Closed at once, with bytes still coming, the connection would be reset before the answer was read.
        self.loop.call_later(_LINGER_S, self.transport.close)


@cache
def _languages() -> Languages:
    return load_languages([LOCALES, Path(__file__).parent / "locales"])


@cache
def _document(language: str) -> bytes:
    """Write the problem; there is no request, hence no id to ask about."""
    translate = _languages().translate
    return json.dumps(
        {
            "type": "/problems/malformed-request",
            "title": translate(language, _TITLE),
            "status": 400,
            "detail": translate(language, _DETAIL),
            "errors": [{"field": "body", "detail": translate(language, _DETAIL)}],
        },
        ensure_ascii=False,
    ).encode()
