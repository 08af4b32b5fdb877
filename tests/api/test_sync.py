"""A phone's outbox, sent in one call."""

import asyncio
import gzip
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.datastructures import Headers

from api.routers.sync import SYNC_LIMIT_BYTES
from api.scope import REQUEST_ID
from api.sync import InnerAnswer, work_off
from db.base import new_id
from issues.actors import Role
from tests.api.served import LAVAL, PLATEAU, Api, a_report, a_secret, fields_of, problem_of


def item(kind: str, body: Any = None, **more: Any) -> dict[str, Any]:
    return {"id": str(new_id()), "kind": kind, **({} if body is None else {"body": body}), **more}


def report_item(**changes: Any) -> dict[str, Any]:
    report = a_report(**changes)
    return {"id": report.pop("id"), "kind": "report", "body": report}


async def sync(api: Api, *items: Any) -> list[dict[str, Any]]:
    """Send an outbox; answers with the results, one for each item."""
    answer = await api.post("/v1/sync", content=json.dumps({"items": items}))
    assert answer.status_code == 200, answer.text
    results = answer.json()["items"]
    assert len(results) == len(items)
    return results


def statuses(results: list[dict[str, Any]]) -> list[int]:
    return [result["status"] for result in results]


@pytest.fixture
async def phone(register):
    """A phone that has registered."""
    return (await register()).api


async def test_an_outbox_is_done_in_order_and_each_item_has_the_answer_of_its_own_call(phone):
    report = report_item()
    words = item("correction", {"add_description": "Côté nord"}, target=report["id"])
    withdrawal = item("correction", {"withdrawn": True}, target=report["id"])

    results = await sync(phone, report, words, withdrawal)

    assert statuses(results) == [201, 200, 200]
    assert [result["id"] for result in results] == [report["id"], words["id"], withdrawal["id"]]
    assert all(result["final"] and result["problem"] is None for result in results)
    alone = await phone.post("/v1/reports", json={"id": report["id"], **report["body"]})
    assert alone.status_code == 200
    assert results[0]["body"]["report"]["number"] == alone.json()["report"]["number"]
    assert results[2]["body"] == (await phone.get(f"/v1/reports/{report['id']}")).json()


async def test_the_same_outbox_again_does_nothing_again(phone, stored):
    report = report_item()
    outbox = [report, item("correction", {"add_description": "Côté nord"}, target=report["id"]), report_item(**LAVAL)]
    first = await sync(phone, *outbox)
    before = await stored()

    again = await sync(phone, *outbox)

    assert (statuses(first), statuses(again)) == ([201, 200, 201], [200, 200, 200])
    assert [result["body"]["report"]["number"] for result in again] == [
        result["body"]["report"]["number"] for result in first
    ]
    assert await stored() == before


async def test_one_bad_item_does_not_stop_the_others(phone, stored):
    bad = [
        report_item(service_code="licorne"),
        report_item(lat=None),
        item("report", {"service_code": "nid-de-poule", "surprise": 1}),
        item("souhait"),
        item("follow"),
        item("follow", {"why": "not"}, target=str(new_id())),
        item("report", a_report(), target=str(new_id())),
        {"kind": "report"},
        {"id": "7", "kind": "report", "body": a_report()},
        "report",
        None,
        item("report", {"description": "\ud83d", **PLATEAU}),
        item("report", {"service_code": "nid-de-poule", "lat": float("nan"), "long": 1}),
        item("correction", [], target=str(new_id())),
    ]

    results = await sync(phone, report_item(), *bad, report_item(**LAVAL))

    assert (results[0]["status"], results[-1]["status"]) == (201, 201)
    for sent, result in zip(bad, results[1:-1], strict=True):
        assert result["status"] in {400, 422}, sent
        assert result["final"] is True
        assert result["body"] is None
        assert result["problem"]["status"] == result["status"]
        assert result["problem"]["errors"], sent
    assert [result["id"] for result in results[8:12]] == [None] * 4
    assert (await stored())["report"] == 2


async def test_what_is_wrong_with_an_item_is_named(phone):
    [unknown, other] = await sync(phone, item("follow"), {**report_item(), "body": a_report()})

    assert fields_of(unknown["problem"]) == {"target"}
    assert fields_of(other["problem"]) == {"body.id"}


async def test_problems_come_in_the_language_of_the_phone(register):
    [french] = await sync((await register(locale="fr-CA")).api, report_item(service_code="licorne"))
    [english] = await sync((await register(locale="en-CA")).api, report_item(service_code="licorne"))

    assert french["problem"]["title"] == "Type de problème non offert"
    assert english["problem"]["title"] == "Service not offered"


async def test_what_may_succeed_later_is_not_final(phone):
    overtaking = item("correction", {"add_description": "Côté nord"}, target=str(new_id()))
    waiting = report_item(lat=None, long=None, photo_ids=[str(new_id())])

    results = await sync(phone, overtaking, waiting)

    assert statuses(results) == [404, 409]
    assert [result["final"] for result in results] == [False, False]
    assert all(result["retry_after"] > 0 for result in results)


async def test_what_is_more_than_a_phone_may_send_in_an_hour_is_done_later(phone):
    results = await sync(phone, *(report_item(lat=45.50 + 0.0005 * number) for number in range(31)))

    assert statuses(results) == [201] * 30 + [429]
    assert results[-1]["final"] is False
    assert results[-1]["retry_after"] > 0


async def test_an_item_for_staff_asks_a_phone_for_nothing_and_stays_refused(phone):
    issue = (await sync(phone, report_item()))[0]["body"]["issue"]["id"]

    [refused] = await sync(phone, item("status", {"status": "resolved"}, target=issue, jurisdiction_id="montreal.ca"))

    assert (refused["status"], refused["final"]) == (403, True)


async def test_a_phone_follows_and_unfollows(phone):
    issue = (await sync(phone, report_item()))[0]["body"]["issue"]["id"]
    where = {"target": issue, "jurisdiction_id": "montreal.ca"}

    results = await sync(phone, item("unfollow", **where), item("follow", **where), item("follow", target=issue))

    assert statuses(results) == [200, 200, 422]
    assert [result["body"]["following"] for result in results[:2]] == [False, True]
    assert results[2]["problem"]["type"] == "/problems/jurisdiction-needed"


async def test_a_crew_sends_the_work_of_its_day(api, hire):
    agent = await hire()
    issue = (await api.post("/v1/reports", json=a_report())).json()["issue"]["id"]
    plan = {"issue_ids": [issue], "crew": "voirie-1", "planned_on": "2030-11-25"}
    order = (await agent.post("/v1/work-orders", json=plan)).json()
    outbox = [
        item("work_order", {"version": order["version"], "status": "in_progress"}, target=order["id"]),
        item("work_order", {"version": order["version"] + 1, "status": "done"}, target=order["id"]),
        item("status", {"status": "in_progress", "note": "Encore un trou", "public": False}, target=issue),
    ]
    crew = await hire(Role.CREW, crew="voirie-1")

    results = await sync(crew, *outbox)
    again = await sync(crew, *outbox)

    assert statuses(results) == [200, 200, 200]
    assert results[1]["body"]["status"] == "done"
    assert statuses(again) == [200, 200, 200]
    assert again[2]["body"]["event_id"] == results[2]["body"]["event_id"] == outbox[2]["id"]


async def test_without_a_device_reports_have_their_own_secrets(api):
    secrets, reports = [a_secret(), a_secret()], [report_item(), report_item(**LAVAL)]
    for secret, report in zip(secrets, reports, strict=True):
        report["body"]["tracking"] = secret
    corrections = [
        item("correction", {"withdrawn": True}, target=report["id"], tracking=secret)
        for secret, report in zip(secrets, reports, strict=True)
    ]
    without = item("correction", {"withdrawn": True}, target=reports[0]["id"])

    results = await sync(api, *reports, *corrections, without)

    assert statuses(results) == [201, 201, 200, 200, 401]
    assert results[4]["final"] is False


async def test_an_unknown_secret_is_never_taken_for_none(api, stored):
    answer = await api.as_(a_secret()).post("/v1/sync", json={"items": [report_item()]})

    problem_of(answer, 401, "secret-unknown")
    assert (await stored())["report"] == 0


@pytest.mark.parametrize(
    ("content", "status", "slug"),
    [
        (b"[", 400, "malformed-body"),
        (b"[" * 50_000, 400, "malformed-body"),
        (b"[]", 422, "invalid-fields"),
        (b'{"items": 7}', 422, "invalid-fields"),
        (b'{"items": [], "more": 1}', 422, "invalid-fields"),
        (json.dumps({"items": [{}] * 101}).encode(), 422, "invalid-fields"),
        (b'{"items": ["' + b"a" * SYNC_LIMIT_BYTES + b'"]}', 413, "body-too-large"),
    ],
)
async def test_an_outbox_that_is_none_is_refused(api, content, status, slug):
    problem_of(await api.post("/v1/sync", content=content), status, slug)


async def test_an_empty_outbox_has_no_results(api):
    assert await sync(api) == []


async def test_a_hundred_reports_come_compressed_in_one_call(hire, stored):
    outbox = [report_item(lat=45.50 + 0.0005 * number, description="Trou " * 100) for number in range(100)]
    packed = gzip.compress(json.dumps({"items": outbox}).encode())

    answer = await (await hire()).post(
        "/v1/sync", content=packed, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"}
    )

    assert answer.status_code == 200, answer.text
    assert {result["status"] for result in answer.json()["items"]} == {201}
    assert (await stored())["report"] == 100


async def test_an_item_as_large_as_no_call_takes_is_refused_alone(phone):
    results = await sync(phone, report_item(description="a" * 70_000), report_item())

    assert statuses(results) == [413, 201]


async def test_outboxes_sent_at_once_are_done_once(phone, stored):
    outbox = [report_item(lat=45.50 + 0.001 * number) for number in range(5)]

    answers = await asyncio.gather(*(sync(phone, *outbox) for _ in range(4)))

    numbers = {tuple(result["body"]["report"]["number"] for result in results) for results in answers}
    assert len(numbers) == 1
    assert (await stored())["report"] == 5


# Time.


@dataclass
class Slow:
    """Stands for the application: the second item never ends."""

    done: list[str] = field(default_factory=list)

    async def send(self, sent: Any) -> InnerAnswer:
        if self.done:
            await asyncio.Event().wait()
        self.done.append(str(sent.id))
        return InnerAnswer(201, Headers(), b'{"done": true}')


async def test_where_time_runs_out_what_was_done_is_told_and_the_rest_is_not_final(app):
    outbox, slow = [report_item() for _ in range(4)], Slow()
    request: Any = SimpleNamespace(scope={"app": app, REQUEST_ID: "f" * 32}, app=app, headers=Headers())

    results = await work_off(request, outbox, send=slow.send, budget_s=0.05)

    assert slow.done == [outbox[0]["id"]]
    assert [result.status for result in results] == [201, 503, 503, 503]
    assert [result.final for result in results] == [True, False, False, False]
    assert all(result.retry_after is not None and result.problem is not None for result in results[1:])
    assert [str(result.id) for result in results] == [sent["id"] for sent in outbox]
