"""Looking at issues, changing their status, following them."""

from datetime import UTC, datetime, timedelta

import pytest

from db.base import new_id
from issues.actors import Role
from tests.api.served import LAVAL, PICTURE, Api, a_report, fields_of, make_safe, problem_of

MONTREAL = {"jurisdiction_id": "montreal.ca"}
# About half a kilometre apart, so that no report joins another.
NORTH = {"lat": 45.5281}


@pytest.fixture
def file(api):
    """Files a report and answers with its issue."""

    async def file(who: Api | None = None, **changes):
        answer = await (who or api).post("/v1/reports", json=a_report(**changes))
        assert answer.status_code == 201, answer.text
        return answer.json()["issue"]

    return file


async def ids_on(api, **filters):
    answer = await api.get("/v1/issues", params={**MONTREAL, **filters})
    assert answer.status_code == 200, answer.text
    return [feature["id"] for feature in answer.json()["features"]]


async def test_the_list_is_a_map_of_what_was_reported(api, file):
    issue = await file()

    answer = await api.get("/v1/issues", params=MONTREAL)

    assert answer.headers["content-type"] == "application/geo+json"
    collection = answer.json()
    assert (collection["type"], collection["numberReturned"], collection["links"]) == ("FeatureCollection", 1, [])
    [feature] = collection["features"]
    assert feature["id"] == feature["properties"]["id"] == issue["id"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [-73.5817, 45.5231]}
    assert feature["properties"]["district"] == issue["district"]


async def test_each_filter_keeps_what_it_names(api, file):
    here, north = await file(), await file(**NORTH, service_code="graffiti")
    district = f"{here['district']['layer']}:{here['district']['code']}"

    assert await ids_on(api, bbox="-73.59,45.52,-73.58,45.525") == [here["id"]]
    assert await ids_on(api, service_code="graffiti") == [north["id"]]
    assert await ids_on(api, status="received,acknowledged") == [north["id"], here["id"]]
    assert await ids_on(api, status="resolved") == []
    assert here["id"] in await ids_on(api, district=district)
    assert await ids_on(api, district="arrondissements:nulle-part") == []
    assert await ids_on(api, updated_after=(datetime.now(UTC) + timedelta(hours=1)).isoformat()) == []
    assert len(await ids_on(api, updated_after=(datetime.now(UTC) - timedelta(hours=1)).isoformat())) == 2


async def test_pages_follow_each_other_and_keep_the_filters(api, file):
    filed = [(await file(lat=45.5231 + step * 0.004))["id"] for step in range(3)]
    first = (await api.get("/v1/issues", params={**MONTREAL, "limit": 2, "status": "received"})).json()
    [link] = first["links"]
    assert link["rel"] == "next"
    assert "status=received" in link["href"]

    second = (await api.get(link["href"])).json()

    assert [feature["id"] for page in (first, second) for feature in page["features"]] == filed[::-1]
    assert second["links"] == []


async def test_one_issue_is_read_in_the_language_asked_for(api, file):
    issue = await file()

    answer = await api.get(f"/v1/issues/{issue['id']}", params=MONTREAL, headers={"Accept-Language": "en"})

    assert answer.status_code == 200
    assert answer.json() == {**issue, "service_name": "Pothole"} | {
        "department": {**issue["department"], "name": answer.json()["department"]["name"]}
    }


async def test_a_private_issue_is_for_its_sender_and_staff(api, register, hire, file, cities):
    services = cities.by_jurisdiction("montreal.ca").catalogue.services
    private = next(service.code for service in services.values() if service.private and service.offered)
    device, agent = await register(), await hire()
    issue = await file(device.api, service_code=private)
    path = f"/v1/issues/{issue['id']}"

    problem_of(await api.get(path, params=MONTREAL), 404, "issue-not-found")
    assert issue["id"] not in await ids_on(api)
    assert (await agent.get(path)).status_code == 200
    assert (await device.api.put(f"{path}/follow", params=MONTREAL)).status_code == 200


async def test_several_cities_have_to_be_told_apart(api, file):
    issue = await file()

    document = problem_of(await api.get(f"/v1/issues/{issue['id']}"), 422, "jurisdiction-needed")

    assert fields_of(document) == {"jurisdiction_id"}
    assert document["jurisdiction_ids"] == ["laval.ca", "montreal.ca"]
    problem_of(await api.get("/v1/issues", params={"jurisdiction_id": "nulle-part.ca"}), 422, "jurisdiction-unknown")
    problem_of(
        await api.get(f"/v1/issues/{issue['id']}", params={"jurisdiction_id": "laval.ca"}), 404, "issue-not-found"
    )


async def test_staff_act_in_their_own_city_without_naming_it_and_in_no_other(hire, file):
    montreal, laval = await file(), await file(**LAVAL)
    agent = await hire()

    assert (await agent.get(f"/v1/issues/{montreal['id']}")).status_code == 200
    problem_of(await agent.get(f"/v1/issues/{laval['id']}"), 404, "issue-not-found")
    for path in ("/v1/work-orders", f"/v1/issues/{laval['id']}/feedback", f"/v1/issues/{laval['id']}/deliveries"):
        answer = await agent.get(path, params={"jurisdiction_id": "laval.ca"})
        assert fields_of(problem_of(answer, 403, "token-of-another-city")) == {"jurisdiction_id"}


async def test_staff_see_of_another_city_what_everybody_sees(api, hire, file):
    shown, _ = await file(**LAVAL), await file(**LAVAL, service_code="logement-insalubre")
    agent, own = await hire(), await hire(jurisdiction_id="laval.ca")
    laval = {"jurisdiction_id": "laval.ca"}
    await own.post(f"/v1/issues/{shown['id']}/status", json={"status": "acknowledged", "note": "Appeler M. Roy"})

    for path in ("/v1/issues", f"/v1/issues/{shown['id']}", f"/v1/issues/{shown['id']}/events"):
        assert (await agent.get(path, params=laval)).json() == (await api.get(path, params=laval)).json()
    assert (await agent.get("/v1/issues", params=laval)).json()["numberReturned"] >= 1
    assert (await agent.get("/v1/services", params=laval)).status_code == 200


# Status and history.


async def test_an_agent_acknowledges_and_the_history_tells_the_public_what_it_may_know(api, hire, file):
    issue, agent = await file(), await hire()
    command = {"status": "acknowledged", "note": "vu sur place, voisin fâché", "id": str(new_id())}

    answer = await agent.post(f"/v1/issues/{issue['id']}/status", json=command)

    assert answer.status_code == 200, answer.text
    assert answer.json()["issue"]["status"] == answer.json()["status"] == "acknowledged"
    assert answer.json()["event_id"] == command["id"]
    history = f"/v1/issues/{issue['id']}/events"
    [opened, changed] = (await api.get(history, params=MONTREAL)).json()["items"]
    assert opened["kind"] == "report.opened"
    assert (changed["kind"], changed["actor"], changed["note"]) == ("issue.status", "staff", None)
    assert changed["data"] == {"from": "received", "to": "acknowledged"}
    assert (await agent.get(history)).json()["items"][-1]["note"] == command["note"]


async def test_the_same_command_again_has_the_first_result(hire, file):
    issue, agent = await file(), await hire()
    path, command = f"/v1/issues/{issue['id']}/status", {"status": "acknowledged", "id": str(new_id())}
    first = await agent.post(path, json=command)
    await agent.post(path, json={"status": "scheduled"})

    again = await agent.post(path, json=command)

    assert (again.status_code, again.json()["status"]) == (200, "acknowledged")
    assert again.json()["event_id"] == first.json()["event_id"]
    assert again.json()["issue"]["status"] == "scheduled"


async def test_already_so_and_no_note_is_no_event(hire, file):
    issue, agent = await file(), await hire()
    path = f"/v1/issues/{issue['id']}/status"
    await agent.post(path, json={"status": "acknowledged"})

    answer = await agent.post(path, json={"status": "acknowledged"})

    assert (answer.status_code, answer.json()["event_id"]) == (200, None)


@pytest.mark.parametrize(("locale", "word"), [("fr", "reçue"), ("en", "received")])
async def test_a_status_that_does_not_lead_there_names_those_that_are_allowed(hire, file, locale, word):
    issue, agent = await file(), await hire()

    answer = await agent.post(
        f"/v1/issues/{issue['id']}/status", json={"status": "closed"}, headers={"Accept-Language": locale}
    )

    document = problem_of(answer, 409, "transition-not-allowed")
    assert document["allowed"] == ["acknowledged", "scheduled", "in_progress", "resolved", "declined", "transferred"]
    assert word in document["detail"]


async def test_residents_and_nobody_change_no_status(api, register, file):
    issue = await file()
    path, body = f"/v1/issues/{issue['id']}/status", {"status": "acknowledged"}

    problem_of(await (await register()).api.post(path, json=body), 403, "role-needed")
    answer = await api.post(path, json=body)
    problem_of(answer, 401, "sign-in-needed")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_crew_changes_only_the_issues_of_its_orders(hire, file, cities):
    crew = next(iter(cities.by_jurisdiction("montreal.ca").catalogue.crews))
    issue = await file()
    worker = await hire(role=Role.CREW, crew=crew)

    answer = await worker.post(f"/v1/issues/{issue['id']}/status", json={"status": "in_progress"})

    problem_of(answer, 403, "not-allowed")


# What may be meant.


NEAR = {"lat": 45.5231, "long": -73.5817, "service_code": "nid-de-poule"}


async def test_near_shows_what_a_report_may_be_about_best_first(api, file):
    ask = {"service_code": "voirie-autre"}  # joins nothing unasked
    far, close = await file(**ask, lat=45.5231 + 0.0002), await file(lat=45.5231 + 0.00001, service_code="graffiti")
    same = await file(**ask, lat=45.5231 - 0.00002)

    answer = await api.get("/v1/issues/near", params=NEAR | ask)

    assert answer.status_code == 200, answer.text
    features = answer.json()["features"]
    assert [feature["id"] for feature in features] == [same["id"], far["id"]]
    assert close["id"] not in [feature["id"] for feature in features]
    first = features[0]["properties"]
    assert (first["score"] > 0.5, first["status"], first["came_back"], first["photo"]) == (
        True,
        "received",
        False,
        None,
    )


async def test_near_says_why_in_the_callers_language(api, file):
    await file(lat=45.5231 - 0.00002)

    said = {}
    for language in ("fr", "en"):
        answer = await api.get("/v1/issues/near", params=NEAR, headers={"Accept-Language": language})
        said[language] = [reason["text"] for reason in answer.json()["features"][0]["properties"]["reasons"]]

    assert said == {
        "fr": ["À 2\u00a0m", "Signalé pour la dernière fois il y a moins d’un jour", "Le même type de problème"],
        "en": ["2 m away", "Last reported within a day", "The same kind of problem"],
    }


async def test_near_shows_a_small_photo_that_anybody_may_open(app, api, register, file):
    device, photo_id = await register(), str(new_id())
    assert (await device.api.put(f"/v1/photos/{photo_id}", content=PICTURE)).status_code == 201
    await file(device.api, photo_ids=[photo_id])
    await make_safe(app, photo_id)

    [feature] = (await api.get("/v1/issues/near", params=NEAR)).json()["features"]

    picture = await api.get(feature["properties"]["photo"])
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/webp")


async def test_near_compares_the_callers_photos_with_theirs(app, register):
    photos = []
    for device in (await register(), await register()):
        photos.append(str(new_id()))
        await device.api.put(f"/v1/photos/{photos[-1]}", content=PICTURE)
        await make_safe(app, photos[-1])
        if len(photos) == 1:
            await device.api.post("/v1/reports", json=a_report(photo_ids=photos))

    answer = await device.api.get("/v1/issues/near", params={**NEAR, "photo_ids": ",".join(photos)})

    [feature] = answer.json()["features"]
    told = [reason["value"] for reason in feature["properties"]["reasons"] if reason["factor"] == "photos"]
    assert told == [0.0]


async def test_near_shows_what_was_fixed_as_come_back(api, hire, file):
    issue, agent = await file(), await hire()
    assert (await agent.post(f"/v1/issues/{issue['id']}/status", json={"status": "resolved"})).status_code == 200

    [feature] = (await api.get("/v1/issues/near", params=NEAR)).json()["features"]

    assert (feature["id"], feature["properties"]["status"], feature["properties"]["came_back"]) == (
        issue["id"],
        "resolved",
        True,
    )


# Following.


async def test_a_device_follows_and_unfollows(register, file):
    issue, device = await file(), await register()
    path = f"/v1/issues/{issue['id']}/follow"

    followed = await device.api.put(path, params=MONTREAL)
    left = await device.api.delete(path, params=MONTREAL)

    expected = {"issue_id": issue["id"], "jurisdiction_id": "montreal.ca"}
    assert (followed.status_code, followed.json()) == (200, {**expected, "following": True})
    assert (left.status_code, left.json()) == (200, {**expected, "following": False})


async def test_only_devices_follow(api, hire, file):
    path = f"/v1/issues/{(await file())['id']}/follow"

    problem_of(await api.put(path, params=MONTREAL), 401, "sign-in-needed")
    problem_of(await (await hire()).put(path), 403, "role-needed")
