"""Work orders from planning to done."""

import pytest
from sqlalchemy import text

from db.base import new_id
from issues.actors import Role
from tests.api.served import PICTURE, a_report, fields_of, problem_of


@pytest.fixture
def crews(cities):
    return list(cities.by_jurisdiction("montreal.ca").catalogue.crews)


@pytest.fixture
def plan(api, hire, crews):
    """Files a report, plans work on it, and answers with the agent and the order."""

    async def plan(**changes):
        agent = await hire()
        issue = (await api.post("/v1/reports", json=a_report())).json()["issue"]
        draft = {"issue_ids": [issue["id"]], "crew": crews[0], "planned_on": "2030-11-25", **changes}
        answer = await agent.post("/v1/work-orders", json=draft)
        assert answer.status_code == 201, answer.text
        return agent, answer.json()

    return plan


async def test_an_order_has_the_place_and_the_issue_is_scheduled(plan):
    agent, order = await plan()

    assert (order["status"], order["version"]) == ("planned", 1)
    assert (order["lat"], order["long"]) == (45.5231, -73.5817)
    assert order["district"]["name"] == "Le Plateau-Mont-Royal"
    assert order["address"]
    [issue] = order["issues"]
    assert (await agent.get(f"/v1/issues/{issue['id']}")).json()["status"] == "scheduled"


async def test_planned_again_with_the_same_id_it_is_one_order(plan):
    agent, order = await plan(id=str(new_id()))
    draft = {"id": order["id"], "issue_ids": order["issue_ids"], "crew": order["crew"], "planned_on": "2030-11-25"}

    again = await agent.post("/v1/work-orders", json=draft)

    assert (again.status_code, again.json()) == (200, order)


async def test_a_crew_lists_its_day_as_geojson_does_the_work_and_the_issue_is_resolved(plan, hire):
    agent, order = await plan()
    worker = await hire(role=Role.CREW, crew=order["crew"])
    day = await worker.get("/v1/work-orders", params={"crew": order["crew"], "planned_on": "2030-11-25"})
    [feature] = day.json()["features"]
    assert day.headers["content-type"] == "application/geo+json"
    assert feature["geometry"] == {"type": "Point", "coordinates": [-73.5817, 45.5231]}
    assert feature["properties"]["tour_position"] == order["tour_position"]
    path, photo_id = f"/v1/work-orders/{order['id']}", str(new_id())

    started = await worker.patch(path, json={"version": 1, "status": "in_progress"})
    await worker.put(f"/v1/photos/{photo_id}", content=PICTURE)
    done = await worker.patch(
        path, json={"version": started.json()["version"], "status": "done", "photo_ids": [photo_id]}
    )

    assert done.status_code == 200, done.text
    assert (done.json()["status"], done.json()["photo_ids"]) == ("done", [photo_id])
    assert (await agent.get(f"/v1/issues/{order['issue_ids'][0]}")).json()["status"] == "resolved"


async def test_an_old_version_is_answered_with_the_order_as_it_is(plan):
    agent, order = await plan()
    path = f"/v1/work-orders/{order['id']}"
    current = (await agent.patch(path, json={"version": 1, "note": "avec la pelle"})).json()

    answer = await agent.patch(path, json={"version": 1, "planned_on": "2030-11-26"})

    document = problem_of(answer, 409, "work-order-changed")
    assert document["work_order"] == current
    assert (await agent.get(path)).json() == current


async def test_a_change_repeated_with_its_id_gets_its_answer_and_another_with_that_id_none(plan):
    agent, order = await plan()
    path, command = f"/v1/work-orders/{order['id']}", {"id": str(new_id()), "version": 1, "note": "avec la pelle"}
    first = await agent.patch(path, json=command)
    current = (await agent.patch(path, json={"version": 2, "tour_position": 9})).json()

    again = await agent.patch(path, json=command)
    other = await agent.patch(path, json={**command, "note": "sans la pelle"})

    assert (first.status_code, first.json()["version"]) == (200, 2)
    assert (again.status_code, again.json()) == (200, current)
    assert fields_of(problem_of(other, 409, "id-already-used")) == {"id"}


async def test_a_crew_sees_no_other_crews_orders(plan, hire, crews):
    _, order = await plan()
    other = await hire(role=Role.CREW, crew=crews[1])

    problem_of(await other.get(f"/v1/work-orders/{order['id']}"), 404, "work-order-not-found")
    assert (await other.get("/v1/work-orders")).json()["features"] == []
    problem_of(await other.get("/v1/work-orders", params={"crew": order["crew"]}), 403, "not-allowed")


async def test_crews_and_residents_plan_nothing(api, hire, register, crews):
    draft = {"issue_ids": [str(new_id())], "crew": crews[0], "planned_on": "2030-11-25"}

    for caller in (await hire(role=Role.CREW, crew=crews[0]), (await register()).api):
        refused = problem_of(await caller.post("/v1/work-orders", json=draft), 403, "role-needed")
        assert refused["detail"].endswith("agent ou agente, gestionnaire, administrateur ou administratrice.")
    problem_of(await api.post("/v1/work-orders", json=draft), 401, "sign-in-needed")


async def test_what_cannot_be_planned_is_named(plan, crews):
    agent, order = await plan()
    draft = {"issue_ids": order["issue_ids"], "crew": crews[0], "planned_on": "2030-11-25"}

    no_crew = await agent.post("/v1/work-orders", json={**draft, "crew": "personne"})
    no_issue = await agent.post("/v1/work-orders", json={**draft, "issue_ids": [str(new_id())]})
    yesterday = await agent.post("/v1/work-orders", json={**draft, "planned_on": "2026-11-24"})
    replanned = await agent.patch(f"/v1/work-orders/{order['id']}", json={"version": 1, "planned_on": "2026-11-24"})
    await agent.post(f"/v1/issues/{order['issue_ids'][0]}/status", json={"status": "declined"})
    closed = await agent.post("/v1/work-orders", json=draft)

    assert fields_of(problem_of(no_crew, 422, "crew-unknown")) == {"crew"}
    assert fields_of(problem_of(no_issue, 404, "issue-not-found")) == {"issue_ids[0]"}
    assert [fields_of(problem_of(over, 422, "day-passed")) for over in (yesterday, replanned)] == [{"planned_on"}] * 2
    assert problem_of(closed, 409, "issue-not-open")["issue_status"] == "declined"


async def test_a_device_lent_to_work_hears_of_the_crews_orders_until_it_is_taken_back(
    plan, hire, register, crews, owner
):
    worker, phone = await hire(role=Role.CREW, crew=crews[0]), await register(fid="phone-1")
    montreal = {"jurisdiction_id": "montreal.ca"}
    lent = await phone.api.put("/v1/me/work", params=montreal, json={"secret": worker.secret})

    await plan()
    taken_back = [(await phone.api.delete("/v1/me/work", params=montreal)).status_code for _ in range(2)]
    await plan()

    assert lent.json() == {"jurisdiction_id": "montreal.ca", "role": "crew", "crew_code": crews[0]}
    assert taken_back == [204, 204]
    async with owner.transaction() as session:
        assert (await session.scalars(text("SELECT kind FROM notification"))).all() == ["assigned"]


async def test_only_a_secret_of_the_citys_staff_lends_a_device(hire, register, api):
    phone, other = await register(), await register()
    laval = {"jurisdiction_id": "laval.ca"}
    for secret in (other.api.secret, "somebody", (await hire()).secret):
        answer = await phone.api.put("/v1/me/work", params=laval, json={"secret": secret})
        assert fields_of(problem_of(answer, 422, "invalid-fields")) == {"secret"}
    problem_of(await api.put("/v1/me/work", params=laval, json={"secret": "x"}), 401, "sign-in-needed")
