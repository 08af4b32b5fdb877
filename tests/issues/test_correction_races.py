"""Corrections at the moment at which others file, change a status, or correct the same report."""

import asyncio
import random
from datetime import timedelta

from db.base import new_id
from geo.points import offset
from issues.corrections import Correction, correct_report, withdraw_report
from issues.lifecycle import TransitionNotAllowed
from issues.moving import NewPlace
from tests.issues.people import AT_ONCE, RESIDENT, bring, check_counts
from tests.issues.towns import ESSAI, NOON, east_of, file, submission

SOON = NOON + timedelta(minutes=1)
HERE = ESSAI.middle
THERE = east_of(HERE, 300)


async def correct(crowd, city, receipt, *, at=None, words=None, command_id=None):
    correction = Correction(words, None if at is None else NewPlace(at, 8.0, "gps"))
    async with crowd.transaction(city.id) as session:
        return await correct_report(
            session,
            receipt.report.id,
            correction,
            city=city,
            actor=RESIDENT,
            by_author=True,
            command_id=command_id,
            now=SOON,
        )


async def withdraw(crowd, city, receipt):
    async with crowd.transaction(city.id) as session:
        return await withdraw_report(session, receipt.report.id, city=city, actor=RESIDENT, by_author=True, now=SOON)


async def test_copies_of_a_correction_at_once_are_one_correction(owner, crowd, city):
    receipt, command_id = await file(crowd, city, submission(HERE)), new_id()

    answers = await asyncio.gather(
        *(correct(crowd, city, receipt, at=THERE, words="Là", command_id=command_id) for _ in range(AT_ONCE))
    )

    assert {answer.issue.id for answer in answers} != {receipt.issue.id}
    assert len({answer.issue.id for answer in answers}) == 1
    assert [len(answer.report.corrections) for answer in answers] == [1] * AT_ONCE
    assert len(await check_counts(owner)) == 2


async def test_corrections_of_one_report_at_once_each_see_the_one_before(owner, crowd, city):
    receipt = await file(crowd, city, submission(HERE))
    places = [east_of(HERE, 150.0 * number) for number in range(1, 9)]

    answers = await asyncio.gather(*(correct(crowd, city, receipt, at=at) for at in places))

    last = max(answers, key=lambda answer: len(answer.report.corrections)).report
    former = [each.former_place.at for each in last.corrections]
    assert sorted([*former, last.at], key=lambda at: at.lon) == [HERE, *places]
    assert [issue.report_count for issue in await check_counts(owner)].count(1) == 1


async def test_reports_put_right_to_one_place_at_once_with_others_filed_there_are_one_issue(owner, crowd, city):
    scattered = [east_of(HERE, -150.0 * number) for number in range(1, AT_ONCE // 2 + 1)]
    receipts = [await file(crowd, city, submission(at)) for at in scattered]

    await asyncio.gather(
        *(correct(crowd, city, receipt, at=THERE) for receipt in receipts),
        *(file(crowd, city, submission(THERE)) for _ in receipts),
    )

    issues = await check_counts(owner)
    assert sorted(issue.report_count for issue in issues if issue.report_count) == [AT_ONCE]


async def test_a_report_taken_back_while_others_join_closes_no_issue_that_has_reports(owner, crowd, city):
    receipts = [await file(crowd, city, submission(east_of(HERE, 150.0 * number))) for number in range(AT_ONCE // 2)]

    await asyncio.gather(
        *(withdraw(crowd, city, receipt) for receipt in receipts),
        *(file(crowd, city, submission(receipt.report.at)) for receipt in receipts),
    )

    issues = await check_counts(owner)
    assert sum(issue.report_count for issue in issues) == len(receipts)
    assert {issue.status for issue in issues if issue.report_count} == {"received"}


async def test_a_correction_a_join_and_a_change_of_status_at_once_all_count(owner, crowd, city):
    rounds = 6
    receipts = [await file(crowd, city, submission(offset(HERE, east_m=0, north_m=200.0 * n))) for n in range(rounds)]

    answers = await asyncio.gather(
        *(correct(crowd, city, receipt, at=east_of(receipt.report.at, 300)) for receipt in receipts),
        *(file(crowd, city, submission(receipt.report.at)) for receipt in receipts),
        *(bring(crowd, receipt.issue, "acknowledged") for receipt in receipts),
        return_exceptions=True,
    )

    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [error for error in failed if not isinstance(error, TransitionNotAllowed)] == []
    issues = await check_counts(owner)
    assert sum(issue.report_count for issue in issues) == 2 * rounds


async def test_corrections_all_over_a_neighbourhood_never_wait_for_each_other_in_a_circle(owner, crowd, city):
    draw = random.Random(3)

    def somewhere():
        return offset(HERE, east_m=draw.uniform(-120, 120), north_m=draw.uniform(-120, 120))

    receipts = [await file(crowd, city, submission(somewhere())) for _ in range(3 * AT_ONCE)]

    await asyncio.gather(
        *(correct(crowd, city, receipt, at=somewhere()) for receipt in receipts[AT_ONCE:]),
        *(withdraw(crowd, city, receipt) for receipt in receipts[:AT_ONCE]),
        *(file(crowd, city, submission(somewhere())) for _ in range(AT_ONCE)),
    )

    issues = await check_counts(owner)
    assert sum(issue.report_count for issue in issues) == 3 * AT_ONCE
