"""A crew's members hear of their work on the devices that they lend to it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from db.base import new_id
from issues.actors import Role
from issues.assignments import forget_work, hear_of_work
from issues.notices import ASSIGNED
from issues.staff import add_staff, revoke_staff
from push.channels import AddressKind, Platform
from push.devices import PushAddress, Registration, register_device
from push.outbox import Delivery, Notification, lease_deliveries
from push.pacing import Preferences
from push.preferences import write_preferences
from tests.issues.people import AGENT, TUESDAY, change, open_issue, plan
from tests.issues.towns import NOON

WEDNESDAY = TUESDAY + timedelta(days=1)


@pytest.fixture
async def issue(database, city):
    return await open_issue(database, city)


@pytest.fixture
def member(database, city):
    """Put somebody into a crew who lends a phone to their work; answers with their id and the phone's person."""

    async def member(crew_code="equipe-1", address="phone-1"):
        async with database.transaction(city.id) as session:
            hired = await add_staff(session, city.id, name="Ali", role=Role.CREW, crew_code=crew_code, now=NOON)
            push = PushAddress(AddressKind.FID, address)
            registration = Registration(new_id(), address.ljust(43, "x"), Platform.ANDROID, "fr-CA", push)
            device = await register_device(session, registration, now=NOON)
            await hear_of_work(session, city.id, hired.staff.id, device.person_id, now=NOON)
        return hired.staff.id, device.person_id

    return member


@pytest.fixture
def told(database, city):
    """Read what people were told of work, in order: who, what, and for which day."""

    async def told():
        query = select(Notification).where(Notification.kind == ASSIGNED).order_by(Notification.id)
        async with database.transaction(city.id) as session:
            found = (await session.scalars(query)).all()
        return [(one.person_id, one.params["work_order_id"], one.params["day"]) for one in found]

    return told


async def test_the_crews_members_hear_of_an_order_and_nobody_else_does(database, issue, member, told):
    _, first = await member()
    _, second = await member(address="phone-2")
    await member("equipe-est", "phone-3")

    order = await plan(database, issue)

    expected = {(person_id, str(order.id), "2026-11-24") for person_id in (first, second)}
    assert set(await told()) == expected
    assert len(await told()) == 2


async def test_a_change_of_day_or_crew_is_told_to_whose_it_is_then_and_overtakes_what_was_not_told_yet(
    database, city, issue, member, told
):
    _, ours = await member()
    _, theirs = await member("equipe-est", "phone-2")
    order = await plan(database, issue)
    order = await change(database, order, actor=AGENT, planned_on=WEDNESDAY, now=NOON + timedelta(minutes=1))
    order = await change(database, order, actor=AGENT, crew_code="equipe-est", now=NOON + timedelta(minutes=2))
    await change(database, order, actor=AGENT, tour_position=7, note="Clé au garage", now=NOON + timedelta(minutes=3))

    assert await told() == [
        (ours, str(order.id), "2026-11-24"),
        (ours, str(order.id), "2026-11-25"),
        (theirs, str(order.id), "2026-11-25"),
    ]
    async with database.transaction(city.id) as session:
        for _ in range(3):
            await lease_deliveries(session, city.id, now=NOON + timedelta(minutes=5), limit=10, window_s=0, lease_s=60)
        states = (await session.scalars(select(Delivery.state).order_by(Delivery.state))).all()
    assert states == ["queued", "queued", "superseded"]


async def test_work_is_told_whatever_kinds_of_news_a_person_wishes(database, city, issue, member, told):
    _, person_id = await member()
    async with database.transaction(city.id) as session:
        await write_preferences(session, person_id, Preferences(kinds=("resolved",)), now=NOON)

    await plan(database, issue)

    assert [who for who, _, _ in await told()] == [person_id]


async def test_who_left_the_city_or_took_the_device_back_hears_no_more(database, city, issue, member, told):
    staff_id, _ = await member()
    _, person_id = await member(address="phone-2")
    async with database.transaction(city.id) as session:
        await revoke_staff(session, city.id, staff_id, now=NOON)
        await forget_work(session, city.id, person_id)

    await plan(database, issue)

    assert await told() == []
