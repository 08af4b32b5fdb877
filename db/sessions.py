"""Connections and transactions."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import psycopg
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from db.tenancy import enter_city

# A connection in steady use is not asked whether it lives; one that idled longer may have lost its server.
_PING_AFTER_IDLE_S = 5.0
# Read-only after a primary was demoted; ended by an administrator; server shutting down or starting.
_LOST_SQLSTATES = frozenset({"25006", "57P01", "57P02", "57P03"})


class DatabaseUnavailable(Exception):
    """The database does not answer now; the same request may succeed in a moment."""


class Database:
    """One engine and the transactions made on it."""

    def __init__(self, url: str, *, role: str | None = "jalon_app", pool_size: int = 10, timeout_s: float = 10) -> None:
        """Prepare an engine; nothing connects yet.

        Args:
            url: A PostgreSQL URL; the driver part is set here.
            role: The role taken at connection start (so that no rollback undoes it); None keeps the login's.
            pool_size: Connections kept; as many again may be opened under load.
            timeout_s: How long a caller waits for a connection before DatabaseUnavailable.
        """
        connect_args: dict[str, Any] = {"connect_timeout": 5}
        if role is not None:
            connect_args["options"] = f"-c role={role}"
        self.engine = create_async_engine(
            driver_url(url),
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=timeout_s,
            connect_args=connect_args,
            hide_parameters=True,  # errors are logged and kept with dead jobs; values may be personal
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        event.listen(self.engine.sync_engine, "handle_error", _mark_lost)
        event.listen(self.engine.sync_engine.pool, "checkin", _note_idle)
        event.listen(self.engine.sync_engine.pool, "checkout", self._ping_after_idle)

    @asynccontextmanager
    async def transaction(self, city_id: int | None = None) -> AsyncIterator[AsyncSession]:
        """Open a transaction that commits at the end of the block and rolls back on any exception.

        Args:
            city_id: The city whose rows it sees; None for none (see `enter_city`).

        Raises:
            DatabaseUnavailable: the server went away, was demoted, or no connection came free in time.
        """
        async with self._sessions() as session:
            try:
                if city_id is not None:
                    await enter_city(session, city_id)
                yield session
                await session.commit()
            except (DBAPIError, psycopg.Error, PoolTimeout) as error:
                if not is_lost(error):
                    raise
                await session.invalidate()
                raise DatabaseUnavailable from error
            except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
                # Left in the middle of a statement, whose answer nobody read: no other transaction may get this one.
                await session.invalidate()
                raise

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _ping_after_idle(
        self, connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        since = entry.info.get("idle_since")
        if since is None or time.monotonic() - since < _PING_AFTER_IDLE_S:
            return
        try:
            self.engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise DisconnectionError from error  # the pool then opens a fresh connection


def driver_url(url: str) -> str:
    """Name the driver in a PostgreSQL URL as operators write it (``postgres://``, ``postgresql://``)."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in {"postgres", "postgresql"}:
        raise ValueError("a PostgreSQL URL starts with postgresql://")
    return f"postgresql+psycopg://{rest}"


def is_lost(error: BaseException) -> bool:
    """Tell whether an error means that the server went away, as against one that it answered."""
    if isinstance(error, PoolTimeout):
        return True
    original = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(original, psycopg.Error):
        return False
    if original.sqlstate is not None:
        return original.sqlstate in _LOST_SQLSTATES or original.sqlstate.startswith("08")
    return isinstance(original, psycopg.OperationalError)


def _mark_lost(context: ExceptionContext) -> None:
    if is_lost(context.original_exception):
        context.is_disconnect = True


def _note_idle(_connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    entry.info["idle_since"] = time.monotonic()
