"""HTTP requests that leave in their time or not at all.

Between the decision to send and the first byte on the wire lie a queue for a thread, a look-up of the host's name,
connecting and the TLS handshake: seconds, or minutes where the process was stopped in between. So the connection itself
asks right before it writes, when only the writing is left.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from json import dumps
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

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


class JsonSender:
    """Sends JSON to one server, over connections that are kept open and ask the attempt under way before they write.

    Takes the place of a `requests.Session` where a library wants one, for half of its processor time: what a session
    finds out for each request (proxies, certificates, cookies, redirects) does not change here. Nothing is tried twice.

    Attributes:
        headers: What every request carries.
    """

    def __init__(self, url: str, *, connections: int) -> None:
        """Prepare to send.

        Args:
            url: Where the server is; it is asked by way of the proxy and with the certificates that the environment
                names, as `requests` would.
            connections: How many are kept open.
        """
        with requests.Session() as session:
            found = session.merge_environment_settings(url, {}, None, None, None)
        request = requests.Request("POST", url).prepare()
        adapter = _AskingAdapter(pool_maxsize=connections, max_retries=0)
        self._pool = adapter.get_connection_with_tls_context(
            request, found["verify"], proxies=found["proxies"], cert=found["cert"]
        )
        self._server = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
        self._whole_urls = adapter.request_url(request, found["proxies"]) != request.path_url  # as proxies want them
        self.headers: dict[str, str] = {"Content-Type": "application/json"}

    def request(
        self, method: str, url: str, *, json: Any, headers: Mapping[str, str], timeout: float
    ) -> requests.Response:
        """Send one request; the library calls it so.

        Args:
            method: Such as ``post``, in any case.
            url: An address on this server.
            json: What to write into the body; None for no body.
            headers: More of them.
            timeout: Seconds for connecting, and then for the answer.

        Raises:
            OutOfTime: it must not leave any more.
            requests.ConnectionError: it could not be made, or has no answer.
        """
        assert url.startswith(f"{self._server}/"), url  # noqa: S101 - a library that asks elsewhere would be news
        try:
            answer = self._pool.urlopen(
                method.upper(),
                url if self._whole_urls else url.removeprefix(self._server),
                body=None if json is None else dumps(json).encode(),
                headers={**self.headers, **headers},
                timeout=timeout,
                retries=False,
                redirect=False,
                assert_same_host=False,  # a proxy is another host
            )
        except HTTPError as error:
            raise requests.ConnectionError(error) from error
        attempt = _under_way.get(None)
        if attempt is not None:
            attempt.status = answer.status
        return _response(url, answer)

    def close(self) -> None:
        """Close the connections; nothing is sent after that."""
        self._pool.close()


def _response(url: str, answer: BaseHTTPResponse) -> requests.Response:
    response = requests.Response()
    response.url, response.status_code, response.reason = url, answer.status, answer.reason or ""
    response.headers.update(answer.headers)
    response.encoding = "utf-8"
    response._content = answer.data  # noqa: SLF001 - as who makes answers for tests has to
    return response


class _AskingHttp(HTTPConnection):
    """Writes a request's head and body at once, after asking."""

    _parts: list[Any] | None = None

    def request(self, *args: Any, **more: Any) -> None:
        if self.sock is None:
            self.connect()
        self._parts = []
        try:
            super().request(*args, **more)
            whole = b"".join(self._parts)
        finally:
            self._parts = None
        attempt = _under_way.get(None)
        if attempt is not None:
            attempt.leave()
        super().send(whole)

    def send(self, data: Any) -> None:
        if self._parts is None:
            super().send(data)
        else:
            self._parts.append(data)


class _AskingHttps(_AskingHttp, HTTPSConnection):
    pass


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
