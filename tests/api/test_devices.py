"""Registering devices."""

from sqlalchemy import text

from db.base import new_id
from tests.api.served import a_report, a_secret, fields_of, problem_of

MONTREAL = {"jurisdiction_id": "montreal.ca"}
PHONE = {"platform": "android", "push": {"kind": "fcm", "fid": "dK3bYw0eT9mV2c4XgQz1aB"}, "locale": "fr-CA"}


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


async def test_a_push_address_is_a_fid_or_a_token(api):
    both = {**PHONE, "push": {"kind": "fcm", "fid": "f", "token": "t"}}

    answer = await api.as_(a_secret()).put(f"/v1/devices/{new_id()}", json=both)

    assert fields_of(problem_of(answer, 422, "invalid-fields")) == {"push"}


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
