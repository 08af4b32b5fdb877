"""Each person once per event on each device; every delivery leased, recorded, accounted for."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

from db.base import new_id
from push.channels import Outcome, SendResult
from push.devices import forget_device, register_device
from push.outbox import Delivery, Notification, lease_deliveries, record_results
from push.outcomes import read_outcomes
from push.queueing import Recipient, queue_notifications
from tests.push.people import CITY, NOON, OTHER_CITY, a_device, a_registration, after

SENT = SendResult(Outcome.SENT, provider_id="projects/p/messages/1")
RETRY = SendResult(Outcome.RETRY, error="no answer")
CITY_HALL = UUID(int=1)  # an issue


@pytest.fixture
async def city(database):
    """A transaction of the city."""
    async with database.transaction(CITY) as session:
        yield session


async def tell(session, *persons, city_id=CITY, event_id=None, now=NOON, happened_at=None, **how):
    recipients = [Recipient(person, {"report_id": str(person)}) for person in persons]
    return await queue_notifications(
        session, city_id, event_id=event_id or new_id(), kind="resolved", params={"status": "resolved"},
        recipients=recipients, happened_at=happened_at or now, now=now, **how,
    )  # fmt: skip


async def lease(session, *, now=NOON, limit=100, city_id=CITY, window_s=0):
    return await lease_deliveries(session, city_id, now=now, limit=limit, window_s=window_s, lease_s=60)


async def the_delivery(session):
    return (await session.execute(select(Delivery).execution_options(populate_existing=True))).scalar_one()


async def test_each_person_hears_of_an_event_once_on_each_device_however_often_it_is_told(city):
    one = await a_device(city, "phone-1")
    two = await a_device(city, "phone-2")
    event_id = new_id()

    first = await tell(city, one.person_id, two.person_id, one.person_id, event_id=event_id)
    again = await tell(city, two.person_id, one.person_id, event_id=event_id)

    assert (first, again) == (2, 0)
    assert sorted(delivery.address for delivery in (await lease(city)).deliveries) == ["phone-1", "phone-2"]


async def test_a_device_without_a_push_address_gets_no_delivery(city):
    silent = await a_device(city, None)

    assert await tell(city, silent.person_id) == 0
    assert (await city.execute(select(Notification.person_id))).scalars().all() == [silent.person_id]


async def test_more_persons_than_one_statement_takes_are_all_told(city):
    devices = [await a_device(city, f"phone-{n}") for n in range(3)]
    strangers = [new_id() for _ in range(2500)]

    queued = await tell(city, devices[0].person_id, *strangers, devices[1].person_id, devices[2].person_id)

    assert queued == 3
    assert len((await city.execute(select(Notification.id))).all()) == 2503


async def test_what_is_told_to_all_and_to_one_come_together(city):
    device = await a_device(city, "phone-1")
    await tell(city, device.person_id)

    [delivery] = (await lease(city)).deliveries

    assert delivery.params == {"status": "resolved", "report_id": str(device.person_id)}
    assert (delivery.kind, delivery.locale, delivery.tries.attempts) == ("resolved", "fr-CA", 1)
    assert delivery.expires_at == NOON + timedelta(hours=24)


async def test_what_is_leased_is_nobody_elses_until_the_lease_ends(city):
    for n in range(3):
        await tell(city, (await a_device(city, f"phone-{n}")).person_id)

    first = await lease(city, limit=2)
    second = await lease(city, limit=2)
    third = await lease(city, now=after(59))
    late = await lease(city, now=after(60))

    assert [len(taken.deliveries) for taken in (first, second, third, late)] == [2, 1, 0, 3]
    assert {delivery.tries.attempts for delivery in late.deliveries} == {2}


async def test_a_device_hears_of_things_in_the_order_they_happened_and_one_at_a_time(city):
    device = await a_device(city, "phone-1")
    happened = [new_id() for _ in range(3)]
    for seconds, event_id in reversed(list(enumerate(happened))):
        await tell(city, device.person_id, event_id=event_id, now=after(seconds))

    heard = []
    for _ in happened:
        taken = await lease(city, now=after(5))
        assert (await lease(city, now=after(5))).deliveries == []  # while the first is on its way
        heard += [delivery.event_id for delivery in taken.deliveries]
        await record_results(city, CITY, taken, [SENT], now=after(5))

    assert heard == happened


async def test_what_was_given_back_unsent_keeps_its_place_before_later_news(city):
    device = await a_device(city, "phone-1")
    first, second = new_id(), new_id()
    await tell(city, device.person_id, event_id=first)
    taken = await lease(city)
    await tell(city, device.person_id, event_id=second, now=after(1))

    await record_results(city, CITY, taken, [SendResult(Outcome.UNSENT)], now=after(30))

    [again] = (await lease(city, now=after(30))).deliveries
    assert (again.event_id, again.tries.attempts) == (first, 1)


async def test_two_senders_at_once_take_a_devices_oldest_and_nothing_else(database):
    async with database.transaction(CITY) as session:
        device = await a_device(session, "phone-1")
        for seconds in range(3):
            await tell(session, device.person_id, now=after(seconds))

    async with database.transaction(CITY) as one, database.transaction(CITY) as other:
        # One row each: neither has locked what the other might take.
        first = await lease(one, now=after(5), limit=1)
        second = await lease(other, now=after(5), limit=1)

    assert (len(first.deliveries), len(second.deliveries)) == (1, 0)


async def test_what_has_to_be_tried_again_holds_nothing_up(city):
    device = await a_device(city, "phone-1")
    await tell(city, device.person_id)
    await record_results(city, CITY, await lease(city), [RETRY], now=NOON)
    await tell(city, device.person_id)

    assert len((await lease(city)).deliveries) == 1


async def test_a_lease_waits_for_no_other_sender(database):
    async with database.transaction(CITY) as session:
        for n in range(2):
            await tell(session, (await a_device(session, f"phone-{n}")).person_id)

    async with database.transaction(CITY) as one, database.transaction(CITY) as other:
        first = await lease(one, limit=1)
        second = await lease(other, limit=5)

    assert {delivery.id for delivery in first.deliveries}.isdisjoint(delivery.id for delivery in second.deliveries)
    assert (len(first.deliveries), len(second.deliveries)) == (1, 1)


async def test_another_city_sees_and_leases_nothing(database):
    async with database.transaction(CITY) as session:
        await tell(session, (await a_device(session, "phone-1")).person_id)

    async with database.transaction(OTHER_CITY) as session:
        assert (await lease(session, city_id=OTHER_CITY)).deliveries == []
        assert (await lease(session, city_id=CITY)).deliveries == []


async def test_an_expired_notification_is_marked_and_not_sent(city):
    await tell(city, (await a_device(city, "phone-1")).person_id, expires_after=timedelta(minutes=5))

    taken = await lease(city, now=after(300))

    assert (taken.deliveries, taken.settled) == ([], 1)
    assert (await the_delivery(city)).state == "expired"


async def test_what_is_queued_late_is_worth_nothing_a_day_after_it_happened(city):
    device = await a_device(city, "phone-1")
    await tell(city, device.person_id, now=after(86400), happened_at=NOON)

    assert (await lease(city, now=after(86400))).deliveries == []
    assert (await the_delivery(city)).state == "expired"


async def states(session):
    rows = await session.execute(
        text("SELECT event_id, state FROM delivery JOIN notification ON notification.id = notification_id")
    )
    return dict(rows.all())


async def test_what_newer_news_have_overtaken_is_not_sent(city):
    device = await a_device(city, "phone-1")
    issue_id, first, note, other, last = (new_id() for _ in range(5))
    await tell(city, device.person_id, event_id=first, about=issue_id)
    await tell(city, device.person_id, event_id=note, now=after(1))
    await tell(city, device.person_id, event_id=other, about=new_id(), now=after(2))
    await tell(city, device.person_id, event_id=last, about=issue_id, now=after(3))

    heard = []
    for _ in range(4):
        taken = await lease(city, now=after(5))
        heard += [delivery.event_id for delivery in taken.deliveries]
        await record_results(city, CITY, taken, [SENT for _ in taken.deliveries], now=after(5))

    assert heard == [note, other, last]
    assert (await states(city))[first] == "superseded"


async def test_what_failed_and_was_overtaken_meanwhile_is_not_tried_again(city):
    device = await a_device(city, "phone-1")
    issue_id, first, last = new_id(), new_id(), new_id()
    await tell(city, device.person_id, event_id=first, about=issue_id)
    await record_results(city, CITY, await lease(city), [RETRY], now=NOON)
    await tell(city, device.person_id, event_id=last, about=issue_id, now=after(1))
    await record_results(city, CITY, await lease(city, now=after(2)), [SENT], now=after(2))

    assert (await lease(city, now=after(60))).deliveries == []
    assert await states(city) == {first: "superseded", last: "sent"}


async def test_what_others_were_told_overtakes_nobodys_news(city):
    anna, ben = [await a_device(city, f"phone-{n}") for n in range(2)]
    issue_id = new_id()
    await tell(city, anna.person_id, about=issue_id)
    await tell(city, ben.person_id, about=issue_id, now=after(1))

    assert len((await lease(city, now=after(2))).deliveries) == 2


async def test_outcomes_are_counted_by_channel_whoever_sends(database):
    async with database.transaction(CITY) as session:
        devices = [await a_device(session, f"phone-{n}") for n in range(3)]
        for seconds in range(2):
            await tell(session, *(device.person_id for device in devices), about=CITY_HALL, now=after(seconds))
        await forget_device(session, devices[2].id)
    for _ in range(3):
        async with database.transaction(CITY) as session:
            taken = await lease(session, now=after(5))
            results = [SENT, RETRY][: len(taken.deliveries)]
            await record_results(session, CITY, taken, results, now=after(5))

    async with database.transaction(CITY) as session:
        counted = await read_outcomes(session, CITY)
    async with database.transaction(OTHER_CITY) as session:
        assert await read_outcomes(session, OTHER_CITY) == {}
    assert counted == {
        ("fid", "sent"): 1,
        ("fid", "retry"): 1,
        ("fid", "superseded"): 2,
        ("none", "superseded"): 1,
        ("none", "forgotten"): 1,
    }


async def test_a_device_that_left_before_its_turn_is_dropped(city):
    device = await a_device(city, "phone-1")
    await tell(city, device.person_id)
    await forget_device(city, device.id)

    taken = await lease(city)

    assert (taken.deliveries, taken.settled) == ([], 1)
    assert (await the_delivery(city)).state == "forgotten"


@pytest.mark.parametrize(
    ("result", "state", "due_after_s"),
    [
        (SENT, "sent", None),
        (SendResult(Outcome.GIVE_UP, error="too big"), "dead", None),
        (SendResult(Outcome.FORGET, error="unregistered"), "forgotten", None),
        (RETRY, "queued", 10),
        (SendResult(Outcome.NO_ANSWER, error="cut off"), "queued", 60),
        (SendResult(Outcome.QUOTA, error="quota", retry_after_s=90), "queued", 90),
        (SendResult(Outcome.UNSENT, error="the window closed"), "queued", 0),
        (SendResult(Outcome.UNSENT, error="the project rests", retry_after_s=7), "queued", 7),
        (SendResult(Outcome.STOP_PROJECT, error="sender"), "queued", 300),
        (SendResult(Outcome.STOP_PLATFORM, error="apns"), "queued", 300),
        (SendResult(Outcome.QUOTA, error="quota", retry_after_s=86400), "expired", None),
    ],
)
async def test_an_outcome_decides_what_becomes_of_a_delivery(city, result, state, due_after_s):
    await tell(city, (await a_device(city, "phone-1")).person_id)
    taken = await lease(city)

    assert await record_results(city, CITY, taken, [result], now=NOON, jitter=lambda: 0.0) == 1

    delivery = await the_delivery(city)
    assert (delivery.state, delivery.last_error, delivery.provider_id) == (state, result.error, result.provider_id)
    assert delivery.sent_at == (NOON if state == "sent" else None)
    assert state != "queued" or delivery.due_at == after(due_after_s)


async def test_only_a_device_that_its_provider_does_not_know_loses_its_address(city):
    devices = [await a_device(city, f"phone-{n}") for n in range(5)]
    await tell(city, *(device.person_id for device in devices))
    taken = await lease(city)
    outcomes = [Outcome.FORGET, Outcome.GIVE_UP, Outcome.STOP_PROJECT, Outcome.STOP_PLATFORM, Outcome.RETRY]

    await record_results(city, CITY, taken, [SendResult(outcome) for outcome in outcomes], now=NOON)

    await tell(city, *(device.person_id for device in devices))
    alive = {delivery.device_id for delivery in (await lease(city)).deliveries}
    assert alive == {delivery.device_id for delivery in taken.deliveries[1:]}


async def test_a_push_refused_at_an_old_address_goes_to_the_one_registered_meanwhile(city):
    registration = a_registration("phone-old")
    device = await register_device(city, registration, now=NOON)
    await tell(city, device.person_id)
    taken = await lease(city)
    moved = a_registration("phone-new", device_id=device.id, secret=registration.secret)
    await register_device(city, moved, now=after(1))

    await record_results(city, CITY, taken, [SendResult(Outcome.FORGET)], now=after(2))

    [again] = (await lease(city, now=after(20))).deliveries
    assert again.address == "phone-new"


async def test_a_late_failure_does_not_disturb_the_sender_who_took_over(city):
    await tell(city, (await a_device(city, "phone-1")).person_id)
    lost = await lease(city)
    current = await lease(city, now=after(60))

    assert await record_results(city, CITY, lost, [RETRY], now=after(61)) == 0

    assert (await the_delivery(city)).lease == current.token


async def test_a_late_success_counts_so_that_nobody_sends_again(city):
    await tell(city, (await a_device(city, "phone-1")).person_id)
    lost = await lease(city)
    current = await lease(city, now=after(60))

    assert await record_results(city, CITY, lost, [SENT], now=after(61)) == 1
    assert await record_results(city, CITY, current, [RETRY], now=after(62)) == 0

    assert (await the_delivery(city)).state == "sent"


async def test_an_error_stays_on_record_when_a_delivery_expires(city):
    await tell(city, (await a_device(city, "phone-1")).person_id, expires_after=timedelta(seconds=9))
    taken = await lease(city)

    await record_results(city, CITY, taken, [RETRY], now=NOON)

    delivery = await the_delivery(city)
    assert (delivery.state, delivery.last_error) == ("expired", "no answer")


async def test_who_wants_quiet_within_the_window_is_not_rung_up_any_more(city):
    device = await a_device(city, "phone-1")
    await tell(city, device.person_id)
    quiet = {"begins": after(20), "ends": after(3600)}
    await city.execute(text("UPDATE notification SET quiet_from = :begins, quiet_until = :ends"), quiet)

    assert (await lease(city, window_s=30)).deliveries == []
    delivery = await the_delivery(city)
    assert (delivery.state, delivery.due_at) == ("held", after(3600))


async def test_words_that_cannot_be_stored_cost_no_result(city):
    for n in range(2):
        await tell(city, (await a_device(city, f"phone-{n}")).person_id)
    odd = [SendResult(Outcome.SENT, provider_id="m\0\ud800"), SendResult(Outcome.GIVE_UP, error="\0no")]

    taken = await lease(city)

    assert await record_results(city, CITY, taken, odd, now=NOON) == 2
    stored = await city.execute(select(Delivery.provider_id, Delivery.last_error))
    assert {tuple(row) for row in stored} == {("m?", None), (None, "no")}
