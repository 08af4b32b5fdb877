"""What pgqueuer needs of a connection, over one of ours.

Its own psycopg driver wants a connection in autocommit, so it cannot enqueue inside a transaction; and it listens
on the connection that it works on, which makes each statement wait for the listener's turn.
"""

import asyncio
from typing import Self

from pgqueuer.core.tm import TaskManager
from pgqueuer.ports.driver import Driver, NotifyCallback
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg.rows import dict_row


class JobDriver(Driver):
    """Runs pgqueuer's statements on a psycopg connection, in whatever transaction it is in.

    Nothing listens in the database: a NOTIFY takes a lock that is common to the whole database, so workers poll.
    What a worker notifies reaches the listeners of its own process, which is enough for its health check.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._listeners: dict[str, list[NotifyCallback]] = {}
        self._shutdown = asyncio.Event()
        self._tasks = TaskManager()

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Run a statement with `$1` parameters; answers its rows by column name."""
        cursor = AsyncRawCursor(self._connection, row_factory=dict_row)
        await cursor.execute(query, args or None)
        return await cursor.fetchall()

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement with `$1` parameters; answers its command tag."""
        cursor = AsyncRawCursor(self._connection)
        await cursor.execute(query, args or None)
        return cursor.statusmessage or ""

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Call back for what this process notifies on a channel."""
        self._listeners.setdefault(channel, []).append(callback)

    async def notify(self, channel: str, payload: str) -> None:
        """Tell the listeners of this process, at once."""
        for callback in self._listeners.get(channel, []):
            callback(payload)

    @property
    def shutdown(self) -> asyncio.Event:
        """Part of the protocol; ours has nothing to shut down."""
        return self._shutdown

    @property
    def tm(self) -> TaskManager:
        """Part of the protocol; ours starts no tasks."""
        return self._tasks

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.gather_tasks()
