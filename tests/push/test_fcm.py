"""What FCM's answers mean, asked of the real library over a real socket."""

import socket
import stat
import threading
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from api.demo.fcm_account import write_credentials
from push.channels import AddressKind, Message, Outcome, Platform, PushAction
from push.fcm import FcmChannel
from tests.push.people import NOON
from tests.push.test_attempts import answering

EVENT = UUID("01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f")


def a_message(
    address: str = "phone-1", kind: AddressKind = AddressKind.FID, platform: Platform = Platform.ANDROID
) -> Message:
    return Message(
        address_kind=kind,
        address=address,
        platform=platform,
        title="Votre signalement",
        body="La ville l’a pris en charge.",
        data={"event_id": str(EVENT), "kind": "acknowledged"},
        collapse_id=EVENT,
        ttl_s=3600,
        expires_at=NOON + timedelta(hours=1),
    )


@pytest.mark.parametrize("kind", [AddressKind.FID, AddressKind.TOKEN])
async def test_a_push_arrives_under_the_field_of_its_kind_of_address(fcm, stand_in, kind, clock):
    [result] = await fcm.send([a_message("phone-1", kind)], clock.window())

    [arrived] = stand_in.messages()
    assert (result.outcome, result.provider_id) == (Outcome.SENT, arrived["name"])
    assert (arrived["address_kind"], arrived["address"]) == (kind, "phone-1")
    assert arrived["notification"] == {"title": "Votre signalement", "body": "La ville l’a pris en charge."}
    assert arrived["data"] == {"event_id": str(EVENT), "kind": "acknowledged"}


async def test_every_platform_gets_the_events_id_to_collapse_by_and_the_end_of_its_worth(fcm, stand_in, clock):
    await fcm.send([a_message()], clock.window())

    message = stand_in.messages()[0]["message"]
    assert message["android"]["collapse_key"] == message["android"]["notification"]["tag"] == str(EVENT)
    assert message["android"]["ttl"] == "3600s"
    assert message["apns"]["headers"]["apns-collapse-id"] == str(EVENT)
    assert message["apns"]["headers"]["apns-expiration"] == str(int(NOON.timestamp()) + 3600)
    assert message["webpush"]["headers"]["Topic"] == EVENT.hex
    assert message["webpush"]["notification"]["tag"] == str(EVENT)


async def test_pushes_of_one_issue_lie_together_and_lead_where_they_say(fcm, stand_in, clock):
    answers = (PushAction("fixed", "Réglé", "https://jalon.example/t/yes"),)
    rich = replace(
        a_message(), data={"kind": "resolved", "issue_id": "i"}, link="https://ville.example/s/1", actions=answers,
        image_url="https://jalon.example/v1/photos/p/small",
    )  # fmt: skip
    await fcm.send([rich, replace(a_message(), link="ville://s/1")], clock.window())

    rich, plain = sorted((sent["message"] for sent in stand_in.messages()), key=lambda sent: -len(sent["data"]))
    assert rich["data"] == {
        "kind": "resolved", "issue_id": "i", "link": "https://ville.example/s/1",
        "fixed_url": "https://jalon.example/t/yes",
    }  # fmt: skip
    assert (
        rich["notification"]["image"]
        == rich["apns"]["fcm_options"]["image"]
        == rich["webpush"]["notification"]["image"]
    )
    aps = rich["apns"]["payload"]["aps"]
    assert (aps["thread-id"], aps["badge"], aps["category"], aps["mutable-content"]) == ("i", 1, "resolved", 1)
    assert rich["android"]["notification"]["click_action"] == "OPEN_ISSUE"
    assert rich["webpush"]["notification"]["actions"] == [{"action": "fixed", "title": "Réglé"}]
    assert rich["webpush"]["fcm_options"]["link"] == "https://ville.example/s/1"
    # Firebase takes only https for a browser.
    assert "link" not in plain["webpush"].get("fcm_options", {})
    assert "category" not in plain["apns"]["payload"]["aps"]


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("UNREGISTERED", (Outcome.FORGET, None)),
        ("INVALID_ARGUMENT", (Outcome.GIVE_UP, None)),
        ("SENDER_ID_MISMATCH", (Outcome.STOP_PROJECT, None)),
        ("THIRD_PARTY_AUTH_ERROR", (Outcome.STOP_PLATFORM, None)),
        ("QUOTA_EXCEEDED", (Outcome.QUOTA, 60)),
        ("INTERNAL", (Outcome.RETRY, None)),
        ("UNAVAILABLE", (Outcome.RETRY, None)),
        ("BAD_GATEWAY", (Outcome.RETRY, None)),
        ("DROP", (Outcome.NO_ANSWER, None)),
    ],
)
async def test_each_answer_has_its_outcome_after_exactly_one_post(fcm, stand_in, clock, code, answer):
    # Standing, so that a retry inside the library would show as a second attempt, not as a success.
    stand_in.fail(code, count=None)

    [result] = await fcm.send([a_message()], clock.window())

    assert (result.outcome, result.retry_after_s) == answer
    assert result.error
    assert len(stand_in.attempts()) == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (302, Outcome.STOP_PROJECT),
        (400, Outcome.GIVE_UP),
        (403, Outcome.STOP_PROJECT),
        (404, Outcome.STOP_PROJECT),
        (408, Outcome.RETRY),
        (429, Outcome.QUOTA),
        (502, Outcome.RETRY),
    ],
)
async def test_of_an_answer_that_is_not_fcms_the_status_decides(stand_in, clock, status, outcome):
    with answering([], status=status, body=b'{"error": "by a proxy"}') as url:
        channel = FcmChannel(stand_in.account, url=url)
        [result] = await channel.send([a_message()], clock.window())
        await channel.close()

    assert result.outcome is outcome


async def test_a_server_that_does_not_answer_in_time_may_have_taken_the_message(stand_in, clock):
    channel = FcmChannel(stand_in.account, url=stand_in.url, timeout_s=1)
    stand_in.fail("DELAY", delay_s=30)

    [result] = await channel.send([a_message()], clock.window())

    await channel.close()
    assert result.outcome is Outcome.NO_ANSWER
    assert len(stand_in.attempts()) == 1


async def test_a_server_that_is_not_there_has_not_got_the_message(stand_in, nowhere, clock):
    channel = FcmChannel(stand_in.account, url=nowhere)

    [result] = await channel.send([a_message()], clock.window())

    await channel.close()
    assert (result.outcome, result.retry_after_s) == (Outcome.UNSENT, 30)


async def test_a_batch_ends_when_its_time_is_over_and_says_of_each_message_whether_it_left(stand_in, clock):
    let_go = threading.Event()
    stand_in.on_arrival.append(lambda _push: let_go.wait())
    channel = FcmChannel(stand_in.account, url=stand_in.url, in_flight=1)
    channel._timeout_s = 0.2  # its requests wait longer, as they do where an answer trickles in

    results = await channel.send([a_message("phone-1"), a_message("phone-2")], clock.window(1))

    let_go.set()
    await channel.close()
    assert [result.outcome for result in results] == [Outcome.NO_ANSWER, Outcome.UNSENT]
    assert [push["address"] for push in stand_in.attempts()] == ["phone-1"]


async def test_nothing_leaves_after_the_window_has_closed(stand_in, clock):
    stand_in.on_arrival.append(lambda _push: clock.pass_s(12))
    channel = FcmChannel(stand_in.account, url=stand_in.url, in_flight=1)

    results = await channel.send([a_message(f"phone-{n}") for n in range(5)], clock.window(30))

    await channel.close()
    assert [result.outcome for result in results] == [Outcome.SENT] * 3 + [Outcome.UNSENT] * 2
    assert [push["address"] for push in stand_in.attempts()] == ["phone-0", "phone-1", "phone-2"]


async def test_a_process_stopped_while_it_connects_sends_nothing_when_it_goes_on(stand_in, clock, monkeypatch):
    channel = FcmChannel(stand_in.account, url=stand_in.url)
    stand_in.fail("DROP")  # a connection that is kept open would leave nothing to connect
    await channel.send([a_message("signs in")], clock.window())
    window = clock.window()
    connect = socket.socket.connect

    def connect_late(connecting, address):
        clock.pass_s(300)
        return connect(connecting, address)

    monkeypatch.setattr(socket.socket, "connect", connect_late)
    [result] = await channel.send([a_message("phone-1")], window)

    await channel.close()
    assert result.outcome is Outcome.UNSENT
    assert [push["address"] for push in stand_in.attempts()] == ["signs in"]


async def test_one_dead_device_costs_no_other_its_message(fcm, stand_in, clock):
    stand_in.fail("UNREGISTERED", count=None, address="dead")
    addresses = [f"phone-{n}" for n in range(20)]

    results = await fcm.send(
        [a_message(address) for address in [*addresses[:10], "dead", *addresses[10:]]], clock.window()
    )

    assert [result.outcome for result in results] == [Outcome.SENT] * 10 + [Outcome.FORGET] + [Outcome.SENT] * 10
    assert sorted(push["address"] for push in stand_in.messages()) == sorted(addresses)


async def test_a_message_that_the_library_refuses_is_given_up_and_costs_no_other(fcm, stand_in, clock):
    results = await fcm.send([a_message(""), a_message("phone-2")], clock.window())

    assert [result.outcome for result in results] == [Outcome.GIVE_UP, Outcome.SENT]
    assert len(stand_in.attempts()) == 1


async def test_a_message_over_the_size_limit_is_given_up(fcm, clock):
    [result] = await fcm.send([replace(a_message(), body="é" * 2100)], clock.window())

    assert result.outcome is Outcome.GIVE_UP


async def test_after_a_refusal_for_quota_the_project_rests_as_long_as_it_was_asked_to(fcm, stand_in, clock):
    stand_in.fail("QUOTA_EXCEEDED", retry_after_s=7)

    [refused] = await fcm.send([a_message()], clock.window())
    clock.pass_s(5)
    [resting] = await fcm.send([a_message("phone-2", platform=Platform.IOS)], clock.window())
    clock.pass_s(2)
    [rested] = await fcm.send([a_message("phone-2", platform=Platform.IOS)], clock.window())

    assert (refused.outcome, refused.retry_after_s) == (Outcome.QUOTA, 7)
    assert (resting.outcome, resting.retry_after_s) == (Outcome.UNSENT, 2)
    assert rested.outcome is Outcome.SENT
    assert len(stand_in.attempts()) == 2


@pytest.mark.parametrize(
    ("code", "other_platform"),
    [("SENDER_ID_MISMATCH", Outcome.UNSENT), ("THIRD_PARTY_AUTH_ERROR", Outcome.SENT)],
)
async def test_where_our_credentials_are_refused_the_project_or_the_platform_stops(
    fcm, stand_in, clock, code, other_platform
):
    stand_in.fail(code)

    await fcm.send([a_message("phone-1", platform=Platform.IOS)], clock.window())
    [same] = await fcm.send([a_message("phone-2", platform=Platform.IOS)], clock.window())
    [other] = await fcm.send([a_message("phone-3")], clock.window())
    clock.pass_s(300)
    [later] = await fcm.send([a_message("phone-2", platform=Platform.IOS)], clock.window())

    assert (same.outcome, same.retry_after_s) == (Outcome.UNSENT, 300)
    assert other.outcome is other_platform
    assert later.outcome is Outcome.SENT


async def test_one_device_of_another_sender_does_not_stop_those_that_credentials_serve(fcm, stand_in, clock):
    stand_in.fail("SENDER_ID_MISMATCH", count=None, address="odd")

    first = await fcm.send([a_message("odd"), a_message("phone-1")], clock.window())
    [next_one] = await fcm.send([a_message("phone-2")], clock.window())

    assert [result.outcome for result in first] == [Outcome.STOP_PROJECT, Outcome.SENT]
    assert next_one.outcome is Outcome.SENT


async def test_an_access_token_that_ended_early_costs_a_wait_and_no_second_post(fcm, stand_in, clock):
    await fcm.send([a_message("phone-1")], clock.window())
    stand_in.http.delete("/tokens").raise_for_status()

    refused = await fcm.send([a_message("phone-2"), a_message("phone-3")], clock.window())
    again = await fcm.send([a_message("phone-2"), a_message("phone-3")], clock.window())

    assert [result.outcome for result in refused] == [Outcome.RETRY] * 2
    assert [result.outcome for result in again] == [Outcome.SENT] * 2
    assert sorted(push["address"] for push in stand_in.messages()) == ["phone-1", "phone-2", "phone-3"]


async def test_credentials_that_are_not_the_projects_stop_the_project_and_forget_nobody(stand_in, tmp_path, clock):
    stranger = write_credentials(tmp_path / "stranger.json", stand_in.url)
    channel = FcmChannel(stranger, url=stand_in.url)

    results = await channel.send([a_message("phone-1"), a_message("phone-2")], clock.window())
    [resting] = await channel.send([a_message("phone-3")], clock.window())

    await channel.close()
    assert [result.outcome for result in results] == [Outcome.STOP_PROJECT] * 2
    assert (resting.outcome, resting.retry_after_s) == (Outcome.UNSENT, 300)
    assert stand_in.attempts() == []


async def test_a_sign_in_server_that_is_not_there_is_asked_again_later(stand_in, nowhere, clock):
    channel = FcmChannel({**stand_in.account, "token_uri": f"{nowhere}/token"}, url=stand_in.url)

    [result] = await channel.send([a_message()], clock.window())

    await channel.close()
    assert (result.outcome, result.retry_after_s) == (Outcome.UNSENT, 30)
    assert stand_in.attempts() == []


async def test_nobody_but_the_two_servers_it_was_given_is_asked_and_they_only_when_sending(
    stand_in, monkeypatch, clock
):
    asked = []
    resolve = socket.getaddrinfo

    def note_and_resolve(host, *rest, **more):
        asked.append(host)
        return resolve(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", note_and_resolve)

    channel = FcmChannel(stand_in.account, url=stand_in.url)
    asked_before_sending = list(asked)
    await channel.send([a_message()], clock.window())
    await channel.close()

    assert asked_before_sending == []
    assert set(asked) == {"127.0.0.1"}
    assert [thread for thread in threading.enumerate() if type(thread).__module__.startswith("google.auth")] == []


async def test_no_error_and_no_repr_shows_a_push_address(fcm, stand_in, clock):
    secret = "fCk3-a-push-address"
    stand_in.fail("INVALID_ARGUMENT", address=secret)

    [result] = await fcm.send([a_message(secret)], clock.window())

    assert secret not in repr(a_message(secret))
    assert secret not in (result.error or "")


def test_the_key_file_is_its_owners_alone_and_keeps_its_key(tmp_path):
    path = tmp_path / "fcm.json"

    first = write_credentials(path, "http://127.0.0.1:1")
    second = write_credentials(path, "http://127.0.0.1:2")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first["private_key"] == second["private_key"]
    assert second["token_uri"] == "http://127.0.0.1:2/token"


async def test_a_message_to_a_topic_reaches_once_whoever_hears_of_it_and_nobody_else(fcm, stand_in, clock):
    joined = await fcm.change_topic("montreal.ca~fr", ["phone-1", "phone-2"], joins=True)
    again = await fcm.change_topic("montreal.ca~fr", ["phone-1"], joins=True)
    await fcm.change_topic("montreal.ca~en", ["phone-3"], joins=True)
    left = await fcm.change_topic("montreal.ca~fr", ["phone-2", "phone-4"], joins=False)

    [result] = await fcm.send([a_message("montreal.ca~fr", AddressKind.TOPIC)], clock.window())

    assert (joined, again, left) == ([None, None], [None], [None, None])
    assert result.outcome is Outcome.SENT
    assert [(push["address_kind"], push["address"]) for push in stand_in.messages()] == [("topic", "phone-1")]
    assert [push["address"] for push in stand_in.attempts()] == ["montreal.ca~fr"]


async def test_each_device_that_cannot_join_a_topic_is_named_with_the_reason(fcm, stand_in):
    stand_in.fail("UNREGISTERED", address="phone-2")
    stand_in.fail("UNAVAILABLE", address="phone-3")

    answers = await fcm.change_topic("montreal.ca~fr", ["phone-1", "phone-2", "phone-3"], joins=True)

    assert answers == [None, "UNREGISTERED", "UNAVAILABLE"]


async def test_a_topic_is_not_joined_where_nobody_answers(stand_in, nowhere):
    channel = FcmChannel(stand_in.account, url=nowhere, timeout_s=1)
    try:
        answers = await channel.change_topic("montreal.ca~fr", ["phone-1"], joins=True)
    finally:
        await channel.close()

    assert answers == ["UNKNOWN_ERROR"]


async def test_where_the_access_token_has_ended_a_new_one_is_fetched_for_the_next_change(fcm, stand_in):
    await fcm.change_topic("montreal.ca~fr", ["phone-1"], joins=True)
    stand_in.http.delete("/tokens").raise_for_status()

    answers = [await fcm.change_topic("montreal.ca~fr", ["phone-2"], joins=True) for _ in range(2)]

    assert answers == [["UNAUTHENTICATED"], [None]]
