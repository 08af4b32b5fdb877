"""Registering devices."""

from dataclasses import replace

import pytest
from sqlalchemy import text

from db.base import new_id
from tests.api.served import a_report, a_secret, fields_of, problem_of

MONTREAL = {"jurisdiction_id": "montreal.ca"}
PHONE = {"platform": "android", "push": {"kind": "fcm", "fid": "dK3bYw0eT9mV2c4XgQz1aB"}, "locale": "fr-CA"}

ENDPOINT = "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV"
KEYS = {
    "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
}
BROWSER = {"platform": "web", "push": {"kind": "webpush", "endpoint": ENDPOINT, **KEYS}, "locale": "fr-CA"}


async def test_a_device_registers_once_and_refreshes_ever_after(api):
    device, path = api.as_(a_secret()), f"/v1/devices/{new_id()}"

    first = await device.put(path, json=PHONE)
    again = await device.put(path, json={**PHONE, "locale": "en-CA"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert (again.json()["locale"], again.json()["push"]) == ("en-CA", "fcm")
    assert "dK3bYw0eT9mV2c4XgQz1aB" not in again.text


async def test_nobody_registers_over_somebody_elses_device(api):
    path = f"/v1/devices/{new_id()}"
    await api.as_(a_secret()).put(path, json=PHONE)

    problem_of(await api.as_(a_secret()).put(path, json=PHONE), 403, "not-your-device")
    problem_of(await api.put(path, json=PHONE), 401, "sign-in-needed")


async def test_a_secret_that_could_be_guessed_is_refused(api, stored):
    answer = await api.as_("secret").put(f"/v1/devices/{new_id()}", json=PHONE)

    assert fields_of(problem_of(answer, 422, "invalid-fields")) == {"Authorization"}
    assert (await stored())["device"] == 0


@pytest.mark.parametrize("kind", ["webpush", "unifiedpush"])
async def test_a_browser_registers_with_what_its_push_service_gave_it(api, owner, kind):
    push = {"kind": kind, "endpoint": ENDPOINT, **KEYS}

    answer = await api.as_(a_secret()).put(f"/v1/devices/{new_id()}", json={**BROWSER, "push": push})

    assert (answer.status_code, answer.json()["push"]) == (201, kind)
    assert push["endpoint"] not in answer.text
    async with owner.transaction() as session:
        kept = await session.execute(text("SELECT push_kind, push_address, push_p256dh, push_auth FROM device"))
        assert [tuple(row) for row in kept] == [(kind, push["endpoint"], push["p256dh"], push["auth"])]


async def test_a_device_that_goes_from_browser_to_fcm_leaves_its_keys_behind(api, owner):
    device, path = api.as_(a_secret()), f"/v1/devices/{new_id()}"
    await device.put(path, json=BROWSER)

    answer = await device.put(path, json=PHONE)

    assert (answer.status_code, answer.json()["push"]) == (200, "fcm")
    async with owner.transaction() as session:
        assert await session.scalar(text("SELECT count(*) FROM device WHERE push_auth IS NULL")) == 1


@pytest.mark.parametrize(
    ("push", "field"),
    [
        ({"kind": "fcm", "fid": "f", "token": "t"}, "push"),
        ({"kind": "fcm"}, "push"),
        ({"kind": "fcm", "fid": "f", "endpoint": ENDPOINT}, "push"),
        ({**KEYS, "kind": "webpush"}, "push"),
        ({**KEYS, "kind": "webpush", "fid": "f"}, "push"),
        ({"kind": "webpush", "endpoint": ENDPOINT}, "push"),
        ({**KEYS, "kind": "webpush", "endpoint": ENDPOINT, "auth": "c2hvcnQ"}, "push"),
        ({**KEYS, "kind": "webpush", "endpoint": "http://push.example.net/1"}, "push.endpoint"),
        ({**KEYS, "kind": "webpush", "endpoint": "https://169.254.169.254/latest"}, "push.endpoint"),
        ({**KEYS, "kind": "email", "endpoint": ENDPOINT}, "push.kind"),
    ],
)
async def test_a_push_address_that_nothing_can_be_sent_to_is_refused(api, stored, push, field):
    answer = await api.as_(a_secret()).put(f"/v1/devices/{new_id()}", json={**PHONE, "push": push})

    assert fields_of(problem_of(answer, 422, "invalid-fields")) == {field}
    assert (await stored())["device"] == 0


async def test_browsers_learn_the_key_to_subscribe_for_where_web_push_is_set_up(api, app, monkeypatch):
    unset = await api.get("/v1/push/key")
    monkeypatch.setattr(app.state, "serving", replace(app.state.serving, push_key="BOdd"))

    assert unset.json() == {"public_key": None}
    assert (await api.get("/v1/push/key")).json() == {"public_key": "BOdd"}


async def test_a_forgotten_device_is_nobody_and_its_follows_are_gone(register, api, owner):
    device = await register()
    issue = (await api.post("/v1/reports", json=a_report())).json()["issue"]
    await device.api.put(f"/v1/issues/{issue['id']}/follow", params=MONTREAL)

    answer = await device.api.delete(f"/v1/devices/{device.id}")

    assert answer.status_code == 204
    async with owner.transaction() as session:
        left = await session.scalar(text("SELECT (SELECT count(*) FROM device) + (SELECT count(*) FROM follow)"))
    assert left == 0
    problem_of(await device.api.post("/v1/reports", json=a_report()), 401, "secret-unknown")
    assert (await device.api.delete(f"/v1/devices/{device.id}")).status_code == 204


async def test_only_the_device_itself_is_forgotten(register, api):
    device, other = await register(), await register()

    problem_of(await other.api.delete(f"/v1/devices/{device.id}"), 403, "not-your-device")
    problem_of(await api.as_(a_secret()).delete(f"/v1/devices/{device.id}"), 401, "secret-unknown")
    problem_of(await api.delete(f"/v1/devices/{device.id}"), 401, "sign-in-needed")
