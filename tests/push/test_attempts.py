import gzip
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from push.attempts import Attempt, JsonSender, OutOfTime, retry_after_s

ELSEWHERE = "http://push.example/v1/messages"


@contextmanager
def answering(taken, *, status=200, body=b"{}", headers=()):
    """A server, or a proxy, that notes what is asked of it and answers, with an empty object unless told otherwise."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            taken.append(
                (self.path, self.headers["Authorization"], self.rfile.read(int(self.headers["Content-Length"])))
            )
            self.send_response(status)
            for name, value in (("Content-Length", str(len(body))), *headers):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def post(sender, url):
    try:
        return await sender.request("post", url, json={"text": "réglé"}, headers={})
    finally:
        await sender.aclose()


async def test_the_proxy_that_the_environment_names_is_used(monkeypatch):
    taken: list[object] = []
    with answering(taken) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        sender = JsonSender("http://push.example", connections=1, timeout_s=5)
        sender.headers["Authorization"] = "Bearer once"

        answer = await post(sender, ELSEWHERE)

    assert (answer.status_code, answer.json()) == (200, {})
    assert taken == [(ELSEWHERE, "Bearer once", b'{"text": "r\\u00e9gl\\u00e9"}')]


async def test_an_attempt_whose_time_is_over_writes_nothing(clock):
    taken: list[object] = []
    attempt = Attempt(clock.window(1))
    clock.pass_s(2)
    with answering(taken) as url:
        sender = JsonSender(url, connections=1, timeout_s=5)
        with attempt.under_way(), pytest.raises(OutOfTime):
            await post(sender, f"{url}/v1/messages")

    assert not attempt.left
    assert taken == []


async def test_nobody_there_is_told_as_the_library_expects(nowhere):
    with pytest.raises(httpx.TransportError):
        await post(JsonSender(nowhere, connections=1, timeout_s=5), f"{nowhere}/v1/messages")


async def test_a_refusal_is_read_also_where_it_comes_compressed():
    compressed = [("Content-Encoding", "gzip"), ("Retry-After", "33")]
    body = gzip.compress('{"error": "réglé"}'.encode())
    with (
        answering([], status=429, body=body, headers=compressed) as url,
        pytest.raises(httpx.HTTPStatusError) as refused,
    ):
        await post(JsonSender(url, connections=1, timeout_s=5), f"{url}/v1/messages")

    answer = refused.value.response
    assert (answer.status_code, answer.json()) == (429, {"error": "réglé"})
    assert retry_after_s(answer.headers) == 33


@pytest.mark.parametrize("value", ["9" * 400, "99999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_nobody_has_us_wait_longer_than_a_day(value):
    assert retry_after_s({"Retry-After": value, "Date": "Mon, 06 Jul 2026 12:00:00 GMT"}) == 86_400
