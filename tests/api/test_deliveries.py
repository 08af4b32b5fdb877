"""Staff see what became of the pushes about an issue; nobody else does."""

import pytest
from sqlalchemy import text

from db.base import new_id
from issues.actors import Role
from tests.api.served import a_report, problem_of

MONTREAL = {"jurisdiction_id": "montreal.ca"}
_TOLD = """
WITH told AS (
    INSERT INTO notification (city_id, id, event_id, person_id, kind, params, created_at, expires_at)
    SELECT event.city_id, gen_random_uuid(), event.id, gen_random_uuid(), 'acknowledged', '{}', now(), now()
    FROM event, generate_series(1, 3) WHERE event.id = :event
    RETURNING city_id, id
)
INSERT INTO delivery (city_id, id, notification_id, device_id, state, attempts, due_at, sent_at, last_error)
SELECT city_id, gen_random_uuid(), id, gen_random_uuid(), (ARRAY['sent', 'sent', 'dead'])[number], 1, now(),
       CASE WHEN number < 3 THEN TIMESTAMPTZ '2026-11-23 17:00Z' END, CASE number WHEN 3 THEN 'HTTP 400' END
FROM (SELECT *, row_number() OVER () AS number FROM told) AS told
"""


@pytest.fixture
async def told(api, hire, owner):
    """An issue of which three phones were told: two heard."""
    issue = (await api.post("/v1/reports", json=a_report())).json()["issue"]
    agent = await hire()
    change = (await agent.post(f"/v1/issues/{issue['id']}/status", json={"status": "acknowledged"})).json()
    async with owner.transaction() as session:
        await session.execute(text(_TOLD), {"event": change["event_id"]})
    return issue["id"], change["event_id"]


async def test_staff_read_how_many_heard_and_why_others_did_not(hire, told):
    issue_id, event_id = told

    answer = await (await hire(Role.AGENT)).get(f"/v1/issues/{issue_id}/deliveries")

    items = [(item["event_id"], item["state"], item["count"], item["last_error"]) for item in answer.json()["items"]]
    assert items == [(event_id, "dead", 1, "HTTP 400"), (event_id, "sent", 2, None)]
    assert [item["sent_at"] for item in answer.json()["items"]] == [None, "2026-11-23T17:00:00Z"]


async def test_nobody_else_does(api, register, hire, told):
    path = f"/v1/issues/{told[0]}/deliveries"

    problem_of(await api.get(path, params=MONTREAL), 401, "sign-in-needed")
    problem_of(await (await register()).api.get(path, params=MONTREAL), 403, "role-needed")
    problem_of(await (await hire(Role.AGENT, "laval.ca")).get(path), 404, "issue-not-found")


async def test_an_issue_that_is_not_there_has_none(hire):
    problem_of(await (await hire()).get(f"/v1/issues/{new_id()}/deliveries"), 404, "issue-not-found")
