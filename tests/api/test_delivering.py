"""The worker's look, every few seconds, for what is due in any city."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from api.delivering import keep_delivering


class Sending:
    """A sender that always fails for one city, and is at work for the other until it may go on."""

    def __init__(self):
        self.runs = []
        self.begun, self.failed_thrice, self.go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.ended = None

    async def deliver_due(self, city_id, *, stop):
        assert not stop.is_set()
        self.runs.append(city_id)
        if city_id == 1:
            if self.runs.count(1) == 3:
                self.failed_thrice.set()
            raise RuntimeError("trouble")
        self.begun.set()
        try:
            await self.go_on.wait()
            self.ended = "by itself"
        except asyncio.CancelledError:
            self.ended = "cut off"
            raise


@pytest.fixture
def keeping(database):
    async def keeping(sender, stop, *, grace_s=10.0):
        texts: Any = SimpleNamespace(own={})
        extras: Any = SimpleNamespace(links={})
        await keep_delivering(database, sender, texts, extras, stop, grace_s=grace_s, every_s=0.01)

    return keeping


async def test_one_city_s_trouble_ends_no_other_s_sending(cities, keeping):
    sender, stop = Sending(), asyncio.Event()
    looking = asyncio.create_task(keeping(sender, stop))

    await sender.begun.wait()
    await sender.failed_thrice.wait()
    stop.set()
    sender.go_on.set()
    await looking

    assert sender.ended == "by itself"
    assert sender.runs.count(2) == 1


async def test_a_run_that_does_not_end_in_time_is_cut_off_with_its_worker(cities, keeping):
    sender, stop = Sending(), asyncio.Event()
    looking = asyncio.create_task(keeping(sender, stop, grace_s=0.05))

    await sender.begun.wait()
    stop.set()
    await looking

    assert sender.ended == "cut off"
