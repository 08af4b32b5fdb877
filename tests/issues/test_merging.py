"""Issues merged by staff: everything moves to the survivor."""

from datetime import timedelta

import pytest

from db.base import new_id
from geo.points import LonLat
from issues.browse import find_issue
from issues.commands import CommandIdUsed
from issues.issue import IssueMerged, IssueNotFound
from issues.lifecycle import NotAllowed
from issues.merging import MergeNeedsConfirmation, MixedPrivacy
from issues.reports import read_receipt
from issues.work_orders import find_work_order
from tests.issues.people import (
    AGENT,
    CREW,
    RESIDENT,
    bring,
    change,
    issue_now,
    open_issue,
    plan,
    three_issues,
)
from tests.issues.towns import ESSAI, NOON, east_of, file, submission

LATER = NOON + timedelta(hours=1)
HERE = ESSAI.middle
FAR = east_of(HERE, 500.0)
WEST = LonLat(ESSAI.west + 0.02, HERE.lat)  # in the borough `ouest`


async def test_the_survivor_has_the_reports_of_all_and_the_others_answer_with_it(database, city, merge):
    receipts = [await file(database, city, submission(east_of(HERE, 200.0 * number))) for number in range(3)]
    issues = [receipt.issue for receipt in receipts]

    merged = await merge(*issues)

    assert (merged.issue.id, merged.issue.report_count) == (issues[0].id, 3)
    assert [(other.id, other.report_count, other.merged_into) for other in merged.others] == [
        (issue.id, 0, issues[0].id) for issue in issues[1:]
    ]
    async with database.transaction(city.id) as session:
        for receipt in receipts:
            report = (await read_receipt(session, city.id, receipt.report.id)).report
            assert (report.issue_id, report.number) == (issues[0].id, receipt.report.number)


async def test_a_merged_issue_shows_the_status_that_the_survivor_has_from_then_on(database, city, merge):
    one, other, _ = await three_issues(database, city)
    await merge(one, other)
    await bring(database, one, "acknowledged")

    async with database.transaction(city.id) as session:
        shown = await find_issue(session, city.id, other.id, staff=False)

    assert (shown.id, shown.status, shown.merged_into) == (other.id, "acknowledged", one.id)


async def test_the_histories_of_all_say_who_merged_them_and_staff_see_why(database, city, merge, history):
    one, other, _ = await three_issues(database, city)

    merged = await merge(one, other, note=" Le même trou ")

    event = (await history(one))[-1]
    assert (event.id, event.kind, event.actor, event.note) == (
        merged.event_id,
        "issue.merged",
        AGENT.sender,
        "Le même trou",
    )
    [move] = event.data["moves"]
    assert (move["from"], move["to"]) == (str(other.id), str(one.id))
    there = (await history(other))[-1]
    assert (there.kind, dict(there.data), there.cause) == ("issue.merged_into", {"into": str(one.id)}, merged.event_id)
    public = (await history(one, staff=False))[-1]
    assert (public.actor, public.note, dict(public.data)) == ("staff", None, {"issues": [str(other.id)]})


async def test_reports_filed_where_a_merged_issue_was_join_the_survivor_or_none_but_never_it(database, city, merge):
    one, other = await open_issue(database, city, HERE), await open_issue(database, city, east_of(HERE, 60))
    await merge(one, other)

    receipt = await file(database, city, submission(east_of(HERE, 60)))

    assert receipt.issue.id != other.id
    assert receipt.issue.merged_into is None


async def test_merged_issues_are_acted_on_through_their_survivor_only(database, city, merge):
    one, other, third = await three_issues(database, city)
    await merge(one, other)

    with pytest.raises(IssueMerged) as refused:
        await merge(third, other)
    assert (refused.value.issue_id, refused.value.survivor_id) == (other.id, one.id)
    with pytest.raises(IssueMerged):
        await merge(other, third)


async def test_what_was_merged_is_merged_on_with_its_survivor(database, city, merge):
    one, other, third = await three_issues(database, city)
    await merge(one, other)

    merged = await merge(third, one)

    assert merged.issue.report_count == 3
    async with database.transaction(city.id) as session:
        assert (await find_issue(session, city.id, other.id, staff=True)).merged_into == third.id


async def test_an_issue_merged_with_itself_alone_stays_as_it_is(database, city, merge, history):
    issue = await open_issue(database, city)

    merged = await merge(issue, issue)

    assert (merged.event_id, merged.others) == (None, ())
    assert [event.kind for event in await history(issue)] == ["report.opened"]


async def test_the_same_command_again_merges_once_and_another_is_refused(database, city, merge, history):
    one, other, third = await three_issues(database, city)
    command_id = new_id()
    first = await merge(one, other, command_id=command_id)

    again = await merge(one, other, command_id=command_id)

    assert again == first
    assert [event.kind for event in await history(one)].count("issue.merged") == 1
    with pytest.raises(CommandIdUsed):
        await merge(one, third, command_id=command_id)


@pytest.mark.parametrize("actor", [CREW, RESIDENT])
async def test_only_agents_merge(database, city, merge, actor):
    one, other, _ = await three_issues(database, city)

    with pytest.raises(NotAllowed):
        await merge(one, other, actor=actor)


async def test_an_issue_that_is_not_there_merges_nothing(database, city, merge):
    one, other, third = await three_issues(database, city)
    missing = third.__class__(**{name: getattr(third, name) for name in third.__slots__} | {"id": new_id()})

    with pytest.raises(IssueNotFound) as refused:
        await merge(one, other, missing)

    assert refused.value.issue_id == missing.id
    assert (await issue_now(database, other)).merged_into is None


# What asks for confirmation.


async def test_issues_of_two_districts_and_departments_are_merged_only_when_confirmed(database, city, merge):
    one, other = await open_issue(database, city), await open_issue(database, city, WEST)

    with pytest.raises(MergeNeedsConfirmation) as refused:
        await merge(one, other)

    assert refused.value.reasons == ("districts", "departments")
    merged = await merge(one, other, confirmed=True)
    assert merged.issue.report_count == 2


@pytest.mark.parametrize(
    ("service", "refused"), [("chaussee", None), ("nid-de-poule", None), ("trottoir", ("services",))]
)
async def test_kinds_of_problem_that_nobody_takes_for_each_other_are_merged_only_when_confirmed(
    database, city, merge, service, refused
):
    one, other = await open_issue(database, city), await open_issue(database, city, FAR, service_code=service)

    if refused is not None:
        with pytest.raises(MergeNeedsConfirmation) as asked:
            await merge(one, other)
        assert asked.value.reasons == refused

    assert (await merge(one, other, confirmed=refused is not None)).issue.service_code == "nid-de-poule"


async def test_an_open_issue_goes_into_a_closed_one_only_when_confirmed(database, city, merge):
    one, other, third = [await open_issue(database, city, east_of(HERE, metres)) for metres in (0.0, 500.0, 900.0)]
    for issue in (one, third):
        await bring(database, issue, "resolved")

    with pytest.raises(MergeNeedsConfirmation) as refused:
        await merge(one, other)

    assert refused.value.reasons == ("ended",)
    assert (await merge(one, third)).event_id is not None
    assert (await merge(other, one)).issue.report_count == 3


async def test_a_refused_merge_may_be_confirmed_under_the_same_id(database, city, merge):
    one, other, command_id = await open_issue(database, city), await open_issue(database, city, WEST), new_id()
    with pytest.raises(MergeNeedsConfirmation):
        await merge(one, other, command_id=command_id)

    merged = await merge(one, other, command_id=command_id, confirmed=True)

    assert merged.event_id == command_id


async def test_private_issues_of_several_people_are_merged_only_when_confirmed(database, city, merge):
    one, other = [await open_issue(database, city, service_code="bruit") for _ in range(2)]

    with pytest.raises(MergeNeedsConfirmation) as refused:
        await merge(one, other)

    assert refused.value.reasons == ("private",)
    assert (await merge(one, other, confirmed=True)).issue.report_count == 2


async def test_private_issues_of_one_person_are_merged_without_asking(database, city, merge):
    anna = new_id()
    one, other = [await open_issue(database, city, service_code="bruit", person_id=anna) for _ in range(2)]

    assert (await merge(one, other)).issue.report_count == 2


async def test_a_private_issue_is_never_merged_with_a_public_one(database, city, merge):
    one, other = await open_issue(database, city), await open_issue(database, city, service_code="bruit")

    with pytest.raises(MixedPrivacy):
        await merge(one, other, confirmed=True)


# Work orders.


async def test_work_orders_move_and_bring_the_survivor_where_they_lead(database, city, merge):
    one, other, _ = await three_issues(database, city)
    order = await plan(database, other)

    merged = await merge(one, other)

    assert merged.issue.status == "scheduled"
    async with database.transaction(city.id) as session:
        assert (await find_work_order(session, city.id, order.id, actor=AGENT)).issue_ids == (one.id,)


async def test_an_order_for_both_is_for_the_survivor_once(database, city, merge):
    one, other, _ = await three_issues(database, city)
    order = await plan(database, one, other)

    await merge(one, other)

    async with database.transaction(city.id) as session:
        assert (await find_work_order(session, city.id, order.id, actor=AGENT)).issue_ids == (one.id,)


async def test_an_order_done_after_the_merge_resolves_the_survivor(database, city, merge):
    one, other, _ = await three_issues(database, city)
    order = await plan(database, other)
    await merge(one, other)

    await change(database, order, status="done")

    assert (await issue_now(database, one)).status == "resolved"


async def test_work_that_has_begun_decides_over_work_that_is_planned(database, city, merge, history):
    one, other, third = await three_issues(database, city)
    await plan(database, other)
    await change(database, await plan(database, third), status="in_progress")

    merged = await merge(one, other, third)

    assert merged.issue.status == "in_progress"
    assert [event.data["to"] for event in await history(one) if event.kind == "issue.status"] == ["in_progress"]


# Who hears.
