"""The clocks that deadlines across machines are kept by."""

import time
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection


async def database_time(session: AsyncSession) -> datetime:
    """Read the database's own clock: the one that all machines share, however theirs differ.

    It is the time of the call, not of the start of the transaction.
    """
    connection = await driver_connection(session)
    cursor = await connection.execute("SELECT clock_timestamp()")
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - a SELECT of a value gives one row
    now: datetime = row[0]
    return now


def seconds_passed() -> float:
    """Read a clock that only ever grows, also while the process is stopped or the machine sleeps.

    Python's ``time.monotonic`` stands still while the machine sleeps.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)
