"""Push first, then e-mail, or as a person wishes: the second only where the first told nobody."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from db.base import new_id
from push.channels import AddressKind, Outcome, SendResult
from push.emails import TooManyLetters, find_address, name_address, verify_address
from push.outbox import lease_deliveries, record_results
from push.pacing import Means, Preferences
from push.preferences import write_preferences
from push.queueing import Recipient, queue_letter, queue_notifications
from tests.push.people import CITY, NOON, a_device, after

SENT, DEAD, FORGET = (SendResult(outcome) for outcome in (Outcome.SENT, Outcome.GIVE_UP, Outcome.FORGET))
FOUR_HOURS = 4 * 3600


@pytest.fixture
async def city(database):
    async with database.transaction(CITY) as session:
        yield session


async def anna_in(session, *, push="phone-1", verified=True, wishes=None):
    device = await a_device(session, push)
    named, _ = await name_address(session, CITY, device.person_id, "anna@example.org", locale="fr-CA", now=NOON)
    if verified:
        await verify_address(session, CITY, named.id, now=NOON)
    if wishes is not None:
        await write_preferences(session, device.person_id, wishes, now=NOON)
    return device.person_id


async def tell(session, person_id):
    return await queue_notifications(
        session, CITY, event_id=new_id(), kind="resolved", params={}, recipients=[Recipient(person_id, {})],
        happened_at=NOON, now=NOON,
    )  # fmt: skip


async def sent_by(session, *, now, result=SENT):
    """By which kinds of address something leaves at a time, all with one result."""
    lease = await lease_deliveries(session, CITY, now=now, limit=10, window_s=0, lease_s=60)
    await record_results(session, CITY, lease, [result] * len(lease.deliveries), now=now)
    return [delivery.address_kind for delivery in lease.deliveries]


async def states(session):
    return sorted(await session.scalars(text("SELECT state FROM delivery")))


async def test_who_was_pushed_gets_no_letter(city):
    await tell(city, await anna_in(city))

    assert await sent_by(city, now=NOON) == [AddressKind.FID]
    assert await sent_by(city, now=after(FOUR_HOURS)) == []
    assert await states(city) == ["sent", "unneeded"]


async def test_whose_push_died_gets_a_letter_after_some_hours(city):
    await tell(city, await anna_in(city))

    assert await sent_by(city, now=NOON, result=DEAD) == [AddressKind.FID]
    assert await sent_by(city, now=after(FOUR_HOURS - 1)) == []
    assert await sent_by(city, now=after(FOUR_HOURS)) == [AddressKind.EMAIL]
    assert await states(city) == ["dead", "sent"]


async def test_who_has_no_phone_that_takes_pushes_gets_a_letter_at_once(city):
    await tell(city, await anna_in(city, push=None))

    assert await sent_by(city, now=NOON) == [AddressKind.EMAIL]


async def test_who_wants_letters_first_gets_a_push_only_where_they_fail(city):
    person_id = await anna_in(city, wishes=Preferences(means=(Means.EMAIL, Means.PUSH)))
    await tell(city, person_id)

    assert await sent_by(city, now=NOON, result=DEAD) == [AddressKind.EMAIL]
    assert await sent_by(city, now=after(FOUR_HOURS)) == [AddressKind.FID]


@pytest.mark.parametrize(("means", "kind"), [(Means.PUSH, AddressKind.FID), (Means.EMAIL, AddressKind.EMAIL)])
async def test_who_wants_one_means_only_is_reached_by_no_other(city, means, kind):
    assert await tell(city, await anna_in(city, wishes=Preferences(means=(means,)))) == 1
    assert await sent_by(city, now=NOON) == [kind]


async def test_an_address_is_not_used_before_its_owner_said_so(city):
    person_id = await anna_in(city, push=None, verified=False)

    assert await tell(city, person_id) == 0

    found = await find_address(city, CITY, person_id)
    await queue_letter(
        city,
        CITY,
        event_id=new_id(),
        kind="verify-email",
        params={},
        person_id=person_id,
        address_id=found.id,
        now=NOON,
    )
    assert await sent_by(city, now=NOON) == [AddressKind.EMAIL]


async def test_an_address_that_its_server_does_not_know_is_used_no_more(city):
    person_id = await anna_in(city, push=None)
    await tell(city, person_id)

    await sent_by(city, now=NOON, result=FORGET)

    assert (await find_address(city, CITY, person_id)).refused
    assert await tell(city, person_id) == 0


async def test_a_letter_for_an_address_that_was_changed_is_dropped(city):
    person_id = await anna_in(city, push=None)
    await tell(city, person_id)
    await name_address(city, CITY, person_id, "anna@example.com", locale="fr", now=NOON)

    assert await sent_by(city, now=NOON) == []
    assert await states(city) == ["forgotten"]


async def test_an_address_is_asked_a_few_times_an_hour_whoever_names_it(city):
    for _ in range(3):
        person_id = await anna_in(city, push=None, verified=False)
        found = await find_address(city, CITY, person_id)
        await queue_letter(
            city, CITY, event_id=new_id(), kind="verify-email", params={}, person_id=person_id, address_id=found.id,
            now=NOON,
        )  # fmt: skip

    with pytest.raises(TooManyLetters):
        await anna_in(city, push=None)
    await name_address(city, CITY, new_id(), "anna@example.org", locale="fr", now=NOON + timedelta(hours=1))
