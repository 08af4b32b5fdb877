"""Senders that stall, dribble or only knock: they hold nothing up, and are let go of. Over raw sockets, to a server."""

import json
import os
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

from bench.phones import Phone
from bench.requests import registration_request
from bench.servers import Server, jalon_environment, running
from db.base import new_id
from db.cluster import WEB, Cluster

STALL_S = 0.5
# Of a busy machine.
PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def server(cluster: Cluster, cities_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits half a second for a sender; nobody is the worse for what others sent it."""
    name, folder = f"slow_{os.getpid()}", tmp_path_factory.mktemp("slow")
    cluster.create_database(name, template=cities_template)
    environment = jalon_environment(
        cluster.url(WEB, name), folder / "data", request_stall_s=str(STALL_S), database_connections="2"
    )
    server = Server(environment, folder / "serve.log")
    with running([server]):
        yield server
    cluster.drop_database(name)


@pytest.fixture
def patient_server(cities, app_url: str, tmp_path: Path) -> Iterator[Server]:
    """A server that waits, with room for 50 uploads and two connections to its database."""
    environment = jalon_environment(
        app_url, tmp_path / "data", request_stall_s="120", uploads_at_once="50", database_connections="1"
    )
    server = Server(environment, tmp_path / "serve.log")
    with running([server]):
        yield server


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)


def register(server: Server) -> Phone:
    phone = Phone()
    assert answer_of(server, b"".join(registration_request(phone)))[0] == 201
    return phone


def answer_of(server: Server, request: bytes) -> tuple[int, bytes]:
    with connect(server) as line:
        line.sendall(request)
        return read_answer(line)


def read_answer(line: socket.socket) -> tuple[int, bytes]:
    """Read an answer to its end, by its length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += line.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += line.recv(65536)
    return int(head.split()[1]), body


def until_closed(line: socket.socket) -> bytes:
    return b"".join(iter(lambda: line.recv(65536), b""))


def photo_head(phone: Phone, length: int = 1_000_000) -> bytes:
    return (
        f"PUT /v1/photos/{new_id()} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {phone.secret}\r\n"
        f"Content-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def report_head(length: int) -> bytes:
    return (
        "POST /v1/reports HTTP/1.1\r\nHost: localhost\r\nAccept-Language: en\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def test_a_body_that_stops_coming_is_cut_off_and_says_so(server):
    with connect(server) as line:
        line.sendall(report_head(5000) + b'{"service_code":')
        answer = until_closed(line)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    problem = json.loads(body)
    assert problem["type"] == "/problems/request-stalled"
    assert "nothing of it was kept" in problem["detail"]


def test_a_form_and_a_photo_that_stop_coming_are_cut_off(server):
    phone = register(server)
    form = (
        f"POST /v1/reports HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {phone.secret}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000\r\n\r\n--x\r\nContent-Disp"
    ).encode()

    for request in (form, photo_head(phone) + b"\xff\xd8\xff"):
        with connect(server) as line:
            line.sendall(request)
            assert until_closed(line).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_comes_by_the_byte_is_cut_off_too(server):
    with connect(server) as line:
        line.sendall(report_head(60_000))
        sent, deadline = 0, time.monotonic() + PATIENCE_S
        while not select.select([line], [], [], STALL_S / 10)[0]:  # each byte well before the stall would be over
            line.sendall(b" ")
            sent += 1
            assert time.monotonic() < deadline
        status, _ = read_answer(line)

    assert status == 408
    assert sent > 1


@pytest.mark.parametrize("beginning", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: "])
def test_a_head_that_does_not_come_ends_the_connection(server, beginning):
    with connect(server) as line:
        line.sendall(beginning)
        answer = until_closed(line)

    assert answer.startswith(b"HTTP/1.1 408 ") or (answer, beginning) == (b"", b"")


def test_the_head_of_a_second_request_has_no_longer(server):
    whole = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connect(server) as line:
        line.sendall(whole)
        assert read_answer(line)[0] == 200
        line.sendall(whole)
        assert read_answer(line)[0] == 200
        line.sendall(whole[:10])
        answer = until_closed(line)

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_under_fifty_slow_uploads_the_rest_is_answered_at_once(patient_server):
    server = patient_server
    phone = register(server)
    with ExitStack() as lines:
        slow = [lines.enter_context(connect(server)) for _ in range(50)]
        for line in slow:
            line.sendall(photo_head(phone) + b"\xff\xd8\xff\xe0")
        # The fifty are in once one more is refused.
        deadline = time.monotonic() + PATIENCE_S
        while (refused := answer_of(server, photo_head(phone, 4) + b"\xff\xd8\xff\xe0"))[0] != 503:
            assert time.monotonic() < deadline
        problem = json.loads(refused[1])
        alive = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        took_s = []
        for _ in range(20):
            began = time.monotonic()
            alive.request("GET", "/healthz")
            answer = alive.getresponse()
            assert (answer.status, answer.read()) == (200, b'{"alive":true}')
            took_s.append(time.monotonic() - began)
        alive.close()
        report = {"id": str(new_id()), "service_code": "nid-de-poule", "lat": 45.527, "long": -73.569}
        content = json.dumps(report).encode()
        filed, _ = answer_of(server, report_head(len(content)) + content)

    assert problem["type"] == "/problems/too-busy"
    assert sorted(took_s)[len(took_s) // 2] < 1.0
    assert filed == 201
