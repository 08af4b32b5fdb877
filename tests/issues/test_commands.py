"""Commands that may be sent twice: which of them are carried out."""

import asyncio

import pytest
from sqlalchemy import text

from db.base import new_id
from issues.commands import CommandIdUsed, claim_command
from tests.issues.people import AGENT, CREW
from tests.issues.towns import AILLEURS, NOON, open_town


async def claim(database, city, command_id, *content, actor=AGENT):
    async with database.transaction(city.id) as session:
        return await claim_command(session, city.id, command_id, content, actor=actor, now=NOON)


async def test_a_command_is_carried_out_once(database, city):
    command_id = new_id()

    claims = [await claim(database, city, command_id, "merge", "a") for _ in range(3)]

    assert claims == [True, False, False]


async def test_a_command_without_an_id_is_carried_out_each_time_and_leaves_nothing(database, city):
    assert [await claim(database, city, None, "merge") for _ in range(2)] == [True, True]

    async with database.transaction(city.id) as session:
        assert await session.scalar(text("SELECT count(*) FROM command")) == 0


@pytest.mark.parametrize("other", [("merge", "b"), ("split", "a"), ("merge",), ("merge", None)])
async def test_an_id_stands_for_one_content(database, city, other):
    command_id = new_id()
    await claim(database, city, command_id, "merge", "a")

    with pytest.raises(CommandIdUsed) as refused:
        await claim(database, city, command_id, *other)

    assert refused.value.command_id == command_id


async def test_an_id_stands_for_one_sender(database, city):
    command_id = new_id()
    await claim(database, city, command_id, "merge")

    with pytest.raises(CommandIdUsed):
        await claim(database, city, command_id, "merge", actor=CREW)


async def test_an_id_used_in_one_city_is_free_in_another(owner, database, city):
    elsewhere, command_id = await open_town(owner, database, AILLEURS), new_id()
    await claim(database, city, command_id, "merge")

    assert await claim(database, elsewhere, command_id, "merge")


async def test_of_simultaneous_copies_one_is_carried_out(database, city):
    command_id = new_id()

    claims = await asyncio.gather(*(claim(database, city, command_id, "merge") for _ in range(6)))

    assert sorted(claims) == [False] * 5 + [True]


async def test_of_two_commands_with_one_id_at_once_the_second_is_refused(database, city):
    command_id = new_id()

    outcomes = await asyncio.gather(
        *(claim(database, city, command_id, "merge", n) for n in range(2)), return_exceptions=True
    )

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["CommandIdUsed", "bool"]


async def test_a_copy_that_waited_for_one_that_failed_is_carried_out(database, city):
    command_id, claimed, may_fail = new_id(), asyncio.Event(), asyncio.Event()

    async def claim_and_fail():
        async with database.transaction(city.id) as session:
            await claim_command(session, city.id, command_id, ("merge",), actor=AGENT, now=NOON)
            claimed.set()
            await may_fail.wait()
            raise ZeroDivisionError

    failing = asyncio.create_task(claim_and_fail())
    await claimed.wait()
    copy = asyncio.create_task(claim(database, city, command_id, "merge"))
    may_fail.set()
    with pytest.raises(ZeroDivisionError):
        await failing

    assert await copy is True
