"""Changing a status: what is written, who is told, and what is refused."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from db.base import new_id
from issues.commands import CommandIdUsed
from issues.events import list_history
from issues.issue import IssueMerged, IssueNotFound
from issues.lifecycle import NotAllowed, Status, TransitionNotAllowed
from issues.status import StatusChange, change_status
from issues.telling import Notice
from tests.issues.people import (
    AGENT,
    CREW,
    OTHER_CREW,
    RESIDENT,
    bring,
    change,
    issue_now,
    jobs,
    notices,
    open_issue,
    plan,
)
from tests.issues.towns import AILLEURS, NOON, open_town


@pytest.fixture
async def city(owner, database):
    return await open_town(owner, database)


@pytest.fixture
async def issue(database, city):
    return await open_issue(database, city)


async def history(database, issue, *, staff=True):
    async with database.transaction(issue.city_id) as session:
        return (await list_history(session, issue.city_id, issue.id, staff=staff, limit=100)).items


async def merge(owner, issue, survivor):
    async with owner.transaction() as session:
        await session.execute(
            text("UPDATE issue SET merged_into = :survivor WHERE id = :id"), {"survivor": survivor.id, "id": issue.id}
        )


async def test_a_change_writes_status_event_notice_and_job_together(database, issue):
    later = NOON + timedelta(hours=1)

    change = await bring(database, issue, "acknowledged", now=later)

    stands = await issue_now(database, issue)
    assert stands == change.issue
    assert (stands.status, stands.updated_at) == (Status.ACKNOWLEDGED, later)
    event = (await history(database, issue))[-1]
    assert (event.id, event.kind, event.actor, event.at) == (change.event_id, "issue.status", AGENT.sender, later)
    assert event.data == {"from": "received", "to": "acknowledged"}
    assert await notices(database, issue.city_id) == ["acknowledged"]
    assert ("push.tell", {"city_id": issue.city_id, "event_id": str(change.event_id)}) in await jobs(database)


async def test_nothing_of_a_change_stays_when_its_transaction_fails(database, issue):
    before = await jobs(database)

    async def change_and_fail():
        async with database.transaction(issue.city_id) as session:
            await change_status(session, issue.city_id, issue.id, Status.RESOLVED, actor=AGENT, now=NOON)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_and_fail()

    assert (await issue_now(database, issue)).status is Status.RECEIVED
    assert len(await history(database, issue)) == 1
    assert await notices(database, issue.city_id) == []
    assert await jobs(database) == before


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (["acknowledged", "scheduled", "in_progress", "resolved", "closed"], ["acknowledged", "scheduled", "resolved"]),
        (["declined", "acknowledged"], ["declined", "reopened"]),
        (["transferred"], ["transferred"]),
        (["scheduled", "acknowledged"], ["scheduled", "postponed"]),
    ],
)
async def test_residents_are_told_of_what_matters_and_of_nothing_else(database, issue, path, told):
    for status in path:
        await bring(database, issue, status)

    assert await notices(database, issue.city_id) == told


async def test_already_so_without_a_note_writes_nothing(database, issue):
    change = await bring(database, issue, "received", note="   ")

    assert change.event_id is None
    assert not change.repeated
    assert len(await history(database, issue)) == 1


async def test_already_so_with_a_public_note_tells_residents_that_there_is_one(database, issue):
    await bring(database, issue, "received", note="Une équipe passera.", public=True)

    event = (await history(database, issue, staff=False))[-1]
    assert (event.kind, event.note) == ("issue.note", "Une équipe passera.")
    assert await notices(database, issue.city_id) == ["note"]


async def test_an_internal_note_is_seen_by_staff_only_and_rings_nowhere(database, issue):
    change = await bring(database, issue, "received", note="Valve 12", now=NOON + timedelta(hours=1))

    assert [event.kind for event in await history(database, issue, staff=False)] == ["report.opened"]
    assert (await history(database, issue))[-1].note == "Valve 12"
    assert await notices(database, issue.city_id) == []
    assert change.issue.updated_at == issue.updated_at


async def test_the_status_is_public_also_where_its_note_is_not(database, issue):
    await bring(database, issue, "declined", note="Voir dossier 12", public=False)

    event = (await history(database, issue, staff=False))[-1]
    assert (event.kind, event.data, event.note) == ("issue.status", {"from": "received", "to": "declined"}, None)
    assert await notices(database, issue.city_id) == ["declined"]


@pytest.mark.parametrize(("public", "told"), [(True, True), (False, False)])
async def test_residents_are_sent_to_read_the_reason_only_where_they_may(database, issue, public, told):
    await bring(database, issue, "declined", note="Terrain privé", public=public)

    async with database.transaction(issue.city_id) as session:
        (params,) = await session.scalars(select(Notice.params))
    assert ("note" in params) is told
    assert "Terrain" not in str(params)


async def test_a_repeated_command_gives_the_first_result_and_writes_nothing(database, issue):
    command_id = new_id()
    first = await bring(database, issue, "acknowledged", note="Vu", command_id=command_id)
    await bring(database, issue, "declined")

    again = await bring(database, issue, "acknowledged", note="Vu", command_id=command_id)

    assert (again.event_id, again.status, again.repeated) == (first.event_id, Status.ACKNOWLEDGED, True)
    assert again.issue.status is Status.DECLINED
    assert await notices(database, issue.city_id) == ["acknowledged", "declined"]


async def test_a_command_that_found_nothing_to_change_stays_done_when_the_status_has_moved_on(database, issue):
    command_id = new_id()
    first = await bring(database, issue, "received", command_id=command_id)
    await bring(database, issue, "acknowledged")

    again = await bring(database, issue, "received", command_id=command_id)

    assert (first.event_id, first.repeated) == (None, False)
    assert (again.event_id, again.status, again.repeated) == (None, Status.RECEIVED, True)
    assert (await issue_now(database, issue)).status is Status.ACKNOWLEDGED
    assert await notices(database, issue.city_id) == ["acknowledged"]


async def test_a_command_that_was_refused_may_succeed_later(database, issue):
    command_id = new_id()
    with pytest.raises(TransitionNotAllowed):
        await bring(database, issue, "closed", command_id=command_id)
    await bring(database, issue, "resolved")

    change = await bring(database, issue, "closed", command_id=command_id)

    assert (change.issue.status, change.repeated) == (Status.CLOSED, False)


async def test_a_crew_gets_its_first_result_also_after_its_order_was_called_off(database, issue):
    order, command_id = await plan(database, issue), new_id()
    await bring(database, issue, "in_progress", actor=CREW, command_id=command_id)
    await change(database, order, actor=AGENT, status="cancelled")

    again = await bring(database, issue, "in_progress", actor=CREW, command_id=command_id)

    assert (again.status, again.repeated) == (Status.IN_PROGRESS, True)


@pytest.mark.parametrize("other", [{"status": "resolved"}, {"note": "Autre"}, {"public": True}, {"actor": CREW}])
async def test_the_id_of_one_command_does_for_no_other(database, issue, other):
    await plan(database, issue)
    command_id = new_id()
    first: dict[str, Any] = {"status": "in_progress", "note": "Vu"}
    await bring(database, issue, command_id=command_id, **first)

    with pytest.raises(CommandIdUsed):
        await bring(database, issue, command_id=command_id, **{**first, **other})


async def test_the_id_of_a_command_does_for_no_other_issue(database, city, issue):
    other = await open_issue(database, city, service_code="trottoir")
    command_id = new_id()
    await bring(database, issue, "acknowledged", command_id=command_id)

    with pytest.raises(CommandIdUsed):
        await bring(database, other, "acknowledged", command_id=command_id)

    assert (await issue_now(database, other)).status is Status.RECEIVED


async def test_simultaneous_copies_of_a_command_tell_residents_once(database, issue):
    command_id = new_id()

    copies = await asyncio.gather(*(bring(database, issue, "acknowledged", command_id=command_id) for _ in range(6)))

    assert sorted(copy.repeated for copy in copies) == [False] + [True] * 5
    assert {(copy.event_id, copy.status) for copy in copies} == {(command_id, Status.ACKNOWLEDGED)}
    assert await notices(database, issue.city_id) == ["acknowledged"]


async def test_of_two_agents_at_the_same_time_the_second_sees_what_the_first_did(database, issue):
    outcomes = await asyncio.gather(
        bring(database, issue, "resolved"), bring(database, issue, "declined"), return_exceptions=True
    )

    assert {type(outcome) for outcome in outcomes} == {StatusChange, TransitionNotAllowed}
    assert len(await notices(database, issue.city_id)) == 1


async def test_a_forbidden_transition_names_the_allowed_ones_and_changes_nothing(database, issue):
    with pytest.raises(TransitionNotAllowed) as refused:
        await bring(database, issue, "closed")

    assert Status.ACKNOWLEDGED in refused.value.allowed
    assert (await issue_now(database, issue)).status is Status.RECEIVED


async def test_a_crew_works_only_on_the_issues_of_its_orders(database, issue):
    with pytest.raises(NotAllowed):
        await bring(database, issue, "in_progress", actor=CREW)
    await plan(database, issue)
    with pytest.raises(NotAllowed):
        await bring(database, issue, "in_progress", actor=OTHER_CREW)

    change = await bring(database, issue, "in_progress", actor=CREW)

    assert change.status is Status.IN_PROGRESS


async def test_a_crew_may_not_decline(database, issue):
    await plan(database, issue)

    with pytest.raises(NotAllowed):
        await bring(database, issue, "declined", actor=CREW)


async def test_a_resident_changes_nothing_not_even_by_a_note(database, issue):
    for status in ("acknowledged", "received"):
        with pytest.raises(NotAllowed):
            await bring(database, issue, status, actor=RESIDENT, note="Allô", public=True)

    assert len(await history(database, issue)) == 1


async def test_a_merged_issue_changes_by_its_survivor(owner, database, city, issue):
    survivor = await open_issue(database, city, service_code="trottoir")
    await merge(owner, issue, survivor)

    with pytest.raises(IssueMerged) as refused:
        await bring(database, issue, "acknowledged")

    assert refused.value.survivor_id == survivor.id


async def test_the_issue_of_another_city_is_not_found(owner, database, issue):
    elsewhere = await open_town(owner, database, AILLEURS)
    async with database.transaction(elsewhere.id) as session:
        with pytest.raises(IssueNotFound):
            await change_status(session, elsewhere.id, issue.id, Status.RESOLVED, actor=AGENT, now=NOON)


async def test_what_a_notice_carries_names_no_private_service(database, city):
    private = await open_issue(database, city, service_code="bruit")
    named = await open_issue(database, city)

    for issue in (private, named):
        await bring(database, issue, "acknowledged")

    async with database.transaction(city.id) as session:
        rows = await session.execute(text("SELECT issue_id, params FROM notice"))
        params = {row.issue_id: row.params for row in rows}
    assert not [key for key in params[private.id] if key.startswith("service")]
    assert params[named.id] == {
        "issue_id": str(named.id),
        "number": named.number,
        "jurisdiction_id": "essai.ca",
        "locale": "fr-CA",
        "status": "acknowledged",
        "service_fr": "nid-de-poule",
        "service_en": "nid-de-poule (en)",
    }
