"""What holds for every address of the API: HEAD, methods, parameters that nobody declared, where new things are."""

import re

import pytest
from fastapi import FastAPI

from api.app import create_app
from tests.api.served import PLATEAU, a_report, fields_of, problem_of

NO_ID = "01936f3e-0000-7000-8000-000000000000"  # nothing has it
FILLS = {"jurisdiction_id": "montreal.ca"}  # what stands for a part of a path that is no id


def calls_of(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of every call, with an id where one goes."""
    return [
        (method.upper(), re.sub(r"\{(\w+)\}", lambda part: FILLS.get(part[1], NO_ID), path))
        for path, calls in app.openapi()["paths"].items()
        for method in calls
    ]


LIVE = "/v1/events"  # goes on for as long as somebody listens
CALLS = calls_of(create_app())


@pytest.mark.parametrize("path", [path for method, path in CALLS if method == "GET" and path != LIVE])
async def test_head_is_answered_as_get_is_without_the_body(api, hire, path):
    agent = await hire()
    asked = await agent.get(path)

    answer = await agent.call("HEAD", path)

    assert (answer.status_code, answer.content) == (asked.status_code, b"")
    assert answer.headers["content-type"] == asked.headers["content-type"]


async def test_head_of_what_goes_on_for_ever_ends(hire):
    answer = await (await hire()).call("HEAD", LIVE)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_head_tells_the_length_that_get_would_have(api):
    path = f"/v1/where?lat={PLATEAU['lat']}&long={PLATEAU['long']}"

    answer = await api.call("HEAD", path)

    assert int(answer.headers["content-length"]) == len((await api.get(path)).content)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/work-orders", "GET, HEAD, POST"),
        ("HEAD", "/v1/reports", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/docs", "GET, HEAD"),
    ],
)
async def test_another_method_is_told_those_that_are_taken(api, method, path, allowed):
    answer = await api.call(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_a_parameter_that_does_not_exist_is_refused_by_its_name(api, hire, method, path):
    agent = await hire()

    answer = await agent.call(method, f"{path}?staus=received", headers={"Accept-Language": "fr"})

    document = problem_of(answer, 400 if path.startswith("/v1/ogc/") else 422, "invalid-fields")
    assert document["errors"] == [{"field": "staus", "detail": "Ce paramètre n’existe pas."}]


async def test_every_unknown_parameter_is_named_once(api):
    answer = await api.get("/v1/issues?jurisdiction_id=montreal.ca&staus=received&staus=closed&Limit=3")

    assert [error["field"] for error in problem_of(answer, 422, "invalid-fields")["errors"]] == ["Limit", "staus"]


@pytest.mark.parametrize(("method", "path"), [call for call in CALLS if call[1] != LIVE])
async def test_the_city_may_be_named_with_every_call(api, hire, method, path):
    agent = await hire()

    answer = await agent.call(method, f"{path}?jurisdiction_id=montreal.ca")

    if answer.status_code in (400, 422):
        assert "jurisdiction_id" not in fields_of(answer.json())


async def test_what_is_made_says_where_it_is(api, hire):
    filed = await api.post("/v1/reports", json=a_report())
    agent = await hire()
    planned = await agent.post(
        "/v1/work-orders",
        json={"issue_ids": [filed.json()["issue"]["id"]], "crew": "voirie-1", "planned_on": "2030-11-25"},
    )

    for answer in (filed, planned):
        assert answer.status_code == 201, answer.text
        found = await agent.get(answer.headers["location"])
        assert found.status_code == 200
        assert answer.headers["location"].endswith("?jurisdiction_id=montreal.ca")
