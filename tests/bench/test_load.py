"""The measuring client against a server that answers in awkward pieces."""

import socket
import threading
from collections import Counter, deque
from collections.abc import Iterator

import pytest

from bench.load import Exchange, Measured, RanOut, Target, send_all

ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nServer: x\r\n\r\nhello"
REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"


def answer_in_pieces(listening: socket.socket) -> None:
    """Answer each request of one connection in three pieces, the first ending inside the head."""
    connection, _ = listening.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        while piece := connection.recv(65536):
            received += piece
            while received.startswith(REQUEST):
                received = received[len(REQUEST) :]
                for part in (ANSWER[:30], ANSWER[30:-2], ANSWER[-2:]):
                    connection.sendall(part)


@pytest.fixture
def target() -> Iterator[Target]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer_in_pieces, args=(listening,))
        thread.start()
        yield Target("127.0.0.1", [listening.getsockname()[1]])
        thread.join()


def exchanges(count: int, requests: int = 1) -> deque[Exchange]:
    return deque([[REQUEST]] * requests for _ in range(count))


def test_counts_each_answer_once_and_times_each_exchange(target):
    measured = send_all(target, exchanges(20, requests=2), clients=1)

    assert measured.statuses == {201: 40}
    assert len(measured.latencies_s) == 20
    assert 0 < sum(measured.latencies_s) <= measured.seconds


def test_says_when_too_few_requests_were_prepared(target):
    with pytest.raises(RanOut):
        send_all(target, exchanges(3), clients=1, seconds=60)


@pytest.mark.parametrize(("share", "milliseconds"), [(0.5, 2000), (0.95, 4000), (0.25, 1000), (0.26, 2000)])
def test_percentiles_are_those_of_the_nearest_rank(share, milliseconds):
    measured = Measured(1.0, [1.0, 2.0, 3.0, 4.0], statuses=Counter(), client_cpu_s=0)

    assert measured.percentile_ms(share) == milliseconds
