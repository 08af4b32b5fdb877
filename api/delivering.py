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
        stop: Ends the loop after the batch that it is at.
        every_s: How long it rests in between.
    """
    while not stop.is_set():
        try:
            async with database.transaction() as session:
                cities = (await session.execute(select(City.id, City.jurisdiction_id, City.settings))).all()
            extras.links.update({city.jurisdiction_id: city.settings.get("app_link") for city in cities})
            texts.own.update({city.jurisdiction_id: city.settings.get("notices", {}) for city in cities})
            async with asyncio.TaskGroup() as deliveries:  # they take turns, batch by batch
                for city in cities:
                    deliveries.create_task(sender.deliver_due(city.id, stop=stop))
        except Exception:  # noqa: BLE001 - one city's trouble, or the database's, must not end the pushes
            _log.warning("pushes_not_delivered", exc_info=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_s)
