"""Merging, splitting, leaving and undoing over HTTP."""

import pytest

from db.base import new_id
from issues.actors import Role
from tests.api.served import LAVAL, PICTURE, PLATEAU, a_report, a_secret, fields_of, problem_of

BESIDE = {"lat": PLATEAU["lat"], "long": PLATEAU["long"] + 0.00005}  # four metres east
FAR = {"lat": PLATEAU["lat"] + 0.002, "long": PLATEAU["long"]}  # 200 metres north
VERDUN = {"lat": 45.4590, "long": -73.5700}


@pytest.fixture
def filed(api):
    """File a report; answers with what came of it."""

    async def filed(caller=api, **changes):
        answer = await caller.post("/v1/reports", json=a_report(**changes))
        assert answer.status_code == 201, answer.text
        return answer.json()

    return filed


async def test_an_agent_merges_issues_and_undoes_it(filed, hire):
    agent, one, other = await hire(), await filed(), await filed(**FAR)

    merged = await agent.post(f"/v1/issues/{one['issue']['id']}/merge", json={"issue_ids": [other["issue"]["id"]]})

    assert merged.status_code == 200, merged.text
    assert merged.json()["issue"]["report_count"] == 2
    assert [issue["merged_into"] for issue in merged.json()["issues"]] == [one["issue"]["id"]]
    undo = {"event_id": merged.json()["event_id"]}
    undone = await agent.post(f"/v1/issues/{one['issue']['id']}/undo", json=undo)
    assert undone.status_code == 200, undone.text
    assert [issue["merged_into"] for issue in undone.json()["issues"]] == [None]
    again = await agent.post(f"/v1/issues/{one['issue']['id']}/undo", json=undo)
    assert problem_of(again, 409, "already-undone")["undone_by"] == undone.json()["event_id"]


async def test_everybody_finds_the_survivor_behind_a_merged_issue(api, filed, hire):
    agent, one, other = await hire(), await filed(), await filed(**FAR)
    await agent.post(f"/v1/issues/{one['issue']['id']}/merge", json={"issue_ids": [other["issue"]["id"]]})
    await agent.post(f"/v1/issues/{one['issue']['id']}/status", json={"status": "acknowledged"})

    answer = await api.get(f"/v1/issues/{other['issue']['id']}?jurisdiction_id=montreal.ca")

    assert (answer.status_code, answer.json()["id"]) == (200, other["issue"]["id"])
    assert (answer.json()["status"], answer.json()["merged_into"]) == ("acknowledged", one["issue"]["id"])


async def test_a_merge_across_districts_asks_for_confirm_and_says_why_in_both_languages(filed, hire):
    agent, one, other = await hire(), await filed(), await filed(**VERDUN)
    path, body = f"/v1/issues/{one['issue']['id']}/merge", {"issue_ids": [other["issue"]["id"]]}

    english = problem_of(
        await agent.post(path, json=body, headers={"Accept-Language": "en"}), 409, "merge-needs-confirmation"
    )
    french = problem_of(
        await agent.post(path, json=body, headers={"Accept-Language": "fr"}), 409, "merge-needs-confirmation"
    )

    assert "districts" in english["reasons"]
    assert "The issues are in different districts." in english["detail"]
    assert "Les requêtes se trouvent dans des secteurs différents." in french["detail"]
    assert (await agent.post(path, json={**body, "confirm": True})).status_code == 200


async def test_a_merge_sent_twice_is_done_once(filed, hire):
    agent, one, other = await hire(), await filed(), await filed(**FAR)
    path = f"/v1/issues/{one['issue']['id']}/merge"
    body = {"id": str(new_id()), "issue_ids": [other["issue"]["id"]]}

    first, second = await agent.post(path, json=body), await agent.post(path, json=body)

    assert (first.status_code, second.status_code, second.json()) == (200, 200, first.json())


async def test_merging_what_was_merged_names_the_issue_to_act_on(filed, hire):
    agent, one, other, third = await hire(), await filed(), await filed(**FAR), await filed(service_code="lampadaire")
    await agent.post(f"/v1/issues/{one['issue']['id']}/merge", json={"issue_ids": [other["issue"]["id"]]})

    answer = await agent.post(f"/v1/issues/{third['issue']['id']}/merge", json={"issue_ids": [other["issue"]["id"]]})

    document = problem_of(answer, 409, "issue-merged")
    assert (document["issue_id"], document["merged_into"]) == (other["issue"]["id"], one["issue"]["id"])
    assert fields_of(document) == {"issue_ids[0]"}


async def test_an_agent_splits_reports_off(filed, hire):
    agent, one, other = await hire(), await filed(), await filed(**BESIDE)
    assert one["issue"]["id"] == other["issue"]["id"]

    divided = await agent.post(
        f"/v1/issues/{one['issue']['id']}/split", json={"report_ids": [other["report"]["id"]], "note": "Un autre trou"}
    )

    assert divided.status_code == 200, divided.text
    [opened] = divided.json()["issues"]
    assert (opened["report_count"], opened["number"]) == (1, other["report"]["number"])
    history = (await agent.get(f"/v1/issues/{one['issue']['id']}/events")).json()["items"]
    assert [(event["kind"], event["note"]) for event in history][-1] == ("issue.split", "Un autre trou")


async def test_a_split_of_all_or_of_others_reports_is_refused_by_name(filed, hire):
    agent, one, other = await hire(), await filed(), await filed(**FAR)
    path = f"/v1/issues/{one['issue']['id']}/split"

    all_of_it = await agent.post(path, json={"report_ids": [one["report"]["id"]]})
    others = await agent.post(path, json={"report_ids": [one["report"]["id"], other["report"]["id"]]})

    problem_of(all_of_it, 409, "nothing-would-remain")
    document = problem_of(others, 409, "report-not-in-issue")
    assert (document["report_id"], document["issue_id"]) == (other["report"]["id"], other["issue"]["id"])
    assert fields_of(document) == {"report_ids[1]"}


async def test_an_undo_that_is_blocked_names_what_has_gone_on_and_force_puts_back_the_rest(filed, hire):
    agent, one, other, twin = await hire(), await filed(), await filed(**FAR), await filed(**FAR)
    path = f"/v1/issues/{one['issue']['id']}"
    merged = (await agent.post(f"{path}/merge", json={"issue_ids": [other["issue"]["id"]]})).json()
    divided = (await agent.post(f"{path}/split", json={"report_ids": [twin["report"]["id"]]})).json()

    document = problem_of(await agent.post(f"{path}/undo", json={"event_id": merged["event_id"]}), 409, "undo-blocked")

    gone = [{"report_id": twin["report"]["id"], "issue_id": divided["issues"][0]["id"]}]
    assert (document["stayed"], document["force_helps"]) == (gone, True)
    forced = await agent.post(f"{path}/undo", json={"event_id": merged["event_id"], "force": True})
    assert (forced.status_code, forced.json()["stayed"]) == (200, gone)


async def test_what_cannot_be_undone_is_said(filed, hire):
    agent, one = await hire(), await filed()
    path = f"/v1/issues/{one['issue']['id']}"
    changed = (await agent.post(f"{path}/status", json={"status": "acknowledged"})).json()

    problem_of(await agent.post(f"{path}/undo", json={"event_id": changed["event_id"]}), 409, "not-undoable")
    unknown = await agent.post(f"{path}/undo", json={"event_id": str(new_id())})
    assert fields_of(problem_of(unknown, 404, "event-not-found")) == {"event_id"}


async def test_its_device_says_that_a_report_is_not_the_same(filed, register):
    phone = (await register()).api
    one, other = await filed(), await filed(phone, **BESIDE)
    path = f"/v1/reports/{other['report']['id']}/leave"

    answer = await phone.post(path, json={})

    assert answer.status_code == 200, answer.text
    assert answer.json()["issue"]["id"] != one["issue"]["id"]
    assert (answer.json()["issue"]["report_count"], answer.json()["match"]) == (1, None)
    assert answer.json()["report"]["number"] == other["report"]["number"]
    assert (await phone.call("POST", path)).json() == answer.json()  # there is nothing to say with it


async def test_its_tracking_secret_takes_a_report_out_and_nobody_elses_does(api, filed, register):
    secret = a_secret()
    await filed()
    other = await filed(**BESIDE, tracking=secret)
    path = f"/v1/reports/{other['report']['id']}/leave"

    problem_of(await (await register()).api.post(path, json={}), 404, "report-not-found")
    problem_of(await api.post(path, json={}), 401, "sign-in-needed")
    assert (await api.as_(secret).post(path, json={})).json()["issue"]["report_count"] == 1


async def test_a_report_that_has_not_arrived_yet_may_leave_later(register):
    answer = await (await register()).api.post(f"/v1/reports/{new_id()}/leave", json={})

    problem_of(answer, 404, "report-not-found")
    assert answer.headers["retry-after"]


async def test_an_outbox_holds_a_report_and_that_it_is_not_the_same(filed, register):
    phone, one, report = (await register()).api, await filed(), a_report(**BESIDE)
    items = [
        {"id": report["id"], "kind": "report", "body": {key: report[key] for key in report if key != "id"}},
        {"id": str(new_id()), "kind": "leave", "target": report["id"]},
    ]

    answer = await phone.post("/v1/sync", json={"items": items})

    joined, left = answer.json()["items"]
    assert (joined["status"], joined["body"]["issue"]["id"]) == (201, one["issue"]["id"])
    assert (left["status"], left["body"]["issue"]["report_count"]) == (200, 1)


@pytest.mark.parametrize(
    ("act", "body"),
    [
        ("merge", {"issue_ids": [str(new_id())]}),
        ("split", {"report_ids": [str(new_id())]}),
        ("undo", {"event_id": str(new_id())}),
    ],
)
async def test_only_agents_of_the_city_merge_split_and_undo(api, filed, hire, register, act, body):
    one = await filed()
    path = f"/v1/issues/{one['issue']['id']}/{act}"

    for caller in (await hire(Role.CREW, crew="voirie-1"), (await register()).api):
        problem_of(await caller.post(path, json=body, params={"jurisdiction_id": "montreal.ca"}), 403, "role-needed")
    problem_of(await api.post(path, json=body, params={"jurisdiction_id": "montreal.ca"}), 401, "sign-in-needed")
    elsewhere = await hire(jurisdiction_id="laval.ca")
    assert (await elsewhere.post(path, json=body)).status_code == 404


async def test_an_issue_of_another_city_is_not_there(filed, hire):
    agent, one, other = await hire(), await filed(), await filed(**LAVAL)

    answer = await agent.post(f"/v1/issues/{one['issue']['id']}/merge", json={"issue_ids": [other["issue"]["id"]]})

    assert fields_of(problem_of(answer, 404, "issue-not-found")) == {"issue_ids[0]"}


async def test_an_unknown_report_is_named_and_an_unknown_issue_is_the_address(filed, hire):
    agent, one = await hire(), await filed()
    reports = {"report_ids": [one["report"]["id"], str(new_id())]}

    no_report = await agent.post(f"/v1/issues/{one['issue']['id']}/split", json=reports)
    no_issue = await agent.post(f"/v1/issues/{new_id()}/merge", json={"issue_ids": [one["issue"]["id"]]})

    assert fields_of(problem_of(no_report, 404, "report-not-found")) == {"report_ids[1]"}
    assert fields_of(problem_of(no_issue, 404, "issue-not-found")) == set()


@pytest.mark.parametrize(
    ("act", "body", "field"),
    [
        ("merge", {"issue_ids": []}, "issue_ids"),
        ("merge", {"issue_ids": ["x"]}, "issue_ids[0]"),
        ("split", {}, "report_ids"),
        ("undo", {"event_id": "x"}, "event_id"),
        ("undo", {"event_id": str(new_id()), "forced": True}, "forced"),
    ],
)
async def test_wrong_fields_are_named(filed, hire, act, body, field):
    agent, one = await hire(), await filed()

    answer = await agent.post(f"/v1/issues/{one['issue']['id']}/{act}", json=body)

    assert field in fields_of(problem_of(answer, 422, "invalid-fields"))


async def test_a_report_joins_the_issue_that_it_names_and_says_so(filed):
    one = await filed()

    other = await filed(**{**PLATEAU, "lat": PLATEAU["lat"] + 0.0006}, issue_id=one["issue"]["id"])

    assert (other["issue"]["id"], other["issue"]["report_count"]) == (one["issue"]["id"], 2)
    assert [reason["factor"] for reason in other["match"]["reasons"]] == ["wish"]


async def test_a_form_names_an_issue_too(api, filed):
    one = await filed()
    fields = {"service_code": "nid-de-poule", "lat": PLATEAU["lat"] + 0.0006, "long": PLATEAU["long"]}

    answer = await api.post(
        "/v1/reports", data={**fields, "issue_id": one["issue"]["id"]}, files=[("photos", ("a.jpg", PICTURE))]
    )

    assert (answer.status_code, answer.json()["issue"]["id"]) == (201, one["issue"]["id"])


async def test_the_number_that_a_sender_was_told_finds_the_issue_that_has_the_report_now(api, filed, hire):
    agent, one, other = await hire(), await filed(), await filed(**FAR)
    await agent.post(f"/v1/issues/{one['issue']['id']}/merge", json={"issue_ids": [other["issue"]["id"]]})

    found = await api.get("/v1/issues", params={"jurisdiction_id": "montreal.ca", "number": other["report"]["number"]})

    assert [feature["id"] for feature in found.json()["features"]] == [one["issue"]["id"]]
