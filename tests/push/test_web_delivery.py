"""From the outbox to browsers, over real sockets."""

import itertools
import threading
from collections import Counter

import pytest
import pytest_asyncio
from sqlalchemy import select

from db.base import new_id
from push import deliver
from push.channels import AddressKind, Outcome
from push.deliver import Sender
from push.devices import Device, register_device
from push.outbox import Delivery
from push.queueing import Recipient, queue_notifications
from push.webpush import WebPushChannel
from tests.push.people import CITY, NOON, a_registration
from tests.push.push_service import VAPID_KEY


@pytest_asyncio.fixture
async def sender(database, clock):
    channel = WebPushChannel(VAPID_KEY, contact="mailto:push@city.example", clock=lambda: clock.now, allow_private=True)
    yield Sender(
        database, dict.fromkeys((AddressKind.WEBPUSH, AddressKind.UNIFIEDPUSH), channel),
        render=lambda *_: ("Votre signalement", "Réglé."), clock=clock, seconds=clock.seconds,
    )  # fmt: skip
    await channel.close()


@pytest.fixture
def tell(database):
    """Registers browsers at a service and tells them of an event."""

    async def tell(service, *names):
        async with database.transaction(CITY) as session:
            devices = []
            for name in names:
                endpoint = service.subscribe(name)
                keys = service.browsers[f"/push/{name}"].keys
                registration = a_registration(endpoint, kind=AddressKind.WEBPUSH, keys=keys)
                devices.append(await register_device(session, registration, now=NOON))
            await queue_notifications(
                session, CITY, event_id=new_id(), kind="resolved", params={"issue_id": "an-issue"},
                happened_at=NOON, now=NOON, recipients=[Recipient(device.person_id, {}) for device in devices],
            )  # fmt: skip
        return [device.id for device in devices]

    return tell


async def states(database):
    async with database.transaction(CITY) as session:
        return Counter((await session.execute(select(Delivery.state))).scalars())


async def test_a_browser_reads_what_was_queued_for_it(services, sender, tell):
    await tell(services[0], "browser-1")

    done = await sender.deliver_due(CITY)

    [arrived] = services[0].arrivals
    assert done == {Outcome.SENT: 1}
    assert (arrived.text["body"], arrived.text["data"]["issue_id"]) == ("Réglé.", "an-issue")


async def test_a_browser_that_is_gone_is_forgotten_with_its_keys(database, services, sender, tell):
    gone, there = await tell(services[0], "gone", "there")
    services[0].fail(410, "gone")

    await sender.deliver_due(CITY)

    async with database.transaction() as session:
        left = {device.id: (device.push_address, device.push_auth) for device in await session.scalars(select(Device))}
    assert left[gone] == (None, None)
    assert None not in left[there]
    assert await states(database) == {"forgotten": 1, "sent": 1}


async def test_while_one_host_hangs_the_others_messages_go_out_batch_after_batch(
    database, services, sender, tell, clock, monkeypatch
):
    """The slow host answers its first once the other has got all of its own, or not in time at all."""
    monkeypatch.setattr(deliver, "BATCH", 20)
    monkeypatch.setattr(deliver, "_PATIENCE_S", 2.5)  # the quick host, too, is slow where the machine is busy
    monkeypatch.setattr(deliver, "_LANE_PATIENCE_S", 0.05)
    slow, quick = services
    all_quick = threading.Event()
    slow.on_arrival.append(lambda _path: all_quick.wait(20))
    arrived = itertools.count(1)  # `next` is atomic, where the length of a list that threads append to skips numbers
    quick.on_arrival.append(lambda _path: all_quick.set() if next(arrived) == 60 else None)
    await tell(slow, *(f"slow-{n}" for n in range(12)))
    await tell(quick, *(f"quick-{n}" for n in range(60)))

    first = await sender.deliver_due(CITY)
    clock.pass_s(deliver._PASS_BY_S)
    second = await sender.deliver_due(CITY)

    assert first[Outcome.NO_ANSWER] == 0
    assert first[Outcome.UNSENT] > 0
    assert first[Outcome.SENT] + second[Outcome.SENT] == 72
    assert Counter(slow.names()) == {f"slow-{n}": 1 for n in range(12)}
    assert Counter(quick.names()) == {f"quick-{n}": 1 for n in range(60)}
    assert await states(database) == {"sent": 72}


async def test_a_host_that_is_only_busy_is_waited_for_and_its_messages_are_not_put_off(
    database, services, sender, tell, monkeypatch
):
    monkeypatch.setattr(deliver, "BATCH", 20)
    monkeypatch.setattr(deliver, "_PATIENCE_S", 0.001)  # it is always busy when the next batch comes
    monkeypatch.setattr(deliver, "_LANE_PATIENCE_S", 60.0)  # however slow the machine
    for service in services:
        await tell(service, *(f"browser-{n}" for n in range(60)))

    done = await sender.deliver_due(CITY)

    assert done == {Outcome.SENT: 120}
    assert await states(database) == {"sent": 120}


async def test_a_host_that_does_not_answer_costs_a_run_one_message(database, services, sender, tell, monkeypatch):
    monkeypatch.setattr(sender._channels[AddressKind.WEBPUSH], "_timeout_s", 1.5)
    dead, quick = services
    let_go = threading.Event()
    dead.on_arrival.append(lambda _path: let_go.wait(10))
    await tell(dead, *(f"dead-{n}" for n in range(10)))
    await tell(quick, *(f"quick-{n}" for n in range(10)))

    done = await sender.deliver_due(CITY)
    let_go.set()

    assert done == {Outcome.SENT: 10, Outcome.NO_ANSWER: 1, Outcome.UNSENT: 9}
    assert await states(database) == {"sent": 10, "queued": 10}


async def test_a_lane_that_fails_costs_no_other_its_record(database, services, sender, tell):
    class Failing:
        async def send(self, _messages, _window):
            raise RuntimeError

    sender._channels = {**sender._channels, AddressKind.FID: Failing()}
    async with database.transaction(CITY) as session:
        phone = await register_device(session, a_registration("phone-1"), now=NOON)
        await queue_notifications(
            session, CITY, event_id=new_id(), kind="resolved", params={}, happened_at=NOON, now=NOON,
            recipients=[Recipient(phone.person_id, {})],
        )  # fmt: skip
    await tell(services[0], "browser-1")

    with pytest.raises(RuntimeError):
        await sender.deliver_due(CITY)

    assert await states(database) == {"sent": 1, "queued": 1}
