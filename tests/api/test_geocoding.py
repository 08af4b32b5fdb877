"""Places from addresses: for the desk that takes a call, and for a report that comes without a position."""

import pytest
from sqlalchemy import text

from tests.api.served import a_report, a_secret, fields_of, make_safe, problem_of
from tests.media.pictures import encoded, scene

ADDRESS = "4475 rue St-Denis"


def unplaced(address, **changes):
    return a_report(lat=None, long=None, accuracy_m=None, location_source=None, address_string=address, **changes)


async def test_an_address_leads_to_its_place(api):
    answer = await api.get("/v1/geocode", params={"q": ADDRESS})

    assert answer.headers["content-type"] == "application/geo+json"
    [found] = answer.json()["features"]
    assert found["geometry"] == {"type": "Point", "coordinates": [-73.582436, 45.52393]}
    assert found["properties"] == {
        "jurisdiction_id": "montreal.ca",
        "address": "4475, rue Saint-Denis",
        "accuracy_m": 15.0,
        "score": 1.0,
        "found_as": "address",
    }


async def test_every_example_of_the_description_finds_something(app, api):
    [asked, *_] = app.openapi()["paths"]["/v1/geocode"]["get"]["parameters"]

    for example in asked["examples"].values():
        answer = await api.get("/v1/geocode", params={"q": example["value"]})
        assert answer.json()["features"][0]["properties"]["score"] > 0.9, example


async def test_nothing_is_found_in_a_city_that_does_not_have_it(api, hire):
    in_laval = {"q": ADDRESS, "jurisdiction_id": "laval.ca"}

    assert (await api.get("/v1/geocode", params=in_laval)).json()["numberReturned"] == 0
    assert (await api.get("/v1/geocode", params={"q": f"{ADDRESS}, Laval"})).json()["features"] == []
    assert (await api.get("/v1/geocode", params={"q": f"{ADDRESS}, Westmount"})).json()["features"] == []
    assert (await (await hire()).get("/v1/geocode", params={"q": ADDRESS})).json()["numberReturned"] == 1
    problem_of(await (await hire()).get("/v1/geocode", params=in_laval), 403, "token-of-another-city")


@pytest.mark.parametrize("wanted", ["", "x" * 201, "a\u0000b"])
async def test_what_is_no_address_is_refused(api, wanted):
    assert fields_of(problem_of(await api.get("/v1/geocode", params={"q": wanted}), 422, "invalid-fields")) == {"q"}


async def test_a_report_with_an_address_alone_is_filed_there(api, stored):
    report = unplaced(ADDRESS, tracking=a_secret())
    first = await api.post("/v1/reports", json=report)

    assert first.status_code == 201, first.text
    issue = first.json()["issue"]
    assert (issue["long"], issue["lat"]) == (-73.582436, 45.52393)
    assert issue["address"] == "4475, rue Saint-Denis"
    told = (await api.as_(report["tracking"]).get(f"/v1/reports/{report['id']}")).json()["report"]
    assert (told["location_source"], told["accuracy_m"], told["address_string"]) == ("address", 15.0, ADDRESS)


async def test_a_report_by_its_address_is_received_once_whatever_the_streets_have_become(api, stored, monkeypatch):
    report = unplaced(ADDRESS, tracking=a_secret())
    first, before = await api.post("/v1/reports", json=report), await stored()
    again = await api.post("/v1/reports", json=report)

    async def nowhere(*_, **__):
        return []

    monkeypatch.setattr("api.geocoding.find_places", nowhere)
    later = await api.post("/v1/reports", json=report)

    assert (first.status_code, again.status_code, later.status_code) == (201, 200, 200)
    assert first.json() == again.json() == later.json()
    assert await stored() == before


async def test_an_address_that_tells_no_one_place_is_answered_with_guesses(api, stored):
    answer = await api.post("/v1/reports", json=unplaced("rue Saint-Denis"), headers={"Accept-Language": "fr"})

    document = problem_of(answer, 422, "position-needed")
    assert fields_of(document) == {"lat", "long", "address_string"}
    assert document["errors"][-1]["detail"] == (
        "Cela n’indique pas un seul endroit. Est-ce l’un de ceux-ci? Rue Saint-Denis"
    )
    [guess] = document["guesses"]
    assert (guess["address"], guess["jurisdiction_id"], guess["found_as"]) == (
        "Rue Saint-Denis",
        "montreal.ca",
        "street",
    )
    assert 45.4 < guess["lat"] < 45.7
    assert (await stored())["report"] == 0


async def test_an_address_that_nobody_knows_is_said_to_be_unknown(api):
    answer = await api.post("/v1/reports", json=unplaced("1 rue Qwertyuiop"), headers={"Accept-Language": "en"})

    document = problem_of(answer, 422, "position-needed")
    assert document["errors"][-1] == {
        "field": "address_string",
        "detail": "No such address or crossing is known here.",
    }
    assert document["guesses"] == []


async def test_the_city_named_with_the_report_is_the_one_looked_through(api, hire):
    for where, status in (("montreal.ca", 201), ("laval.ca", 422), ("nowhere.ca", 422)):
        answer = await api.post(f"/v1/reports?jurisdiction_id={where}", json=unplaced(ADDRESS))
        assert answer.status_code == status, answer.text
    assert (await (await hire()).post("/v1/reports", json=unplaced(ADDRESS))).status_code == 201


async def test_a_position_says_more_than_an_address_and_so_does_a_photo(app, register, owner):
    device = await register()
    located = await device.api.post("/v1/reports", json=a_report(address_string=ADDRESS))
    photo_id = a_report()["id"]
    await device.api.put(f"/v1/photos/{photo_id}", content=encoded(scene()))
    report = unplaced(ADDRESS, photo_ids=[photo_id])
    early = await device.api.post("/v1/reports", json=report)
    await make_safe(app, photo_id)

    late = await device.api.post("/v1/reports", json=report)

    assert located.json()["issue"]["lat"] == a_report()["lat"]
    problem_of(early, 409, "photo-not-ready")
    assert (late.status_code, late.json()["issue"]["lat"]) == (201, 45.52393)
    async with owner.transaction() as session:
        sources = (await session.execute(text("SELECT location_source FROM report ORDER BY id"))).scalars().all()
    assert sorted(sources) == ["address", "gps"]
