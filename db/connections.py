"""The connection of a transaction, shared by statements on the driver and those of SQLAlchemy.

It is taken from the pool's shelf without SQLAlchemy's session: asking that for it, and having it commit, costs as much
as three statements, and most transactions of the hot paths never use the ORM.
"""

from typing import Any, Final

from psycopg import AsyncConnection
from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import await_only, greenlet_spawn

# Where a session keeps its transaction's connection.
_HELD: Final = "held_connection"


class HeldConnection:
    """A connection that one transaction takes from the pool when it first needs one."""

    def __init__(self, engine: Engine) -> None:
        """Hold none yet."""
        self._engine = engine
        self._proxied: PoolProxiedConnection | None = None
        self._orm: Connection | None = None

    @property
    def driver(self) -> AsyncConnection | None:
        """The driver's connection; None where nobody needed one yet, or it was given up."""
        return None if self._proxied is None else self._proxied.driver_connection

    async def take(self) -> AsyncConnection:
        """Get the driver's connection, from the pool the first time."""
        if self._proxied is None:
            await greenlet_spawn(self._take)
        connection = self.driver
        assert connection is not None  # noqa: S101 - just taken
        return connection

    def for_orm(self) -> Connection:
        """Get it as SQLAlchemy's; inside of what SQLAlchemy runs."""
        if self._orm is None:
            self._orm = Connection(self._engine, connection=self._take())
        return self._orm

    async def give_back(self) -> None:
        """Return it to the pool, if one was taken and is still good."""
        if self._proxied is not None and self._proxied.is_valid:
            await greenlet_spawn(self._proxied.close)
        self._proxied = None

    async def give_up(self) -> None:
        """Close it, so that no other transaction gets it."""
        if self._proxied is not None and self._proxied.is_valid:
            await greenlet_spawn(self._proxied.invalidate)
        self._proxied = None

    def _take(self) -> PoolProxiedConnection:
        if self._proxied is None:
            self._proxied = self._engine.raw_connection()
        return self._proxied


class HoldingSession(Session):
    """A session whose statements go over the connection that its transaction holds."""

    def get_bind(self, *_args: Any, **_options: Any) -> Connection:
        """Get where to send a statement."""
        return held_by(self).for_orm()

    def commit(self) -> None:
        """Keep what was done, on the driver too."""
        super().commit()
        if (driver := held_by(self).driver) is not None:
            await_only(driver.commit())

    def rollback(self) -> None:
        """Take back what was done, on the driver too."""
        super().rollback()
        if (driver := held_by(self).driver) is not None:
            await_only(driver.rollback())


def hold(session: AsyncSession, held: HeldConnection) -> None:
    """Give a session, one of `HoldingSession`, what its statements go over."""
    session.sync_session.info[_HELD] = held


def held_by(session: Session) -> HeldConnection:
    """Get what a session's statements go over."""
    return session.info[_HELD]  # type: ignore[no-any-return]  # what a session carries has no type


async def driver_connection(session: AsyncSession) -> AsyncConnection:
    """Get the psycopg connection of the session's transaction, for the statements of a hot path."""
    if session.in_nested_transaction():
        await session.connection()  # sets the savepoint, which otherwise waits for a statement of SQLAlchemy's own
    return await held_by(session.sync_session).take()
