"""Lines that break: how much of a request gets through, and what counts as an answer."""

import random
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from bench.bad_line import Answer, Cut, NoAnswer, call, draw_cut, write_request

REQUEST = write_request("PUT", "/v1/photos/1", {"Content-Type": "image/jpeg"}, b"x" * 300)
ANSWER = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nRetry-After: 2\r\n\r\nhello"


@dataclass
class Server:
    """Answers one connection with what it is told to, once it has heard enough or the line is closed."""

    answer: bytes = ANSWER
    heard: bytes = b""
    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self.serve, daemon=True)

    @property
    def port(self) -> int:
        port: int = self.listening.getsockname()[1]
        return port

    def serve(self) -> None:
        connection, _ = self.listening.accept()
        with connection:
            try:
                while len(self.heard) < len(REQUEST) and (piece := connection.recv(65536)):
                    self.heard += piece
                if len(self.heard) == len(REQUEST):
                    connection.sendall(self.answer)
            except ConnectionError:
                pass  # the line was reset


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with server.listening:
        server.thread.start()
        yield server
        server.thread.join()


async def test_a_line_that_holds_brings_the_answer(server):
    answer = await call(server.port, REQUEST, cut=None, timeout_s=30)

    assert answer == Answer(503, {"content-length": "5", "retry-after": "2"}, b"hello")
    assert answer.retry_after_s == 2
    assert server.heard == REQUEST


@pytest.mark.parametrize("reset", [False, True])
async def test_a_line_cut_while_sending_lets_no_more_through_than_that(server, reset):
    with pytest.raises(NoAnswer):
        await call(server.port, REQUEST, cut=Cut(sent=100, received=0, reset=reset), timeout_s=30)

    server.thread.join()
    assert REQUEST[:100].startswith(server.heard)
    assert reset or len(server.heard) == 100


@pytest.mark.parametrize("received", [0, 20, len(ANSWER) - 1])
async def test_a_line_cut_within_the_answer_brings_none(server, received):
    with pytest.raises(NoAnswer):
        await call(server.port, REQUEST, cut=Cut(sent=None, received=received, reset=True), timeout_s=30)


async def test_a_line_cut_after_the_answer_brings_it(server):
    answer = await call(server.port, REQUEST, cut=Cut(sent=None, received=len(ANSWER), reset=True), timeout_s=30)

    assert answer.body == b"hello"


async def test_nobody_who_listens_is_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    with pytest.raises(NoAnswer):
        await call(port, REQUEST, cut=None, timeout_s=30)


def test_cuts_fall_while_sending_and_while_receiving():
    rng = random.Random(1)
    cuts = [draw_cut(rng, REQUEST) for _ in range(200)]

    sending = [cut.sent for cut in cuts if cut.sent is not None]
    assert 60 < len(sending) < 140
    assert all(0 <= sent < len(REQUEST) for sent in sending)
    assert {cut.reset for cut in cuts} == {True, False}
