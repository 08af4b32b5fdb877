"""Putting into the outbox what an event tells people."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from db.connections import driver_connection

EXPIRES_AFTER: Final = timedelta(hours=24)

_PERSONS_A_STATEMENT: Final = 1000


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person who is told, and what the notification says to nobody else, such as the id of their own report."""

    person_id: UUID
    params: Mapping[str, str]


async def queue_notifications(
    session: AsyncSession,
    city_id: int,
    *,
    event_id: UUID,
    kind: str,
    params: Mapping[str, str],
    recipients: Iterable[Recipient],
    happened_at: datetime,
    about: UUID | None = None,
    now: datetime,
    expires_after: timedelta = EXPIRES_AFTER,
) -> int:
    """Queue what an event tells each person, on every device of theirs that takes pushes; each once, however often run.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        event_id: The event; a person hears of it once.
        kind: What happened, such as ``resolved``; chooses the words.
        params: What words and data need, the same for all; nothing personal. Of these ``issue_id``, ``report_id``,
            ``jurisdiction_id`` and ``status`` reach the app as data.
        recipients: Who; their own params come on top.
        happened_at: When; each device gets what waits for it in that order.
        about: Of what it tells the state: once the same person is to be told of a later one, it is not sent any more.
            None where it stays worth telling whatever happens.
        now: Time of queuing.
        expires_after: So long after it happened it is worth nothing and is not sent any more, also if queued late.

    Returns:
        How many deliveries were queued; 0 where all had been before.
    """
    told = {
        "city": city_id,
        "event": event_id,
        "kind": kind,
        "happened": happened_at,
        "about": about,
        "due": min(happened_at, now),
        "now": now,
        "expires": happened_at + expires_after,
    }
    remaining = iter(recipients)
    queued = 0
    # In the order of the persons: two runs for one event then wait for each other instead of dead-locking.
    while chunk := sorted(islice(remaining, _PERSONS_A_STATEMENT), key=lambda recipient: recipient.person_id):
        await _add_notifications(session, chunk, params, told)
        queued += await _add_deliveries(session, chunk, told)
    return queued


async def _add_notifications(
    session: AsyncSession, recipients: Sequence[Recipient], params: Mapping[str, str], told: Mapping[str, Any]
) -> None:
    connection = await driver_connection(session)
    await connection.execute(
        """
        INSERT INTO notification (city_id, id, event_id, person_id, kind, params, about, happened_at, created_at,
                                  expires_at)
        SELECT %(city)s, id, %(event)s, person_id, %(kind)s, params, %(about)s, %(happened)s, %(now)s, %(expires)s
        FROM unnest(%(ids)s::uuid[], %(persons)s::uuid[], %(params)s::jsonb[]) AS told (id, person_id, params)
        ON CONFLICT (city_id, event_id, person_id) DO NOTHING
        """,
        {
            **told,
            "ids": [new_id() for _ in recipients],
            "persons": [recipient.person_id for recipient in recipients],
            "params": [Jsonb({**params, **recipient.params}) for recipient in recipients],
        },
    )


async def _add_deliveries(session: AsyncSession, recipients: Sequence[Recipient], told: Mapping[str, Any]) -> int:
    connection = await driver_connection(session)
    added = await connection.execute(
        """
        INSERT INTO delivery (city_id, id, notification_id, device_id, state, attempts, due_at)
        SELECT notification.city_id, gen_random_uuid(), notification.id, device.id, 'queued', 0, %(due)s
        FROM notification JOIN device USING (person_id)
        WHERE notification.city_id = %(city)s AND event_id = %(event)s AND person_id = ANY(%(persons)s)
          AND push_address IS NOT NULL
        ON CONFLICT (city_id, notification_id, device_id) DO NOTHING
        """,
        {**told, "persons": [recipient.person_id for recipient in recipients]},
    )
    return added.rowcount
