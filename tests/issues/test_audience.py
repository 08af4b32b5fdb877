"""Who hears of an issue: everyone who asked, each once, and nobody else."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from db.base import new_id
from issues.audience import find_audience, find_part
from issues.follows import follow, forget_follows, unfollow
from issues.issue import IssueNotFound
from issues.merging import merge_issues
from issues.splitting import split_issue
from issues.telling import tell
from tests.issues.people import AGENT, bring, jobs, open_issue, register_phone, tell_event, tell_everybody
from tests.issues.towns import ESSAI, NEXT_DAY, NOON, east_of, file, open_town, submission


@pytest.fixture
async def city(owner, database):
    return await open_town(owner, database)


async def report(database, city, person_id, *, at=ESSAI.middle, **changes):
    return await file(database, city, submission(at, person_id=person_id, **changes))


async def wish(database, act, issue, person_id, *, now=NOON):
    async with database.transaction(issue.city_id) as session:
        await act(session, issue.city_id, issue.id, person_id, now=now)


async def audience(database, issue):
    async with database.transaction(issue.city_id) as session:
        return {one.person_id: one for one in await find_audience(session, issue.city_id, issue.id, as_of=NEXT_DAY)}


async def merge(owner, issue, survivor):
    """Merge as staff will: the reports go over, the follows stay where they are."""
    async with owner.transaction() as session:
        subject = {"survivor": survivor.id, "id": issue.id}
        await session.execute(text("UPDATE issue SET merged_into = :survivor WHERE id = :id"), subject)
        await session.execute(text("UPDATE report SET issue_id = :survivor WHERE issue_id = :id"), subject)


async def test_authors_hear_and_are_told_of_their_own_report(database, city):
    anna, benoit = new_id(), new_id()
    first = await report(database, city, anna)
    second = await report(database, city, benoit, at=east_of(ESSAI.middle, 3))

    heard = await audience(database, first.issue)

    assert {person: (one.report_id, one.number) for person, one in heard.items()} == {
        anna: (first.report.id, first.report.number),
        benoit: (second.report.id, second.report.number),
    }


async def test_who_reported_twice_hears_once_of_the_first(database, city):
    anna = new_id()
    first = await report(database, city, anna)
    await file(database, city, submission(ESSAI.middle, person_id=anna), now=NOON + timedelta(minutes=5))

    heard = await audience(database, first.issue)

    assert [one.report_id for one in heard.values()] == [first.report.id]


async def test_who_filed_without_a_phone_cannot_be_told(database, city):
    receipt = await report(database, city, None)

    assert await audience(database, receipt.issue) == {}


async def test_followers_hear_without_a_report_of_their_own(database, city):
    issue = await open_issue(database, city, person_id=None)
    anna = new_id()
    await wish(database, follow, issue, anna)

    (one,) = (await audience(database, issue)).values()

    assert (one.person_id, one.report_id, one.number) == (anna, None, None)


async def test_who_unfollowed_hears_no_more_even_as_an_author(database, city):
    anna = new_id()
    receipt = await report(database, city, anna)
    await wish(database, unfollow, receipt.issue, anna)

    assert await audience(database, receipt.issue) == {}

    await wish(database, follow, receipt.issue, anna, now=NOON + timedelta(hours=1))
    assert set(await audience(database, receipt.issue)) == {anna}


async def test_follows_of_merged_issues_count_through_the_whole_chain_and_the_last_word_decides(owner, database, city):
    issues = [await open_issue(database, city, service_code=code) for code in ("nid-de-poule", "trottoir", "graffiti")]
    first, second, survivor = issues
    anna, benoit, chloe = new_id(), new_id(), new_id()
    await wish(database, follow, first, anna)
    await wish(database, follow, first, benoit)
    await wish(database, unfollow, survivor, benoit, now=NOON + timedelta(hours=1))
    await wish(database, unfollow, second, chloe)
    await wish(database, follow, survivor, chloe, now=NOON + timedelta(hours=1))
    await merge(owner, first, second)
    await merge(owner, second, survivor)

    heard = await audience(database, survivor)

    assert {anna, chloe} <= set(heard)
    assert benoit not in heard
    assert len(heard) == 2 + 3  # and the authors of the three reports


async def test_a_wish_repeated_stays_the_wish_it_was(database, city):
    issue = await open_issue(database, city)
    anna = new_id()
    for hours in (0, 1):
        await wish(database, follow, issue, anna, now=NOON + timedelta(hours=hours))

    async with database.transaction(city.id) as session:
        rows = await session.execute(text("SELECT following, at FROM follow"))
        assert [tuple(row) for row in rows] == [(True, NOON)]


async def test_only_its_authors_follow_a_private_issue(database, city):
    anna = new_id()
    receipt = await report(database, city, anna, service_code="bruit")
    await wish(database, follow, receipt.issue, anna)

    with pytest.raises(IssueNotFound):
        await wish(database, follow, receipt.issue, new_id())


async def test_of_what_has_become_private_its_authors_hear_and_who_only_follows_does_not(owner, database, city):
    anna, benoit = new_id(), new_id()
    receipt = await report(database, city, anna)
    for person in (anna, benoit):
        await wish(database, follow, receipt.issue, person)
    async with owner.transaction() as session:
        await session.execute(text("UPDATE issue SET private = true"))

    assert set(await audience(database, receipt.issue)) == {anna}


async def test_an_unknown_issue_is_not_followed(database, city):
    async with database.transaction(city.id) as session:
        with pytest.raises(IssueNotFound):
            await follow(session, city.id, new_id(), new_id(), now=NOON)


async def test_who_is_forgotten_follows_nothing(database, city):
    issue = await open_issue(database, city, person_id=None)
    anna, benoit = new_id(), new_id()
    for person_id in (anna, benoit):
        await wish(database, follow, issue, person_id)
    async with database.transaction(city.id) as session:
        await forget_follows(session, city.id, anna)

    assert set(await audience(database, issue)) == {benoit}


async def deliveries(database, city_id):
    async with database.transaction(city_id) as session:
        rows = await session.execute(
            text(
                "SELECT n.person_id, n.kind, n.params FROM delivery d JOIN notification n"
                " ON n.city_id = d.city_id AND n.id = d.notification_id WHERE d.city_id = :city"
            ),
            {"city": city_id},
        )
        return {person_id: (kind, params) for person_id, kind, params in rows}


async def test_a_notice_becomes_one_delivery_per_phone_with_the_persons_own_number(database, city):
    _, anna = await register_phone(database)
    _, benoit = await register_phone(database, locale="en")
    first = await report(database, city, anna)
    second = await report(database, city, benoit, at=east_of(ESSAI.middle, 3))
    _, chloe = await register_phone(database)
    await wish(database, follow, first.issue, chloe)
    await bring(database, first.issue, "acknowledged")

    assert await tell_everybody(database, city.id) == 3

    told = await deliveries(database, city.id)
    assert {kind for kind, _ in told.values()} == {"acknowledged"}
    assert {person: params.get("report_id") for person, (_, params) in told.items()} == {
        anna: str(first.report.id),
        benoit: str(second.report.id),
        chloe: None,
    }
    assert [told[person][1]["number"] for person in (anna, benoit, chloe)] == [
        first.report.number,
        second.report.number,
        first.issue.number,
    ]
    assert all(params["issue_id"] == str(first.issue.id) for _, params in told.values())
    assert ("push.deliver", {"city_id": city.id}) in await jobs(database)


async def test_a_notice_told_twice_or_at_once_rings_once(database, city):
    _, anna = await register_phone(database)
    receipt = await report(database, city, anna)
    await bring(database, receipt.issue, "acknowledged")

    told = await asyncio.gather(*(tell_everybody(database, city.id) for _ in range(3)))

    assert sorted(told) == [0, 0, 1]
    assert len(await deliveries(database, city.id)) == 1


async def test_filing_and_joining_ring_nowhere(database, city):
    _, anna = await register_phone(database)
    await report(database, city, anna)
    await report(database, city, new_id(), at=east_of(ESSAI.middle, 3))

    assert await tell_everybody(database, city.id) == 0


async def test_who_joins_learns_the_status_at_once_and_hears_only_what_comes_after(database, city):
    (_, anna), (_, benoit) = [await register_phone(database) for _ in range(2)]
    first = await report(database, city, anna)
    await bring(database, first.issue, "acknowledged")
    await tell_everybody(database, city.id)

    joined = await report(database, city, benoit, at=east_of(ESSAI.middle, 3))

    assert (joined.issue.id, joined.issue.status) == (first.issue.id, "acknowledged")
    assert set(await deliveries(database, city.id)) == {anna}
    await bring(database, first.issue, "scheduled")
    assert await tell_everybody(database, city.id) == 2


async def test_who_has_reports_on_both_sides_of_a_split_hears_of_each_once_and_of_the_merged_one_once(database, city):
    anna, benoit = new_id(), new_id()
    receipts = [await report(database, city, person) for person in (anna, anna, benoit)]
    async with database.transaction(city.id) as session:
        ids = [receipts[0].report.id, receipts[2].report.id]
        divided = await split_issue(session, receipts[0].issue.id, ids, city=city, actor=AGENT, now=NOON)

    (opened,) = divided.others
    assert set(await audience(database, divided.issue)) == {anna}
    assert {person: one.report_id for person, one in (await audience(database, opened)).items()} == {
        anna: receipts[0].report.id,
        benoit: receipts[2].report.id,
    }

    async with database.transaction(city.id) as session:
        await merge_issues(session, city.id, divided.issue.id, [opened.id], actor=AGENT, now=NOON)
    assert set(await audience(database, divided.issue)) == {anna, benoit}
    assert await audience(database, opened) == {}


async def pushes(database, city):
    """What waits to be sent, in its turn: to whom, and what."""
    query = """
        SELECT person_id, kind FROM delivery JOIN notification ON notification.id = notification_id
        WHERE delivery.city_id = :city ORDER BY due_at, delivery.id
    """
    async with database.transaction(city.id) as session:
        return [tuple(row) for row in await session.execute(text(query), {"city": city.id})]


async def test_what_happened_first_is_told_first_whichever_job_comes_first(database, city):
    _, person_id = await register_phone(database)
    issue = (await report(database, city, person_id)).issue
    for minutes, status in enumerate(["acknowledged", "scheduled", "resolved"], start=1):
        await bring(database, issue, status, now=NOON + timedelta(minutes=minutes))
    events = [payload["event_id"] for kind, payload in await jobs(database) if kind == "push.tell"]

    for event_id in reversed(events):
        await tell_event(database, city.id, UUID(event_id), now=NOON + timedelta(hours=1))

    assert [kind for _, kind in await pushes(database, city)] == ["acknowledged", "scheduled", "resolved"]


async def test_who_came_later_is_not_told_what_their_answer_said(database, city):
    (_, anna), (_, ben) = await register_phone(database), await register_phone(database)
    issue = (await report(database, city, anna)).issue
    await bring(database, issue, "acknowledged", now=NOON + timedelta(minutes=1))
    later = NOON + timedelta(minutes=2)
    joined = await file(database, city, submission(east_of(ESSAI.middle, 3), person_id=ben), now=later)
    async with database.transaction(city.id) as session:
        await follow(session, city.id, issue.id, new_id(), now=later)
    assert joined.issue.status == "acknowledged"

    await tell_everybody(database, city.id)

    assert await pushes(database, city) == [(anna, "acknowledged")]


async def test_what_an_issue_had_to_tell_is_told_before_another_is_merged_into_it(database, city):
    (_, anna), (_, zoe) = await register_phone(database), await register_phone(database)
    declined = (await report(database, city, anna)).issue
    other = (await report(database, city, zoe, at=east_of(ESSAI.middle, 300))).issue
    await bring(database, declined, "declined", now=NOON + timedelta(minutes=1))

    async with database.transaction(city.id) as session:
        then = NOON + timedelta(minutes=2)
        await merge_issues(session, city.id, declined.id, [other.id], actor=AGENT, confirmed=True, now=then)
    await tell_everybody(database, city.id)

    assert sorted(await pushes(database, city)) == sorted([(anna, "declined"), (zoe, "declined")])


async def told_of(database, city, event_id, *, most):
    """Tell an event in parts of so many; answers who was told, part by part."""
    parts: list[set[UUID]] = []
    more = True
    while more:
        async with database.transaction(city.id) as session:
            more = (await tell(session, city.id, event_id, now=NOON, most=most)).more
            rows = await session.scalars(text("SELECT person_id FROM notification"))
            parts.append(set(rows) - set().union(*parts))
    return parts


async def test_many_are_told_part_by_part_each_once(database, city):
    issue = (await report(database, city, new_id())).issue
    followers = [new_id() for _ in range(7)]
    for person_id in followers:
        await wish(database, follow, issue, person_id)
    await wish(database, unfollow, issue, new_id())
    change = await bring(database, issue, "acknowledged")

    parts = await told_of(database, city, change.event_id, most=3)

    assert [len(part) for part in parts if part] == [3, 3, 2]
    assert set(followers) < set().union(*parts)


async def test_a_part_that_was_not_committed_is_told_again_and_nobody_twice(database, city):
    issue = (await report(database, city, new_id())).issue
    for _ in range(5):
        await wish(database, follow, issue, new_id())
    change = await bring(database, issue, "acknowledged")
    async with database.transaction(city.id) as session:
        await tell(session, city.id, change.event_id, now=NOON, most=2)
    async with database.transaction(city.id) as session:
        await tell(session, city.id, change.event_id, now=NOON, most=2)
        await session.rollback()  # the worker died

    parts = await told_of(database, city, change.event_id, most=2)

    assert [len(part) for part in parts] == [4, 2, 0]  # with the two that had been told


async def test_parts_of_a_family_of_issues_pass_nobody_over(owner, database, city):
    issues = [await open_issue(database, city, service_code=code) for code in ("nid-de-poule", "trottoir", "graffiti")]
    persons = [new_id() for _ in range(12)]
    for number, person_id in enumerate(persons):
        await wish(database, follow, issues[number % 3], person_id)
        await wish(database, follow, issues[(number + 1) % 3], person_id)
    await merge(owner, issues[0], issues[2])
    await merge(owner, issues[1], issues[2])

    found, after = [], None
    async with database.transaction(city.id) as session:
        while True:
            part = await find_part(session, city.id, issues[2].id, kind=None, as_of=NEXT_DAY, after=after, most=4)
            found += [one.person_id for one in part.listeners]
            if (after := part.through) is None:
                break

    assert found == sorted(found)
    assert set(persons) < set(found)
    assert len(found) == len(set(found)) == 12 + 3
