"""The time between being told to stop and stopping."""

import asyncio
import signal

import pytest

from api.stopping import announced

_NOTICE_S = 0.05


@pytest.fixture
def happened():
    """What has happened; SIGTERM outside a notice period is `stop`."""
    happened: asyncio.Queue[str] = asyncio.Queue()
    before = signal.signal(signal.SIGTERM, lambda *_: happened.put_nowait("stop"))
    yield happened
    signal.signal(signal.SIGTERM, before)


async def both(happened):
    async with asyncio.timeout(10):
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
