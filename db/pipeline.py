"""Several statements in one message: one round trip, and one time that each side wakes the other."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from psycopg import AsyncConnection
from psycopg.pq.abc import PGconn


@asynccontextmanager
async def one_message(connection: AsyncConnection) -> AsyncIterator[None]:
    """Hold back the statements executed in the block and send them together at its end.

    The server works on one after the other, each with a snapshot of its own where the transaction is READ
    COMMITTED; after an error it skips the rest, and the block raises it. Read the cursors after the block: inside it
    nothing has been sent, and asking for an answer would wait for ever.
    """
    async with connection.pipeline() as pipeline:
        # A pipeline of psycopg's own flushes after each statement, which costs both sides as much as the statement.
        pipeline.command_queue = _HeldBack(connection.pgconn)
        yield


class _HeldBack(deque[Callable[[], None]]):
    """Commands that look like none until the one that ends the pipeline has come, and then like a single one."""

    def __init__(self, pgconn: PGconn) -> None:
        super().__init__()
        self._pgconn = pgconn
        self._complete = False

    def append(self, command: Callable[[], None], /) -> None:
        super().append(command)
        self._complete = self._complete or command == self._pgconn.pipeline_sync

    def __bool__(self) -> bool:
        return self._complete and len(self) > 0

    def popleft(self) -> Callable[[], None]:
        commands = list(self)
        self.clear()
        self._complete = False

        def send_all() -> None:
            for command in commands:
                command()

        return send_all
