"""Every trouble that a provider can make, on every way to a person: what is done, when, and how often.

From the outbox to the socket, through the libraries that are used in earnest. The clock is moved to whenever something
falls due, so an hour of tries takes no time. Webhooks have a table of their own, in `tests/issues/test_webhooks.py`.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select

from db.base import new_id
from push.channels import ANSWER_S, AddressKind, Platform
from push.deliver import Sender
from push.devices import Device, register_device
from push.emails import EmailAddress
from push.fcm import FcmChannel
from push.outbox import Delivery
from push.queueing import Recipient, queue_notifications
from push.smtp import EmailChannel, Letter, SmtpServer
from push.webpush import WebPushChannel
from tests.push.people import CITY, NOON, Clock, a_registration
from tests.push.push_service import CUT, VAPID_KEY

EVER_MORE_RARELY = (10, 20, 40, 80, 160, 320, 640, 1280)  # an hour of it
SILENCE = "silence"
ALWAYS = 10**6
FCM_WAYS = [(kind, platform) for kind in (AddressKind.FID, AddressKind.TOKEN) for platform in Platform]
WEB_WAYS = [(AddressKind.WEBPUSH, Platform.WEB), (AddressKind.UNIFIEDPUSH, Platform.ANDROID)]


@dataclass(frozen=True)
class Row:
    """A trouble, and what is to come of one message in it.

    Attributes:
        answer: What the provider says, in its own words.
        state: How the delivery ends.
        waits_s: Between one send and the next; each may be up to a quarter longer, to spread the load.
        keeps: Whether its address is still pushed to.
        lasts: For how many sends the trouble lasts.
        retry_after_s: What the provider names.
        worth_s: For how long the message is worth anything.
        refreshes: Whether the device registers anew while the answer is under way.
        alarms: How often operators are told.
    """

    answer: str | int
    state: str
    waits_s: tuple[int, ...] = ()
    keeps: bool = True
    lasts: int = ALWAYS
    retry_after_s: int | None = None
    worth_s: int = 24 * 3600
    refreshes: bool = False
    alarms: int = 0

    def __str__(self) -> str:
        more = [f"{self.lasts}x" * (self.lasts < ALWAYS), f"after {self.retry_after_s}" * bool(self.retry_after_s)]
        more += [f"worth {self.worth_s}" * (self.worth_s < 24 * 3600), "refreshed" * self.refreshes]
        return " ".join([str(self.answer), *filter(None, more)])


# fmt: off
FCM = [
    Row("UNREGISTERED",           "forgotten", keeps=False),
    Row("UNREGISTERED",           "sent",      (10,), lasts=1, refreshes=True),
    Row("INVALID_ARGUMENT",       "dead"),
    Row("SENDER_ID_MISMATCH",     "sent",      (300,) * 3, lasts=3, alarms=3),
    Row("THIRD_PARTY_AUTH_ERROR", "sent",      (300,) * 3, lasts=3, alarms=3),
    Row("QUOTA_EXCEEDED",         "sent",      (60,) * 12, lasts=12),
    Row("QUOTA_EXCEEDED",         "sent",      (10,) * 12, lasts=12, retry_after_s=7),
    Row("QUOTA_EXCEEDED",         "sent",      (90,) * 12, lasts=12, retry_after_s=90),
    Row("INTERNAL",               "dead",      EVER_MORE_RARELY),
    Row("UNAVAILABLE",            "dead",      EVER_MORE_RARELY),
    Row("BAD_GATEWAY",            "dead",      EVER_MORE_RARELY),
    Row("UNAVAILABLE",            "expired",   (10, 20, 40, 80), worth_s=200),
    Row("UNAVAILABLE",            "sent",      (120,), lasts=1, retry_after_s=120),
    Row("DROP",                   "dead",      (60,)),
    Row("DROP",                   "sent",      (60,), lasts=1),
    Row("DELAY",                  "dead",      (60,)),
]
WEB_PUSH = [
    Row(404,     "forgotten", keeps=False),
    Row(410,     "forgotten", keeps=False),
    Row(410,     "sent",      (10,), lasts=1, refreshes=True),
    Row(413,     "sent",      (0,)),  # the second one is shorter
    Row(301,     "dead"),
    Row(307,     "dead"),
    Row(400,     "dead"),
    Row(403,     "dead"),
    Row(429,     "sent",      (60,) * 12, lasts=12),
    Row(429,     "sent",      (10,) * 12, lasts=12, retry_after_s=7),
    Row(429,     "sent",      (90,) * 12, lasts=12, retry_after_s=90),
    Row(500,     "dead",      EVER_MORE_RARELY),
    Row(502,     "dead",      EVER_MORE_RARELY),
    Row(503,     "dead",      EVER_MORE_RARELY),
    Row(503,     "expired",   (10, 20, 40, 80), worth_s=200),
    Row(503,     "sent",      (120,), lasts=1, retry_after_s=120),
    Row(CUT,     "dead",      (60,)),
    Row(CUT,     "sent",      (60,), lasts=1),
    Row(SILENCE, "dead",      (60,)),
]
SMTP = [
    Row("RCPT 550 5.1.1 no such user",   "forgotten", keeps=False),
    Row("RCPT 552 5.2.2 mailbox full",   "dead"),
    Row("RCPT 554 5.7.1 not from you",   "dead"),
    Row("RCPT 450 4.2.0 greylisted",     "sent",      (10,), lasts=1),
    Row("RCPT 450 4.2.0 greylisted",     "dead",      EVER_MORE_RARELY),
    Row("RCPT 421 4.3.2 shutting down",  "dead",      EVER_MORE_RARELY),
    Row("MAIL 553 5.7.1 sender refused", "sent",      (300,) * 3, lasts=3, alarms=3),
    Row("DATA 554 5.6.0 refused",        "dead"),
    Row("DATA 451 4.3.0 later",          "dead",      EVER_MORE_RARELY),
    Row("DATA 451 4.3.0 later",          "expired",   (10, 20, 40, 80), worth_s=200),
    Row("DATA cut",                      "dead",      (60,)),
    Row("DATA cut",                      "sent",      (60,), lasts=1),
    Row("DATA silence",                  "dead",      (60,)),
]
# fmt: on


@dataclass
class Played:
    """What came of one message: when it was sent each time, in seconds, how it ended, and what its address came to."""

    sent_at_s: list[float] = field(default_factory=list)
    state: str = "queued"
    keeps: bool = True
    collapse_keys: set[str] = field(default_factory=set)

    @property
    def waits_s(self) -> list[float]:
        return [later - earlier for earlier, later in pairwise(self.sent_at_s)]


class Fcm:
    """Google's library and the stand-in for FCM."""

    def __init__(self, stand_in, row):
        self._stand_in, self._row = stand_in, row
        self._before = len(stand_in.attempts())
        answer_s = 0.25 if row.answer == "DELAY" else ANSWER_S
        self.channel = FcmChannel(stand_in.account, url=stand_in.url, timeout_s=answer_s)

    async def sign_in(self):
        while await self.channel._sign_in() is not None:
            pass  # it took longer than answers may

    def address(self, name):
        return name, None

    def begin(self):
        more = {"delay_s": 30} if self._row.answer == "DELAY" else {}
        self._stand_in.fail(self._row.answer, count=None, retry_after_s=self._row.retry_after_s, **more)

    def end(self):
        self._stand_in.http.delete("/faults").raise_for_status()

    def sends(self):
        """The collapse key of each send so far."""
        return [attempt["collapse_key"] for attempt in self._stand_in.attempts()[self._before :]]


class WebPush:
    """Our Web Push and a push service that decrypts."""

    def __init__(self, service, row, clock):
        self._service, self._row = service, row
        self._before = service.came
        answer_s = 0.25 if row.answer == SILENCE else ANSWER_S
        self.channel = WebPushChannel(
            VAPID_KEY, contact="mailto:push@city.example", clock=lambda: clock.now, allow_private=True,
            timeout_s=answer_s,
        )  # fmt: skip
        self._speaks = threading.Event()

    async def sign_in(self):
        pass

    def address(self, name):
        endpoint = self._service.subscribe(name)
        return endpoint, self._service.browsers[f"/push/{name}"].keys

    def begin(self):
        if self._row.answer == SILENCE:
            self._service.on_arrival.append(lambda _path: self._speaks.wait(20))
            return
        more = {} if self._row.retry_after_s is None else {"Retry_After": str(self._row.retry_after_s)}
        if self._row.answer in (301, 307):
            more = {"Location": self._service.subscribe("elsewhere")}
        self._service.fail(self._row.answer, **more)

    def end(self):
        self._speaks.set()
        self._service.answers.clear()
        self._service.on_arrival.clear()

    def sends(self):
        return ["one"] * (self._service.came - self._before)


class Mail:
    """Our letters and a mail server."""

    def __init__(self, server, row):
        self._server, self._row = server, row
        self._before = server.came
        server_address = SmtpServer.of(f"smtp://127.0.0.1:{server.port}")
        answer_s = 0.4 if row.answer == "DATA silence" else ANSWER_S
        letter = Letter("Réglé", "Réglé", "<p>Réglé</p>", "https://jalon.example/t/abc")

        async def compose(_message):
            return letter

        self.channel = EmailChannel(server_address, sender="avis@essai.example", compose=compose, timeout_s=answer_s)

    async def sign_in(self):
        pass

    def begin(self):
        step, _, said = self._row.answer.partition(" ")
        self._server.always[step] = said

    def end(self):
        self._server.always.clear()

    def sends(self):
        return ["one"] * (self._server.came - self._before)


async def reach(session, provider, kind, platform, name):
    """Have a person who is reached in a way; answers their id and that of the device or address."""
    if kind is AddressKind.EMAIL:
        there = EmailAddress(
            city_id=CITY, id=new_id(), person_id=new_id(), address=f"{name}@example.org", locale="fr-CA",
            asked_at=NOON, verified_at=NOON,
        )  # fmt: skip
        session.add(there)
        await session.flush()
        return there.person_id, there.id
    address, keys = provider.address(name)
    registration = a_registration(address, kind=kind, keys=keys, platform=platform)
    device = await register_device(session, registration, now=NOON)
    return device.person_id, registration


class Refreshing:
    """A channel whose device registers anew before the answer is recorded."""

    def __init__(self, channel, refresh):
        self._channel, self._refresh = channel, refresh

    async def send(self, messages, window):
        results = await self._channel.send(messages, window)
        await self._refresh()
        return results

    async def close(self):
        await self._channel.close()


@pytest.fixture
def play(database):
    """Tells one person of an event and goes on, due time by due time, until the delivery has ended."""

    async def play(provider, clock, row, kind, platform=Platform.WEB):
        await provider.sign_in()
        event_id = new_id()
        async with database.transaction(CITY) as session:
            person_id, known_as = await reach(session, provider, kind, platform, f"{kind}-{platform}")
            await queue_notifications(
                session, CITY, event_id=event_id, kind="resolved", params={}, happened_at=NOON, now=NOON,
                recipients=[Recipient(person_id, {})], expires_after=timedelta(seconds=row.worth_s),
            )  # fmt: skip

        async def refresh():
            async with database.transaction(CITY) as session:
                await register_device(session, known_as, now=clock.now)

        channel = Refreshing(provider.channel, refresh) if row.refreshes else provider.channel
        sender = Sender(
            database, {kind: channel}, render=lambda *_: ("Votre signalement", "Réglé."), clock=clock,
            seconds=clock.seconds,
        )  # fmt: skip
        played = Played()
        provider.begin()
        while played.state == "queued":
            if len(played.sent_at_s) >= row.lasts:
                provider.end()
            await sender.deliver_due(CITY)
            sends = provider.sends()
            played.sent_at_s += [clock.seconds()] * (len(sends) - len(played.sent_at_s))
            async with database.transaction(CITY) as session:
                device_id = known_as if kind is AddressKind.EMAIL else known_as.id
                of_it = select(Delivery.state, Delivery.due_at).where(Delivery.device_id == device_id)
                played.state, due_at = (await session.execute(of_it)).one()
                device, email = await session.get(Device, device_id), await session.get(EmailAddress, (CITY, device_id))
                played.keeps = device.push_address is not None if email is None else email.refused_at is None
            if played.state == "queued":
                assert due_at > clock.now
                clock.now = due_at
        provider.end()
        assert len(set(sends)) == 1
        await provider.channel.close()
        return played

    return play


def holds(played: Played, row: Row) -> bool:
    waits_s = pytest.approx([wait_s * 1.125 for wait_s in row.waits_s], rel=0.112)
    within_an_hour = row.waits_s != EVER_MORE_RARELY or played.sent_at_s[-1] <= 3600
    return (played.state, played.keeps) == (row.state, row.keeps) and played.waits_s == waits_s and within_an_hour


def alarms_of(caplog) -> Sequence[str]:
    return [record.message for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("row", FCM, ids=str)
async def test_fcm_by_both_kinds_of_address_on_each_platform(play, stand_in, caplog, row):
    for kind, platform in FCM_WAYS:
        caplog.clear()
        clock = Clock()
        played = await play(Fcm(stand_in, row), clock, row, kind, platform)
        assert holds(played, row), (kind, platform, played)
        assert alarms_of(caplog) == ["push stopped"] * row.alarms


@pytest.mark.parametrize("row", WEB_PUSH, ids=str)
async def test_web_push_to_browsers_and_to_distributors(play, services, caplog, row):
    for kind, platform in WEB_WAYS:
        clock = Clock()
        played = await play(WebPush(services[0], row, clock), clock, row, kind, platform)
        assert holds(played, row), (kind, platform, played)
        assert alarms_of(caplog) == []


@pytest.mark.parametrize("row", SMTP, ids=str)
async def test_letters_through_a_mail_server(play, mail_server, caplog, row):
    clock = Clock()
    played = await play(Mail(mail_server, row), clock, row, AddressKind.EMAIL)
    assert holds(played, row), played
    assert alarms_of(caplog) == ["push stopped"] * row.alarms
