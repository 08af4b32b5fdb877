"""Every trouble that FCM can make, on every platform: what is done, when, and how often, from outbox to socket."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from db.base import new_id
from push.channels import ANSWER_S, AddressKind, Platform
from push.deliver import Sender
from push.devices import Device
from push.fcm import FcmChannel
from push.outbox import Delivery
from push.queueing import Recipient, queue_notifications
from tests.push.people import CITY, NOON, Clock, a_device


@dataclass(frozen=True)
class Played:
    """What came of one push while FCM was in trouble.

    Attributes:
        sent_at_s: When it was sent each time, in seconds from the first.
        state: How its delivery ended.
        keeps_address: Whether its device can still be pushed to.
    """

    sent_at_s: list[float]
    state: str
    keeps_address: bool

    @property
    def waits_s(self) -> list[float]:
        return [later - earlier for earlier, later in pairwise(self.sent_at_s)]


@pytest_asyncio.fixture
async def play(database, stand_in):
    """Tells one phone of an event and goes on, due time by due time, until its delivery has ended."""
    channels = []

    async def play(platform, *, worth_s=24 * 3600, answer_s=ANSWER_S):
        channel = FcmChannel(stand_in.account, url=stand_in.url, timeout_s=answer_s)
        channels.append(channel)
        while await channel._sign_in() is not None:
            pass  # it took longer than answers may
        clock = Clock()
        sender = Sender(
            database, dict.fromkeys(AddressKind, channel), render=lambda *_: ("Votre signalement", "Réglé."),
            clock=clock, seconds=clock.seconds,
        )  # fmt: skip
        async with database.transaction(CITY) as session:
            device = await a_device(session, "phone-1", platform=platform)
            await queue_notifications(
                session, CITY, event_id=new_id(), kind="resolved", params={}, happened_at=NOON, now=NOON,
                recipients=[Recipient(device.person_id, {})], expires_after=timedelta(seconds=worth_s),
            )  # fmt: skip
        sent_at_s: list[float] = []
        while True:
            await sender.deliver_due(CITY)
            attempts = stand_in.attempts()
            sent_at_s += [clock.seconds()] * (len(attempts) - len(sent_at_s))
            async with database.transaction(CITY) as session:
                state, due_at = (await session.execute(select(Delivery.state, Delivery.due_at))).one()
                kept = await session.scalar(select(func.count()).where(Device.push_address.is_not(None)))
            if state != "queued":
                break
            assert due_at > clock.now
            clock.now = due_at
        assert len({attempt["collapse_key"] for attempt in attempts}) == 1
        return Played(sent_at_s, state, kept == 1)

    yield play
    for channel in channels:
        await channel.close()


def about(waits_s):
    """Waits, each with up to a quarter more to spread the load."""
    return pytest.approx([wait_s * 1.125 for wait_s in waits_s], rel=0.112)


every_platform = pytest.mark.parametrize("platform", list(Platform))


@every_platform
async def test_a_device_that_fcm_does_not_know_is_forgotten_at_once(play, stand_in, platform):
    stand_in.fail("UNREGISTERED", count=None)

    assert await play(platform) == Played([0], "forgotten", keeps_address=False)


@every_platform
async def test_a_message_that_fcm_will_never_take_is_dead_and_its_device_stays(play, stand_in, platform):
    stand_in.fail("INVALID_ARGUMENT", count=None)

    assert await play(platform) == Played([0], "dead", keeps_address=True)


@every_platform
@pytest.mark.parametrize("code", ["SENDER_ID_MISMATCH", "THIRD_PARTY_AUTH_ERROR"])
async def test_credentials_that_are_refused_cost_no_row_and_are_reported(play, stand_in, caplog, platform, code):
    stand_in.fail(code, count=3)

    played = await play(platform)

    assert (played.state, played.keeps_address) == ("sent", True)
    assert played.waits_s == about([300, 300, 300])
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["push stopped"] * 3


@every_platform
@pytest.mark.parametrize(("retry_after_s", "wait_s"), [(None, 60), (7, 10), (90, 90)])
async def test_refused_for_quota_it_waits_as_long_as_it_was_asked_to(play, stand_in, platform, retry_after_s, wait_s):
    stand_in.fail("QUOTA_EXCEEDED", count=12, retry_after_s=retry_after_s)

    played = await play(platform)

    assert (played.state, played.keeps_address) == ("sent", True)
    assert played.waits_s == about([wait_s] * 12)


@every_platform
@pytest.mark.parametrize("code", ["INTERNAL", "UNAVAILABLE", "BAD_GATEWAY"])
async def test_a_server_in_trouble_is_tried_ever_more_rarely_for_an_hour(play, stand_in, platform, code):
    stand_in.fail(code, count=None)

    played = await play(platform)

    assert (played.state, played.keeps_address) == ("dead", True)
    assert played.waits_s == about([10, 20, 40, 80, 160, 320, 640, 1280])
    assert played.sent_at_s[-1] <= 3600


@every_platform
async def test_a_server_in_trouble_is_not_tried_after_the_push_is_worth_nothing(play, stand_in, platform):
    stand_in.fail("UNAVAILABLE", count=None)

    played = await play(platform, worth_s=200)

    assert (played.state, played.keeps_address) == ("expired", True)
    assert played.waits_s == about([10, 20, 40, 80])


@every_platform
async def test_a_server_that_asks_for_longer_is_given_it(play, stand_in, platform):
    stand_in.fail("UNAVAILABLE", retry_after_s=120)

    assert (await play(platform)).waits_s == about([120])


@every_platform
@pytest.mark.parametrize("fault", [{"code": "DROP"}, {"code": "DELAY", "delay_s": 30}])
async def test_what_nobody_answers_is_sent_once_more(play, stand_in, platform, fault):
    stand_in.fail(count=None, **fault)

    played = await play(platform, answer_s=0.3)

    assert (played.state, played.keeps_address) == ("dead", True)
    assert played.waits_s == about([60])


@every_platform
async def test_what_was_answered_the_second_time_is_sent(play, stand_in, platform):
    stand_in.fail("DROP")

    played = await play(platform)

    assert (played.state, len(played.sent_at_s)) == ("sent", 2)
