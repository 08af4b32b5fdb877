"""The review queue: what may be one problem is kept for staff, and told apart for good."""

import asyncio
from datetime import timedelta

import pytest

from db.base import new_id
from issues.commands import CommandIdUsed
from issues.corrections import withdraw_report
from issues.events import list_history
from issues.lifecycle import NotAllowed
from issues.merging import MergeNeedsConfirmation, merge_issues
from issues.pages import InvalidCursor
from issues.pairs import PairState
from issues.review import PairNotFound, PairSettled, confirm_pair, find_pair, list_pairs, reject_pair
from issues.splitting import leave_issue
from issues.undoing import undo_event
from tests.issues.people import AGENT, CREW, RESIDENT, bring, issue_now
from tests.issues.towns import ESSAI, NOON, change_service, east_of, file, submission

LATER = NOON + timedelta(hours=1)
HERE = ESSAI.middle
IN_DOUBT_M = 24.0  # what phones place so far apart is neither joined nor ruled out


@pytest.fixture
def queue(database, city):
    """What staff see; by default the pending pairs."""

    async def queue(state=PairState.PENDING, **more):
        async with database.transaction(city.id) as session:
            return (await list_pairs(session, city.id, state, limit=50, **more)).items

    return queue


@pytest.fixture
def desk(database, city):
    """Staff who act, each time in a transaction of its own."""

    class Desk:
        async def confirm(self, pair_id, *, actor=AGENT, now=LATER, **more):
            async with database.transaction(city.id) as session:
                return await confirm_pair(session, city.id, pair_id, actor=actor, now=now, **more)

        async def reject(self, pair_id, *, actor=AGENT, now=LATER, **more):
            async with database.transaction(city.id) as session:
                return await reject_pair(session, city.id, pair_id, actor=actor, now=now, **more)

        async def merge(self, survivor, *others):
            async with database.transaction(city.id) as session:
                ids = [other.id for other in others]
                return await merge_issues(session, city.id, survivor.id, ids, actor=AGENT, confirmed=True, now=LATER)

        async def undo(self, issue, event_id):
            async with database.transaction(city.id) as session:
                return await undo_event(session, city.id, issue.id, event_id, actor=AGENT, now=LATER)

        async def history(self, issue, *, staff=True):
            async with database.transaction(city.id) as session:
                return (await list_history(session, city.id, issue.id, staff=staff, limit=50)).items

    return Desk()


async def report(database, city, metres_east=0.0, *, minutes=0, **changes):
    sent = submission(east_of(HERE, metres_east), **changes)
    return await file(database, city, sent, now=NOON + timedelta(minutes=minutes))


async def in_doubt(database, city):
    """Two issues that may be one."""
    one = await report(database, city)
    other = await report(database, city, IN_DOUBT_M, minutes=1, description=None)
    assert one.issue.id != other.issue.id
    return one.issue, other.issue


async def test_a_report_that_opens_an_issue_beside_a_likely_one_is_kept_as_a_pair(database, city, queue):
    one, other = await in_doubt(database, city)

    (pair,) = await queue()

    assert [issue.id for issue in pair.issues] == [one.id, other.id]
    assert (pair.state, pair.made_at, pair.decided_at) == (PairState.PENDING, NOON + timedelta(minutes=1), None)
    assert 0.3 <= pair.score < 0.6
    assert [reason.factor for reason in pair.reasons] == ["distance", "age", "service"]


async def test_what_is_too_far_or_too_long_ago_to_join_is_a_pair_while_people_are_asked_about_it(
    owner, database, city, queue
):
    narrow = await change_service(owner, database, city, "nid-de-poule", radius_m=20.0, window_days=1)
    one = await report(database, narrow)
    far = await report(database, narrow, IN_DOUBT_M, minutes=1)
    late = await report(database, narrow, 3.0, minutes=3 * 24 * 60)

    assert len({one.issue.id, far.issue.id, late.issue.id}) == 3
    pairs = [{issue.id for issue in pair.issues} for pair in await queue()]
    assert {one.issue.id, far.issue.id} in pairs
    assert {one.issue.id, late.issue.id} in pairs


async def test_like_words_lift_a_pair_but_join_nothing(database, city, queue):
    await report(database, city)
    await report(database, city, IN_DOUBT_M, minutes=1)

    (pair,) = await queue()

    assert pair.score > 0.6
    assert ("words", 1.0) in [(reason.factor, reason.value) for reason in pair.reasons]


async def test_what_joins_or_is_too_unlikely_is_no_pair(database, city, queue):
    await report(database, city)
    await report(database, city, 5.0)
    await report(database, city, IN_DOUBT_M, service_code="lampadaire")
    await report(database, city, 60.0)

    assert await queue() == ()


async def test_what_is_only_asked_about_is_left_to_staff(database, city, queue):
    one = await report(database, city, service_code="graffiti")
    other = await report(database, city, service_code="graffiti", minutes=1)

    (pair,) = await queue()

    assert pair.score > 0.9
    assert [issue.id for issue in pair.issues] == [one.issue.id, other.issue.id]


async def test_private_and_kept_apart_reports_are_never_paired(owner, database, city, queue):
    for _ in range(2):
        await report(database, city, service_code="bruit")
    apart = await change_service(owner, database, city, "graffiti", joins="never")
    for _ in range(2):
        await report(database, apart, service_code="graffiti")

    assert await queue() == ()


async def test_at_most_five_pairs_are_kept_of_a_report_the_likeliest_first_in_pages(database, city, queue):
    for n in range(7):
        await report(database, city, 3.0 * n, service_code="graffiti", minutes=n)
    await report(database, city, -3.0, service_code="graffiti", minutes=8)
    pairs = await queue()

    newest = [pair for pair in pairs if pair.made_at == NOON + timedelta(minutes=8)]
    assert len(newest) == 5
    assert [pair.score for pair in pairs] == sorted((pair.score for pair in pairs), reverse=True)

    async with database.transaction(city.id) as session:
        paged: list = []
        cursor = None
        while True:
            page = await list_pairs(session, city.id, PairState.PENDING, limit=4, cursor=cursor)
            paged += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        with pytest.raises(InvalidCursor):
            await list_pairs(session, city.id, PairState.PENDING, limit=4, cursor="WyJtYXRjaGVzIiwibmFuIl0")
    assert tuple(paged) == pairs


async def test_a_report_sent_again_makes_no_second_pair(database, city, queue):
    await report(database, city)
    sent = submission(east_of(HERE, IN_DOUBT_M))
    for _ in range(2):
        await file(database, city, sent)

    assert len(await queue()) == 1


async def test_confirming_merges_into_the_issue_opened_first(database, city, queue, desk):
    one, other = await in_doubt(database, city)
    (pair,) = await queue()

    merged = await desk.confirm(pair.id, note="Le même trou")

    assert (merged.issue.id, merged.issue.report_count) == (one.id, 2)
    assert [(issue.id, issue.merged_into) for issue in merged.others] == [(other.id, one.id)]
    assert await queue() == ()
    (decided,) = await queue(PairState.CONFIRMED)
    assert (decided.id, decided.decided_at, decided.decided_by) == (pair.id, LATER, AGENT.sender)
    event = (await desk.history(one))[-1]
    assert (event.id, event.kind, event.note) == (merged.event_id, "issue.merged", "Le même trou")
    assert event.data["match"] == str(pair.id)


async def test_rejecting_leaves_both_and_is_in_the_history_of_both_for_staff(database, city, queue, desk):
    one, other = await in_doubt(database, city)
    (pair,) = await queue()

    rejected = await desk.reject(pair.id, note="Deux trous")

    assert (rejected.state, rejected.decided_by) == (PairState.REJECTED, AGENT.sender)
    assert await queue() == ()
    assert (await issue_now(database, one), await issue_now(database, other)) == (one, other)
    for issue, apart_from in ((one, other), (other, one)):
        event = (await desk.history(issue))[-1]
        assert (event.kind, event.note) == ("match.rejected", "Deux trous")
        assert event.data == {"match": str(pair.id), "issue": str(apart_from.id)}
        assert [event.kind for event in await desk.history(issue, staff=False)] == ["report.opened"]


async def test_a_pair_leaves_the_queue_while_one_of_its_issues_is_closed(database, city, queue, desk):
    one, _ = await in_doubt(database, city)
    (pair,) = await queue()

    await bring(database, one, "resolved")
    assert await queue() == ()
    with pytest.raises(PairSettled) as refused:
        await desk.confirm(pair.id)
    assert refused.value.state is PairState.PENDING

    await bring(database, one, "acknowledged")
    assert [each.id for each in await queue()] == [pair.id]


async def test_a_pair_leaves_the_queue_when_its_issues_are_merged_and_is_back_when_that_is_undone(
    database, city, queue, desk
):
    one, other = await in_doubt(database, city)
    (pair,) = await queue()

    merged = await desk.merge(other, one)
    assert await queue() == ()
    with pytest.raises(PairSettled):
        await desk.reject(pair.id)

    await desk.undo(other, merged.event_id)
    assert [each.id for each in await queue()] == [pair.id]


async def three_pairs(database, city, queue):
    """Three issues in a row that may all be one: three pairs."""
    issues = [(await report(database, city, 8.0 * n, service_code="graffiti", minutes=n)).issue for n in range(3)]
    pairs = {frozenset(issue.id for issue in pair.issues): pair for pair in await queue()}
    assert len(pairs) == 3
    return issues, lambda one, other: pairs[frozenset((one.id, other.id))]


@pytest.mark.parametrize("survivor", [0, 1])
async def test_what_was_told_apart_never_returns_whichever_issue_survives_a_merge(
    database, city, queue, desk, survivor
):
    (first, second, third), pair_of = await three_pairs(database, city, queue)
    await desk.reject(pair_of(first, third).id)
    ways = (first, second), (second, first)

    merged = await desk.merge(*ways[survivor])

    # The pair of second and third is now one of the issue that has first as well.
    assert await queue() == ()
    await desk.undo(ways[survivor][0], merged.event_id)
    assert {pair.id for pair in await queue()} == {pair_of(first, second).id, pair_of(second, third).id}


async def test_a_merge_that_was_undone_is_not_proposed_again(database, city, queue, desk):
    one, _ = await in_doubt(database, city)
    (pair,) = await queue()
    merged = await desk.confirm(pair.id)

    await desk.undo(one, merged.event_id)

    assert await queue() == ()
    with pytest.raises(PairSettled) as refused:
        await desk.confirm(pair.id)
    assert refused.value.state is PairState.CONFIRMED


async def test_pairs_that_merges_made_one_are_listed_once_the_likeliest_for_all(database, city, queue, desk):
    (first, second, third), pair_of = await three_pairs(database, city, queue)
    near, far = pair_of(second, third), pair_of(first, third)
    assert near.score >= far.score

    await desk.merge(first, second)

    (pair,) = await queue()
    assert pair.id == max((near, far), key=lambda each: (each.score, each.id)).id
    assert {issue.id for issue in pair.issues} == {first.id, third.id}
    await desk.reject(pair.id)
    assert await queue() == ()


async def test_a_pair_follows_its_reports_when_one_leaves_its_issue(database, city, queue):
    first = await report(database, city)
    await report(database, city, 1.0, minutes=1)
    other = await report(database, city, IN_DOUBT_M + 4.0, minutes=2)  # an issue of two draws a little more
    async with database.transaction(city.id) as session:
        left = await leave_issue(
            session, first.report.id, city=city, actor=RESIDENT, by_author=True, command_id=None, now=LATER
        )

    pairs = await queue()

    assert {left.issue.id, other.issue.id} in [{issue.id for issue in pair.issues} for pair in pairs]


async def test_a_pair_whose_report_was_taken_back_leaves_with_its_issue(database, city, queue):
    await report(database, city)
    other = await report(database, city, IN_DOUBT_M, minutes=1)
    async with database.transaction(city.id) as session:
        await withdraw_report(
            session, other.report.id, city=city, actor=RESIDENT, by_author=True, command_id=None, now=LATER
        )

    assert await queue() == ()


async def test_issues_of_two_districts_are_merged_only_when_confirmed(database, city, queue, desk):
    border = east_of(HERE, -1000.0)
    west_of_it = next(
        east_of(border, float(metres))
        for metres in range(100, -400, -10)
        if city.map.districts_at(east_of(border, float(metres)), accuracy_m=0, on=NOON.date())[0].code == "ouest"
    )
    for metres in (0.0, 15.0):
        await file(database, city, submission(east_of(west_of_it, metres), service_code="graffiti"))
    (pair,) = await queue()
    assert len({issue.district_code for issue in pair.issues}) == 2

    with pytest.raises(MergeNeedsConfirmation):
        await desk.confirm(pair.id)
    assert len(await queue()) == 1

    assert (await desk.confirm(pair.id, confirmed=True)).issue.report_count == 2


async def test_the_same_command_again_is_one_decision(database, city, queue, desk):
    await in_doubt(database, city)
    (pair,) = await queue()
    command = new_id()

    first = await desk.confirm(pair.id, command_id=command)
    assert await desk.confirm(pair.id, command_id=command) == first
    with pytest.raises(CommandIdUsed):
        await desk.reject(pair.id, command_id=command)


async def test_the_same_rejection_again_is_one(database, city, queue, desk):
    one, _ = await in_doubt(database, city)
    (pair,) = await queue()
    command = new_id()

    first = await desk.reject(pair.id, command_id=command)

    assert await desk.reject(pair.id, command_id=command) == first
    assert [event.kind for event in await desk.history(one)].count("match.rejected") == 1
    with pytest.raises(PairSettled):
        await desk.reject(pair.id)


async def test_only_agents_decide_and_only_what_is_there(database, city, queue, desk):
    await in_doubt(database, city)
    (pair,) = await queue()

    for decide in (desk.confirm, desk.reject):
        for actor in (CREW, RESIDENT):
            with pytest.raises(NotAllowed):
                await decide(pair.id, actor=actor)
        with pytest.raises(PairNotFound):
            await decide(new_id())


async def test_of_those_who_decide_at_once_one_does(database, city, queue, desk):
    await in_doubt(database, city)
    (pair,) = await queue()

    answers = await asyncio.gather(
        *(decide(pair.id) for decide in (desk.confirm, desk.reject) * 3), return_exceptions=True
    )

    assert [isinstance(answer, PairSettled) for answer in answers].count(False) == 1
    async with database.transaction(city.id) as session:
        assert (await find_pair(session, city.id, pair.id)).state is not PairState.PENDING
