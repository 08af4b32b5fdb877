"""Statements that travel together."""

import asyncio

import psycopg
import pytest

from db.connections import driver_connection
from db.pipeline import one_message


async def test_statements_are_answered_in_their_order(session):
    connection = await driver_connection(session)

    async with one_message(connection):
        first = await connection.execute("SELECT %s::int", (1,), prepare=True)
        second = await connection.execute("SELECT generate_series(1, 3)")

    assert await first.fetchall() == [(1,)]
    assert [n for (n,) in await second.fetchall()] == [1, 2, 3]


async def test_they_are_part_of_the_sessions_transaction(database):
    async with database.transaction() as session:
        connection = await driver_connection(session)
        async with one_message(connection):
            await connection.execute("SET LOCAL jalon.city_id = 7")
            inside = await connection.execute("SELECT current_setting('jalon.city_id', true)")
        await session.rollback()
        after = await connection.execute("SELECT current_setting('jalon.city_id', true)")

    assert await inside.fetchone() == ("7",)
    assert await after.fetchone() in [("",), (None,)]


async def test_nothing_is_sent_before_the_end(session, cluster, database_name):
    connection = await driver_connection(session)
    await connection.execute("SELECT 'before'")
    with cluster.connect(database_name) as watcher:

        def last_statement():
            pid = connection.pgconn.backend_pid
            return watcher.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()[0]

        async with one_message(connection):
            await connection.execute("SELECT 1")
            await connection.execute("SELECT 2")
            assert last_statement() == "SELECT 'before'"
        assert last_statement() == "SELECT 2"


async def test_each_statement_sees_what_was_committed_before_it(database, owner):
    """A statement that waits for a lock is followed by one that sees what it waited for."""
    async with owner.transaction() as session:
        await (await driver_connection(session)).execute("CREATE TABLE seen (n int)")
        await (await driver_connection(session)).execute("GRANT SELECT, INSERT ON seen TO jalon_app")
    async with database.transaction() as first, database.transaction() as second:
        holder, waiter = await driver_connection(first), await driver_connection(second)
        await holder.execute("SELECT pg_advisory_xact_lock(1)")
        await holder.execute("INSERT INTO seen VALUES (1)")

        async def look():
            async with one_message(waiter):
                await waiter.execute("SELECT pg_advisory_xact_lock(1)")
                counted = await waiter.execute("SELECT count(*) FROM seen")
            return await counted.fetchone()

        looking = asyncio.create_task(look())
        await _until_somebody_waits(holder)
        await first.commit()

        assert await looking == (1,)


async def _until_somebody_waits(connection):
    while True:
        waiting = await connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        if await waiting.fetchone() != (0,):
            return


async def _divide_by_zero_then_go_on(connection):
    async with one_message(connection):
        await connection.execute("SELECT 1 / 0")
        await connection.execute("SELECT nextval('no_such_sequence')")


async def test_an_error_is_raised_and_what_came_after_it_skipped(database):
    async with database.transaction() as session:
        connection = await driver_connection(session)
        with pytest.raises(psycopg.errors.DivisionByZero):
            await _divide_by_zero_then_go_on(connection)
        await session.rollback()

        again = await connection.execute("SELECT 1")
        assert await again.fetchone() == (1,)


async def test_prepared_statements_are_used_again(database):
    for _ in range(3):
        async with database.transaction() as session:
            connection = await driver_connection(session)
            async with one_message(connection):
                await connection.execute("SELECT 'said again'", prepare=True)
    async with database.transaction() as session:
        connection = await driver_connection(session)
        prepared = await connection.execute(
            "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement = $$SELECT 'said again'$$"
        )
        assert await prepared.fetchall() == [(3,)]
