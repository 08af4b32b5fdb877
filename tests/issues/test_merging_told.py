"""Who hears of issues merged by staff: everybody whose report or wish it concerns, once."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from db.base import new_id
from issues.audience import find_audience
from issues.follows import follow, unfollow
from issues.status import change_status
from issues.telling import tell
from issues.undoing import undo_event
from tests.issues.people import (
    AGENT,
    bring,
    jobs,
    notices,
    open_issue,
    register_phone,
    tell_everybody,
    three_issues,
)
from tests.issues.towns import ESSAI, NEXT_DAY, NOON, east_of

LATER = NOON + timedelta(hours=1)
HERE = ESSAI.middle


@pytest.fixture
def told(owner):
    """Who was sent what, as (person, kind, number of the report that they were told)."""

    async def told():
        async with owner.transaction() as session:
            rows = await session.execute(text("SELECT person_id, kind, params ->> 'number' FROM notification"))
            return sorted((row[0], row[1], row[2]) for row in rows)

    return told


@pytest.fixture
def crowd_follows(owner, city):
    """Has many new persons follow an issue."""

    async def crowd_follows(issue, count, *, at=NOON):
        people = [new_id() for _ in range(count)]
        async with owner.transaction() as session:
            await session.execute(
                text(
                    "INSERT INTO follow (city_id, issue_id, person_id, following, at)"
                    " SELECT :city, :issue, person, true, :at FROM unnest(CAST(:people AS uuid[])) AS person"
                ),
                {"city": city.id, "issue": issue.id, "people": people, "at": at},
            )
        return people

    return crowd_follows


async def test_all_authors_and_followers_hear_of_the_survivor_once_each(database, city, merge):
    anna, benoit, chloe = new_id(), new_id(), new_id()
    one = await open_issue(database, city, person_id=anna)
    other = await open_issue(database, city, east_of(HERE, 200), person_id=benoit)
    await open_issue(database, city, east_of(HERE, 400), person_id=benoit)
    async with database.transaction(city.id) as session:
        await follow(session, city.id, other.id, chloe, now=NOON)
        await follow(session, city.id, other.id, anna, now=NOON)

    await merge(one, other)

    async with database.transaction(city.id) as session:
        heard = [listener.person_id for listener in await find_audience(session, city.id, one.id, as_of=NEXT_DAY)]
    assert sorted(heard) == sorted([anna, benoit, chloe])


async def test_who_is_taken_over_by_an_issue_that_is_further_on_is_told_so_once_by_their_own_number(
    database, city, merge, told
):
    (_, anna), (_, benoit) = [await register_phone(database) for _ in range(2)]
    one = await open_issue(database, city, person_id=anna)
    others = [await open_issue(database, city, east_of(HERE, 200.0 * n), person_id=benoit) for n in (1, 2)]
    await bring(database, one, "acknowledged")

    await merge(one, *others)

    await tell_everybody(database, city.id)
    acknowledged = [(anna, "acknowledged", one.number), (benoit, "acknowledged", others[0].number)]
    assert await told() == sorted(acknowledged)


async def test_a_merge_writes_as_much_for_many_followers_as_for_none_and_a_job_tells_them_each_once(
    database, city, merge, told, crowd_follows
):
    """Also where the worker is killed between two parts, or in one, and the job is done again."""
    one, other, third = [await open_issue(database, city, east_of(HERE, 200.0 * n), person_id=None) for n in range(3)]
    await bring(database, one, "acknowledged")
    await tell_everybody(database, city.id)
    known = await crowd_follows(one, 3)
    people = await crowd_follows(other, 20)
    async with database.transaction(city.id) as session:
        for person in (*known, *people[:4]):  # these know already, or hear of the first of the two
            await follow(session, city.id, third.id, person, now=NOON)
        await follow(session, city.id, other.id, known[0], now=NOON)

    merged = await merge(one, other, third)

    assert await told() == []
    [event_id, _] = [UUID(job["event_id"]) for kind, job in (await jobs(database))[-2:] if kind == "push.tell"]
    async with database.transaction(city.id) as session:
        first = await tell(session, city.id, event_id, now=LATER, most=7)
    with suppress(ConnectionError):
        async with database.transaction(city.id) as session:
            await tell(session, city.id, event_id, now=LATER, most=7)
            raise ConnectionError
    assert (first.more, len(await told())) == (True, 6)  # of seven looked at one knew
    await tell_everybody(database, city.id)
    await tell_everybody(database, city.id)

    assert [person for person, *_ in await told()] == sorted(people)
    assert {kind for _, kind, _ in await told()} == {"acknowledged"}
    assert merged.issue.id == one.id


async def test_of_a_merge_hear_those_who_listened_when_it_was_made_whatever_happens_before_they_are_told(
    database, city, merge, told, crowd_follows
):
    (_, anna), (_, benoit) = [await register_phone(database) for _ in range(2)]
    one = await open_issue(database, city, person_id=anna)
    other = await open_issue(database, city, east_of(HERE, 200), person_id=benoit)
    follower, quitter = await crowd_follows(other, 2)
    await bring(database, one, "acknowledged")
    await tell_everybody(database, city.id)
    before = await told()
    merged = await merge(one, other)
    soon = LATER + timedelta(seconds=1)
    async with database.transaction(city.id) as session:
        await follow(session, city.id, one.id, new_id(), now=soon)
        await unfollow(session, city.id, one.id, quitter, now=soon)
    async with database.transaction(city.id) as session:
        await undo_event(session, city.id, one.id, merged.event_id, actor=AGENT, now=LATER)

    await tell_everybody(database, city.id)

    new = [(person, number) for person, _, number in await told() if (person, "acknowledged", number) not in before]
    assert new == sorted([(benoit, other.number), (follower, one.number)])


async def test_of_a_merge_into_what_has_become_private_authors_hear_and_who_only_followed_does_not(
    owner, database, city, merge, told, crowd_follows
):
    _, anna = await register_phone(database)
    one = await open_issue(database, city, person_id=None)
    other = await open_issue(database, city, east_of(HERE, 200), person_id=anna)
    await crowd_follows(other, 2)
    await bring(database, one, "acknowledged")
    await merge(one, other)
    async with owner.transaction() as session:
        await session.execute(text("UPDATE issue SET private = true WHERE id = :id"), {"id": one.id})

    await tell_everybody(database, city.id)

    assert await told() == [(anna, "acknowledged", other.number)]


async def test_who_hears_nothing_new_by_a_merge_is_not_told(database, city, merge, told):
    one, other, _ = await three_issues(database, city)

    await merge(one, other)

    assert await told() == []


async def test_a_notice_that_waited_is_told_to_those_it_was_for_and_to_no_others(database, city, merge, told):
    (_, anna), (_, benoit) = [await register_phone(database) for _ in range(2)]
    one = await open_issue(database, city, person_id=anna)
    other = await open_issue(database, city, east_of(HERE, 200), person_id=benoit)
    async with database.transaction(city.id) as session:
        await change_status(
            session, city.id, other.id, other.status, actor=AGENT, note="On vient", public=True, now=NOON
        )

    await merge(one, other)
    await tell_everybody(database, city.id)

    assert await notices(database, city.id) == ["note"]
    assert await told() == [(benoit, "note", other.number)]
