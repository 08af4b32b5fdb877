"""The worker's part in the public map: counting, about once a second, what has changed.

Where so much changes that a pass takes long, the next one waits longer: cells that change again and again are then
counted once, and what counts has the processor for a twentieth of the time, or rests half a minute between passes.
"""

import asyncio
import time
from contextlib import suppress
from typing import Final

import structlog

from db.sessions import Database
from geo.cities import list_city_ids
from issues.cells import count_changes

_log = structlog.get_logger(__name__)

_EVERY_S: Final = 1.0
# How long a pass may take of the time from one to the next, and how long the next one waits at most.
_SHARE: Final = 1 / 20
_LONGEST_S: Final = 30.0


async def keep_cells(database: Database, stop: asyncio.Event, *, every_s: float = _EVERY_S) -> None:
    """Keep the cells of all cities up to date until `stop` is set; what goes wrong is logged and tried again.

    A loop and no job: a job each second would be two rows of history each second, and wait for its turn. Of several
    workers, one counts a city at a time.
    """
    while not stop.is_set():
        began = time.monotonic()
        try:
            await count_cities(database)
        except Exception:  # noqa: BLE001 - a map that is a little old must not end the pushes
            _log.warning("cells_not_counted", exc_info=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause_s(time.monotonic() - began, every_s=every_s))


def pause_s(took_s: float, *, every_s: float) -> float:
    """Tell how long to wait after a pass that took so long."""
    return max(every_s, min(took_s * (1 / _SHARE - 1), _LONGEST_S))


async def count_cities(database: Database) -> None:
    """Bring the cells of every city up to date, each in a transaction of its own."""
    async with database.transaction() as session:
        city_ids = await list_city_ids(session)
    for city_id in city_ids:
        async with database.transaction(city_id) as session:
            await count_changes(session, city_id)
