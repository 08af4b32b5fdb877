"""What push services' answers mean, asked of real servers that decrypt what they get."""

import asyncio
import threading
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from push.channels import AddressKind, Message, Outcome, Platform, PushAction
from push.circuits import FAILURES
from push.webpush import WebPushChannel
from tests.push.people import NOON
from tests.push.push_service import VAPID_KEY

EVENT = UUID("01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f")
CONTACT = "mailto:push@city.example"


@pytest.fixture
def service(services):
    return services[0]


@pytest_asyncio.fixture
async def channel(clock):
    async def open_channel(**how):
        how = {"contact": CONTACT, "clock": lambda: clock.now, "allow_private": True, **how}
        opened.append(WebPushChannel(VAPID_KEY, **how))
        return opened[-1]

    opened: list[WebPushChannel] = []
    yield open_channel
    for one in opened:
        await one.close()


@pytest_asyncio.fixture
async def web_push(channel):
    return await channel()


def a_message(service, name="browser-1", *, kind=AddressKind.WEBPUSH):
    endpoint = service.subscribe(name)
    return Message(
        address_kind=kind,
        address=endpoint,
        platform=Platform.WEB,
        title="Votre signalement",
        body="La Ville l’a pris en charge.",
        data={"event_id": str(EVENT), "kind": "acknowledged"},
        collapse_id=EVENT,
        ttl_s=3600,
        expires_at=NOON + timedelta(hours=1),
        keys=service.browsers[f"/push/{name}"].keys,
    )


@pytest.mark.parametrize("kind", [AddressKind.WEBPUSH, AddressKind.UNIFIEDPUSH])
async def test_the_browser_reads_the_words_and_ids_and_the_service_how_long_to_keep_them(
    web_push, service, clock, kind
):
    [result] = await web_push.send([a_message(service, kind=kind)], clock.window())

    [arrived] = service.arrivals
    assert result.outcome is Outcome.SENT
    assert arrived.text == {
        "title": "Votre signalement", "body": "La Ville l’a pris en charge.", "tag": str(EVENT),
        "data": {"event_id": str(EVENT), "kind": "acknowledged"},
    }  # fmt: skip
    assert {name: arrived.headers[name] for name in ("TTL", "Topic", "Urgency", "Content-Encoding")} == {
        "TTL": "3600", "Topic": EVENT.hex, "Urgency": "high", "Content-Encoding": "aes128gcm",
    }  # fmt: skip


async def test_the_browser_gets_the_link_the_picture_and_the_answers_too(web_push, service, clock):
    answers = (PushAction("fixed", "Réglé", "https://jalon.example/t/yes"),)
    message = replace(a_message(service), link="https://ville.example/s/1", image_url="https://p", actions=answers)

    await web_push.send([message], clock.window())

    [arrived] = service.arrivals
    assert arrived.text["image"] == "https://p"
    assert arrived.text["actions"] == [{"action": "fixed", "title": "Réglé"}]
    assert arrived.text["data"]["link"] == "https://ville.example/s/1"
    assert arrived.text["data"]["fixed_url"] == "https://jalon.example/t/yes"


async def test_each_service_is_shown_a_signature_for_itself_that_ends_within_a_day(web_push, services, clock):
    messages = [a_message(service, f"browser-{n}") for n in range(3) for service in services]

    first = await web_push.send(messages, clock.window())
    clock.pass_s(86400)
    later = await web_push.send(messages, clock.window())

    assert [result.outcome for result in [*first, *later]] == [Outcome.SENT] * 12
    for service in services:
        claims = [arrival.claims for arrival in service.arrivals]
        assert {claim["aud"] for claim in claims} == {service.url}
        assert {claim["sub"] for claim in claims} == {CONTACT}
        ends = [claim["exp"] - int(NOON.timestamp()) for claim in claims]
        assert ends == [43200] * 3 + [86400 + 43200] * 3


@pytest.mark.parametrize(
    ("status", "headers", "answer"),
    [
        (200, {}, (Outcome.SENT, None)),
        (202, {}, (Outcome.SENT, None)),
        (301, {"Location": "/push/other"}, (Outcome.GIVE_UP, None)),
        (307, {"Location": "/push/other"}, (Outcome.GIVE_UP, None)),
        (400, {}, (Outcome.GIVE_UP, None)),
        (401, {}, (Outcome.GIVE_UP, None)),
        (403, {}, (Outcome.GIVE_UP, None)),
        (404, {}, (Outcome.FORGET, None)),
        (408, {}, (Outcome.RETRY, None)),
        (410, {}, (Outcome.FORGET, None)),
        (429, {}, (Outcome.QUOTA, 60)),
        (429, {"Retry_After": "7"}, (Outcome.QUOTA, 7)),
        (500, {}, (Outcome.RETRY, None)),
        (502, {}, (Outcome.RETRY, None)),
        (503, {"Retry_After": "120"}, (Outcome.RETRY, 120)),
    ],
)
async def test_each_answer_has_its_outcome_after_exactly_one_post(web_push, service, clock, status, headers, answer):
    message = a_message(service)
    service.subscribe("other")
    service.fail(status, **headers)

    [result] = await web_push.send([message], clock.window())

    assert (result.outcome, result.retry_after_s) == answer
    assert [arrival.path for arrival in service.arrivals] == ["/push/browser-1"]


async def test_a_message_that_is_too_long_is_sent_once_more_without_its_body(web_push, service, clock):
    service.fail(413)

    [result] = await web_push.send([a_message(service)], clock.window())

    assert result.outcome is Outcome.SENT
    assert [arrival.text["body"] for arrival in service.arrivals] == ["La Ville l’a pris en charge.", ""]
    assert service.arrivals[1].text["data"] == {"event_id": str(EVENT), "kind": "acknowledged"}


async def test_one_dead_browser_costs_no_other_its_message(web_push, services, clock):
    messages = [a_message(services[n % 2], f"browser-{n}") for n in range(20)]
    services[0].fail(410, "browser-10")

    results = await web_push.send(messages, clock.window())

    assert [at for at, result in enumerate(results) if result.outcome is not Outcome.SENT] == [10]
    assert results[10].outcome is Outcome.FORGET


async def test_a_host_that_does_not_answer_may_have_the_first_message_and_has_no_other(channel, services, clock):
    let_go = threading.Event()
    services[0].on_arrival.append(lambda _path: let_go.wait(20))
    web_push = await channel(timeout_s=0.3)
    messages = [a_message(services[n % 2], f"browser-{n}") for n in range(6)]

    results = await web_push.send(messages, clock.window())

    let_go.set()
    assert [results[at].outcome for at in (0, 2, 4)] == [Outcome.NO_ANSWER, Outcome.UNSENT, Outcome.UNSENT]
    assert [results[at].outcome for at in (1, 3, 5)] == [Outcome.SENT] * 3


async def test_a_host_that_is_not_there_has_not_got_the_message(web_push, service, clock):
    message = a_message(service)

    [result] = await web_push.send([replace(message, address="http://127.0.0.1:1/push")], clock.window())

    assert (result.outcome, result.retry_after_s) == (Outcome.UNSENT, 30)


async def test_a_host_in_trouble_is_left_alone_and_the_other_is_not(web_push, services, clock):
    services[0].fail(503)
    messages = [a_message(service, f"browser-{n}") for n in range(2 * FAILURES) for service in services]

    await web_push.send(messages, clock.window())
    tried = len(services[0].arrivals)
    left_alone, sent = await web_push.send(messages[:2], clock.window())
    services[0].answers.clear()
    clock.pass_s(30)
    again = await web_push.send(messages[:2], clock.window())

    assert tried >= FAILURES
    assert (left_alone.outcome, left_alone.retry_after_s, sent.outcome) == (Outcome.UNSENT, 30, Outcome.SENT)
    assert [result.outcome for result in again] == [Outcome.SENT] * 2
    assert len(services[0].arrivals) == tried + 1


async def test_a_host_that_refuses_for_quota_rests_as_long_as_it_asked_to(web_push, service, clock):
    message = a_message(service)
    service.fail(429, Retry_After="7")

    await web_push.send([message], clock.window())
    service.answers.clear()
    clock.pass_s(5)
    [resting] = await web_push.send([message], clock.window())
    clock.pass_s(2)
    [rested] = await web_push.send([message], clock.window())

    assert (resting.outcome, resting.retry_after_s) == (Outcome.UNSENT, 2)
    assert rested.outcome is Outcome.SENT


async def test_nothing_leaves_after_the_window_has_closed(channel, service, clock):
    service.on_arrival.append(lambda _path: clock.pass_s(12))
    web_push = await channel(in_flight=1)

    results = await web_push.send([a_message(service, f"browser-{n}") for n in range(5)], clock.window(30))

    assert [result.outcome for result in results] == [Outcome.SENT] * 3 + [Outcome.UNSENT] * 2
    assert [result.retry_after_s for result in results[3:]] == [None] * 2
    assert len(service.arrivals) == 3


@pytest.mark.parametrize("address", ["https://10.0.0.8/push", "not a url", "https://localhost/push"])
async def test_what_is_no_endpoint_of_a_push_service_is_given_up_and_costs_no_other(channel, service, clock, address):
    [result] = await (await channel(allow_private=False)).send(
        [replace(a_message(service), address=address)], clock.window()
    )

    assert result.outcome is Outcome.GIVE_UP


async def test_a_name_that_leads_behind_the_wall_gets_no_byte(channel, service, clock, monkeypatch):
    """As where its owner changes what it resolves to once it is registered."""
    port = int(service.url.rpartition(":")[2])
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def resolve_to_us(host, *rest, **more):
        return await resolve("127.0.0.1", *rest, **more)

    heard = []
    service.receive = lambda *request: heard.append(request)
    monkeypatch.setattr(loop, "getaddrinfo", resolve_to_us)
    web_push = await channel(allow_private=False)

    [result] = await web_push.send(
        [replace(a_message(service), address=f"https://push.example.net:{port}/push/browser-1")], clock.window()
    )

    assert (result.outcome, heard) == (Outcome.GIVE_UP, [])


async def test_keys_that_are_none_are_given_up(web_push, service, clock):
    [result] = await web_push.send([replace(a_message(service), keys=None)], clock.window())

    assert result.outcome is Outcome.GIVE_UP


async def test_no_error_and_no_repr_shows_an_endpoint_or_its_keys(web_push, service, clock):
    message = replace(a_message(service), address="http://127.0.0.1:1/push/a-capability")

    [result] = await web_push.send([message], clock.window())

    assert "a-capability" not in repr(message)
    assert message.keys.auth not in repr(message)
    assert "a-capability" not in (result.error or "")


async def test_of_an_answer_that_does_not_end_the_head_counts(channel, service, clock):
    web_push = await channel(timeout_s=0.3)
    message = a_message(service)
    service.fail(201, Content_Length="1000000000")

    [result] = await web_push.send([message], clock.window())

    assert result.outcome is Outcome.SENT
