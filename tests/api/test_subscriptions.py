"""Subscriptions and preferences, as phones call them."""

import pytest
from sqlalchemy import text

from db.base import new_id
from tests.api.served import PLATEAU, fields_of, problem_of

MONTREAL = {"jurisdiction_id": "montreal.ca"}
CIRCLE = {"circle": {**PLATEAU, "radius_m": 300}}
RING = [[-73.60, 45.52], [-73.58, 45.52], [-73.58, 45.53], [-73.60, 45.53], [-73.60, 45.52]]
QUIET = {"time_zone": "America/Toronto", "quiet_hours": {"from": "22:00", "to": "07:00"}}


async def test_a_subscription_is_made_read_changed_and_ended(register):
    phone = (await register()).api
    path = f"/v1/subscriptions/{new_id()}"

    made = await phone.put(path, params=MONTREAL, json=CIRCLE)
    changed = await phone.put(path, params=MONTREAL, json={"area": {"type": "Polygon", "coordinates": [RING]}})

    assert (made.status_code, changed.status_code) == (201, 200)
    assert made.json()["kinds"] == ["opened", "resolved"]
    read = (await phone.get(path, params=MONTREAL)).json()
    assert (read, read["area"]["coordinates"]) == (changed.json(), [RING])
    assert (await phone.get("/v1/subscriptions", params=MONTREAL)).json()["items"] == [read]
    assert [(await phone.delete(path, params=MONTREAL)).status_code for _ in range(2)] == [204, 204]
    problem_of(await phone.get(path, params=MONTREAL), 404, "subscription-not-found")


async def test_a_subscription_is_its_persons_alone(api, register):
    path = f"/v1/subscriptions/{new_id()}"
    await (await register()).api.put(path, params=MONTREAL, json=CIRCLE)
    stranger = (await register()).api

    problem_of(await stranger.get(path, params=MONTREAL), 404, "subscription-not-found")
    problem_of(await stranger.put(path, params=MONTREAL, json=CIRCLE), 404, "subscription-not-found")
    problem_of(await api.put(path, params=MONTREAL, json=CIRCLE), 401, "sign-in-needed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        (CIRCLE | {"district": "arrondissements:ouest"}, "body"),
        ({"district": "arrondissements:atlantide"}, "district"),
        (CIRCLE | {"services": ["nid-de-poule", "licorne"]}, "services[1]"),
        ({"circle": {**PLATEAU, "radius_m": 1e9}}, "circle.radius_m"),
        ({"area": {"type": "Polygon", "coordinates": [[RING[0], RING[2], RING[1], RING[3], RING[0]]]}}, "area"),
        ({"area": {"type": "Polygon", "coordinates": [RING[:4]]}}, "area"),
        (CIRCLE | {"kinds": ["unheard-of"]}, "kinds[0]"),
        (CIRCLE | {"kinds": ["alert"]}, "body"),
        ({"kinds": ["alert", "opened"]}, "body"),
        ({"circle": {"lat": 5.52, "long": -73.58, "radius_m": 500}}, "circle"),
        ({"area": {"type": "Polygon", "coordinates": [[[lat, long] for long, lat in RING]]}}, "area"),
    ],
)
async def test_a_subscription_that_nobody_could_be_told_of_is_refused(register, body, field):
    answer = await (await register()).api.put(f"/v1/subscriptions/{new_id()}", params=MONTREAL, json=body)

    assert fields_of(problem_of(answer, 422, "invalid-fields")) == {field}


async def test_preferences_are_those_of_everybody_until_their_person_says_otherwise(register):
    phone = (await register()).api
    before = (await phone.get("/v1/me/preferences")).json()

    wishes = {**before, **QUIET, "most_a_day": 3, "digest": {"every": "week", "at": "08:30", "weekday": "friday"}}
    answer = await phone.put("/v1/me/preferences", json=wishes)

    assert (before["channels"], before["quiet_hours"], before["safety_rings"]) == (["push", "email"], None, True)
    assert answer.json() == wishes == (await phone.get("/v1/me/preferences")).json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"quiet_hours": QUIET["quiet_hours"]}, "body"),
        ({"most_a_day": 2}, "body"),
        ({"time_zone": "America/Atlantis"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"time_zone": "localtime"}, "time_zone"),
        (QUIET | {"quiet_hours": {"from": "22:00", "to": "22:00"}}, "quiet_hours"),
        (QUIET | {"quiet_hours": {"from": "22:00:30", "to": "07:00"}}, "quiet_hours.from"),
        (QUIET | {"digest": {"every": "week", "at": "08:00"}}, "digest"),
        ({"channels": []}, "channels"),
        ({"channels": ["push", "push"]}, "body"),
    ],
)
async def test_wishes_that_cannot_be_kept_are_refused(register, body, field):
    answer = await (await register()).api.put("/v1/me/preferences", json=body)

    assert fields_of(problem_of(answer, 422, "invalid-fields")) == {field}


async def test_with_the_device_go_its_persons_wishes(register, owner):
    device = await register()
    await device.api.put(f"/v1/subscriptions/{new_id()}", params=MONTREAL, json=CIRCLE)
    await device.api.put("/v1/me/preferences", json=QUIET)

    await device.api.delete(f"/v1/devices/{device.id}")

    async with owner.transaction() as session:
        for table in ("subscription", "preference"):
            assert (await session.scalars(text(f"SELECT count(*) FROM {table}"))).one() == 0
