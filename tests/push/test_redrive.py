"""Dead letters get another life where an operator asks for it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from db.base import new_id
from push.channels import AddressKind, Outcome, SendResult
from push.outbox import Delivery, lease_deliveries, record_results
from push.queueing import Recipient, queue_notifications
from push.redrive import redrive
from tests.push.people import CITY, NOON, OTHER_CITY, a_device, after

DAY = timedelta(hours=24)


@pytest.fixture
def died(database):
    """Leaves a city one dead letter, which died at noon, and one that was sent."""

    async def died(city_id=CITY):
        async with database.transaction(city_id) as session:
            devices = [await a_device(session, f"{name}-{city_id}") for name in ("refused", "taken")]
            await queue_notifications(
                session, city_id, event_id=new_id(), kind="resolved", params={}, happened_at=NOON, now=NOON,
                recipients=[Recipient(device.person_id, {}) for device in devices],
            )  # fmt: skip
            lease = await lease_deliveries(session, city_id, now=NOON, limit=10, window_s=0, lease_s=60)
            results = [
                SendResult(Outcome.GIVE_UP if delivery.address.startswith("refused") else Outcome.SENT)
                for delivery in lease.deliveries
            ]
            await record_results(session, city_id, lease, results, now=NOON)

    return died


async def redriven(database, *, city_id=CITY, now, kinds=tuple(AddressKind), **how):
    async with database.transaction(city_id) as session:
        return await redrive(session, city_id, kinds=kinds, now=now, younger_than=DAY, **how)


async def states(database, city_id=CITY):
    async with database.transaction(city_id) as session:
        return sorted((await session.scalars(select(Delivery.state))).all())


async def test_a_dead_letter_is_due_again_for_a_day_and_nothing_else_is(database, died):
    await died()
    later = after(23 * 3600)

    assert await redriven(database, now=later) == 1

    async with database.transaction(CITY) as session:
        lease = await lease_deliveries(session, CITY, now=later, limit=10, window_s=0, lease_s=60)
    [again] = lease.deliveries
    assert (again.address, again.expires_at) == (f"refused-{CITY}", later + DAY)
    assert (again.tries.failures, again.tries.unanswered) == (0, 0)


async def test_a_dry_run_counts_and_changes_nothing(database, died):
    await died()

    assert await redriven(database, now=after(60), dry_run=True) == 1
    assert await states(database) == ["dead", "sent"]


@pytest.mark.parametrize(
    ("now_s", "kinds", "found"),
    [
        (86400, [AddressKind.FID], 1),
        (86400 + 61, [AddressKind.FID], 0),
        (60, [AddressKind.WEBPUSH, AddressKind.TOKEN], 0),
    ],
)
async def test_only_those_of_a_channel_and_an_age_are_taken(database, died, now_s, kinds, found):
    await died()

    assert await redriven(database, now=after(now_s), kinds=kinds) == found


async def test_another_citys_dead_letters_stay_dead(database, died):
    await died()
    await died(OTHER_CITY)

    await redriven(database, now=after(60))

    assert await states(database) == ["queued", "sent"]
    assert await states(database, OTHER_CITY) == ["dead", "sent"]
