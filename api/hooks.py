"""The worker's part for webhooks: read, post with no transaction open, note the answer, and on to the next event."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import select

from db.sessions import Database
from geo.cities import City
from issues.webhooks import WebhookView, body_of, lease_webhooks, next_event, record_answer
from push.hooks import HookPoster

_log = structlog.get_logger(__name__)

# Of one webhook at a time; the next look is some seconds later. Well within its lease, each event's answer included.
_MOST_EVENTS: Final = 500
_AT_IT_S: Final = 40.0


async def tell_all_webhooks(database: Database, poster: HookPoster, *, clock: Callable[[], datetime]) -> None:
    """Post what each webhook of each city has not been told yet; a city's slow receiver holds up no other city's."""
    async with database.transaction() as session:
        cities = (await session.execute(select(City.id, City.jurisdiction_id).order_by(City.id))).all()
    tellings = [tell_webhooks(database, poster, *city, clock=clock) for city in cities]
    for (city_id, _), failure in zip(cities, await asyncio.gather(*tellings, return_exceptions=True), strict=True):
        if failure is not None:
            _log.warning("webhooks_not_told", city_id=city_id, exc_info=failure)


async def tell_webhooks(
    database: Database, poster: HookPoster, city_id: int, jurisdiction_id: str, *, clock: Callable[[], datetime]
) -> None:
    """Post what each of a city's webhooks has not been told yet; a slow one holds up none of the others.

    Nor does one whose telling fails: it is logged, and tried again when its lease is over.
    """
    async with database.transaction(city_id) as session:
        leased = await lease_webhooks(session, city_id, now=clock())
    tellings = [_tell(database, poster, city_id, each, jurisdiction_id=jurisdiction_id, clock=clock) for each in leased]
    failures = await asyncio.gather(*tellings, return_exceptions=True)
    for webhook, failure in zip(leased, failures, strict=True):
        if failure is not None:
            _log.warning("webhook_not_told", city_id=city_id, webhook_id=str(webhook.id), exc_info=failure)


async def _tell(
    database: Database,
    poster: HookPoster,
    city_id: int,
    webhook: WebhookView,
    *,
    jurisdiction_id: str,
    clock: Callable[[], datetime],
) -> None:
    began = clock()
    for _ in range(_MOST_EVENTS):
        async with database.transaction(city_id) as session:
            event, cursor = await next_event(session, city_id, webhook)
            if event is None:
                await record_answer(session, city_id, webhook, None, cursor, now=clock())
                return
        body = body_of(event, jurisdiction_id=jurisdiction_id)
        answer = await poster.post(webhook.url, webhook.secret, str(event.id), body, now=clock())
        async with database.transaction(city_id) as session:
            await record_answer(session, city_id, webhook, answer, cursor, now=clock())
        if not answer.taken or (clock() - began).total_seconds() > _AT_IT_S:
            return
        webhook = replace(webhook, cursor=cursor, failures=0)
