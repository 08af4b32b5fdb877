"""What becomes private is news for its authors alone, also where others were to be told of it already."""

from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from issues.follows import follow
from issues.packs.privacy import hide_private
from push.outbox import Delivery, Notification, lease_deliveries
from push.pacing import Digest, Preferences
from push.preferences import write_preferences
from tests.issues.people import bring, open_issue, register_phone, tell_everybody
from tests.issues.towns import ESSAI, NOON, change_service, east_of

SOON = NOON + timedelta(minutes=5)
IN_THE_EVENING = Preferences(zone=ZoneInfo("America/Toronto"), digest=Digest(time(18)))


@pytest.fixture
def becomes_private(owner, database, city):
    """Make potholes private, and hide what is there of them."""

    async def becomes_private():
        await change_service(owner, database, city, "nid-de-poule", private=True)
        async with database.transaction(city.id) as session:
            await hide_private(session, city.id)

    return becomes_private


@pytest.fixture
def states(database, city):
    """Read in which state each person's news is."""

    async def states():
        query = select(Notification.person_id, Delivery.state).join(
            Delivery, Delivery.notification_id == Notification.id
        )
        async with database.transaction(city.id) as session:
            return dict((await session.execute(query)).all())

    return states


@pytest.fixture
async def people(database, city):
    """Who reported a pothole, who follows it, who is told of it in the evening, and who reported something else."""
    author, follower, reader, neighbour = [(await register_phone(database))[1] for _ in range(4)]
    hole = await open_issue(database, city, person_id=author)
    drawing = await open_issue(database, city, east_of(ESSAI.middle, 200), service_code="graffiti", person_id=neighbour)
    async with database.transaction(city.id) as session:
        for person_id in (follower, reader):
            await follow(session, city.id, hole.id, person_id, now=NOON)
        await write_preferences(session, reader, IN_THE_EVENING, now=NOON)
    for issue in (hole, drawing):
        await bring(database, issue, "acknowledged", now=SOON)
    await tell_everybody(database, city.id)
    return author, follower, reader, neighbour


async def test_news_that_waits_for_followers_is_not_told(people, becomes_private, states):
    author, follower, reader, neighbour = people
    assert await states() == {author: "queued", follower: "queued", reader: "held", neighbour: "queued"}

    await becomes_private()

    assert await states() == {author: "queued", follower: "superseded", reader: "superseded", neighbour: "queued"}


async def test_who_reported_an_issue_that_was_merged_since_goes_on_hearing(
    database, city, merge, becomes_private, states
):
    people = [(await register_phone(database))[1] for _ in range(2)]
    taken_over, survivor = [
        await open_issue(database, city, east_of(ESSAI.middle, 300.0 * n), person_id=person)
        for n, person in enumerate(people)
    ]
    for issue in (taken_over, survivor):
        await bring(database, issue, "acknowledged", now=SOON)
    await tell_everybody(database, city.id)
    await merge(survivor, taken_over)

    await becomes_private()

    assert await states() == dict.fromkeys(people, "queued")


async def test_what_is_being_sent_holds_up_nobody(database, city, people, becomes_private, states):
    _author, follower, *_ = people
    async with database.transaction(city.id) as sender:
        await lease_deliveries(sender, city.id, now=SOON, limit=10, window_s=0, lease_s=60)
        await becomes_private()

    assert (await states())[follower] == "queued"
    await becomes_private()
    assert (await states())[follower] == "superseded"
