import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from push.attempts import Attempt, JsonSender, OutOfTime

ELSEWHERE = "http://push.example/v1/messages"


@contextmanager
def answering(taken):
    """A server, or a proxy, that notes what is asked of it and answers with an empty object."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            taken.append(
                (self.path, self.headers["Authorization"], self.rfile.read(int(self.headers["Content-Length"])))
            )
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

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


def post(sender, url):
    answer = sender.request("post", url, json={"text": "réglé"}, headers={}, timeout=5)
    sender.close()
    return answer


def test_the_proxy_that_the_environment_names_is_used(monkeypatch):
    taken: list[object] = []
    with answering(taken) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        sender = JsonSender("http://push.example", connections=1)
        sender.headers["Authorization"] = "Bearer once"

        answer = post(sender, ELSEWHERE)

    assert (answer.status_code, answer.json()) == (200, {})
    assert taken == [(ELSEWHERE, "Bearer once", b'{"text": "r\\u00e9gl\\u00e9"}')]


def test_an_attempt_that_was_given_up_writes_nothing(clock):
    taken: list[object] = []
    attempt = Attempt(clock.window())
    attempt.end()
    with answering(taken) as url:
        sender = JsonSender(url, connections=1)
        with attempt.under_way(), pytest.raises(OutOfTime):
            post(sender, f"{url}/v1/messages")

    assert not attempt.left
    assert taken == []


def test_nobody_there_is_told_as_the_library_expects(nowhere):
    with pytest.raises(requests.ConnectionError):
        post(JsonSender(nowhere, connections=1), f"{nowhere}/v1/messages")
