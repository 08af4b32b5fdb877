"""The stand-in refuses what FCM refuses, so that a green test means something."""

import pytest

from api.demo.fcm_rules import violation_of
from api.demo.fcm_standin import Push, describe_push

GOOD = {"fid": "phone-1", "data": {"kind": "resolved"}}


def test_a_message_for_one_address_is_taken():
    assert violation_of({"message": GOOD}) is None


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"fid": "phone-1", "token": "phone-1"},
        {"fid": ""},
        {"token": 7},
        {"topic": "montreal.ca/arrondissements"},
        {**GOOD, "collapse_key": "unknown here"},
        {**GOOD, "data": {"count": 2}},
        {**GOOD, "data": {"from": "reserved"}},
        {**GOOD, "data": {"google.sent_time": "reserved"}},
        {**GOOD, "data": {"text": "é" * 2047}},
        {**GOOD, "android": {"ttl": "3600"}},
        {**GOOD, "android": {"ttl": "2419201s"}},
        {**GOOD, "apns": {"headers": {"apns-collapse-id": "x" * 65}}},
        {**GOOD, "webpush": {"headers": {"Topic": "01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f"}}},
    ],
)
def test_a_message_that_fcm_would_refuse_is_refused(message):
    assert violation_of({"message": message}) is not None


def test_the_size_limit_counts_bytes_and_is_reached_exactly():
    assert violation_of({"message": {"fid": "phone-1", "data": {"text": "é" * 2046}}}) is None


def test_a_message_without_an_access_token_is_not_taken(stand_in):
    sent = stand_in.http.post("/v1/projects/p/messages:send", json={"message": GOOD})
    forged = stand_in.http.post(
        "/v1/projects/p/messages:send", json={"message": GOOD}, headers={"Authorization": "Bearer made-up"}
    )

    assert (sent.status_code, forged.status_code) == (401, 401)
    assert stand_in.attempts() == []


@pytest.mark.parametrize("assertion", ["", "not.a.token"])
def test_an_access_token_is_for_whoever_signs_with_the_accounts_key(stand_in, assertion):
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}

    answer = stand_in.http.post("/token", data=form)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_fault_made_up_is_refused(stand_in):
    assert stand_in.http.post("/faults", json={"code": "EARTHQUAKE"}).status_code == 400


def test_a_push_is_described_in_one_line_without_its_whole_address():
    push = Push(
        name="projects/p/messages/1", project="p", received_at="2026-11-23T17:00:00.000000+00:00", status=200,
        address_kind="fid", address="a-long-push-address", collapse_key="e", data={}, message={},
        notification={"title": "Votre signalement", "body": "Réglé."},
    )  # fmt: skip

    assert describe_push(push) == "17:00:00  a-long-push-  Votre signalement: Réglé."
