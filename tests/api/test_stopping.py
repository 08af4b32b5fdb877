"""The time between being told to stop and stopping."""

import asyncio
import signal

import pytest

from api.stopping import announced

_NOTICE_S = 0.05


@pytest.fixture
def happened():
    """What has happened so far; SIGTERM outside a notice period is `stop`."""
    happened = []
    before = signal.signal(signal.SIGTERM, lambda *_: happened.append("stop"))
    yield happened
    signal.signal(signal.SIGTERM, before)


async def until(happened, length):
    async with asyncio.timeout(10):
        while len(happened) < length:
            await asyncio.sleep(0)


async def test_a_process_says_that_it_will_stop_before_it_does(happened):
    with announced(lambda: happened.append("announced"), notice_s=_NOTICE_S):
        signal.raise_signal(signal.SIGTERM)
        await until(happened, 2)

    assert happened == ["announced", "stop"]


async def test_a_process_that_is_told_again_keeps_its_notice_period(happened):
    with announced(lambda: happened.append("announced"), notice_s=_NOTICE_S):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert happened == []
        await until(happened, 2)

    assert happened == ["announced", "stop"]


async def test_after_the_block_sigterm_does_what_it_did_before(happened):
    with announced(lambda: happened.append("announced"), notice_s=_NOTICE_S):
        signal.raise_signal(signal.SIGTERM)

    signal.raise_signal(signal.SIGTERM)

    assert happened == ["stop"]
