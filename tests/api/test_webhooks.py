"""Webhooks, as a city's administrators call them."""

from base64 import b64decode

import pytest

from db.base import new_id
from issues.actors import Role
from issues.event_kinds import EventKind
from tests.api.served import fields_of, problem_of

HOOK = {"url": "https://requetes.example.org/jalon", "kinds": ["issue.status"]}


async def test_a_webhook_is_made_with_a_secret_that_is_shown_once_and_ended(hire):
    admin = await hire(Role.ADMIN)

    answer = await admin.post("/v1/webhooks", json=HOOK)
    made = answer.json()
    [listed] = (await admin.get("/v1/webhooks")).json()["items"]

    assert len(b64decode(made["secret"].removeprefix("whsec_"))) == 32
    assert listed == made | {"secret": None} == (await admin.get(answer.headers["Location"])).json()
    path = f"/v1/webhooks/{made['id']}"
    unknown = await admin.post(f"{path}/replay", json={"event_id": str(new_id())})
    assert fields_of(problem_of(unknown, 404, "event-not-found")) == {"event_id"}
    assert [(await admin.delete(path)).status_code for _ in range(2)] == [204, 204]
    assert (await admin.get("/v1/webhooks")).json()["items"] == []


async def test_only_administrators_have_to_do_with_webhooks(api, hire, register):
    problem_of(await api.get("/v1/webhooks"), 401, "sign-in-needed")
    for other in (await hire(Role.MANAGER), (await register()).api):
        problem_of(
            await other.post("/v1/webhooks", params={"jurisdiction_id": "montreal.ca"}, json=HOOK), 403, "role-needed"
        )


@pytest.mark.parametrize("url", ["http://example.org/x", "https://192.168.0.1/x", "https://localhost/x", "x"])
async def test_an_address_of_the_local_network_is_refused(hire, url):
    answer = await (await hire(Role.ADMIN)).post("/v1/webhooks", json={"url": url})

    assert fields_of(problem_of(answer, 422, "invalid-fields")) == {"url"}


async def test_a_kind_of_event_that_does_not_exist_is_refused(hire):
    wrong = HOOK | {"kinds": ["issue.status", "issue.exploded"]}

    answer = await (await hire(Role.ADMIN)).post("/v1/webhooks", json=wrong)

    [error] = problem_of(answer, 422, "invalid-fields")["errors"]
    assert error["field"] == "kinds[1]"
    assert "report.opened" in error["detail"]


def test_the_description_lists_each_kind_of_event_with_what_it_tells(app):
    schemas = app.openapi()["components"]["schemas"]

    assert schemas["EventKind"]["enum"] == list(EventKind)
    told = schemas["WebhookIn"]["properties"]["kinds"]["description"]
    assert [kind for kind in EventKind if f"`{kind}`: {kind.meaning}" not in told] == []
