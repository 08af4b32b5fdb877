"""What happens in a city, as it happens: server-sent events for desks and maps.

Whoever listens reads the feed of events from where they have read to, in an order in which no late commit is skipped.
That something happened is told between processes by NOTIFY: after the commit, on a connection of its own, and five
times a second at most, since each takes a lock that is common to the whole database. Who missed it looks anyway.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog

from api.problems.refusals import TooBusy
from db.sessions import Database, DatabaseUnavailable

_log = structlog.get_logger(__name__)

_CHANNEL: Final = "jalon_events"
_TELL_EVERY_S: Final = 0.2
_LISTEN_FOR_S: Final = 1.0
_LOOK_EVERY_S: Final = 2.0
_AGAIN_S: Final = 1.0
MOST_LISTENERS: Final = 200
"""So many may listen at one process; each costs a look at the feed whenever something happens."""
MOST_OF_ONE_ADDRESS: Final = 40
"""So many of them from one address, so that nobody takes all places; an office behind one address has room."""


class Live:
    """Tells the other processes that something happened here, and those who listen here that it did anywhere."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._touched = asyncio.Event()
        self._happened = asyncio.Condition()
        self._listeners: Counter[str] = Counter()
        self._listening: asyncio.Task[None] | None = None

    def touch(self) -> None:
        """Note that something may have happened, once it is committed; costs nothing now."""
        self._touched.set()

    async def keep_telling(self) -> None:
        """Tell the other processes, until cancelled."""
        while True:
            await self._touched.wait()
            self._touched.clear()
            with suppress(DatabaseUnavailable):  # then they look by themselves
                async with self._database.connection() as connection:
                    await connection.execute(f"NOTIFY {_CHANNEL}")
            await asyncio.sleep(_TELL_EVERY_S)

    def refuse_too_many(self, address: str) -> None:
        """Let one more listen from an address.

        Raises:
            TooBusy: `MOST_LISTENERS` listen already, or `MOST_OF_ONE_ADDRESS` from there.
        """
        if self._listeners.total() >= MOST_LISTENERS or self._listeners[address] >= MOST_OF_ONE_ADDRESS:
            raise TooBusy

    @asynccontextmanager
    async def listening(self, address: str) -> AsyncIterator[None]:
        """Have `wait` end early while the block runs, for somebody at an address."""
        self._listeners[address] += 1
        if self._listening is None:
            self._listening = asyncio.create_task(self._keep_listening())
        try:
            yield
        finally:
            self._listeners -= Counter([address])  # which keeps no address without listeners
            if not self._listeners:
                await self.close()

    async def wait(self) -> None:
        """Wait until something has happened, or a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S), self._happened:
                await self._happened.wait()

    async def close(self) -> None:
        """Stop listening to the other processes."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def _keep_listening(self) -> None:
        while True:
            try:
                async with self._database.connection() as connection:
                    await connection.execute(f"LISTEN {_CHANNEL}")
                    while True:
                        async for _ in connection.notifies(timeout=_LISTEN_FOR_S, stop_after=1):
                            async with self._happened:
                                self._happened.notify_all()
            except DatabaseUnavailable:
                _log.info("live_events_look_by_themselves")
                await asyncio.sleep(_AGAIN_S)
