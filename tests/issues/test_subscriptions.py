"""Who subscribed to a place hears what happens there, once, whatever number of subscriptions fit."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from db.base import new_id
from issues.audience import find_part
from issues.corrections import withdraw_report
from issues.follows import follow, unfollow
from issues.lifecycle import NoticeKind
from issues.openings import notice_openings
from issues.subscriptions import (
    MOST,
    Circle,
    SubscriptionNotFound,
    SubscriptionView,
    TooManySubscriptions,
    list_subscriptions,
    subscribe,
    unsubscribe,
)
from tests.issues.people import AGENT, bring, open_issue, others_ended, tell_everybody
from tests.issues.towns import ESSAI, NOON, east_of, file, submission

EVERYTHING = SubscriptionView(new_id(), "arrondissements:est", None, None, None, tuple(NoticeKind))
LATER = NOON + timedelta(minutes=1)


def ring(side_m: float):
    south_west, east = ESSAI.middle, east_of(ESSAI.middle, side_m)
    west = east_of(ESSAI.middle, -side_m)
    up = 0.01
    return [
        replace(west, lat=south_west.lat - up),
        replace(east, lat=south_west.lat - up),
        replace(east, lat=south_west.lat + up),
        replace(west, lat=south_west.lat + up),
        replace(west, lat=south_west.lat - up),
    ]


async def want(database, city, person_id, *, now=NOON, **changes):
    wanted = replace(EVERYTHING, **({"id": new_id()} | changes))
    async with database.transaction(city.id) as session:
        await subscribe(session, city.id, person_id, wanted, now=now)
    return wanted


async def read_feed(database, city, *, settled=True):
    """Do the worker's part, once the transactions before are over."""
    if settled:
        await others_ended(database)
    async with database.transaction(city.id) as session:
        while await notice_openings(session, city.id):
            pass


@pytest.fixture
async def feed(database, city):
    """A feed that has been read to its end; answers the reading of what came since."""
    await read_feed(database, city)

    async def read_on(*, settled=True):
        await read_feed(database, city, settled=settled)
        await tell_everybody(database, city.id)
        async with database.transaction(city.id) as session:
            rows = await session.execute(text("SELECT person_id, kind FROM notification"))
            return sorted((person_id, kind) for person_id, kind in rows)

    return read_on


@pytest.mark.parametrize(
    ("changes", "heard"),
    [
        ({}, True),
        ({"district": "quartiers:centre"}, True),
        ({"district": "arrondissements:ouest"}, False),
        ({"district": None, "circle": Circle(east_of(ESSAI.middle, 90), 100)}, True),
        ({"district": None, "circle": Circle(east_of(ESSAI.middle, 110), 100)}, False),
        ({"district": None, "area": ring(50)}, True),
        ({"district": None, "area": [replace(at, lon=at.lon + 0.02) for at in ring(50)]}, False),
        ({"services": ("nid-de-poule", "trottoir")}, True),
        ({"services": ("trottoir",)}, False),
        ({"kinds": (NoticeKind.OPENED,)}, True),
        ({"kinds": (NoticeKind.RESOLVED,)}, False),
    ],
)
async def test_a_new_issue_is_told_to_those_who_want_to_hear_of_such_there(database, city, feed, changes, heard):
    person_id = new_id()
    await want(database, city, person_id, **changes)
    await open_issue(database, city, person_id=None)

    assert await feed() == ([(person_id, "opened")] if heard else [])


async def test_each_person_hears_once_whatever_fits_and_its_author_not_at_all(database, city, feed):
    anna, author = new_id(), new_id()
    for person_id in (anna, author):
        for district in ("arrondissements:est", "quartiers:centre"):
            await want(database, city, person_id, district=district)
        await want(database, city, person_id, district=None, circle=Circle(ESSAI.middle, 500))
    issue = await open_issue(database, city, person_id=author)

    assert await feed() == [(anna, "opened")]

    await bring(database, issue, "resolved", now=LATER)
    assert await feed() == sorted([(anna, "opened"), (anna, "resolved"), (author, "resolved")])


async def test_who_said_something_of_the_issue_itself_is_believed(database, city, feed):
    anna = new_id()
    await want(database, city, anna)
    issue = await open_issue(database, city, person_id=None)
    async with database.transaction(city.id) as session:
        await unfollow(session, city.id, issue.id, anna, now=NOON)
    await bring(database, issue, "acknowledged", now=LATER)
    await bring(database, issue, "scheduled", now=LATER)
    async with database.transaction(city.id) as session:
        await follow(session, city.id, issue.id, anna, now=LATER)
    await bring(database, issue, "resolved", now=LATER + timedelta(minutes=1))

    assert (anna, "resolved") in await feed()


async def test_a_private_issue_is_told_to_nobody_who_only_subscribed(database, city, feed):
    await want(database, city, new_id())
    issue = await open_issue(database, city, service_code="bruit", person_id=None)
    await bring(database, issue, "resolved", now=LATER)

    assert await feed() == []


async def test_what_was_taken_back_by_then_is_told_to_nobody(database, city, feed):
    await want(database, city, new_id())
    filed = await file(database, city, submission(ESSAI.middle, person_id=None))
    async with database.transaction(city.id) as session:
        await withdraw_report(session, filed.report.id, city=city, actor=AGENT, by_author=False, now=LATER)

    assert await feed() == []


async def test_who_subscribes_later_hears_nothing_of_what_was(database, city, feed):
    issue = await open_issue(database, city, person_id=None)
    await bring(database, issue, "resolved", now=NOON)
    await want(database, city, new_id(), now=LATER)

    assert await feed() == []


async def test_what_happened_before_the_feed_was_first_read_is_told_to_nobody(database, city):
    await want(database, city, new_id())
    await open_issue(database, city, person_id=None)

    await read_feed(database, city)

    assert await tell_everybody(database, city.id) == 0


async def test_a_report_that_commits_late_is_not_skipped(database, city, feed):
    """The feed stops before the oldest transaction that still writes."""
    anna = new_id()
    await want(database, city, anna)
    async with database.transaction(city.id) as slow:
        await slow.execute(text("SELECT pg_current_xact_id()"))
        await open_issue(database, city, person_id=None)
        assert await feed(settled=False) == []

    assert await feed() == [(anna, "opened")]


async def test_a_subscription_is_changed_ended_and_nobody_elses(database, city):
    anna, ben = new_id(), new_id()
    first = await want(database, city, anna)
    await want(database, city, anna, id=first.id, services=("trottoir",))
    with pytest.raises(SubscriptionNotFound):
        await want(database, city, ben, id=first.id)

    async with database.transaction(city.id) as session:
        assert [one.services for one in await list_subscriptions(session, city.id, anna)] == [("trottoir",)]
        await unsubscribe(session, city.id, ben, first.id)
        assert len(await list_subscriptions(session, city.id, anna)) == 1
        await unsubscribe(session, city.id, anna, first.id)
        assert await list_subscriptions(session, city.id, anna) == []


async def test_there_is_an_end_to_subscribing(database, city):
    anna = new_id()
    wanted = [await want(database, city, anna) for _ in range(MOST)]

    with pytest.raises(TooManySubscriptions):
        await want(database, city, anna)
    await want(database, city, anna, id=wanted[0].id)  # a change of one is none more


@pytest.mark.parametrize(
    "place", [{}, {"district": None, "circle": Circle(ESSAI.middle, 500)}], ids=["district", "circle"]
)
async def test_who_subscribed_twice_hides_nobody_where_people_are_told_by_parts(database, city, place):
    persons = sorted(new_id() for _ in range(7))
    for person_id in (*persons, persons[0], persons[0]):
        await want(database, city, person_id, **place)
    issue = await open_issue(database, city, person_id=None)

    found, after = [], None
    async with database.transaction(city.id) as session:
        while True:
            part = await find_part(session, city.id, issue.id, kind="opened", as_of=LATER, after=after, most=3)
            found += [one.person_id for one in part.listeners]
            if (after := part.through) is None:
                break

    assert found == persons
