"""The description of the API: its examples run, and the API keeps to it whatever is sent."""

import asyncio

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.openapi.models import OpenAPI
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as hypothesis_settings
from hypothesis.strategies import booleans
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.app import create_app
from api.tus import OFFSET_STREAM
from db.base import new_id
from issues.actors import Role
from tests.api.served import a_report, a_secret, on_a_port

schemathesis.serializer.alias(OFFSET_STREAM, "application/octet-stream")

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def examples(app):
    """The examples of each call's JSON body, by method and path."""
    document = app.openapi()
    found = {}
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            body = call.get("requestBody", {}).get("content", {}).get("application/json")
            if body is not None:
                name = body["schema"]["$ref"].rpartition("/")[2]
                found[f"{method.upper()} {path}"] = document["components"]["schemas"][name]["examples"]
    return found


def test_each_call_says_in_a_line_what_it_does(app):
    summaries = {call["summary"] for calls in app.openapi()["paths"].values() for call in calls.values()}

    assert "Read a report and the public state of its issue" in summaries
    assert [summary for summary in summaries if " " not in summary or summary.endswith(".")] == []


@pytest.fixture
def each(examples):
    """Send each example of a call, and get what the last was answered."""

    async def send_each(call, status, send):
        for example in examples.pop(call):
            answer = await send(example)
            assert answer.status_code == status, answer.text
        return answer.json()

    return send_each


async def the_first_event(agent, issue_id):
    return (await agent.get(f"/v1/issues/{issue_id}/events")).json()["items"][0]["id"]


async def test_every_example_runs(api, hire, register, examples, each):
    agent = await hire()
    receipt = await each("POST /v1/reports", 201, lambda body: api.post("/v1/reports", json=body))
    report = f"/v1/reports/{receipt['report']['id']}"
    issue = f"/v1/issues/{receipt['issue']['id']}"
    planned = {"issue_ids": [receipt["issue"]["id"]]}
    await each(
        "PUT /v1/devices/{device_id}", 201, lambda body: api.as_(a_secret()).put(f"/v1/devices/{new_id()}", json=body)
    )
    await each("POST /v1/issues/{issue_id}/status", 200, lambda body: agent.post(f"{issue}/status", json=body))
    order = await each("POST /v1/work-orders", 201, lambda body: agent.post("/v1/work-orders", json=body | planned))
    order_path = f"/v1/work-orders/{order['id']}"
    await each("PATCH /v1/work-orders/{order_id}", 200, lambda body: agent.patch(order_path, json=body))
    await each("PATCH /v1/reports/{report_id}", 200, lambda body: agent.patch(report, json=body))
    other = (await api.post("/v1/reports", json=a_report(lat=45.5300))).json()["issue"]["id"]
    twin = (await api.post("/v1/reports", json=a_report(lat=45.5300))).json()["report"]["id"]
    merged, split = {"issue_ids": [other], "confirm": True}, {"report_ids": [twin]}
    await each("POST /v1/issues/{issue_id}/merge", 200, lambda body: agent.post(f"{issue}/merge", json=body | merged))
    await each("POST /v1/issues/{issue_id}/undo", 200, lambda body: agent.post(f"{issue}/undo", json=body))
    await each(
        "POST /v1/issues/{issue_id}/split", 200, lambda body: agent.post(f"/v1/issues/{other}/split", json=body | split)
    )
    await each(
        "POST /v1/reports/{report_id}/leave", 200, lambda body: agent.post(f"/v1/reports/{twin}/leave", json=body)
    )
    in_doubt = a_report(service_code="voirie-autre", lat=45.5312)
    await api.post("/v1/reports", json=in_doubt)
    for verb in ("reject", "confirm"):
        await api.post("/v1/reports", json=in_doubt | {"id": str(new_id())})
        [pair] = (await agent.get("/v1/matches")).json()["items"]
        path = f"/v1/matches/{pair['id']}/{verb}"
        await each(f"POST /v1/matches/{{match_id}}/{verb}", 200, lambda body, path=path: agent.post(path, json=body))
        await agent.post(f"/v1/issues/{pair['issues'][1]['id']}/status", json={"status": "declined"})
    montreal, path = {"jurisdiction_id": "montreal.ca"}, f"/v1/subscriptions/{new_id()}"
    phone = (await register()).api
    await each("PUT /v1/me/preferences", 200, lambda body: phone.put("/v1/me/preferences", json=body))
    del examples["PUT /v1/subscriptions/{subscription_id}"][1:]  # their districts change with the pack
    await each("PUT /v1/subscriptions/{subscription_id}", 201, lambda body: phone.put(path, params=montreal, json=body))
    await each("PUT /v1/me/work", 422, lambda body: phone.put("/v1/me/work", params=montreal, json=body))
    await each("PUT /v1/me/email", 409, lambda body: phone.put("/v1/me/email", params=montreal, json=body))
    mine = (await phone.post("/v1/reports", json=a_report(lat=45.5350))).json()["issue"]["id"]
    await agent.post(f"/v1/issues/{mine}/status", json={"status": "resolved"})
    judge = f"/v1/issues/{mine}/feedback"
    await each("POST /v1/issues/{issue_id}/feedback", 200, lambda body: phone.post(judge, params=montreal, json=body))
    admin = await hire(Role.ADMIN)
    hook = await each("POST /v1/webhooks", 201, lambda body: admin.post("/v1/webhooks", json=body))
    again, event = f"/v1/webhooks/{hook['id']}/replay", {"event_id": await the_first_event(agent, mine)}
    assert (await admin.post(again, json=examples.pop("POST /v1/webhooks/{webhook_id}/replay")[0] | event)).is_success
    alert = f"/v1/alerts/{new_id()}"
    examples["PUT /v1/alerts/{alert_id}"][0]["district"] = None  # as above
    await each("PUT /v1/alerts/{alert_id}", 201, lambda body: admin.put(alert, json=body))
    pause = f"/v1/pauses/{new_id()}"
    await each("PUT /v1/pauses/{pause_id}", 200, lambda body: admin.put(pause, json=body))
    synced = await each("POST /v1/sync", 200, lambda body: agent.post("/v1/sync", json=body))
    assert [item["status"] for item in synced["items"]] == [201, 200]
    assert examples == {}


async def test_the_description_is_served_and_whole(api):
    answer = await api.get("/openapi.json")

    document = OpenAPI.model_validate(answer.json())
    assert {"/v1/reports", "/v1/issues/{issue_id}/status", "/v1/where", "/healthz"} <= document.paths.keys()
    assert (await api.get("/docs")).status_code == 200


def try_everything(app: FastAPI, address: str, headers: dict[str, str], known: dict[str, str]) -> int:
    """Send each call requests made from its description, as right and as wrong ones; answers how many."""
    sent = 0
    for result in schemathesis.openapi.from_dict(app.openapi()).get_all_operations():
        operation = result.ok()

        @seed(2026)
        @hypothesis_settings(
            max_examples=15,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), with_known=booleans())
        def run(case: schemathesis.Case, with_known: bool) -> None:
            nonlocal sent
            if with_known:
                case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
            response = case.call(base_url=address, headers=headers)
            case.validate_response(response, checks=CHECKS)
            sent += 1

        run()
    return sent


@pytest.mark.parametrize("who", ["agent", "device", "nobody"])
async def test_whatever_is_sent_the_answer_is_as_described(app, api, hire, register, who):
    caller = {"agent": hire, "device": register}.get(who)
    secret = None if caller is None else (await caller()).secret
    issue = (await api.post("/v1/reports", json=a_report())).json()["issue"]
    known = {"issue_id": issue["id"], "size": "small"}
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}

    with on_a_port(create_app(app.state.serving.settings)) as address:
        sent = await asyncio.to_thread(try_everything, app, address, headers, known)

    assert sent > 200


def test_what_is_made_by_posting_is_said_to_have_a_location(app):
    made = [
        call["responses"]["201"]
        for calls in app.openapi()["paths"].values()
        for method, call in calls.items()
        if method == "post" and "201" in call["responses"]
    ]

    assert len(made) == 4
    assert all("Location" in answer["headers"] for answer in made)
