"""Merges, splits and leaves undone: what they moved comes back, and what has gone on since is named."""

from datetime import timedelta

import pytest

from db.base import new_id
from issues.events import EventNotFound, list_history
from issues.issue import IssueMerged
from issues.lifecycle import NotAllowed
from issues.merging import merge_issues
from issues.reports import read_receipt
from issues.splitting import leave_issue, split_issue
from issues.undoing import AlreadyUndone, NotUndoable, UndoBlocked, undo_event
from issues.work_orders import find_work_order
from tests.issues.people import AGENT, CREW, bring, issue_now, plan
from tests.issues.towns import ESSAI, NOON, east_of, file, submission

LATER = NOON + timedelta(hours=1)
HERE = ESSAI.middle


class Desk:
    """An agent at work in one city."""

    def __init__(self, database, city):
        self.database, self.city = database, city

    async def report(self, metres_east=0.0):
        return await file(self.database, self.city, submission(east_of(HERE, metres_east)))

    async def merge(self, survivor, *others):
        async with self.database.transaction(self.city.id) as session:
            ids = [other.issue.id for other in others]
            return await merge_issues(session, self.city.id, survivor.issue.id, ids, actor=AGENT, now=LATER)

    async def split(self, issue_id, *receipts):
        async with self.database.transaction(self.city.id) as session:
            ids = [receipt.report.id for receipt in receipts]
            return await split_issue(session, issue_id, ids, city=self.city, actor=AGENT, now=LATER)

    async def leave(self, receipt, command_id):
        async with self.database.transaction(self.city.id) as session:
            return await leave_issue(
                session,
                receipt.report.id,
                city=self.city,
                actor=AGENT,
                by_author=False,
                command_id=command_id,
                now=LATER,
            )

    async def undo(self, issue_id, event_id, *, actor=AGENT, **more):
        async with self.database.transaction(self.city.id) as session:
            return await undo_event(session, self.city.id, issue_id, event_id, actor=actor, now=LATER, **more)

    async def now(self, receipt):
        """The report and its issue as they are now."""
        async with self.database.transaction(self.city.id) as session:
            return await read_receipt(session, self.city.id, receipt.report.id)

    async def history(self, issue_id):
        async with self.database.transaction(self.city.id) as session:
            return (await list_history(session, self.city.id, issue_id, staff=True, limit=50)).items


@pytest.fixture
def desk(database, city):
    return Desk(database, city)


# Merges.


async def test_a_merge_undone_leaves_every_issue_as_it_was(desk):
    receipts = [await desk.report(200.0 * n) for n in range(3)]
    joined = await desk.report(1.0)
    before = [await desk.now(receipt) for receipt in (*receipts, joined)]
    merged = await desk.merge(*receipts)

    undone = await desk.undo(merged.issue.id, merged.event_id)

    after = [await desk.now(receipt) for receipt in (*receipts, joined)]
    assert [each.report for each in after] == [each.report for each in before]
    kept = ("id", "status", "report_count", "merged_into", "number", "last_report_at")
    assert [[getattr(each.issue, name) for name in kept] for each in after] == [
        [getattr(each.issue, name) for name in kept] for each in before
    ]
    assert (undone.issue.id, undone.stayed) == (merged.issue.id, ())
    assert {other.id for other in undone.others} == {receipt.issue.id for receipt in receipts[1:]}


async def test_the_histories_of_all_say_that_it_was_undone(desk):
    one, other = await desk.report(), await desk.report(200)
    merged = await desk.merge(one, other)

    undone = await desk.undo(one.issue.id, merged.event_id)

    last = (await desk.history(one.issue.id))[-1]
    assert (last.id, last.kind, last.undoes) == (undone.event_id, "issue.undone", merged.event_id)
    there = (await desk.history(other.issue.id))[-1]
    assert (there.kind, dict(there.data), there.cause) == ("issue.undone", {"kind": "issue.merged"}, undone.event_id)


async def test_work_orders_come_back_also_one_that_was_for_both(desk, database, city):
    one, other = await desk.report(), await desk.report(200)
    for_other, for_both = await plan(database, other.issue), await plan(database, one.issue, other.issue)
    merged = await desk.merge(one, other)

    await desk.undo(one.issue.id, merged.event_id)

    async with database.transaction(city.id) as session:
        orders = [await find_work_order(session, city.id, order.id, actor=AGENT) for order in (for_other, for_both)]
    assert [order.issue_ids for order in orders] == [for_other.issue_ids, for_both.issue_ids]


async def test_a_status_set_since_stays_and_the_issue_that_is_back_has_its_own(desk, database):
    one, other = await desk.report(), await desk.report(200)
    merged = await desk.merge(one, other)
    await bring(database, one.issue, "resolved")

    await desk.undo(one.issue.id, merged.event_id)

    assert (await issue_now(database, one.issue)).status == "resolved"
    assert (await issue_now(database, other.issue)).status == "received"


async def test_reports_that_joined_the_survivor_since_stay_with_it(desk):
    one, other = await desk.report(), await desk.report(200)
    merged = await desk.merge(one, other)
    newcomer = await desk.report(2)

    undone = await desk.undo(one.issue.id, merged.event_id)

    assert (undone.issue.report_count, undone.others[0].report_count) == (2, 1)
    assert (await desk.now(newcomer)).issue.id == one.issue.id


async def test_reports_that_have_gone_on_are_named_and_stay_where_they_are_by_force(desk):
    one, other, twin = await desk.report(), await desk.report(200), await desk.report(201)
    merged = await desk.merge(one, other)
    divided = await desk.split(one.issue.id, twin)

    with pytest.raises(UndoBlocked) as refused:
        await desk.undo(one.issue.id, merged.event_id)

    assert [(each.report_id, each.issue_id) for each in refused.value.stayed] == [
        (twin.report.id, divided.others[0].id)
    ]
    assert refused.value.possible
    undone = await desk.undo(one.issue.id, merged.event_id, force=True)
    assert undone.stayed == refused.value.stayed
    assert (await desk.now(other)).issue.id == other.issue.id
    assert (await desk.now(twin)).issue.id == divided.others[0].id


async def test_an_issue_none_of_whose_reports_is_left_to_give_back_stays_merged(desk):
    one, other, third = await desk.report(), await desk.report(200), await desk.report(400)
    merged = await desk.merge(one, other, third)
    await desk.split(one.issue.id, other)

    undone = await desk.undo(one.issue.id, merged.event_id, force=True)

    assert {issue.id: issue.merged_into for issue in undone.others} == {
        other.issue.id: one.issue.id,
        third.issue.id: None,
    }


async def test_where_nothing_is_left_to_put_back_force_does_not_help(desk):
    one, other = await desk.report(), await desk.report(200)
    merged = await desk.merge(one, other)
    await desk.split(one.issue.id, other)

    with pytest.raises(UndoBlocked) as refused:
        await desk.undo(one.issue.id, merged.event_id, force=True)

    assert not refused.value.possible


async def test_merges_one_after_the_other_are_undone_last_one_first(desk):
    one, other, third = [await desk.report(200.0 * n) for n in range(3)]
    first = await desk.merge(one, other)
    second = await desk.merge(third, one)
    with pytest.raises(IssueMerged):
        await desk.undo(one.issue.id, first.event_id)

    await desk.undo(third.issue.id, second.event_id)
    await desk.undo(one.issue.id, first.event_id)

    assert [(await desk.now(receipt)).issue.id for receipt in (one, other, third)] == [
        receipt.issue.id for receipt in (one, other, third)
    ]


# Splits and leaves.


async def test_a_split_undone_brings_the_reports_back_with_their_matches_and_the_new_issue_answers_with_the_old(desk):
    receipts = [await desk.report(2.0 * n) for n in range(3)]
    before = [(await desk.now(receipt)).report for receipt in receipts]
    divided = await desk.split(receipts[0].issue.id, receipts[1], receipts[2])

    undone = await desk.undo(divided.issue.id, divided.event_id)

    assert [(await desk.now(receipt)).report for receipt in receipts] == before
    assert before[1].match is not None
    assert undone.issue.report_count == 3
    assert [(other.id, other.merged_into, other.report_count) for other in undone.others] == [
        (divided.others[0].id, divided.issue.id, 0)
    ]


async def test_a_leave_undone_brings_the_report_back(desk):
    one, other, event_id = await desk.report(), await desk.report(2), new_id()
    await desk.leave(other, event_id)

    await desk.undo(one.issue.id, event_id)

    assert (await desk.now(other)).issue.id == one.issue.id
    assert (await desk.now(other)).match == other.match


async def test_an_issue_that_others_have_joined_since_stays_for_them(desk, database):
    one, other, event_id = await desk.report(), await desk.report(20), new_id()
    left = await desk.leave(other, event_id)
    newcomer = await desk.report(22)
    assert newcomer.issue.id == left.issue.id

    undone = await desk.undo(one.issue.id, event_id)

    assert [(issue.report_count, issue.merged_into) for issue in undone.others] == [(1, None)]
    assert (await desk.now(newcomer)).issue.id == left.issue.id


async def test_work_planned_for_the_new_issue_goes_with_its_last_report(desk, database, city):
    one, other = await desk.report(), await desk.report(2)
    divided = await desk.split(one.issue.id, other)
    order = await plan(database, divided.others[0])

    await desk.undo(one.issue.id, divided.event_id)

    async with database.transaction(city.id) as session:
        assert (await find_work_order(session, city.id, order.id, actor=AGENT)).issue_ids == (one.issue.id,)


# What cannot be undone.


async def test_an_event_is_undone_once(desk):
    one, other = await desk.report(), await desk.report(200)
    merged = await desk.merge(one, other)
    undone = await desk.undo(one.issue.id, merged.event_id)

    with pytest.raises(AlreadyUndone) as refused:
        await desk.undo(one.issue.id, merged.event_id)

    assert refused.value.undone_by == undone.event_id


async def test_the_same_command_again_undoes_once(desk):
    one, other, command_id = await desk.report(), await desk.report(200), new_id()
    merged = await desk.merge(one, other)
    first = await desk.undo(one.issue.id, merged.event_id, command_id=command_id)

    assert await desk.undo(one.issue.id, merged.event_id, command_id=command_id) == first


async def test_what_was_undone_may_be_done_and_undone_again(desk):
    one, other = await desk.report(), await desk.report(200)
    for _ in range(2):
        merged = await desk.merge(one, other)
        await desk.undo(one.issue.id, merged.event_id)

    assert (await desk.now(other)).issue.id == other.issue.id


async def test_a_change_of_status_is_not_undone(desk, database):
    one = await desk.report()
    changed = await bring(database, one.issue, "acknowledged")

    with pytest.raises(NotUndoable):
        await desk.undo(one.issue.id, changed.event_id)


async def test_an_event_of_another_issue_is_not_found(desk):
    one, other = await desk.report(), await desk.report(200)
    merged = await desk.merge(one, other)

    for issue_id, event_id in ((other.issue.id, merged.event_id), (one.issue.id, new_id())):
        with pytest.raises(EventNotFound):
            await desk.undo(issue_id, event_id)


async def test_only_agents_undo(desk):
    one, other = await desk.report(), await desk.report(200)
    merged = await desk.merge(one, other)

    with pytest.raises(NotAllowed):
        await desk.undo(one.issue.id, merged.event_id, actor=CREW)
