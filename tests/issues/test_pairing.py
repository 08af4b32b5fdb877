"""What may be one problem is looked at again when there is more to compare, or the place was wrong."""

from dataclasses import replace
from datetime import timedelta

import pytest

from issues.catalogue import KnownCatalogues
from issues.corrections import Correction, correct_report
from issues.moving import NewPlace
from issues.pairing import pair_by_photo
from issues.pairs import PairState
from issues.review import list_pairs, reject_pair
from issues.splitting import split_issue
from issues.undoing import undo_event
from tests.issues.people import AGENT, RESIDENT, bring
from tests.issues.photographs import HOLE, LAMP, SAME_HOLE, photograph, upload
from tests.issues.towns import ESSAI, NOON, change_service, east_of, file, submission

SOON = NOON + timedelta(minutes=5)
HERE = ESSAI.middle
THERE = east_of(HERE, 3000.0)
IN_DOUBT_M = 24.0  # what phones place so far apart is neither joined nor ruled out
UNLIKELY_M = 27.0  # nobody would be asked whether this is the same


@pytest.fixture
def queue(database, city):
    """What staff see; by default the pending pairs."""

    async def queue(state=PairState.PENDING):
        async with database.transaction(city.id) as session:
            return (await list_pairs(session, city.id, state, limit=50)).items

    return queue


@pytest.fixture
def decoded(database):
    """What the worker does once a photo is ready."""

    async def decoded(photo_id):
        async with database.transaction() as session:
            await pair_by_photo(session, photo_id, catalogues=KnownCatalogues(), now=SOON)

    return decoded


@pytest.fixture
def correct(database, city):
    async def correct(receipt, at):
        correction = Correction(place=NewPlace(at, 8.0, "gps"))
        async with database.transaction(city.id) as session:
            return await correct_report(
                session, receipt.report.id, correction, city=city, actor=RESIDENT, by_author=True, now=SOON
            )

    return correct


async def two(database, city, metres_apart, **changes):
    sent = {"description": None, **changes}
    receipts = [await file(database, city, submission(east_of(HERE, metres), **sent)) for metres in (0.0, metres_apart)]
    assert receipts[0].issue.id != receipts[1].issue.id
    return receipts


def issues_of(pair):
    return {issue.id for issue in pair.issues}


def photos_of(pair):
    return [(reason.value, reason.weight > 0.0) for reason in pair.reasons if reason.factor == "photos"]


# Photos.


async def test_a_photo_decoded_before_its_report_came_counts_in_the_pair(owner, database, city, queue):
    first = await file(database, city, submission(HERE, description=None))
    await photograph(owner, first.report, dhash=HOLE)
    beside = submission(east_of(HERE, UNLIKELY_M), description=None)
    photo_id = await upload(owner, uploader=beside.sender, dhash=SAME_HOLE)

    filed = await file(database, city, replace(beside, photo_ids=(photo_id,)))

    (pair,) = await queue()
    assert issues_of(pair) == {first.issue.id, filed.issue.id}
    assert photos_of(pair) == [(3.0, True)]


@pytest.mark.parametrize("last", [0, 1], ids=["the earlier report's", "the later report's"])
async def test_a_pair_is_scored_anew_by_whichever_photo_is_ready_last(owner, database, city, queue, decoded, last):
    receipts = await two(database, city, IN_DOUBT_M)
    (before,) = await queue()
    await photograph(owner, receipts[1 - last].report, dhash=HOLE)
    photo_id = await photograph(owner, receipts[last].report, dhash=SAME_HOLE)

    await decoded(photo_id)

    (pair,) = await queue()
    assert (pair.id, pair.made_at) == (before.id, before.made_at)
    assert pair.score > before.score
    assert photos_of(pair) == [(3.0, True)]
    assert [issue.id for issue in pair.issues] == [receipt.issue.id for receipt in receipts]  # nobody was moved


async def test_photos_that_look_alike_bring_into_the_queue_what_nobody_would_have_asked_about(
    owner, database, city, queue, decoded
):
    receipts = await two(database, city, UNLIKELY_M)
    await photograph(owner, receipts[0].report, dhash=HOLE)
    photo_id = await photograph(owner, receipts[1].report, dhash=SAME_HOLE)
    assert await queue() == ()

    await decoded(photo_id)
    await decoded(photo_id)  # the job may run twice

    (pair,) = await queue()
    assert pair.made_at == SOON


async def test_photos_that_look_different_leave_the_score_and_say_so(owner, database, city, queue, decoded):
    receipts = await two(database, city, IN_DOUBT_M)
    (before,) = await queue()
    await photograph(owner, receipts[0].report, dhash=HOLE)

    await decoded(await photograph(owner, receipts[1].report, dhash=LAMP))

    (pair,) = await queue()
    assert (pair.score, photos_of(pair)) == (before.score, [(64.0, False)])


async def test_what_staff_have_said_of_a_pair_outlasts_every_photo(owner, database, city, queue, decoded):
    receipts = await two(database, city, IN_DOUBT_M)
    (pair,) = await queue()
    async with database.transaction(city.id) as session:
        await reject_pair(session, city.id, pair.id, actor=AGENT, now=SOON)
    await photograph(owner, receipts[0].report, dhash=HOLE)

    await decoded(await photograph(owner, receipts[1].report, dhash=HOLE))

    assert await queue() == ()
    (rejected,) = await queue(PairState.REJECTED)
    assert (rejected.id, rejected.score) == (pair.id, pair.score)


async def test_what_is_closed_private_or_kept_apart_is_paired_by_no_photo(owner, database, city, queue, decoded):
    closed = await two(database, city, UNLIKELY_M)
    await bring(database, closed[1].issue, "resolved")
    private = await two(database, city, 0.0, service_code="bruit")
    await change_service(owner, database, city, "graffiti", joins="never")
    apart = await two(database, city, 0.0, service_code="graffiti")
    async with owner.transaction() as session:
        await (await session.connection()).exec_driver_sql("DELETE FROM issue_pair")

    for one, other in (closed, private, apart):
        await photograph(owner, one.report, dhash=HOLE)
        await decoded(await photograph(owner, other.report, dhash=HOLE))

    assert await queue() == ()


async def test_what_staff_have_split_is_paired_by_no_photo_unless_that_is_undone(owner, database, city, queue, decoded):
    one, other = [await file(database, city, submission(HERE)) for _ in range(2)]
    async with database.transaction(city.id) as session:
        split = await split_issue(session, one.issue.id, [other.report.id], city=city, actor=AGENT, now=SOON)
    await photograph(owner, one.report, dhash=HOLE)
    photo_id = await photograph(owner, other.report, dhash=HOLE)

    await decoded(photo_id)
    assert await queue() == ()
    (apart,) = await queue(PairState.REJECTED)
    assert issues_of(apart) == {one.issue.id, split.others[0].id}

    assert split.event_id is not None
    async with database.transaction(city.id) as session:
        await undo_event(session, city.id, one.issue.id, split.event_id, actor=AGENT, now=SOON)
    assert await queue(PairState.REJECTED) == ()


async def test_a_photo_that_no_report_has_named_is_left_alone(owner, queue, decoded):
    await decoded(await upload(owner, uploader="device:me", dhash=HOLE))

    assert await queue() == ()


# Places.


async def test_a_report_whose_corrected_place_opens_an_issue_is_paired_there_as_a_fresh_one(
    database, city, queue, correct
):
    there = await file(database, city, submission(east_of(THERE, IN_DOUBT_M), description=None))
    await file(database, city, submission(HERE))
    moved = await file(database, city, submission(HERE))

    corrected = await correct(moved, THERE)

    (pair,) = await queue()
    assert issues_of(pair) == {corrected.issue.id, there.issue.id}
    fresh = await file(database, city, submission(east_of(THERE, 2 * IN_DOUBT_M), description=None))
    (like,) = [each for each in await queue() if fresh.issue.id in issues_of(each)]
    assert like.score == pytest.approx(pair.score, abs=0.02)


async def test_an_issue_that_moves_along_is_paired_where_it_is_now_and_no_more_where_it_was(
    database, city, queue, correct
):
    one, other = await two(database, city, IN_DOUBT_M, service_code="lampadaire")
    farther = submission(east_of(HERE, 95.0), service_code="lampadaire", description=None)
    beyond = await file(database, city, farther)
    (pair,) = await queue()
    assert issues_of(pair) == {one.issue.id, other.issue.id}

    corrected = await correct(other, east_of(HERE, 95.0 - IN_DOUBT_M))

    (pair,) = await queue()
    assert corrected.issue.id == other.issue.id
    assert issues_of(pair) == {other.issue.id, beyond.issue.id}


async def test_the_issue_that_a_report_has_left_keeps_its_pairs(database, city, queue, correct):
    one, other = await two(database, city, IN_DOUBT_M)
    second = await file(database, city, submission(one.report.at, description=None))
    assert second.issue.id == one.issue.id

    corrected = await correct(one, THERE)

    (pair,) = await queue()
    assert corrected.issue.id != one.issue.id
    assert issues_of(pair) == {one.issue.id, other.issue.id}
