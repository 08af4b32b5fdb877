"""The worker's part in the outbox: looking, every few seconds, for pushes that came due without anybody asking."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy import select

from db.sessions import Database
from geo.cities import City
from issues.notices import NoticeTexts
from issues.push_extras import PushExtras
from push.deliver import Sender

_log = structlog.get_logger(__name__)

_EVERY_S: Final = 5.0


async def keep_delivering(
    database: Database,
    sender: Sender,
    texts: NoticeTexts,
    extras: PushExtras,
    stop: asyncio.Event,
    *,
    grace_s: float,
    every_s: float = _EVERY_S,
) -> None:
    """Send what is due in any city, again and again until `stop` is set; what goes wrong is logged and tried again.

    A loop and no job: one worker takes a job, and where there is much to send all should. Retries and expired leases
    come due here too.

    Args:
        database: Where the cities are.
        sender: Sends; no delivery twice, whoever else does.
        texts: Gets the cities' own words, as their packs have them by now.
        extras: Gets the links of their apps, likewise.
        stop: Ends the loop, and each city's run.
        grace_s: How long runs may then wait for answers to what has left, and record them.
        every_s: How often it looks.
    """
    runs: dict[int, asyncio.Task[None]] = {}  # by city: none waits for another's storm, nor ends with its trouble
    try:
        while not stop.is_set():
            try:
                async with database.transaction() as session:
                    cities = (await session.execute(select(City.id, City.jurisdiction_id, City.settings))).all()
                extras.links.update({city.jurisdiction_id: city.settings.get("app_link") for city in cities})
                texts.own.update({city.jurisdiction_id: city.settings.get("notices", {}) for city in cities})
                for city in cities:
                    if city.id not in runs or runs[city.id].done():
                        runs[city.id] = asyncio.create_task(_deliver(sender, city.id, stop))
            except Exception:  # noqa: BLE001 - trouble with one look must not end the worker
                _log.warning("cities_not_read", exc_info=True)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every_s)
        if runs:
            await asyncio.wait(runs.values(), timeout=grace_s)
    finally:
        for run in runs.values():
            run.cancel()
        await asyncio.gather(*runs.values(), return_exceptions=True)


async def _deliver(sender: Sender, city_id: int, stop: asyncio.Event) -> None:
    try:
        await sender.deliver_due(city_id, stop=stop)
    except Exception:  # noqa: BLE001 - the next run tries again
        _log.warning("pushes_not_delivered", city_id=city_id, exc_info=True)
