"""Transactions on connections that break."""

import asyncio

import psycopg
import pytest
from sqlalchemy import text

from db.pipeline import one_message
from db.sessions import Database, DatabaseUnavailable
from db.tenancy import driver_connection


@pytest.fixture
async def single(app_url):
    """A database of one connection, so that the next transaction gets what the last one left."""
    async with Database(app_url, pool_size=1) as database:
        yield database


async def answers(database):
    async with database.transaction() as session:
        connection = await driver_connection(session)
        async with one_message(connection):
            cursor = await connection.execute("SELECT 1")
        return await cursor.fetchone() == (1,)


async def use(database):
    async with database.transaction() as session:
        connection = await driver_connection(session)
        async with one_message(connection):
            await connection.execute("SELECT pg_sleep(0.001)")
            await connection.execute("SELECT 1")
        await session.execute(text("SELECT 2"))


@pytest.mark.parametrize("suspensions", range(12))
async def test_a_transaction_cancelled_anywhere_leaves_nothing_to_the_next(single, suspensions):
    assert await answers(single)
    task = asyncio.create_task(use(single))
    for _ in range(suspensions):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert [await answers(single) for _ in range(3)] == [True] * 3


async def test_a_connection_whose_server_process_was_ended_is_replaced(single, cluster, database_name):
    async def work_on():
        async with single.transaction() as session:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            with cluster.connect(database_name) as admin:
                admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
            await session.execute(text("SELECT 1"))

    with pytest.raises(DatabaseUnavailable):
        await work_on()

    assert await answers(single)


async def test_a_primary_that_was_demoted_is_unavailable_and_its_connection_given_up(single):
    async with single.transaction() as session:
        before = await session.scalar(text("SELECT pg_backend_pid()"))

    async def write():
        async with single.transaction() as session:
            await session.execute(text("SET TRANSACTION READ ONLY"))
            await session.execute(text("DELETE FROM photo"))

    with pytest.raises(DatabaseUnavailable):
        await write()

    async with single.transaction() as session:
        assert await session.scalar(text("SELECT pg_backend_pid()")) != before


async def test_an_answered_error_keeps_its_connection(single):
    async with single.transaction() as session:
        before = await session.scalar(text("SELECT pg_backend_pid()"))
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with single.transaction() as session:
            await (await driver_connection(session)).execute("SELECT 1 / 0")

    async with single.transaction() as session:
        assert await session.scalar(text("SELECT pg_backend_pid()")) == before
