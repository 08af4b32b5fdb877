"""Waiting until nothing is left to do: no job, no push, no photo; what dead workers held is let go of."""

import asyncio
import math
import time
from collections.abc import Set as AbstractSet
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from db.sessions import Database

_STALL_S = 180.0  # longer than a dead worker's lease, and than any wait between tries that a drill brings about
_LOOK_AGAIN_S = 0.2
_LOOKS_SHARE = 10  # so many times as long as a look is the pause after it


class StillWaiting(Exception):
    """Jobs, pushes or photos were left over; says which. Dead jobs count: nobody would do them any more."""


async def settle(
    judge: Database, dead_leases: AbstractSet[UUID] = frozenset(), *, hurry: bool, tries_come_due: bool = False
) -> None:
    """Wait until no job, push or photo is waiting any more; workers do them meanwhile.

    Args:
        judge: The database as its owner.
        dead_leases: Of pushes that killed workers were sending.
        hurry: Let the leases of dead workers end at once instead of after their minute, and tries that wait be made.
        tries_come_due: Let only the latter be: after many failures they wait for up to an hour.

    Raises:
        StillWaiting: for three minutes, no less was waiting than before.
    """
    fewest, deadline = math.inf, 0.0
    async with judge.transaction() as session:
        since = await session.scalar(text("SELECT now()"))
    while True:
        looks_at = time.monotonic()
        async with judge.transaction() as session:
            if hurry:
                await _let_time_pass(session, dead_leases, since)
            elif tries_come_due:
                await session.execute(text(_COME_DUE))
            waiting = (await session.execute(text(_WAITING))).all()
        if not waiting:
            return
        # A loaded machine may take its time, as long as it gets on; what goes in circles does not.
        if (left := sum(count for _, count in waiting)) < fewest:
            fewest, deadline = left, time.monotonic() + _STALL_S
        elif time.monotonic() > deadline:
            raise StillWaiting(", ".join(f"{count} {what}" for what, count in waiting))
        # Where much is waiting, looking takes its time, which is to be theirs who do it.
        await asyncio.sleep(max(_LOOK_AGAIN_S, _LOOKS_SHARE * (time.monotonic() - looks_at)))


_WAITING = """
SELECT concat_ws(' ', 'job', entrypoint, status), count(*) FROM pgqueuer GROUP BY 1
UNION ALL SELECT 'delivery', count(*) FROM delivery WHERE state = 'queued' HAVING count(*) > 0
UNION ALL SELECT 'notice', count(*) FROM notice WHERE told_at IS NULL HAVING count(*) > 0
UNION ALL SELECT 'photo', count(*) FROM photo WHERE state = 'pending' HAVING count(*) > 0
"""


# Put off by their provider, or for an e-mail's turn.
_COME_DUE = "UPDATE delivery SET due_at = now() WHERE state = 'queued' AND lease IS NULL AND due_at > now()"


async def _let_time_pass(session: AsyncSession, dead_leases: AbstractSet[UUID], since: datetime) -> None:
    """End the leases of dead workers, as a minute of waiting would; those of the living stay."""
    for statement in (
        "UPDATE delivery SET due_at = now() WHERE state = 'queued' AND lease = ANY(:leases)",
        _COME_DUE,
        # A job that a live worker took before may run a second time, which must not matter.
        "UPDATE pgqueuer SET heartbeat = now() - interval '1 hour' WHERE status = 'picked' AND heartbeat < :since",
        "UPDATE pgqueuer SET execute_after = now() WHERE status = 'queued'",
    ):
        await session.execute(text(statement), {"leases": list(dead_leases), "since": since})
