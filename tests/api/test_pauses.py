"""Pauses, declared and taken back by a city's managers, told to everybody."""

from datetime import UTC, datetime, timedelta

import pytest

from issues.actors import Role
from tests.api.served import a_report, fields_of, problem_of

PAUSE = "/v1/pauses/01936f3e-b000-7000-8000-00000000000a"
EVERYBODY = "/v1/pauses?jurisdiction_id=montreal.ca"


def snow(**changes):
    """The next five weeks."""
    today = datetime.now(UTC).date()
    said = {"begins": today.isoformat(), "ends": (today + timedelta(days=35)).isoformat()}
    return said | {"service_codes": [], "reason_fr": "Tempête", "reason_en": "Storm"} | changes


async def expected(api, issue):
    read = await api.get(f"/v1/issues/{issue['id']}", params={"jurisdiction_id": "montreal.ca"})
    return datetime.fromisoformat(read.json()["expected_datetime"])


async def test_a_manager_declares_a_pause_and_takes_it_back(api, hire):
    manager = await hire(Role.MANAGER)
    issue = (await api.post("/v1/reports", json=a_report())).json()["issue"]
    before = await expected(api, issue)

    declared = await manager.put(PAUSE, json=snow())
    again = await manager.put(PAUSE, json=snow())
    during = await expected(api, issue)
    told = (await api.get(EVERYBODY, headers={"Accept-Language": "en"})).json()["items"]
    back = await manager.call("DELETE", PAUSE)

    assert (declared.status_code, declared.json()["issues_moved"], again.json()["issues_moved"]) == (200, 1, 0)
    assert during - before >= timedelta(days=30)
    assert [(each["id"], each["reason"]) for each in told] == [(PAUSE.rpartition("/")[2], "Storm")]
    assert (back.status_code, back.json()["issues_moved"]) == (200, 1)
    assert await expected(api, issue) == before
    assert (await api.get(EVERYBODY)).json()["items"] == []
    problem_of(await manager.put(PAUSE, json=snow()), 409, "pause-id-taken")


@pytest.mark.parametrize("role", [Role.AGENT, Role.CREW])
async def test_a_pause_is_for_managers(hire, role):
    staff = await hire(role, crew="voirie-1" if role is Role.CREW else None)

    problem_of(await staff.put(PAUSE, json=snow()), 403, "role-needed")
    problem_of(await staff.call("DELETE", PAUSE), 403, "role-needed")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"ends": "2020-01-01"}, "ends"),
        ({"begins": "2020-01-01", "ends": "2020-01-02"}, "ends"),
        ({"ends": (datetime.now(UTC).date() + timedelta(days=400)).isoformat()}, "ends"),
        ({"service_codes": ["ski"]}, "service_codes"),
        ({"reason_en": ""}, "reason_en"),
        ({"reason_fr": None}, "reason_fr"),
    ],
)
async def test_what_is_wrong_with_a_pause_is_named(hire, wrong, field):
    refused = await (await hire(Role.MANAGER)).put(PAUSE, json=snow(**wrong))

    assert fields_of(problem_of(refused, 422, "invalid-fields")) == {field}


async def test_no_pause_of_another_city_is_taken_back(hire):
    await (await hire(Role.MANAGER)).put(PAUSE, json=snow())

    refused = await (await hire(Role.MANAGER, "laval.ca")).call("DELETE", PAUSE)

    problem_of(refused, 404, "pause-not-found")
