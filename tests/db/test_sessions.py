"""Transactions on connections that break."""

import asyncio

import psycopg
import pytest
from sqlalchemy import text

from db.connections import driver_connection
from db.pipeline import one_message
from db.sessions import Database, DatabaseBusy, DatabaseFull, DatabaseUnavailable, Patience

IMPATIENT = Patience(statement_s=0.1, lock_s=0.05, idle_in_transaction_s=1)


@pytest.fixture
async def single(app_url):
    """A database of one connection, so that the next transaction gets what the last one left."""
    async with Database(app_url, pool_size=1) as database:
        yield database


@pytest.fixture
async def impatient(app_url):
    """A database of one connection that waits for nothing."""
    async with Database(app_url, pool_size=1, patience=IMPATIENT) as database:
        yield database


async def server_process(database):
    async with database.transaction() as session:
        return await session.scalar(text("SELECT pg_backend_pid()"))


async def run(database, *statements):
    """Run statements in one transaction, straight on the driver."""
    async with database.transaction() as session:
        connection = await driver_connection(session)
        for statement in statements:
            await connection.execute(statement)


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


class Refused(Exception):
    """What somebody finds out inside of a transaction, and gives it up for."""


async def test_what_a_transaction_was_given_up_for_is_told_also_where_its_server_process_is_gone(
    single, cluster, database_name
):
    async def refuse():
        async with single.transaction() as session:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            with cluster.connect(database_name) as admin:
                admin.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
            raise Refused

    for _ in range(3):
        with pytest.raises(Refused):
            await refuse()

    assert await answers(single)


async def test_a_primary_that_was_demoted_is_unavailable_and_its_connection_given_up(single):
    before = await server_process(single)

    async def write():
        async with single.transaction() as session:
            await session.execute(text("SET TRANSACTION READ ONLY"))
            await session.execute(text("DELETE FROM photo"))

    with pytest.raises(DatabaseUnavailable):
        await write()

    assert await server_process(single) != before


async def test_what_the_driver_does_in_a_savepoint_is_taken_back_with_it(single):
    async with single.transaction() as session:
        async with session.begin_nested() as attempt:
            connection = await driver_connection(session)
            await connection.execute("SELECT pg_advisory_xact_lock(1)")
            await attempt.rollback()
        locked = await connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )

        assert await locked.fetchone() == (0,)


async def test_driver_and_orm_are_in_one_transaction(single):
    async with single.transaction() as session:
        connection = await driver_connection(session)
        number = "SELECT pg_backend_pid(), pg_current_xact_id()::text"
        on_the_driver = await (await connection.execute(number)).fetchone()

        assert tuple((await session.execute(text(number))).one()) == on_the_driver


async def test_an_answered_error_keeps_its_connection(single):
    before = await server_process(single)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await run(single, "SELECT 1 / 0")

    assert await server_process(single) == before


async def test_a_statement_that_takes_too_long_is_given_up_and_its_connection_kept(impatient):
    before = await server_process(impatient)
    with pytest.raises(DatabaseBusy):
        await run(impatient, "SELECT pg_sleep(60)")

    assert await server_process(impatient) == before


@pytest.mark.parametrize("through_sqlalchemy", [True, False])
async def test_a_lock_that_does_not_come_free_is_given_up(single, impatient, through_sqlalchemy):
    async def lock(session):
        if through_sqlalchemy:
            await session.execute(text("SELECT pg_advisory_xact_lock(1)"))
        else:
            await (await driver_connection(session)).execute("SELECT pg_advisory_xact_lock(1)")

    async with single.transaction() as holder:
        await lock(holder)
        with pytest.raises(DatabaseBusy):
            async with impatient.transaction() as waiter:
                await lock(waiter)

    assert await answers(impatient)


async def test_of_two_transactions_in_a_deadlock_one_is_rolled_back_and_told_so(app_url):
    async with Database(app_url, pool_size=2) as database:
        both_hold_one = asyncio.Barrier(2)

        async def lock(first, second):
            async with database.transaction() as session:
                await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": first})
                await both_hold_one.wait()
                await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": second})

        outcomes = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DatabaseBusy", "NoneType"]


async def test_a_transaction_that_nobody_goes_on_with_is_ended(impatient, cluster, database_name):
    async def forget():
        async with impatient.transaction() as session:
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            with cluster.connect(database_name) as admin:
                while admin.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone() is not None:
                    pass
            await session.execute(text("SELECT 1"))

    with pytest.raises(DatabaseUnavailable):
        await forget()

    assert await answers(impatient)


async def test_the_owner_may_take_their_time(owner, database):
    async def limits(of):
        async with of.transaction() as session:
            settings = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
            return [await session.scalar(text(f"SHOW {name}")) for name in settings]

    assert await limits(owner) == ["0", "0", "0"]
    assert await limits(database) == ["20s", "10s", "1min"]


@pytest.mark.parametrize("sqlstate", ["53100", "53200", "53300"])
async def test_a_server_without_room_is_full_and_keeps_its_connections(single, sqlstate):
    before = await server_process(single)
    with pytest.raises(DatabaseFull):
        await run(single, f"DO $$ BEGIN RAISE SQLSTATE '{sqlstate}'; END $$")

    assert await server_process(single) == before


async def test_a_database_that_takes_no_more_connections_is_unavailable_until_it_does(single, cluster, database_name):
    with cluster.connect() as admin:
        admin.execute(f'ALTER DATABASE "{database_name}" CONNECTION LIMIT 0')
    with pytest.raises(DatabaseUnavailable, match="too many connections"):
        await _with_its_cause(run(single, "SELECT 1"))
    with cluster.connect() as admin:
        admin.execute(f'ALTER DATABASE "{database_name}" CONNECTION LIMIT -1')

    assert await answers(single)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid"])
async def test_a_server_that_is_not_there_is_unavailable(host):
    async with Database(f"postgresql://web@{host}/jalon") as database:
        with pytest.raises(DatabaseUnavailable):
            await run(database, "SELECT 1")


async def test_a_pool_that_stays_empty_is_busy(app_url):
    database = Database(app_url, pool_size=1, timeout_s=0.01)
    async with database, database.transaction() as first, database.transaction() as second:
        await first.execute(text("SELECT 1"))
        await second.execute(text("SELECT 1"))
        with pytest.raises(DatabaseBusy):
            await run(database, "SELECT 1")


async def test_a_connection_used_wrongly_is_a_mistake_of_ours_and_not_called_lost(single):
    async def use_twice():
        async with single.transaction() as session:
            connection = await driver_connection(session)
            connection.pgconn.send_query(b"SELECT 1")
            await connection.execute("SELECT 2")

    with pytest.raises(psycopg.OperationalError, match="already in progress"):
        await use_twice()

    assert await answers(single)


def leave_in_a_pipeline(pgconn):
    pgconn.enter_pipeline_mode()


def leave_in_a_transaction(pgconn):
    pgconn.exec_(b"BEGIN")


def leave_in_a_statement(pgconn):
    pgconn.send_query(b"SELECT 1")


@pytest.mark.parametrize("leave", [leave_in_a_pipeline, leave_in_a_transaction, leave_in_a_statement])
async def test_a_connection_in_the_middle_of_something_is_handed_to_nobody(single, leave):
    before = await server_process(single)
    async with single.engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
    leave(driver.pgconn)

    assert await answers(single)
    assert await server_process(single) != before


async def _with_its_cause(work):
    """Await something; an error is raised with the words of what caused it."""
    try:
        await work
    except DatabaseUnavailable as error:
        raise DatabaseUnavailable(str(error.__cause__)) from error
