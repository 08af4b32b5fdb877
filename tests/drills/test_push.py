"""A short push drill, and proof that its judge sees what is lost or doubled; `make drill-push` is the long one."""

from pathlib import Path

import pytest

from api.demo.fcm_standin import running_standin
from bench.crash import Stage
from bench.drill import hire_agent
from bench.push_drill import Evidence, Plan, counting, run_drill
from db.base import new_id

EVENT, NOTE = new_id(), new_id()


async def test_every_notice_is_delivered_or_accounted_for_through_kills_failures_and_a_host_that_hangs(
    cities, app_url: str, owner_url: str, tmp_path: Path
):
    evidence = Evidence()
    with running_standin(tmp_path / "fcm.json", on_push=counting(evidence)) as fcm_url:
        secret = await hire_agent(app_url, "montreal.ca")
        stage = Stage(app_url, owner_url, tmp_path, fcm_url, tmp_path / "fcm.json", secret)
        plan = Plan(changes=60, followers=20, kills=4, pause_s=0.7, failing=0.3, hurry=True)
        await run_drill(stage, plan, evidence)

    assert evidence.find_faults() == []
    assert (len(evidence.in_flight), evidence.hanging.total()) == (4, 20)
    assert len(evidence.owed) == 60 * 20 - 20


def evidence_of(**changes) -> Evidence:
    pairs = {(EVENT, "anna"), (NOTE, "anna")}
    whole = Evidence(owed=pairs, states=dict.fromkeys(pairs, "sent"), notes={NOTE})
    whole.taken.update([("anna", EVENT, str(EVENT)), ("anna", NOTE, str(NOTE))])
    for name, value in changes.items():
        getattr(whole, name).update(value)
    return whole


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"owed": {(EVENT, "ben")}}, "never heard"),
        ({"states": {(NOTE, "anna"): "superseded"}}, "ended as superseded"),
        ({"states": {(EVENT, "anna"): "dead"}}, "ended as dead"),
        ({"owed": {(EVENT, "ben")}, "states": {(EVENT, "ben"): "sent"}}, "never taken"),
        ({"taken": {("anna", EVENT, str(EVENT)): 1}}, "second sends"),
        ({"taken": {("ben", EVENT, str(EVENT)): 1}}, "unasked"),
        ({"taken": {("anna", EVENT, "another key"): 1}}, "went out under another key"),
    ],
)
def test_the_judge_sees_a_loss_a_double_and_what_nobody_asked_for(changes, fault):
    assert evidence_of().find_faults() == []
    assert any(fault in found for found in evidence_of(**changes).find_faults())
