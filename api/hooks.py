"""The worker's part for webhooks: read, post with no transaction open, note the answer, and on to the next event."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from db.sessions import Database
from issues.webhooks import WebhookView, body_of, lease_webhooks, next_event, record_answer
from push.hooks import HookPoster

# Of one webhook at a time; the next look is some seconds later. Well within its lease, each event's answer included.
_MOST_EVENTS: Final = 500
_AT_IT_S: Final = 40.0


async def tell_webhooks(
    database: Database, poster: HookPoster, city_id: int, jurisdiction_id: str, *, clock: Callable[[], datetime]
) -> None:
    """Post what each of a city's webhooks has not been told yet; a slow one holds up none of the others."""
    async with database.transaction(city_id) as session:
        leased = await lease_webhooks(session, city_id, now=clock())
    async with asyncio.TaskGroup() as posts:
        for webhook in leased:
            posts.create_task(_tell(database, poster, city_id, webhook, jurisdiction_id=jurisdiction_id, clock=clock))


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
