"""Reports that are not about their issue's problem: taken out by staff, or by their sender."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from db.base import new_id
from issues.audience import find_audience
from issues.commands import CommandIdUsed
from issues.corrections import ReportWithdrawn, withdraw_report
from issues.issue import IssueMerged
from issues.lifecycle import NotAllowed
from issues.merging import merge_issues
from issues.reports import ReportNotFound
from issues.splitting import NothingWouldRemain, ReportNotInIssue, leave_issue, split_issue
from tests.issues.people import AGENT, CREW, RESIDENT, bring, issue_now, notices, plan
from tests.issues.towns import ESSAI, NEXT_DAY, NOON, east_of, file, submission

LATER = NOON + timedelta(hours=1)
HERE = ESSAI.middle


@pytest.fixture
def split(database, city):
    async def split(issue, *receipts, actor=AGENT, now=LATER, **more):
        async with database.transaction(city.id) as session:
            ids = [receipt.report.id for receipt in receipts]
            return await split_issue(session, issue.id, ids, city=city, actor=actor, now=now, **more)

    return split


@pytest.fixture
def leave(database, city):
    async def leave(receipt, *, actor=RESIDENT, by_author=True, now=LATER, **more):
        async with database.transaction(city.id) as session:
            return await leave_issue(
                session, receipt.report.id, city=city, actor=actor, by_author=by_author, now=now, **more
            )

    return leave


@pytest.fixture
async def three(database, city):
    """Three reports in one issue, a minute and two metres apart."""
    receipts = [
        await file(database, city, submission(east_of(HERE, 2.0 * n)), now=NOON + timedelta(minutes=n))
        for n in range(3)
    ]
    assert len({receipt.issue.id for receipt in receipts}) == 1
    return receipts


# Staff.


async def test_reports_taken_out_have_an_issue_of_their_own_at_the_place_of_the_earliest(three, split):
    divided = await split(three[0].issue, three[2], three[1])

    [opened] = divided.others
    assert (divided.issue.id, divided.issue.report_count) == (three[0].issue.id, 1)
    assert (opened.report_count, opened.at, opened.number) == (2, three[1].report.at, three[1].report.number)
    assert (opened.opened_at, opened.last_report_at) == (three[1].report.received_at, three[2].report.received_at)
    assert (opened.district_code, opened.department_code) == ("est", "voirie-est")


async def test_reports_taken_out_of_a_private_issue_stay_private(owner, three, split):
    async with owner.transaction() as session:
        await session.execute(text("UPDATE issue SET private = true"))

    divided = await split(three[0].issue, three[2])

    assert [opened.private for opened in divided.others] == [True]


async def test_a_split_is_in_the_history_of_both_and_its_reason_is_for_staff(three, split, history):
    divided = await split(three[0].issue, three[2], note="Un autre trou")

    [opened] = divided.others
    event = (await history(three[0].issue))[-1]
    assert (event.id, event.kind, event.actor, event.note) == (
        divided.event_id,
        "issue.split",
        AGENT.sender,
        "Un autre trou",
    )
    assert [(move["report"], move["to"]) for move in event.data["moves"]] == [(str(three[2].report.id), str(opened.id))]
    assert [(each.kind, each.cause) for each in await history(opened)] == [("report.opened", divided.event_id)]
    public = (await history(three[0].issue, staff=False))[-1]
    assert (public.note, dict(public.data)) == (None, {"issues": [str(opened.id)]})


@pytest.mark.parametrize("status", ["acknowledged", "scheduled", "resolved"])
async def test_what_the_city_has_looked_at_is_acknowledged_and_its_authors_hear_that(
    database, city, three, split, status
):
    await bring(database, three[0].issue, status)

    divided = await split(three[0].issue, three[2])

    assert (divided.issue.status, divided.others[0].status) == (status, "acknowledged")
    assert (await notices(database, city.id))[-1] == "acknowledged"


async def test_what_nobody_has_looked_at_is_received(three, split):
    divided = await split(three[0].issue, three[2])

    assert divided.others[0].status == "received"


async def test_work_orders_stay_with_the_issue_that_was_split(database, three, split):
    order = await plan(database, three[0].issue)

    divided = await split(three[0].issue, three[2])

    assert order.issue_ids == (divided.issue.id,)
    assert divided.issue.status == "scheduled"


async def test_authors_hear_of_the_issue_that_their_report_is_in_after_the_split(database, city, three, split):
    divided = await split(three[0].issue, three[2])

    async with database.transaction(city.id) as session:
        stayed = {one.person_id for one in await find_audience(session, city.id, divided.issue.id, as_of=NEXT_DAY)}
        went = {one.person_id for one in await find_audience(session, city.id, divided.others[0].id, as_of=NEXT_DAY)}
    assert stayed == {three[0].report.person_id, three[1].report.person_id}
    assert went == {three[2].report.person_id}


async def test_a_split_that_takes_every_report_is_refused(three, split):
    with pytest.raises(NothingWouldRemain):
        await split(three[0].issue, *three)


async def test_a_report_of_another_issue_is_named(database, city, three, split):
    elsewhere = await file(database, city, submission(east_of(HERE, 400)))

    with pytest.raises(ReportNotInIssue) as refused:
        await split(three[0].issue, three[1], elsewhere)

    assert (refused.value.report_id, refused.value.issue_id) == (elsewhere.report.id, elsewhere.issue.id)


async def test_a_report_taken_back_is_not_split_off(database, city, three, split):
    async with database.transaction(city.id) as session:
        await withdraw_report(session, three[2].report.id, city=city, actor=RESIDENT, by_author=True, now=LATER)

    with pytest.raises(ReportWithdrawn):
        await split(three[0].issue, three[2])


async def test_a_merged_issue_is_split_through_its_survivor(database, city, three, split):
    other = await file(database, city, submission(east_of(HERE, 400)))
    async with database.transaction(city.id) as session:
        await merge_issues(session, city.id, other.issue.id, [three[0].issue.id], actor=AGENT, now=LATER)

    with pytest.raises(IssueMerged):
        await split(three[0].issue, three[2])
    divided = await split(other.issue, three[2])

    assert divided.issue.report_count == 3


async def test_the_same_split_again_is_one_split(three, split, history):
    command_id = new_id()
    first = await split(three[0].issue, three[1], command_id=command_id)

    assert await split(three[0].issue, three[1], command_id=command_id) == first

    assert [event.kind for event in await history(three[0].issue)].count("issue.split") == 1
    with pytest.raises(CommandIdUsed):
        await split(three[0].issue, three[2], command_id=command_id)


@pytest.mark.parametrize("actor", [CREW, RESIDENT])
async def test_only_agents_split(three, split, actor):
    with pytest.raises(NotAllowed):
        await split(three[0].issue, three[2], actor=actor)


# Senders.


async def test_a_report_that_leaves_has_an_issue_of_its_own_and_keeps_its_number(three, leave, database):
    left = await leave(three[2])

    assert left.issue.id != three[0].issue.id
    assert (left.issue.report_count, left.issue.status, left.issue.at) == (1, "received", three[2].report.at)
    assert (left.report.number, left.match) == (three[2].report.number, None)
    assert (await issue_now(database, three[0].issue)).report_count == 2


async def test_leaving_is_in_the_history_of_both_issues(three, leave, history):
    left = await leave(three[2])

    event, opening = (await history(three[0].issue))[-1], (await history(left.issue))[-1]
    assert (event.kind, event.actor) == ("report.left", RESIDENT.sender)
    assert (opening.kind, opening.cause) == ("report.opened", event.id)
    assert dict((await history(three[0].issue, staff=False))[-1].data) == {"issues": [str(left.issue.id)]}


async def test_the_report_that_opened_the_issue_may_leave_too(three, leave, database):
    left = await leave(three[0])

    assert left.issue.report_count == 1
    assert (await issue_now(database, three[1].issue)).report_count == 2


async def test_a_report_alone_in_its_issue_has_its_own_already(database, city, leave, history):
    receipt = await file(database, city, submission(HERE))

    left = await leave(receipt)

    assert left.issue == receipt.issue
    assert len(await history(receipt.issue)) == 1


async def test_leaving_again_changes_nothing(three, leave):
    first = await leave(three[2])

    assert await leave(three[2]) == first


async def test_the_same_command_again_leaves_once_also_after_others_have_joined(database, city, three, leave):
    command_id = new_id()
    left = await leave(three[2], command_id=command_id)
    await file(database, city, submission(three[2].report.at))

    again = await leave(three[2], command_id=command_id)

    assert again.issue.id == left.issue.id


async def test_an_agent_takes_a_report_out_for_its_sender_and_a_crew_does_not(three, leave):
    with pytest.raises(NotAllowed):
        await leave(three[2], actor=CREW, by_author=False)

    assert (await leave(three[2], actor=AGENT, by_author=False)).issue.id != three[0].issue.id


async def test_a_report_taken_back_does_not_leave(database, city, three, leave):
    async with database.transaction(city.id) as session:
        await withdraw_report(session, three[2].report.id, city=city, actor=RESIDENT, by_author=True, now=LATER)

    with pytest.raises(ReportWithdrawn):
        await leave(three[2])


async def test_a_report_that_is_not_there_does_not_leave(database, city):
    async with database.transaction(city.id) as session:
        with pytest.raises(ReportNotFound):
            await leave_issue(session, new_id(), city=city, actor=RESIDENT, by_author=True, now=LATER)
