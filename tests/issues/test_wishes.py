"""« Moi aussi »: reports that join the issue that their sender names, and what becomes of wishes that cannot be met."""

from datetime import timedelta

import pytest

from db.base import new_id
from issues.browse import IssueFilter, list_issues
from issues.merging import merge_issues
from issues.splitting import split_issue
from tests.issues.people import AGENT, bring, open_issue
from tests.issues.towns import ESSAI, NOON, east_of, file, set_status, submission

HERE = ESSAI.middle


async def wish(database, city, issue_id, *, metres_east=60.0, **changes):
    """File a report that names an issue, too far for the two to be joined unasked."""
    return await file(database, city, submission(east_of(HERE, metres_east), issue_id=issue_id, **changes))


async def test_a_report_joins_the_issue_that_its_sender_names_and_hears_its_status_at_once(database, city):
    issue = await open_issue(database, city)
    await bring(database, issue, "acknowledged")

    receipt = await wish(database, city, issue.id)

    assert (receipt.issue.id, receipt.issue.status, receipt.issue.report_count) == (issue.id, "acknowledged", 2)
    assert [(reason.factor, reason.weight) for reason in receipt.match.reasons] == [("wish", 1.0)]


async def test_without_the_wish_it_would_have_opened_its_own(database, city):
    issue = await open_issue(database, city)

    assert (await wish(database, city, None)).issue.id != issue.id


async def test_the_wish_goes_before_a_likelier_issue(database, city):
    named, beside = await open_issue(database, city), await open_issue(database, city, east_of(HERE, 60))

    receipt = await wish(database, city, named.id)

    assert receipt.issue.id == named.id != beside.id


async def test_a_service_that_joins_only_when_asked_joins_by_wish(database, city):
    issue = await open_issue(database, city, service_code="graffiti")

    assert (await wish(database, city, issue.id, service_code="graffiti", metres_east=1)).issue.id == issue.id


async def test_an_issue_of_a_sibling_service_may_be_named(database, city):
    issue = await open_issue(database, city, service_code="chaussee")

    assert (await wish(database, city, issue.id)).issue.id == issue.id


async def test_an_issue_of_another_service_of_the_group_may_be_named_since_it_was_shown(database, city):
    issue = await open_issue(database, city, service_code="trottoir")

    assert (await wish(database, city, issue.id)).issue.id == issue.id


async def test_the_same_report_again_gets_the_same_issue(database, city):
    issue = await open_issue(database, city)
    sent = submission(east_of(HERE, 60), issue_id=issue.id)
    first = await file(database, city, sent)

    again = await file(database, city, sent)

    assert (again.created, again.issue.id, again.match) == (False, issue.id, first.match)


async def test_an_issue_that_was_merged_since_stands_for_the_one_that_took_it_over(database, city):
    issue, survivor = await open_issue(database, city), await open_issue(database, city, east_of(HERE, 30))
    async with database.transaction(city.id) as session:
        await merge_issues(session, city.id, survivor.id, [issue.id], actor=AGENT, now=NOON)

    receipt = await wish(database, city, issue.id)

    assert (receipt.issue.id, receipt.issue.report_count) == (survivor.id, 3)


@pytest.mark.parametrize("status", ["resolved", "closed", "declined", "transferred"])
async def test_a_report_is_filed_all_the_same_where_the_issue_is_closed(owner, database, city, status):
    issue = await open_issue(database, city)
    await set_status(owner, issue.id, status)

    receipt = await wish(database, city, issue.id)

    assert receipt.created
    assert (receipt.issue.id != issue.id, receipt.issue.status, receipt.match) == (True, "received", None)


async def test_it_is_filed_where_it_is_when_the_issue_is_farther_than_any_report_joins(database, city):
    issue = await open_issue(database, city)

    assert (await wish(database, city, issue.id, metres_east=101)).issue.id != issue.id
    assert (await wish(database, city, issue.id, metres_east=99)).issue.id == issue.id


async def test_a_private_issue_is_joined_by_nobody_who_names_it(database, city):
    private = await open_issue(database, city, service_code="bruit")

    same_service = await wish(database, city, private.id, service_code="bruit", metres_east=0)
    other_service = await wish(database, city, private.id)

    assert private.id not in {same_service.issue.id, other_service.issue.id}


async def test_an_issue_that_is_not_there_or_of_something_else_is_no_reason_to_refuse(database, city):
    lamp = await open_issue(database, city, service_code="lampadaire")

    unknown, unlike = await wish(database, city, new_id()), await wish(database, city, lamp.id, metres_east=200)

    assert unknown.match is None
    assert unlike.issue.id != lamp.id


async def test_a_wish_that_cannot_be_met_leaves_the_report_to_join_what_it_is_about(database, city):
    issue = await open_issue(database, city)

    receipt = await wish(database, city, new_id(), metres_east=1)

    assert receipt.issue.id == issue.id


async def test_a_number_finds_the_issue_that_has_its_report_now(database, city):
    receipts = [
        await file(database, city, submission(east_of(HERE, metres)), now=NOON + timedelta(minutes=1))
        for metres in (0, 200, 201)
    ]
    one, other, twin = receipts

    async def found():
        ids = []
        for receipt in receipts:
            async with database.transaction(city.id) as session:
                wanted = IssueFilter(number=receipt.report.number)
                page = await list_issues(session, city.id, wanted, staff=False, limit=10)
            ids.append([issue.id for issue in page.items])
        return ids

    assert await found() == [[one.issue.id], [other.issue.id], [other.issue.id]]
    async with database.transaction(city.id) as session:
        await merge_issues(session, city.id, one.issue.id, [other.issue.id], actor=AGENT, now=NOON)
    assert await found() == [[one.issue.id]] * 3
    async with database.transaction(city.id) as session:
        divided = await split_issue(session, one.issue.id, [twin.report.id], city=city, actor=AGENT, now=NOON)
    assert await found() == [[one.issue.id], [one.issue.id], [divided.others[0].id]]
