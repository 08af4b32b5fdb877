"""The time between being told to stop and stopping."""

import asyncio
import signal
import socket
from contextlib import ExitStack, contextmanager

import pytest
import uvloop
from uvicorn import Config

from api.processes import PoliteServer
from api.stopping import announced, said_at_once
from api.wire import ProblemHttpProtocol

_NOTICE_S = 0.05
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def happened():
    """What has happened; SIGTERM outside a notice period is `stop`."""
    happened: asyncio.Queue[str] = asyncio.Queue()
    before = signal.signal(signal.SIGTERM, lambda *_: happened.put_nowait("stop"))
    yield happened
    signal.signal(signal.SIGTERM, before)


async def both(happened):
    async with asyncio.timeout(30):
        return [await happened.get(), await happened.get()]


async def test_a_process_says_that_it_will_stop_before_it_does(happened):
    with announced(lambda: happened.put_nowait("announced"), notice_s=_NOTICE_S):
        signal.raise_signal(signal.SIGTERM)
        assert await both(happened) == ["announced", "stop"]


async def test_a_process_that_is_told_again_keeps_its_notice_period(happened):
    with announced(lambda: happened.put_nowait("announced"), notice_s=_NOTICE_S):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert happened.empty()
        assert await both(happened) == ["announced", "stop"]


async def test_after_the_block_sigterm_does_what_it_did_before(happened):
    with announced(lambda: happened.put_nowait("announced"), notice_s=_NOTICE_S):
        signal.raise_signal(signal.SIGTERM)

    signal.raise_signal(signal.SIGTERM)

    assert happened.get_nowait() == "stop"


@pytest.fixture
def interruptible():
    """Ctrl-C does what it does in a command."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_said_while_what_computes_has_yet_to_give_way(interruptible):
    happened = []

    async def compute():
        signal.raise_signal(signal.SIGINT)
        happened.append("computed")
        await asyncio.sleep(0)
        happened.append("went on")

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(said_at_once(compute(), lambda: happened.append("said")))

    assert happened == ["said", "computed"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


async def says_hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@contextmanager
def knocking(server, beginning):
    """In the block, a client has connected and sent this much, and the server has not looked yet."""
    with socket.create_connection(server.servers[0].sockets[0].getsockname(), timeout=30) as line:
        line.sendall(beginning)
        yield line


def answer_on(line):
    return b"".join(iter(lambda: line.recv(1000), b""))


@pytest.fixture
def on_a_server():
    """Run a test's coroutine with a server that has started, on the loop that servers have."""

    def run(act):
        async def with_server():
            config = Config(says_hello, port=0, http=ProblemHttpProtocol, lifespan="off", log_config=None)
            config.load()
            server = PoliteServer(config)
            server.lifespan = config.lifespan_class(config)
            await server.startup()
            async with asyncio.timeout(30):
                await act(server)

        uvloop.run(with_server())

    return run


def test_whoever_waits_at_the_door_when_it_closes_is_answered(on_a_server):
    async def act(server):
        with ExitStack() as lines:
            # Nothing here lets the loop run, so that they all come while the server looks elsewhere.
            waiting = [lines.enter_context(knocking(server, REQUEST)) for _ in range(5)]
            await server.shutdown()
            assert [b"200 OK" in answer_on(line) for line in waiting] == [True] * 5

    on_a_server(act)


@pytest.mark.parametrize("come", [b"", REQUEST[:20]])
def test_whoever_was_let_in_may_finish_saying_what_they_want(on_a_server, come):
    async def act(server):
        with knocking(server, come) as line:
            while not server.server_state.connections:  # noqa: ASYNC110 - a server tells nobody
                await asyncio.sleep(0)
            stopping = asyncio.create_task(server.shutdown())
            await asyncio.sleep(0)
            line.sendall(REQUEST[len(come) :])
            await stopping
            assert b"connection: close" in answer_on(line)

    on_a_server(act)


@pytest.mark.parametrize(("come", "answered"), [(b"", False), (REQUEST[:20], True)])
def test_whoever_says_nothing_more_does_not_hold_the_server_up(on_a_server, monkeypatch, come, answered):
    monkeypatch.setattr("api.wire._LEAVE_S", 0.05)
    monkeypatch.setattr("api.wire._LINGER_S", 0.05)

    async def act(server):
        with knocking(server, come) as line:
            await server.shutdown()
            assert (b"408 Request Timeout" in answer_on(line)) is answered

    on_a_server(act)
