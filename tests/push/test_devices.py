"""Whose device it is, and whose push address."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select, text

from api.auth import find_caller
from db.base import new_id
from db.credentials import new_secret
from push.channels import AddressKind
from push.devices import (
    Device,
    DeviceSecretMismatch,
    PushAddress,
    forget_address,
    forget_device,
    register_device,
)
from push.topics import TOPICS_OF
from tests.push.people import NOON, a_registration, after


async def addresses(session):
    rows = await session.execute(select(Device.id, Device.push_kind, Device.push_address))
    return {device_id: (kind, address) for device_id, kind, address in rows}


async def test_a_new_device_is_a_person_of_its_own_found_by_its_secret(session):
    registration = a_registration("phone-1")

    device = await register_device(session, registration, now=NOON)

    caller = await find_caller(session, registration.secret, now=NOON)
    assert device.created
    assert caller is not None
    assert (caller.device_id, caller.city_id) == (registration.id, None)
    assert await addresses(session) == {registration.id: ("fid", "phone-1")}


async def test_registering_again_refreshes_and_stays_the_same_person(session):
    registration = a_registration("phone-1")
    first = await register_device(session, registration, now=NOON)
    moved = replace(registration, locale="en-CA", push=PushAddress(AddressKind.TOKEN, "phone-1-new"))

    again = await register_device(session, moved, now=after(60))

    device = await session.get_one(Device, registration.id)
    assert (again.created, again.person_id) == (False, first.person_id)
    assert (device.locale, device.push_kind, device.push_address) == ("en-CA", "token", "phone-1-new")
    assert (device.created_at, device.refreshed_at) == (NOON, after(60))


async def test_a_push_address_goes_to_the_device_that_registered_it_last(session):
    old = await register_device(session, a_registration("one-phone"), now=NOON)

    new = await register_device(session, a_registration("one-phone"), now=after(1))

    assert await addresses(session) == {old.id: (None, None), new.id: ("fid", "one-phone")}


async def test_the_same_text_as_fid_and_as_token_is_two_addresses(session):
    first = await register_device(session, a_registration("x", kind=AddressKind.FID), now=NOON)

    second = await register_device(session, a_registration("x", kind=AddressKind.TOKEN), now=NOON)

    assert await addresses(session) == {first.id: ("fid", "x"), second.id: ("token", "x")}


async def test_two_devices_may_register_one_address_at_the_same_moment(database):
    async def register(registration):
        async with database.transaction() as session:
            await register_device(session, registration, now=NOON)

    await asyncio.gather(*(register(a_registration("one-phone")) for _ in range(8)))

    async with database.transaction() as session:
        held = [address for _, address in (await addresses(session)).values() if address]
    assert held == ["one-phone"]


async def test_nobody_registers_another_ones_device(session):
    registration = a_registration("phone-1")
    await register_device(session, registration, now=NOON)

    with pytest.raises(DeviceSecretMismatch):
        await register_device(session, replace(registration, secret=new_secret()), now=NOON)


async def test_one_secret_does_not_stand_for_two_devices(session):
    registration = a_registration("phone-1")
    await register_device(session, registration, now=NOON)

    with pytest.raises(DeviceSecretMismatch):
        await register_device(session, replace(registration, id=new_id()), now=NOON)


async def test_of_two_secrets_for_one_new_device_at_the_same_moment_one_counts(database):
    device_id = new_id()

    async def register():
        async with database.transaction() as session:
            await register_device(session, a_registration(None, device_id=device_id), now=NOON)

    answers = await asyncio.gather(*(register() for _ in range(8)), return_exceptions=True)

    assert answers.count(None) == 1
    assert all(isinstance(answer, DeviceSecretMismatch) for answer in answers if answer is not None)


async def test_a_forgotten_device_is_gone_with_its_secret(session):
    registration = a_registration("phone-1")
    await register_device(session, registration, now=NOON)

    assert await forget_device(session, registration.id)

    assert await addresses(session) == {}
    assert await find_caller(session, registration.secret, now=NOON) is None
    assert not await forget_device(session, registration.id)


async def start_together(owner, database, first, second):
    """Run two transactions that both wait for devices and secrets, and let go of all of them at once."""

    async def run(what):
        async with database.transaction() as session:
            await what(session)

    async with owner.transaction() as holder:
        await holder.execute(text("SELECT FROM device FOR UPDATE"))
        await holder.execute(text("SELECT FROM credential FOR UPDATE"))
        tasks = [asyncio.create_task(run(what)) for what in (first, second)]
        waiting = 0
        while waiting < 2:
            # A transaction each time: within one, PostgreSQL shows the activity of its first look.
            async with owner.transaction() as watch:
                waiting = await watch.scalar(
                    text(
                        "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                        " WHERE NOT granted AND datname = current_database()"
                    )
                )
            assert not any(task.done() for task in tasks)
    await asyncio.gather(*tasks)


async def two_phones(database):
    """Two registrations, that of the lower id first."""
    ids = sorted([new_id(), new_id()])
    phones = [a_registration(f"phone-{n}", device_id=device_id) for n, device_id in enumerate(ids)]
    async with database.transaction() as session:
        for phone in phones:
            await register_device(session, phone, now=NOON)
    return phones


async def test_two_phones_may_swap_addresses_at_the_same_moment(owner, database):
    one, other = await two_phones(database)

    def takes(phone, push):
        return lambda session: register_device(session, replace(phone, push=push), now=after(1))

    await start_together(owner, database, takes(one, other.push), takes(other, one.push))

    async with database.transaction() as session:
        assert await addresses(session) == {one.id: ("fid", "phone-1"), other.id: ("fid", "phone-0")}


async def test_a_phone_may_register_while_it_is_being_forgotten(owner, database):
    phone, _ = await two_phones(database)

    await start_together(
        owner, database,
        lambda session: register_device(session, phone, now=after(1)),
        lambda session: forget_device(session, phone.id),
    )  # fmt: skip

    async with database.transaction() as session:
        known = await find_caller(session, phone.secret, now=after(1))
        assert (known is None) is (phone.id not in await addresses(session))


async def test_a_phone_may_take_an_address_while_both_are_being_forgotten(owner, database):
    one, other = await two_phones(database)

    async def forget_both(session):
        for phone in (one, other):
            await forget_address(session, phone.id, as_of=NOON)

    await start_together(
        owner, database,
        forget_both,
        lambda session: register_device(session, replace(one, push=other.push), now=after(1)),
    )  # fmt: skip

    async with database.transaction() as session:
        assert await addresses(session) == {one.id: ("fid", "phone-1"), other.id: (None, None)}


@pytest.mark.parametrize("clock_s", [-3600, 0, 3600])
@pytest.mark.parametrize("address", ["phone-1", "phone-2"])
async def test_an_address_is_kept_where_the_device_registered_since_whatever_the_machines_clocks_say(
    session, clock_s, address
):
    registration = a_registration("phone-1")
    await register_device(session, registration, now=NOON)
    read = (await session.get_one(Device, registration.id)).refreshed_at
    again = replace(registration, push=PushAddress(AddressKind.FID, address))
    await register_device(session, again, now=after(clock_s))

    forgotten = await forget_address(session, registration.id, as_of=read)

    assert not forgotten
    assert await addresses(session) == {registration.id: ("fid", address)}


async def test_an_address_that_its_provider_does_not_know_is_forgotten(session):
    registration = a_registration("phone-1")
    await register_device(session, registration, now=NOON)

    assert await forget_address(session, registration.id, as_of=NOON)
    assert await addresses(session) == {registration.id: (None, None)}


async def test_an_address_that_is_forgotten_leaves_its_topics(session):
    device = await register_device(session, a_registration("phone-1"), now=NOON)

    await forget_address(session, device.id, as_of=NOON)

    queued = await session.execute(text("SELECT entrypoint, convert_from(payload, 'UTF8')::jsonb FROM pgqueuer"))
    assert [tuple(job) for job in queued] == [(TOPICS_OF, {"person_id": str(device.person_id)})]


async def test_a_secret_and_an_address_show_in_no_repr():
    registration = a_registration("phone-1", secret="a-secret")

    assert "phone-1" not in repr(registration)
    assert "a-secret" not in repr(registration)
