"""From the outbox to browsers, over real sockets."""

from collections import Counter
from contextlib import ExitStack

import pytest
import pytest_asyncio
from sqlalchemy import select

from db.base import new_id
from push.channels import AddressKind, Outcome
from push.deliver import Sender
from push.devices import Device, register_device
from push.outbox import Delivery, Recipient, queue_notifications
from push.vapid import VapidKey
from push.webpush import WebPushChannel
from tests.push.people import CITY, NOON, Clock, a_registration
from tests.push.push_service import running_push_service

KEY = VapidKey(b"\1" * 32)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def services():
    """Two push services, each on a port of its own."""
    with ExitStack() as running:
        yield [running.enter_context(running_push_service(KEY.public_key)) for _ in range(2)]


@pytest_asyncio.fixture
async def sender(database, clock):
    channel = WebPushChannel(
        KEY, contact="mailto:push@city.example", clock=lambda: clock.now, allow_private=True, timeout_s=2
    )
    yield Sender(
        database, dict.fromkeys((AddressKind.WEBPUSH, AddressKind.UNIFIEDPUSH), channel),
        render=lambda *_: ("Votre signalement", "Réglé."), clock=clock, seconds=clock.seconds,
    )  # fmt: skip
    await channel.close()


@pytest.fixture
def tell(database):
    """Registers a browser at a service and tells it of an event."""

    async def tell(service, name):
        endpoint = service.subscribe(name)
        keys = service.browsers[f"/push/{name}"].keys
        registration = a_registration(endpoint, kind=AddressKind.WEBPUSH, keys=keys)
        async with database.transaction(CITY) as session:
            device = await register_device(session, registration, now=NOON)
            await queue_notifications(
                session, CITY, event_id=new_id(), kind="resolved", params={"issue_id": "an-issue"}, now=NOON,
                recipients=[Recipient(device.person_id, {})],
            )  # fmt: skip
        return device.id

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
    gone, there = await tell(services[0], "gone"), await tell(services[0], "there")
    services[0].fail(410, "gone")

    await sender.deliver_due(CITY)

    async with database.transaction() as session:
        left = {device.id: (device.push_address, device.push_auth) for device in await session.scalars(select(Device))}
    assert left[gone] == (None, None)
    assert None not in left[there]
    assert await states(database) == {"forgotten": 1, "sent": 1}
