"""The review queue over HTTP."""

import pytest

from db.base import new_id
from issues.actors import Role
from tests.api.served import BESIDE, IN_DOUBT, LAVAL, PICTURE, PLATEAU, a_report, make_safe, problem_of


@pytest.fixture
async def two_issues(api):
    """Two issues that may be one."""
    answers = [await api.post("/v1/reports", json=a_report(**place)) for place in (IN_DOUBT, BESIDE)]
    issues = [answer.json()["issue"] for answer in answers]
    assert issues[0]["id"] != issues[1]["id"]
    return issues


async def queue(agent, **params):
    answer = await agent.get("/v1/matches", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_agents_see_what_may_be_one_problem_and_why_in_their_language(api, two_issues, hire):
    agent = await hire()

    answer = await agent.get("/v1/matches", params={"state": "pending"}, headers={"Accept-Language": "fr"})

    assert (answer.status_code, answer.json()["links"]) == (200, [])
    [pair] = answer.json()["items"]
    assert [issue["id"] for issue in pair["issues"]] == [issue["id"] for issue in two_issues]
    assert (pair["state"], pair["distance_m"]) == ("pending", 6.0)
    assert pair["reasons"][0]["text"] == "À 6\u00a0m"
    assert (pair["decided_datetime"], pair["decided_by"]) == (None, None)


async def test_the_queue_is_for_the_citys_agents(api, two_issues, hire, register):
    crew, elsewhere = await hire(Role.CREW, crew="voirie-1"), await hire(jurisdiction_id="laval.ca")

    problem_of(await api.get("/v1/matches"), 401, "sign-in-needed")
    problem_of(await (await register()).api.get("/v1/matches"), 403, "role-needed")
    problem_of(await crew.get("/v1/matches"), 403, "role-needed")
    assert await queue(elsewhere) == []
    [pair] = await queue(await hire())
    problem_of(await elsewhere.post(f"/v1/matches/{pair['id']}/reject", json={}), 404, "match-not-found")


async def test_a_confirmed_pair_is_merged_once_however_often_it_is_sent(two_issues, hire):
    agent = await hire()
    [pair] = await queue(agent)
    path, body = f"/v1/matches/{pair['id']}/confirm", {"id": str(new_id())}

    first, second = await agent.post(path, json=body), await agent.post(path, json=body)

    assert (first.status_code, second.status_code, second.json()) == (200, 200, first.json())
    assert (first.json()["issue"]["id"], first.json()["issue"]["report_count"]) == (two_issues[0]["id"], 2)
    settled = problem_of(await agent.post(path, json={}), 409, "match-settled")
    assert settled["state"] == "confirmed"
    assert await queue(agent) == []


async def test_a_rejected_pair_leaves_the_queue(two_issues, hire):
    agent = await hire()
    [pair] = await queue(agent)

    rejected = await agent.post(f"/v1/matches/{pair['id']}/reject", json={"note": "Deux trous"})

    assert (rejected.status_code, rejected.json()["state"]) == (200, "rejected")
    assert await queue(agent) == []
    assert [each["id"] for each in await queue(agent, state="rejected")] == [pair["id"]]


async def test_pages_lead_on(api, hire):
    agent = await hire()
    for n in range(3):
        await api.post("/v1/reports", json=a_report(**IN_DOUBT | {"lat": PLATEAU["lat"] + n * 0.00004}))

    first = (await agent.get("/v1/matches", params={"limit": 2})).json()
    rest = (await agent.get(first["links"][0]["href"])).json()

    assert (len(first["items"]), len(rest["items"]), rest["links"]) == (2, 1, [])


async def test_each_issue_comes_with_its_photo(app, api, register, hire):
    device, photo_id = await register(), str(new_id())
    await device.api.put(f"/v1/photos/{photo_id}", content=PICTURE)
    await device.api.post("/v1/reports", json=a_report(**IN_DOUBT, photo_ids=[photo_id]))
    await api.post("/v1/reports", json=a_report(**BESIDE))
    await make_safe(app, photo_id)

    [pair] = await queue(await hire())

    assert [issue["photo"] for issue in pair["issues"]] == [f"/v1/photos/{photo_id}/small", None]


async def test_a_city_has_its_own_queue(api, two_issues, hire):
    await api.post("/v1/reports", json=a_report(**LAVAL))

    assert len(await queue(await hire())) == 1
    assert await queue(await hire(jurisdiction_id="laval.ca")) == []
