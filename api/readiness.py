"""Whether a process can do its work, found out seldom enough to be asked every second by everybody."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
from sqlalchemy import text

from db.revisions import newest_revision
from db.sessions import Database, DatabaseUnavailable
from media.objects import StorageUnavailable
from media.store import MAX_BYTES, PhotoStore

_log = structlog.get_logger(__name__)

_PATIENCE_S: Final = 3.0
# Bad news gets old sooner than good, so that whoever waits for a process waits little longer than it takes.
_GOOD_FOR_S: Final = 5.0
_BAD_FOR_S: Final = 1.0


class _NotReadyYet(Exception):
    """The database is there, but takes no writes or is not at the migration this program needs."""


class Readiness:
    """Whether database, migrations and storage are as this process needs them, remembered for some seconds."""

    def __init__(self, database: Database, store: PhotoStore, clock: Callable[[], float]) -> None:
        """Look at a database and a store.

        Args:
            database: This process's.
            store: This process's.
            clock: Seconds since any moment, never going back.
        """
        self._database = database
        self._store = store
        self._clock = clock
        self._found: Mapping[str, bool] = {}
        self._holds_until = -float("inf")
        self._looking = asyncio.Lock()
        self._is_leaving = False

    @property
    def is_leaving(self) -> bool:
        """Whether the process was told to stop."""
        return self._is_leaving

    def leave(self) -> None:
        """Say no from now on: the process was told to stop."""
        self._is_leaving = True

    async def find(self) -> Mapping[str, bool]:
        """Tell which of them work; however many ask, only one look is taken at a time."""
        if self._is_leaving:
            return {**self._found, "serving": False}
        async with self._looking:
            if self._clock() >= self._holds_until:
                self._found = await self._look()
                self._holds_until = self._clock() + (_GOOD_FOR_S if all(self._found.values()) else _BAD_FOR_S)
            return self._found

    async def _look(self) -> Mapping[str, bool]:
        checks = {
            "database": self._reach(),
            "migrations": self._compare(),
            "storage": self._store.look(room_bytes=MAX_BYTES),
        }
        works = await asyncio.gather(*(_works(name, check) for name, check in checks.items()))
        return dict(zip(checks, works, strict=True))

    async def _reach(self) -> None:
        async with self._database.transaction() as session:
            read_only = await session.scalar(text("SHOW transaction_read_only"))
        if read_only == "on":  # it is a standby, or a primary that was demoted
            raise _NotReadyYet

    async def _compare(self) -> None:
        async with self._database.transaction() as session:
            stands_at = await session.scalar(text("SELECT version_num FROM alembic_version"))
        if stands_at != newest_revision():
            raise _NotReadyYet


async def _works(name: str, check: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await check
    except (DatabaseUnavailable, StorageUnavailable, _NotReadyYet, TimeoutError) as error:
        _log.warning("not_ready", check=name, error=repr(error))
        return False
    return True
