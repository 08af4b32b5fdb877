"""The same report sent again: by the same sender, by another, and after the city has changed."""

from sqlalchemy import text

from db.base import new_id
from tests.api.served import a_report, a_secret, located_picture, make_safe, problem_of


async def test_a_report_received_before_is_answered_though_no_city_has_its_place_any_more(api, monkeypatch):
    report = a_report(tracking=a_secret())
    first = await api.post("/v1/reports", json=report)
    monkeypatch.setattr("issues.city.Cities.at", lambda _cities, _at: None)

    again = await api.post("/v1/reports", json=report)
    other = await api.post("/v1/reports", json=a_report())

    assert (again.status_code, again.json()) == (200, first.json())
    problem_of(other, 422, "outside-service-area")


async def test_a_phone_that_registered_since_gets_the_answer_to_its_report(api, register):
    report = a_report(tracking=a_secret())
    first = await api.post("/v1/reports", json=report)

    again = await (await register()).api.post("/v1/reports", json=report)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


async def test_a_phone_that_registered_since_is_answered_though_only_its_photo_told_the_place(
    app, api, register, owner, stored
):
    fields = {"id": str(new_id()), "service_code": "nid-de-poule", "tracking": a_secret()}

    async def send(caller):
        return await caller.post("/v1/reports", data=fields, files=[("photos", ("a.jpg", located_picture()))])

    problem_of(await send(api), 409, "photo-not-ready")
    async with owner.transaction() as session:
        photo_id = await session.scalar(text("SELECT id::text FROM photo"))
    await make_safe(app, photo_id)
    first, before = await send(api), await stored()

    again = await send((await register()).api)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert await stored() == {**before, "device": 1}


async def test_a_report_is_answered_though_the_photo_that_told_its_place_is_gone(app, register, owner):
    device, photo_id = await register(), str(new_id())
    await device.api.put(f"/v1/photos/{photo_id}", content=located_picture())
    await make_safe(app, photo_id)
    report = a_report(lat=None, long=None, photo_ids=[photo_id], tracking=a_secret())
    first = await device.api.post("/v1/reports", json=report)
    async with owner.transaction() as session:
        await session.execute(text("DELETE FROM photo"))

    again = await device.api.post("/v1/reports", json=report)

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


async def test_a_stranger_without_a_secret_is_shown_nothing_of_another_strangers_report(api):
    report = a_report()
    await api.post("/v1/reports", json=report)

    answer = await api.post("/v1/reports", json={**report, "description": "Autre chose"})

    assert "receipt" not in problem_of(answer, 409, "id-already-used")
