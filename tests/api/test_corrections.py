"""Correcting reports over HTTP, and taking them back."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db.base import new_id
from issues.actors import Role
from tests.api.served import LAVAL, PLATEAU, WESTMOUNT, a_report, a_secret, fields_of, problem_of

FAR = {"lat": PLATEAU["lat"] + 0.01, "long": PLATEAU["long"]}  # a kilometre away, also in Montréal


@pytest.fixture
async def phone(register):
    """A phone that has registered."""
    return (await register()).api


@pytest.fixture
async def path(phone):
    """The address of a report that the phone has filed."""
    report = a_report()
    answer = await phone.post("/v1/reports", json=report)
    assert answer.status_code == 201, answer.text
    return f"/v1/reports/{report['id']}"


@pytest.fixture
def grow_older(owner):
    """Have every report be received so long before."""

    async def grow_older(age: timedelta) -> None:
        async with owner.transaction() as session:
            await session.execute(text("UPDATE report SET received_at = :then"), {"then": datetime.now(UTC) - age})

    return grow_older


async def test_its_device_adds_words_after_the_first_ones(phone, path):
    answer = await phone.patch(path, json={"add_description": "Côté nord"})

    assert answer.status_code == 200, answer.text
    report = answer.json()["report"]
    assert report["description"] == "Gros trou devant l'arrêt d'autobus\n\nCôté nord"
    assert [each["added_description"] for each in report["corrections"]] == ["Côté nord"]
    assert (await phone.get(path)).json() == answer.json()


async def test_its_device_puts_the_place_right_and_sees_the_issue_it_is_in_then(phone, path):
    before = (await phone.get(path)).json()

    answer = await phone.patch(path, json={**FAR, "accuracy_m": 5})

    after = answer.json()
    assert answer.status_code == 200, answer.text
    assert (after["report"]["lat"], after["report"]["long"]) == (FAR["lat"], FAR["long"])
    assert (after["report"]["accuracy_m"], after["report"]["location_source"]) == (5, "map")
    assert after["issue"]["id"] != before["issue"]["id"]
    assert after["report"]["number"] == before["report"]["number"] == after["issue"]["number"]
    [correction] = after["report"]["corrections"]
    assert correction["former_place"] == {**PLATEAU, "accuracy_m": 8.0, "location_source": "gps"}
    left = await phone.get(f"/v1/issues/{before['issue']['id']}?jurisdiction_id=montreal.ca")
    problem_of(left, 410, "issue-withdrawn")


async def test_its_device_takes_it_back_and_again_gets_the_same_answer(phone, path):
    answer = await phone.patch(path, json={"withdrawn": True})

    assert answer.status_code == 200, answer.text
    assert answer.json()["report"]["withdrawn_datetime"]
    assert answer.json()["issue"]["report_count"] == 0
    again = await phone.patch(path, json={"withdrawn": True})
    assert (again.status_code, again.json()) == (200, answer.json())
    problem_of(await phone.patch(path, json={"add_description": "Non"}), 409, "report-withdrawn")


async def test_a_report_taken_back_and_sent_again_stays_taken_back(phone):
    report = a_report()
    await phone.post("/v1/reports", json=report)
    await phone.patch(f"/v1/reports/{report['id']}", json={"withdrawn": True})

    answer = await phone.post("/v1/reports", json=report)

    assert (answer.status_code, answer.json()["issue"]["report_count"]) == (200, 0)


async def test_the_tracking_secret_corrects_its_report(api):
    secret, report = a_secret(), a_report()
    await api.post("/v1/reports", json={**report, "tracking": secret})

    answer = await api.as_(secret).patch(f"/v1/reports/{report['id']}", json={"add_description": "Côté nord"})

    assert answer.status_code == 200, answer.text


async def test_agents_of_the_city_correct_it_at_any_time(phone, path, hire, grow_older):
    await grow_older(timedelta(days=30))

    answer = await (await hire()).patch(path, json={"add_description": "Selon l'appel de ce matin", **FAR})

    assert answer.status_code == 200, answer.text


async def test_nobody_else_corrects_it(path, hire, register, api):
    change = {"add_description": "Non", **FAR}

    problem_of(await (await register()).api.patch(path, json=change), 404, "report-not-found")
    problem_of(await (await hire(jurisdiction_id="laval.ca")).patch(path, json=change), 404, "report-not-found")
    problem_of(await (await hire(Role.CREW, crew="voirie-1")).patch(path, json=change), 403, "not-allowed")
    problem_of(await api.patch(path, json=change), 401, "sign-in-needed")


async def test_after_fifteen_minutes_its_device_still_adds_words_but_moves_it_no_more(phone, path, grow_older):
    await grow_older(timedelta(minutes=16))

    refused = await phone.patch(path, json=FAR, headers={"Accept-Language": "en"})

    document = problem_of(refused, 409, "place-settled")
    assert fields_of(document) == {"lat", "long"}
    assert "15 minutes" in document["detail"]
    assert datetime.fromisoformat(document["until"]) < datetime.now(UTC)
    assert (await phone.patch(path, json={"add_description": "Côté nord"})).status_code == 200
    assert (await phone.patch(path, json={"withdrawn": True})).status_code == 200


async def test_a_correction_that_overtakes_its_report_may_come_again_after_it(phone, api):
    report, change = a_report(), {"id": str(new_id()), "add_description": "Côté nord"}
    path = f"/v1/reports/{report['id']}"

    early = await phone.patch(path, json=change)

    problem_of(early, 404, "report-not-found")
    assert int(early.headers["retry-after"]) > 0
    problem_of(await api.as_(a_secret()).patch(path, json=change), 404, "report-not-found")
    await phone.post("/v1/reports", json=report)
    assert (await phone.patch(path, json=change)).status_code == 200


async def test_a_place_in_no_city_or_in_another_is_refused_and_changes_nothing(phone, path):
    before = (await phone.get(path)).json()

    outside = problem_of(await phone.patch(path, json=WESTMOUNT), 422, "outside-service-area")
    elsewhere = problem_of(await phone.patch(path, json=LAVAL), 422, "place-in-another-city")

    assert outside["neighbour"]["name"] == "Westmount"
    assert elsewhere["jurisdiction_id"] == "laval.ca"
    assert "Laval" in elsewhere["detail"]
    assert (await phone.get(path)).json() == before


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"lat": 45.5}, {"long"}),
        ({"accuracy_m": 5}, {"lat", "long"}),
        ({"withdrawn": True, "add_description": "Réglé"}, {"add_description"}),
        ({"withdrawn": False}, {"withdrawn"}),
        ({"lat": "45.5", "long": -73.5}, {"lat"}),
        ({"description": "Autre chose"}, {"description"}),
        ({"add_description": "\u0007"}, {"add_description"}),
        ({"id": "un"}, {"id"}),
    ],
)
async def test_a_correction_that_cannot_be_meant_is_refused(phone, path, change, fields):
    answer = await phone.patch(path, json=change)

    assert fields_of(problem_of(answer, 422, "invalid-fields")) == fields


async def test_a_correction_of_nothing_changes_nothing(phone, path):
    before = (await phone.get(path)).json()

    assert (await phone.patch(path, json={})).json() == before


async def test_the_id_of_one_correction_is_not_anothers(phone, path):
    command_id = str(new_id())
    first = await phone.patch(path, json={"id": command_id, "add_description": "Côté nord"})

    again = await phone.patch(path, json={"id": command_id, "add_description": "Côté nord"})
    other = await phone.patch(path, json={"id": command_id, "withdrawn": True})

    assert again.json() == first.json()
    problem_of(other, 409, "id-already-used")


async def test_staff_read_who_took_it_back_and_the_public_only_that_it_was(phone, path, hire, api):
    await api.post("/v1/reports", json=a_report())
    issue = (await phone.patch(path, json={"withdrawn": True})).json()["issue"]["id"]
    events = f"/v1/issues/{issue}/events?jurisdiction_id=montreal.ca"

    seen = (await (await hire()).get(events)).json()["items"]
    public = (await api.get(events)).json()["items"]

    assert [event["kind"] for event in seen] == ["report.opened", "report.joined", "report.withdrawn"]
    assert seen[2]["actor"].startswith("device:")
    assert (public[2]["actor"], public[2]["data"]) == ("resident", {})


async def test_an_issue_without_a_report_is_for_staff_alone_and_its_number_says_why(phone, path, hire, api):
    filed = (await phone.patch(path, json={"withdrawn": True})).json()
    issue, here = f"/v1/issues/{filed['issue']['id']}", {"jurisdiction_id": "montreal.ca"}
    of_number = here | {"number": filed["report"]["number"]}
    near = {"lat": filed["report"]["lat"], "long": filed["report"]["long"], "service_code": "nid-de-poule"}

    assert (await api.get("/v1/issues", params=here)).json()["features"] == []
    assert (await api.get("/v1/issues/near", params=near)).json()["features"] == []
    for gone in (issue, f"{issue}/events"):
        problem_of(await api.get(gone, params=here), 410, "issue-withdrawn")
    problem_of(await api.get("/v1/issues", params=of_number), 410, "issue-withdrawn")
    agent = await hire()
    assert (await agent.get(issue)).json()["report_count"] == 0
    assert len((await agent.get("/v1/issues", params=of_number)).json()["features"]) == 1
    assert (await phone.get(path)).json()["issue"]["status"] == "closed"


@pytest.mark.parametrize(
    "claimed", ["1970-01-01T00:00:00Z", "2031-07-14T09:30:00-04:00", "2025-10-18T23:59:59.123+05:30"]
)
async def test_a_phones_clock_is_kept_as_it_claims_and_decides_nothing(phone, claimed):
    report = a_report(captured_at=claimed)

    told = (await phone.post("/v1/reports", json=report)).json()["report"]

    read = (await phone.get(f"/v1/reports/{report['id']}")).json()["report"]
    assert datetime.fromisoformat(read["captured_at"]) == datetime.fromisoformat(claimed)
    assert abs(datetime.fromisoformat(told["requested_datetime"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert (await phone.patch(f"/v1/reports/{report['id']}", json=FAR)).status_code == 200
