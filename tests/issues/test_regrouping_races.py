"""Merges, splits, leaves and undos at the moment at which others file, change a status, or do the same."""

import asyncio
import random
from collections import Counter
from datetime import timedelta
from itertools import pairwise

from db.base import new_id
from geo.points import offset
from issues.corrections import Correction, correct_report, withdraw_report
from issues.dispatch import StaleWorkOrder
from issues.issue import IssueMerged
from issues.lifecycle import TransitionNotAllowed
from issues.merging import merge_issues
from issues.moving import NewPlace
from issues.splitting import NothingWouldRemain, ReportNotInIssue, leave_issue, split_issue
from issues.undoing import AlreadyUndone, UndoBlocked, undo_event
from tests.issues.people import AGENT, AT_ONCE, RESIDENT, bring, change, check_counts, issue_now, plan
from tests.issues.towns import ESSAI, NOON, east_of, file, submission

SOON = NOON + timedelta(minutes=1)
HERE = ESSAI.middle
# What may befall whoever comes second; everything else is a mistake.
OVERTAKEN = (
    *(IssueMerged, ReportNotInIssue, NothingWouldRemain, AlreadyUndone, UndoBlocked),
    *(TransitionNotAllowed, StaleWorkOrder),
)


async def at_once(*commands):
    """Do everything at once; answers with what went well. Nothing fails but for having been overtaken."""
    answers = await asyncio.gather(*commands, return_exceptions=True)
    assert [each for each in answers if isinstance(each, BaseException) and not isinstance(each, OVERTAKEN)] == []
    return [each for each in answers if not isinstance(each, BaseException)]


async def merge(crowd, city, survivor, *others, command_id=None):
    async with crowd.transaction(city.id) as session:
        ids = [other.id for other in others]
        return await merge_issues(
            session, city.id, survivor.id, ids, actor=AGENT, confirmed=True, command_id=command_id, now=SOON
        )


async def undo(crowd, city, issue_id, event_id):
    async with crowd.transaction(city.id) as session:
        return await undo_event(session, city.id, issue_id, event_id, actor=AGENT, force=True, now=SOON)


async def split(crowd, city, issue, receipt):
    async with crowd.transaction(city.id) as session:
        return await split_issue(session, issue.id, [receipt.report.id], city=city, actor=AGENT, now=SOON)


async def leave(crowd, city, receipt):
    async with crowd.transaction(city.id) as session:
        return await leave_issue(session, receipt.report.id, city=city, actor=RESIDENT, by_author=True, now=SOON)


async def withdraw(crowd, city, receipt):
    async with crowd.transaction(city.id) as session:
        return await withdraw_report(session, receipt.report.id, city=city, actor=RESIDENT, by_author=True, now=SOON)


async def correct(crowd, city, receipt, at):
    async with crowd.transaction(city.id) as session:
        correction = Correction(place=NewPlace(at, 8.0, "gps"))
        return await correct_report(
            session, receipt.report.id, correction, city=city, actor=RESIDENT, by_author=True, now=SOON
        )


async def test_the_same_issues_merged_in_both_orders_at_once_are_one_issue(owner, crowd, city):
    rounds = AT_ONCE // 2
    pairs = [
        [
            (await file(crowd, city, submission(offset(HERE, east_m=east, north_m=150.0 * number)))).issue
            for east in (0.0, 60.0)
        ]
        for number in range(rounds)
    ]

    merged = await at_once(
        *(merge(crowd, city, one, other) for one, other in pairs),
        *(merge(crowd, city, other, one) for one, other in pairs),
    )

    assert len(merged) == rounds
    assert [issue.report_count for issue in await check_counts(owner)] == [2] * rounds


async def test_copies_of_a_merge_at_once_are_one_merge(crowd, city):
    one, other = [(await file(crowd, city, submission(east_of(HERE, metres)))).issue for metres in (0, 60)]
    command_id = new_id()

    answers = await at_once(*(merge(crowd, city, one, other, command_id=command_id) for _ in range(AT_ONCE)))

    assert [answer.event_id for answer in answers] == [command_id] * AT_ONCE


async def test_a_chain_of_merges_at_once_loses_nobody_on_the_way(owner, crowd, city):
    issues = [(await file(crowd, city, submission(east_of(HERE, 60.0 * number)))).issue for number in range(10)]

    await at_once(*(merge(crowd, city, one, other) for one, other in pairwise(issues)))

    assert sum(issue.report_count for issue in await check_counts(owner)) == len(issues)


async def test_reports_filed_while_their_issue_is_merged_are_in_an_issue_that_stands(owner, crowd, city):
    pairs = [
        [
            (await file(crowd, city, submission(offset(HERE, east_m=east, north_m=200.0 * number)))).issue
            for east in (0.0, 60.0)
        ]
        for number in range(AT_ONCE // 4)
    ]

    await at_once(
        *(merge(crowd, city, one, other) for one, other in pairs),
        *(file(crowd, city, submission(other.at)) for _, other in pairs),
        *(file(crowd, city, submission(one.at, issue_id=other.id)) for one, other in pairs),
        *(bring(crowd, other, "acknowledged") for _, other in pairs),
    )

    issues = await check_counts(owner)
    assert sum(issue.report_count for issue in issues) == 4 * len(pairs)


async def test_an_order_done_while_its_issue_is_merged_resolves_the_issue_that_it_is_for(owner, crowd, city):
    for number in range(6):
        north = offset(HERE, east_m=0.0, north_m=200.0 * number)
        one, other = [(await file(crowd, city, submission(at))).issue for at in (north, east_of(north, 60))]
        order = await plan(crowd, other)

        await at_once(merge(crowd, city, one, other), change(crowd, order, status="done"))

        # Done first, the merged issue was resolved and stays so; merged first, the survivor is.
        resolved = [issue for issue in (one, other) if (await issue_now(crowd, issue)).status == "resolved"]
        assert len(resolved) == 1
    await check_counts(owner)


async def test_leaves_splits_and_withdrawals_of_one_issue_at_once_all_count(owner, crowd, city):
    receipts = [await file(crowd, city, submission(east_of(HERE, number / 10))) for number in range(AT_ONCE)]
    issue = receipts[0].issue
    assert {receipt.issue.id for receipt in receipts} == {issue.id}

    await at_once(
        *(leave(crowd, city, receipt) for receipt in receipts[:8]),
        *(split(crowd, city, issue, receipt) for receipt in receipts[4:12]),
        *(withdraw(crowd, city, receipt) for receipt in receipts[14:]),
    )

    issues = await check_counts(owner)
    assert sum(one.report_count for one in issues) == 14
    assert Counter(one.report_count for one in issues)[1] == 12


async def test_an_event_undone_by_several_at_once_is_undone_once(owner, crowd, city):
    one, other = [(await file(crowd, city, submission(east_of(HERE, metres)))).issue for metres in (0, 60)]
    merged = await merge(crowd, city, one, other)

    undone = await at_once(*(undo(crowd, city, one.id, merged.event_id) for _ in range(AT_ONCE)))

    assert len(undone) == 1
    assert [issue.report_count for issue in await check_counts(owner)] == [1, 1]


async def test_whatever_happens_all_over_a_neighbourhood_nobody_waits_in_a_circle(owner, crowd, city):
    draw = random.Random(4)

    def somewhere():
        return offset(HERE, east_m=draw.uniform(-150, 150), north_m=draw.uniform(-150, 150))

    receipts = [await file(crowd, city, submission(somewhere())) for _ in range(2 * AT_ONCE)]
    issues = list({receipt.issue.id: receipt.issue for receipt in receipts}.values())
    merged = await merge(crowd, city, *issues[:3])

    commands = [
        undo(crowd, city, issues[0].id, merged.event_id),
        *(merge(crowd, city, *draw.sample(issues, 3)) for _ in range(AT_ONCE)),
        *(leave(crowd, city, receipt) for receipt in receipts[:10]),
        *(split(crowd, city, receipt.issue, receipt) for receipt in receipts[10:20]),
        *(correct(crowd, city, receipt, somewhere()) for receipt in receipts[20:30]),
        *(file(crowd, city, submission(somewhere())) for _ in range(AT_ONCE // 2)),
        *(file(crowd, city, submission(somewhere(), issue_id=draw.choice(issues).id)) for _ in range(AT_ONCE // 2)),
        *(bring(crowd, issue, "acknowledged") for issue in draw.sample(issues, 5)),
    ]
    draw.shuffle(commands)
    await at_once(*commands)

    assert sum(issue.report_count for issue in await check_counts(owner)) == 3 * AT_ONCE
