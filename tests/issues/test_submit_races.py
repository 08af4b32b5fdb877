"""Many reports at the same moment, each through a connection of its own."""

import asyncio
import random
from dataclasses import replace

import pytest
from sqlalchemy import text

from db.base import new_id
from db.sessions import WORKING, Database
from geo.cells import cells_touched
from geo.points import offset
from issues.match import LARGEST_RADIUS_M
from issues.submit import IdAlreadyUsed
from tests.issues.towns import ESSAI, east_of, file, submission

SENDERS = 20


@pytest.fixture
async def crowd(app_url):
    """A database that many can talk to at once."""
    async with Database(app_url, pool_size=SENDERS, timeout_s=60, patience=WORKING) as database:
        yield database


async def count(owner, table):
    async with owner.transaction() as session:
        return await session.scalar(text(f"SELECT count(*) FROM {table}"))


def cell_of(at):
    (cell,) = cells_touched(at, radius_m=0.0, width_m=LARGEST_RADIUS_M)
    return cell


def beside_a_cell_border():
    """Two positions six metres apart in different cells."""
    at = ESSAI.middle
    while cell_of(at) == cell_of(east_of(at, 6.0)):
        at = east_of(at, 3.0)
    return at, east_of(at, 6.0)


async def test_simultaneous_senders_of_one_hole_open_one_issue(owner, crowd, city):
    receipts = await asyncio.gather(*(file(crowd, city, submission(ESSAI.middle)) for _ in range(SENDERS)))

    assert len({receipt.issue.id for receipt in receipts}) == 1
    assert sorted(receipt.issue.report_count for receipt in receipts) == list(range(1, SENDERS + 1))
    assert len({receipt.report.number for receipt in receipts}) == SENDERS
    assert (await count(owner, "issue"), await count(owner, "report")) == (1, SENDERS)


async def test_simultaneous_senders_on_both_sides_of_a_cell_border_open_one_issue(owner, crowd, city):
    places = beside_a_cell_border()

    await asyncio.gather(*(file(crowd, city, submission(places[n % 2])) for n in range(SENDERS)))

    assert (await count(owner, "issue"), await count(owner, "report")) == (1, SENDERS)


async def test_simultaneous_reports_of_sibling_services_open_one_issue(owner, crowd, city):
    services = ("nid-de-poule", "chaussee")

    await asyncio.gather(
        *(file(crowd, city, submission(ESSAI.middle, service_code=services[n % 2])) for n in range(SENDERS))
    )

    assert await count(owner, "issue") == 1


async def test_simultaneous_copies_of_one_report_are_one_report(owner, crowd, city):
    sent = submission(ESSAI.middle, photo_ids=(new_id(),))

    receipts = await asyncio.gather(*(file(crowd, city, sent) for _ in range(SENDERS)))

    assert [receipt.created for receipt in receipts].count(True) == 1
    assert len({(receipt.report.number, receipt.issue.id, receipt.issue.report_count) for receipt in receipts}) == 1
    assert (await count(owner, "issue"), await count(owner, "report"), await count(owner, "event")) == (1, 1, 1)


async def test_of_simultaneous_reports_with_one_id_and_other_content_one_is_kept(owner, crowd, city):
    sent = submission(ESSAI.middle)
    versions = [replace(sent, description=str(n)) for n in range(SENDERS)]

    answers = await asyncio.gather(*(file(crowd, city, version) for version in versions), return_exceptions=True)

    kept = [answer for answer in answers if not isinstance(answer, BaseException)]
    refused = [answer for answer in answers if isinstance(answer, IdAlreadyUsed)]
    assert (len(kept), len(refused)) == (1, SENDERS - 1)
    assert {answer.receipt.report.description for answer in refused} == {kept[0].report.description}
    assert await count(owner, "report") == 1


async def test_reports_all_over_a_neighbourhood_never_wait_for_each_other_in_a_circle(owner, crowd, city):
    places = random.Random(7)
    reports = [
        submission(offset(ESSAI.middle, east_m=places.uniform(-150, 150), north_m=places.uniform(-150, 150)))
        for _ in range(6 * SENDERS)
    ]

    receipts = await asyncio.gather(*(file(crowd, city, report) for report in reports))

    async with owner.transaction() as session:
        found = await session.execute(text("SELECT id, report_count FROM issue"))
        counted = {row.id: row.report_count for row in found}
    issues = [receipt.issue.id for receipt in receipts]
    assert counted == {issue: issues.count(issue) for issue in issues}
