"""How much somebody may do within a while: exact for one sender, waiting for nobody where many share a count."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from db.rates import Allowance, AllowanceUsedUp, allow, count_use, forget_rates, look_ahead
from db.sessions import Database

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = b"k" * 32


def an_allowance(sender: str = "anna", *, most: int = 3, now: datetime = NOON, shared: bool = False) -> Allowance:
    return allow("things", sender, most=most, window=HOUR, key=KEY, now=now, shared=shared)


async def use(database: Database, *allowances: Allowance) -> bool:
    """Do something once, in a transaction of its own; answers whether it was allowed."""
    try:
        async with database.transaction() as session:
            await count_use(session, allowances, now=NOON)
    except AllowanceUsedUp:
        return False
    return True


@pytest.mark.parametrize("shared", [False, True])
async def test_so_many_are_allowed_and_no_more(database, shared):
    allowance = an_allowance(most=3, shared=shared)

    assert [await use(database, allowance) for _ in range(5)] == [True, True, True, False, False]


async def test_the_next_window_begins_anew(database):
    assert await use(database, an_allowance(most=1))
    later = an_allowance(most=1).ends_at

    assert not await use(database, an_allowance(most=1, now=later - timedelta(seconds=1)))
    assert await use(database, an_allowance(most=1, now=later))


async def test_one_senders_use_is_none_of_anothers(database):
    assert await use(database, an_allowance("anna", most=1))

    assert await use(database, an_allowance("bruno", most=1))


async def test_what_one_allowance_refuses_counts_for_no_other(database):
    own, shared = an_allowance("anna", most=1), an_allowance("street", most=2, shared=True)
    assert await use(database, own, shared)
    assert not await use(database, own, shared)

    assert await use(database, shared)


async def test_what_is_taken_back_is_not_counted(database):
    async def count_and_fail():
        async with database.transaction() as session:
            await count_use(session, [an_allowance(most=1)], now=NOON)
            raise LookupError

    with pytest.raises(LookupError):
        await count_and_fail()

    assert await use(database, an_allowance(most=1))


async def test_the_refusal_says_which_and_how_long(database):
    soon, late = sorted((an_allowance(name, most=1) for name in ("anna", "street")), key=lambda each: each.ends_at)
    assert await use(database, soon, late)

    with pytest.raises(AllowanceUsedUp) as refused:
        async with database.transaction() as session:
            await count_use(session, [soon, late], now=NOON)

    assert refused.value.allowance == late
    assert refused.value.wait_s == (late.ends_at - NOON).total_seconds()


async def test_of_one_senders_many_at_once_exactly_so_many_are_allowed(database):
    outcomes = await asyncio.gather(*(use(database, an_allowance(most=7)) for _ in range(20)))

    assert Counter(outcomes) == {True: 7, False: 13}


async def test_those_who_share_a_count_do_not_wait_for_each_other(database):
    shared = an_allowance(most=100, shared=True)
    async with asyncio.timeout(10), AsyncExitStack() as open_at_once:
        for _ in range(8):  # each counts while all before it are still open
            session = await open_at_once.enter_async_context(database.transaction())
            await count_use(session, [shared], now=NOON)

    async with database.transaction() as session:
        counted = await session.scalar(text("SELECT sum(count) FROM rate_count"))
    assert counted == 8


async def test_looking_ahead_counts_nothing_and_refuses_what_would_be_refused(database):
    assert await use(database, an_allowance(most=3))
    async with database.transaction() as session:
        await look_ahead(session, [an_allowance(most=3)], now=NOON, more=2)

        with pytest.raises(AllowanceUsedUp):
            await look_ahead(session, [an_allowance(most=3)], now=NOON, more=3)


async def test_windows_that_are_over_are_forgotten_and_no_others(database):
    over, running = an_allowance("anna"), an_allowance("bruno", now=NOON + HOUR)
    for allowance in (over, running):
        assert await use(database, allowance)

    async with database.transaction() as session:
        await forget_rates(session, now=max(over.ends_at, NOON + timedelta(seconds=1)))
        left = (await session.scalars(text("SELECT subject FROM rate_count"))).all()

    assert left == [running.subject]


async def test_rows_tell_nobody_who_it_was(database):
    await use(database, allow("things", "203.0.113.7", most=1, window=HOUR, key=KEY, now=NOON))

    async with database.transaction() as session:
        row = await session.scalar(text("SELECT rate_count::text FROM rate_count"))
    assert "203.0.113.7" not in row
    assert allow("things", "203.0.113.7", most=1, window=HOUR, key=b"other", now=NOON).subject.hex not in row


@given(sender=st.text(max_size=20), now=st.integers(0, 10**9).map(lambda seconds: NOON + timedelta(seconds=seconds)))
def test_a_window_ends_within_its_length_and_is_the_same_until_then(sender, now):
    found = allow("things", sender, most=1, window=HOUR, key=KEY, now=now)

    assert timedelta() < found.ends_at - now <= HOUR
    last = allow("things", sender, most=1, window=HOUR, key=KEY, now=found.ends_at - timedelta(seconds=1))
    assert last == found
    assert allow("things", sender, most=1, window=HOUR, key=KEY, now=found.ends_at).subject != found.subject
