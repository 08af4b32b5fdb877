"""The description of the API: its examples run, and the API keeps to it whatever is sent."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import schemathesis
import uvicorn
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
from tests.api.served import a_report, a_secret

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


async def test_every_example_runs(api, hire, examples):
    agent = await hire()
    issue, report_id = None, None
    for example in examples.pop("POST /v1/reports"):
        answer = await api.post("/v1/reports", json=example)
        assert answer.status_code == 201, answer.text
        issue, report_id = answer.json()["issue"], answer.json()["report"]["id"]
    for example in examples.pop("PUT /v1/devices/{device_id}"):
        answer = await api.as_(a_secret()).put(f"/v1/devices/{new_id()}", json=example)
        assert answer.status_code == 201, answer.text
    for example in examples.pop("POST /v1/issues/{issue_id}/status"):
        answer = await agent.post(f"/v1/issues/{issue['id']}/status", json=example)
        assert answer.status_code == 200, answer.text
    for example in examples.pop("POST /v1/work-orders"):
        answer = await agent.post("/v1/work-orders", json={**example, "issue_ids": [issue["id"]]})
        assert answer.status_code == 201, answer.text
    for example in examples.pop("PATCH /v1/work-orders/{order_id}"):
        answer = await agent.patch(f"/v1/work-orders/{answer.json()['id']}", json=example)
        assert answer.status_code == 200, answer.text
    for example in examples.pop("PATCH /v1/reports/{report_id}"):
        answer = await agent.patch(f"/v1/reports/{report_id}", json=example)
        assert answer.status_code == 200, answer.text
    other = (await api.post("/v1/reports", json=a_report(lat=45.5300))).json()
    twin = (await api.post("/v1/reports", json=a_report(lat=45.5300))).json()["report"]["id"]
    for example in examples.pop("POST /v1/issues/{issue_id}/merge"):
        answer = await agent.post(
            f"/v1/issues/{issue['id']}/merge", json={**example, "issue_ids": [other["issue"]["id"]], "confirm": True}
        )
        assert answer.status_code == 200, answer.text
    for example in examples.pop("POST /v1/issues/{issue_id}/undo"):
        answer = await agent.post(f"/v1/issues/{issue['id']}/undo", json=example)
        assert answer.status_code == 200, answer.text
    for example in examples.pop("POST /v1/issues/{issue_id}/split"):
        answer = await agent.post(f"/v1/issues/{other['issue']['id']}/split", json={**example, "report_ids": [twin]})
        assert answer.status_code == 200, answer.text
    for example in examples.pop("POST /v1/reports/{report_id}/leave"):
        answer = await agent.post(f"/v1/reports/{twin}/leave", json=example)
        assert answer.status_code == 200, answer.text
    for example in examples.pop("POST /v1/sync"):
        answer = await agent.post("/v1/sync", json=example)
        assert [item["status"] for item in answer.json()["items"]] == [201, 200], answer.text
    assert examples == {}


async def test_the_description_is_served_and_whole(api):
    answer = await api.get("/openapi.json")

    document = OpenAPI.model_validate(answer.json())
    assert {"/v1/reports", "/v1/issues/{issue_id}/status", "/v1/where", "/healthz"} <= document.paths.keys()
    assert (await api.get("/docs")).status_code == 200


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """A server in a thread of its own; answers with its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, port=0))
    up = threading.Event()

    async def serve() -> None:
        config = server.config
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        up.set()
        await server.main_loop()
        await server.shutdown()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert up.wait(30)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


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

    with served(create_app(app.state.serving.settings)) as address:
        sent = await asyncio.to_thread(try_everything, app, address, headers, known)

    assert sent > 200


def test_what_is_made_by_posting_is_said_to_have_a_location(app):
    made = [
        call["responses"]["201"]
        for calls in app.openapi()["paths"].values()
        for method, call in calls.items()
        if method == "post" and "201" in call["responses"]
    ]

    assert len(made) == 3
    assert all("Location" in answer["headers"] for answer in made)
