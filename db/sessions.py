"""Connections and transactions."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from db.connections import HeldConnection, HoldingSession, hold
from db.tenancy import enter_city

# A connection in steady use is not asked whether it lives; one that idled longer may have lost its server.
_PING_AFTER_IDLE_S = 5.0
# Read-only after a primary was demoted; idled too long in a transaction; ended by an administrator or a crash;
# server shutting down or starting.
_LOST_SQLSTATES = frozenset({"25006", "25P03", "57P01", "57P02", "57P03"})
_BUSY_SQLSTATES = frozenset({"40001", "40P01", "55P03", "57014"})
_FULL_SQLSTATES = frozenset({"53100", "53200", "53300"})
_PLAN_OF_ANOTHER_TABLE = "0A000", "RevalidateCachedQuery"


class DatabaseUnavailable(Exception):
    """The database does not answer now; the same request may succeed in a moment."""


class DatabaseBusy(DatabaseUnavailable):
    """Others were in the way: a deadlock, a lock or connection not free in time, a statement that took too long."""


class DatabaseFull(DatabaseUnavailable):
    """The database's machine has no disk, memory or connections left; an operator has to look."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the database keeps a connection at one thing before it gives up, in seconds."""

    statement_s: float
    lock_s: float
    idle_in_transaction_s: float

    @property
    def options(self) -> str:
        """The options of a connection that say so."""
        limits = {
            "statement_timeout": self.statement_s,
            "lock_timeout": self.lock_s,
            "idle_in_transaction_session_timeout": self.idle_in_transaction_s,
        }
        return " ".join(f"-c {name}={int(limit_s * 1000)}" for name, limit_s in limits.items())


# Longer than any request takes on a busy machine, and short enough that what hangs does not hold up the rest.
SERVING = Patience(statement_s=20, lock_s=10, idle_in_transaction_s=60)
# One statement may write a notice to everybody who follows an issue.
WORKING = Patience(statement_s=120, lock_s=30, idle_in_transaction_s=60)


class Database:
    """One engine and the transactions made on it."""

    def __init__(
        self,
        url: str,
        *,
        role: str | None = "jalon_app",
        pool_size: int = 10,
        timeout_s: float = 10,
        patience: Patience = SERVING,
    ) -> None:
        """Prepare an engine; nothing connects yet.

        Args:
            url: A PostgreSQL URL; the driver part is set here.
            role: The role taken at connection start (so that no rollback undoes it); None keeps the login's.
            pool_size: Connections kept; as many again may be opened under load.
            timeout_s: How long a caller waits for a connection before DatabaseBusy.
            patience: Limits on what is done in the role; a login without one is its owner's, who may take their time.
        """
        connect_args: dict[str, Any] = {"connect_timeout": 5}
        if role is not None:
            connect_args["options"] = f"-c role={role} {patience.options}"
        self.engine = create_async_engine(
            driver_url(url),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=timeout_s,
            connect_args=connect_args,
            hide_parameters=True,  # errors are logged and kept with dead jobs; values may be personal
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, sync_session_class=HoldingSession)
        event.listen(self.engine.sync_engine, "handle_error", _mark_lost)
        event.listen(self.engine.sync_engine.pool, "checkin", _note_idle)
        event.listen(self.engine.sync_engine.pool, "checkout", self._look_over)

    @asynccontextmanager
    async def transaction(self, city_id: int | None = None) -> AsyncIterator[AsyncSession]:
        """Open a transaction that commits at the end of the block and rolls back on any exception.

        Args:
            city_id: The city whose rows it sees; None for none (see `enter_city`).

        Raises:
            DatabaseUnavailable: the server went away or was demoted.
            DatabaseBusy: a deadlock, a limit of `Patience`, or no connection came free in time.
            DatabaseFull: the server has no disk, memory or connections left.
        """
        session, held = self._sessions(), HeldConnection(self.engine.sync_engine)
        hold(session, held)
        try:
            if city_id is not None:
                await enter_city(session, city_id)
            yield session
            await _commit(session, held)
        except BaseException as error:
            try:
                await _give_up_broken(held, error)
            finally:
                await _roll_back(session, held)
            raise

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Open a connection of its own, each of whose statements commits by itself.

        Raises:
            DatabaseUnavailable, DatabaseBusy, DatabaseFull: as in `transaction`. The connection is given up.
        """
        try:
            async with self.engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                driver = (await connection.get_raw_connection()).driver_connection
                assert isinstance(driver, psycopg.AsyncConnection)  # noqa: S101 - psycopg is the only driver
                try:
                    yield driver
                except psycopg.Error as error:
                    unavailable = why_unavailable(error, driver)
                    await connection.invalidate()
                    if unavailable is None:
                        raise
                    raise unavailable from error
        except (DBAPIError, PoolTimeout) as error:
            unavailable = why_unavailable(error)
            if unavailable is None:
                raise
            raise unavailable from error

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _look_over(
        self, connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        """Hand out only a connection that is between transactions, and lives; the pool opens another for it."""
        driver = connection.driver_connection
        if driver.pgconn.transaction_status != TransactionStatus.IDLE or _is_in_a_statement(driver):
            raise DisconnectionError
        since = entry.info.get("idle_since")
        if since is None or time.monotonic() - since < _PING_AFTER_IDLE_S:
            return
        try:
            self.engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise DisconnectionError from error


async def _commit(session: AsyncSession, held: HeldConnection) -> None:
    if session.in_transaction():
        await session.commit()
    elif (driver := held.driver) is not None:
        await driver.commit()
    await held.give_back()


async def _roll_back(session: AsyncSession, held: HeldConnection) -> None:
    """Give up what was done. A server that has gone away meanwhile has rolled back already."""
    try:
        await session.close()  # not its rollback, which makes whoever has read a row read it again
        if (driver := held.driver) is not None:
            await driver.rollback()
    except (DBAPIError, psycopg.Error) as error:
        unavailable = why_unavailable(error, held.driver)
        await held.give_up()
        if unavailable is None:
            raise
    await held.give_back()


async def _give_up_broken(held: HeldConnection, error: BaseException) -> None:
    """Throw the connection of a failed transaction away where no other may have it.

    Raises:
        DatabaseUnavailable, DatabaseBusy, DatabaseFull: where the error was one of these.
    """
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, SystemExit)):
        # Left in the middle of a statement, whose answer nobody read.
        await held.give_up()
    if isinstance(error, (DBAPIError, psycopg.Error, PoolTimeout)):
        connection = held.driver
        unavailable = why_unavailable(error, connection)
        if unavailable is None and isinstance(error, psycopg.Error) and connection is None:
            unavailable = DatabaseUnavailable  # opening one is what failed
        if unavailable is DatabaseUnavailable or (connection is not None and _is_in_a_statement(connection)):
            await held.give_up()
        if unavailable is not None:
            raise unavailable from error


def driver_url(url: str) -> str:
    """Name the driver in a PostgreSQL URL as operators write it (``postgres://``, ``postgresql://``)."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in {"postgres", "postgresql"}:
        raise ValueError("a PostgreSQL URL starts with postgresql://")
    return f"postgresql+psycopg://{rest}"


def why_unavailable(
    error: BaseException, connection: psycopg.AsyncConnection | None = None
) -> type[DatabaseUnavailable] | None:
    """Tell which passing trouble of the database an error stands for; None for an answer of the database.

    Args:
        error: What SQLAlchemy or psycopg raised.
        connection: The connection it came from, where known. An error of psycopg's own, which has no SQLSTATE,
            tells by itself neither that the connection broke nor that it was used wrongly.
    """
    if isinstance(error, PoolTimeout):
        return DatabaseBusy
    original = error.orig if isinstance(error, DBAPIError) else error
    sqlstate = original.sqlstate if isinstance(original, psycopg.Error) else None
    if sqlstate in _BUSY_SQLSTATES:
        return DatabaseBusy
    if sqlstate in _FULL_SQLSTATES:
        return DatabaseFull
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return DatabaseUnavailable if lost or _is_lost(original, connection) else None


def _is_lost(error: BaseException | None, connection: psycopg.AsyncConnection | None) -> bool:
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        return connection is not None and connection.closed
    # A connection that has prepared statements on tables that were made anew (a backup was restored) is of no more use.
    stale = (error.sqlstate, error.diag.source_function) == _PLAN_OF_ANOTHER_TABLE
    return stale or error.sqlstate in _LOST_SQLSTATES or error.sqlstate.startswith("08")


def _is_in_a_statement(connection: psycopg.AsyncConnection) -> bool:
    return (
        connection.pgconn.transaction_status == TransactionStatus.ACTIVE
        or connection.pgconn.pipeline_status != PipelineStatus.OFF
    )


def _mark_lost(context: ExceptionContext) -> None:
    # Where there is no connection, opening one is what failed.
    if context.connection is None or _is_lost(context.original_exception, None):
        context.is_disconnect = True


def _note_idle(_connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    entry.info["idle_since"] = time.monotonic()
