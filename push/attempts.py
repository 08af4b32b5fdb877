"""HTTP requests that leave in their time or not at all.

Between the decision to send and the first byte on the wire lie a queue for a thread, a look-up of the host's name,
connecting and the TLS handshake: seconds, or minutes where the process was stopped in between. So the connection itself
asks right before it writes, when only the writing is left.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection

from push.channels import SendWindow


class OutOfTime(Exception):
    """The request's window closed, or its sender gave it up, before it was written: the server has not got it."""


class Attempt:
    """One request on its way. Shared by the thread that makes it and the sender that waits for it.

    Attributes:
        left: Whether bytes of it may have left.
        status: The HTTP status it was answered with; None as long as there is no answer.
    """

    def __init__(self, window: SendWindow) -> None:
        """Prepare a request that may leave while `window` is open."""
        self._window = window
        self._lock = Lock()
        self._ended = False
        self.left = False
        self.status: int | None = None

    def leave(self) -> None:
        """Note that bytes are about to leave.

        Raises:
            OutOfTime: they must not.
        """
        with self._lock:
            if self._ended or self._window.left_s <= 0:
                raise OutOfTime
            self.left = True

    def end(self) -> bool:
        """Wait no longer for it; what has not left stays. Answers whether it has left."""
        with self._lock:
            self._ended = True
            return self.left

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Have the requests that this thread makes inside ask this attempt."""
        token = _under_way.set(self)
        try:
            yield
        finally:
            _under_way.reset(token)


_under_way: ContextVar[Attempt] = ContextVar("_under_way")


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read ``Retry-After``: seconds, or a date, which is compared with the answer's own (RFC 9110, 10.2.3).

    Args:
        headers: Of an answer, found whatever their case.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return None
    return max(0.0, wait.total_seconds())


def asking_session(connections: int) -> requests.Session:
    """Make an HTTP session without retries whose connections ask the attempt under way before they write.

    Args:
        connections: How many are kept open for each host.
    """
    session = requests.Session()
    session.hooks["response"].append(_note_status)
    adapter = _AskingAdapter(pool_maxsize=connections, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _AskingHttp(HTTPConnection):
    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _ask()
        super().send(data)


class _AskingHttps(HTTPSConnection):
    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        _ask()
        super().send(data)


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _AskingHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _AskingHttps


_POOLS = {"http": _HttpPool, "https": _HttpsPool}


class _AskingAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **more: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **more)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def _note_status(response: requests.Response, **_: object) -> None:
    attempt = _under_way.get(None)
    if attempt is not None:
        attempt.status = response.status_code


def _ask() -> None:
    attempt = _under_way.get(None)
    if attempt is not None:
        attempt.leave()
