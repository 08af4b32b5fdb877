"""Whose device it is, and whose push address."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select

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


@pytest.mark.parametrize(("refused_after_s", "forgotten"), [(-1, False), (0, True), (1, True)])
async def test_an_address_is_forgotten_unless_the_device_registered_since(session, refused_after_s, forgotten):
    registration = a_registration("phone-1")
    await register_device(session, registration, now=NOON)

    answer = await forget_address(session, registration.id, unless_refreshed_since=after(refused_after_s))

    assert answer is forgotten
    assert (await addresses(session))[registration.id] == ((None, None) if forgotten else ("fid", "phone-1"))


async def test_a_secret_and_an_address_show_in_no_repr():
    registration = a_registration("phone-1", secret="a-secret")

    assert "phone-1" not in repr(registration)
    assert "a-secret" not in repr(registration)
