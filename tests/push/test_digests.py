"""What people want to hear later comes later, together, once."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from db.base import new_id
from push.channels import Outcome, SendResult
from push.digests import release_held
from push.outbox import LeasedDelivery, lease_deliveries, record_results
from push.pacing import Preferences, Quiet
from push.preferences import write_preferences
from push.queueing import Recipient, queue_notifications
from tests.push.people import CITY, NOON, a_device

TORONTO = ZoneInfo("America/Toronto")
NIGHT = Preferences(zone=TORONTO, quiet=Quiet(time(22), time(7)))
EVENING = datetime(2026, 11, 23, 23, tzinfo=TORONTO)
MORNING = datetime(2026, 11, 24, 7, tzinfo=TORONTO)
SENT = SendResult(Outcome.SENT)


@pytest.fixture
async def city(database):
    async with database.transaction(CITY) as session:
        yield session


async def a_sleeper(session, wishes=NIGHT, address="phone-1"):
    device = await a_device(session, address)
    await write_preferences(session, device.person_id, wishes, now=NOON)
    return device


async def tell(session, person_id, *, now, kind="resolved", number="2026-000001", about=None, **how):
    params = {"number": number, "locale": "fr-CA", "jurisdiction_id": "essai.ca"}
    return await queue_notifications(
        session, CITY, event_id=new_id(), kind=kind, params=params, about=about,
        recipients=[Recipient(person_id, {})], happened_at=now, now=now, **how,
    )  # fmt: skip


async def heard(session, *, now):
    """What leaves at a time: released, leased, sent, until nothing is left."""
    while await release_held(session, CITY, now=now):
        pass
    sent: list[LeasedDelivery] = []
    while (lease := await lease_deliveries(session, CITY, now=now, limit=100, window_s=0, lease_s=60)).deliveries:
        sent += lease.deliveries
        await record_results(session, CITY, lease, [SENT] * len(lease.deliveries), now=now)
    return sent


async def states(session):
    return sorted((await session.scalars(text("SELECT state FROM delivery"))).all())


async def test_four_changes_in_the_night_are_one_digest_in_the_morning(city):
    sleeper = await a_sleeper(city)
    for hour in range(4):
        await tell(city, sleeper.person_id, now=EVENING + timedelta(hours=hour), about=new_id(), number=f"2026-{hour}")

    assert await heard(city, now=MORNING - timedelta(seconds=1)) == []
    [digest] = await heard(city, now=MORNING)

    assert (digest.kind, digest.params["count"]) == ("digest", 4)
    assert [item["number"] for item in digest.params["items"]] == ["2026-3", "2026-2", "2026-1", "2026-0"]
    assert await heard(city, now=MORNING + timedelta(hours=1)) == []
    assert await states(city) == ["bundled"] * 4 + ["sent"]


async def test_a_digest_is_worth_telling_for_as_long_as_anything_in_it(city):
    sleeper = await a_sleeper(city)
    await tell(city, sleeper.person_id, now=EVENING)
    await tell(city, sleeper.person_id, now=EVENING + timedelta(hours=1), ends_at=MORNING + timedelta(minutes=5))

    [digest] = await heard(city, now=MORNING)

    assert digest.expires_at == MORNING + timedelta(days=1)


async def test_four_changes_of_one_issue_are_its_last_in_the_morning(city):
    sleeper = await a_sleeper(city)
    issue_id = new_id()
    for hour, kind in enumerate(["acknowledged", "scheduled", "postponed", "resolved"]):
        await tell(city, sleeper.person_id, now=EVENING + timedelta(hours=hour), kind=kind, about=issue_id)

    assert [delivery.kind for delivery in await heard(city, now=MORNING)] == ["resolved"]
    assert await states(city) == ["sent", "superseded", "superseded", "superseded"]


async def test_two_phones_of_a_person_get_the_same_digest(city):
    sleeper = await a_sleeper(city)
    other = await a_device(city, "phone-2")
    await city.execute(text("UPDATE device SET person_id = :id"), {"id": sleeper.person_id})
    for hour in range(2):
        await tell(city, sleeper.person_id, now=EVENING + timedelta(hours=hour))

    digests = await heard(city, now=MORNING)

    assert {delivery.device_id for delivery in digests} == {sleeper.id, other.id}
    assert len({delivery.event_id for delivery in digests}) == 1


async def test_a_worker_that_comes_too_late_for_the_morning_waits_for_the_next_and_then_it_is_too_late(city):
    sleeper = await a_sleeper(city)
    await tell(city, sleeper.person_id, now=EVENING)

    assert await heard(city, now=EVENING + timedelta(days=1)) == []
    assert await heard(city, now=MORNING + timedelta(days=1)) == []
    assert await states(city) == ["expired"]


async def test_what_failed_before_quiet_hours_is_not_tried_again_in_them(city):
    sleeper = await a_sleeper(city)
    before = EVENING - timedelta(hours=1, seconds=5)
    await tell(city, sleeper.person_id, now=before)
    lease = await lease_deliveries(city, CITY, now=before, limit=1, window_s=0, lease_s=60)
    await record_results(city, CITY, lease, [SendResult(Outcome.RETRY)], now=before)

    assert await heard(city, now=EVENING) == []
    assert [delivery.tries.attempts for delivery in await heard(city, now=MORNING)] == [2]


async def test_what_concerns_safety_comes_in_the_night_and_holds_nothing_up(city):
    sleeper = await a_sleeper(city)
    await tell(city, sleeper.person_id, now=EVENING)
    await tell(city, sleeper.person_id, now=EVENING, safety=True, number="2026-7")

    assert [delivery.params["number"] for delivery in await heard(city, now=EVENING)] == ["2026-7"]


async def test_who_wants_certain_news_hears_no_others(city):
    picky = await a_sleeper(city, Preferences(kinds=("resolved",)))

    assert await tell(city, picky.person_id, now=NOON, kind="scheduled") == 0
    assert await tell(city, picky.person_id, now=NOON, kind="resolved") == 1


async def test_so_many_a_day_and_the_rest_on_the_next_morning(city):
    calm = await a_sleeper(city, Preferences(zone=TORONTO, most_a_day=2))
    for minute in range(5):
        await tell(city, calm.person_id, now=NOON + timedelta(minutes=minute), about=new_id())

    today = await heard(city, now=NOON + timedelta(hours=1))
    tomorrow = await heard(city, now=datetime(2026, 11, 24, 8, tzinfo=TORONTO))

    assert [delivery.kind for delivery in today] == ["resolved", "resolved"]
    assert [(delivery.kind, delivery.params["count"]) for delivery in tomorrow] == [("digest", 3)]


async def test_a_digest_of_one_is_told_as_it_is(city):
    sleeper = await a_sleeper(city)
    await tell(city, sleeper.person_id, now=EVENING)

    assert [delivery.kind for delivery in await heard(city, now=MORNING)] == ["resolved"]
