"""People who work for a city, and their secrets."""

import pytest

from api.auth import find_caller
from db.base import new_id
from issues.actors import Actor, Role
from issues.staff import (
    CrewNotFound,
    RoleNotForStaff,
    StaffNotFound,
    add_staff,
    find_staff,
    list_staff,
    revoke_staff,
)
from tests.issues.towns import AILLEURS, NOON, open_town


@pytest.fixture
async def city(owner, database):
    return await open_town(owner, database)


async def add(database, city, **person):
    async with database.transaction(city.id) as session:
        return await add_staff(session, city.id, name="Anna", now=NOON, **person)


async def caller_with(database, secret):
    async with database.transaction() as session:
        return await find_caller(session, secret, now=NOON)


async def test_a_secret_leads_to_the_person_and_what_they_may_do(database, city):
    added = await add(database, city, role=Role.CREW, crew_code="equipe-1")

    caller = await caller_with(database, added.secret)

    assert caller.city_id == city.id
    assert caller.actor == Actor(f"staff:{added.staff.id}", Role.CREW, "equipe-1")
    async with database.transaction(city.id) as session:
        assert await find_staff(session, city.id, added.staff.id) == added.staff


async def test_a_secret_is_not_shown_by_accident(database, city):
    added = await add(database, city, role=Role.AGENT)

    assert added.secret not in repr(added)
    assert added.staff.actor.at_least(Role.AGENT)


async def test_who_was_revoked_is_unknown_from_then_on(database, city):
    added = await add(database, city, role=Role.ADMIN)
    async with database.transaction(city.id) as session:
        await revoke_staff(session, city.id, added.staff.id, now=NOON)

    assert await caller_with(database, added.secret) is None
    async with database.transaction(city.id) as session:
        assert await find_staff(session, city.id, added.staff.id) is None
        assert [person.revoked_at for person in await list_staff(session, city.id)] == [NOON]
        with pytest.raises(StaffNotFound):
            await revoke_staff(session, city.id, added.staff.id, now=NOON)


@pytest.mark.parametrize(("role", "crew_code"), [(Role.RESIDENT, None), (Role.CREW, None), (Role.AGENT, "equipe-1")])
async def test_a_crew_goes_with_crew_members_alone(database, city, role, crew_code):
    with pytest.raises(RoleNotForStaff):
        await add(database, city, role=role, crew_code=crew_code)


async def test_a_crew_has_to_exist(database, city):
    with pytest.raises(CrewNotFound):
        await add(database, city, role=Role.CREW, crew_code="equipe-9")


async def test_staff_are_one_citys(owner, database, city):
    elsewhere = await open_town(owner, database, AILLEURS)
    added = await add(database, city, role=Role.MANAGER)

    async with database.transaction(elsewhere.id) as session:
        assert await list_staff(session, elsewhere.id) == []
        assert await find_staff(session, elsewhere.id, added.staff.id) is None
        with pytest.raises(StaffNotFound):
            await revoke_staff(session, elsewhere.id, new_id(), now=NOON)
