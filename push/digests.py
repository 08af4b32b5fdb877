"""Digests: what was held for somebody is told together once its time has come."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from db.connections import driver_connection

DIGEST: Final = "digest"
"""Kind of a notification that tells several things."""

_ADDRESSES_AT_ONCE: Final = 500
_MOST_ITEMS: Final = 20
# What a digest says of each thing, and of all: the words are chosen where it is sent.
_OF_ALL: Final = ("locale", "jurisdiction_id")
_DIGESTS: Final = UUID("5f0c9a7e-7e0b-5d5c-8f63-646967657374")


class _Held(NamedTuple):
    id: UUID
    device_id: UUID
    notification_id: UUID
    person_id: UUID
    kind: str
    params: Mapping[str, Any]
    happened_at: datetime
    expires_at: datetime
    quiet_from: datetime | None
    quiet_until: datetime | None
    state: str


# One at a time in a city: what is held for an address must come into one hand. What newer news have overtaken, held or
# not, is left out.
_HELD = """
SELECT delivery.id, device_id, notification_id, person_id, kind, params, happened_at, expires_at, quiet_from,
       quiet_until,
       CASE WHEN expires_at <= %(now)s THEN 'expired'
            WHEN about IS NOT NULL AND EXISTS (
                SELECT FROM notification AS newer
                WHERE newer.city_id = %(city)s AND newer.person_id = notification.person_id
                  AND newer.about = notification.about
                  AND (newer.happened_at, newer.id) > (notification.happened_at, notification.id)
            ) THEN 'superseded'
            WHEN fallback AND EXISTS (
                SELECT FROM delivery AS other
                WHERE other.city_id = %(city)s AND other.notification_id = notification.id
                  AND other.state IN ('sent', 'bundled')
            ) THEN 'unneeded' ELSE 'held' END AS state
FROM delivery JOIN notification ON notification.city_id = %(city)s AND notification.id = notification_id
WHERE delivery.city_id = %(city)s AND delivery.state = 'held' AND due_at <= %(now)s AND device_id IN (
    SELECT device_id FROM delivery WHERE city_id = %(city)s AND state = 'held' AND due_at <= %(now)s
    ORDER BY due_at LIMIT %(addresses)s
)
ORDER BY device_id, happened_at, notification_id
FOR UPDATE OF delivery
"""


async def release_held(session: AsyncSession, city_id: int, *, now: datetime) -> int:
    """Put into the queue what was held until now: one thing as it is, several as one digest for each address.

    Args:
        session: Open transaction of the city; committed by the caller, who asks again until nothing is left.
        city_id: The city.
        now: The time.

    Returns:
        How many deliveries are held no longer; 0 also while another transaction is at it.
    """
    connection = await driver_connection(session)
    lock = await connection.execute(
        "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", (f"held pushes of {city_id}",)
    )
    if await lock.fetchone() != (True,):
        return 0
    cursor = connection.cursor(row_factory=class_row(_Held))
    await cursor.execute(_HELD, {"city": city_id, "now": now, "addresses": _ADDRESSES_AT_ONCE})
    rows = await cursor.fetchall()
    of_address: dict[UUID, list[_Held]] = defaultdict(list)
    for row in rows:
        if row.state == "held":
            of_address[row.device_id].append(row)
    alone = [held[0] for held in of_address.values() if len(held) == 1]
    together = [held for held in of_address.values() if len(held) > 1]
    await _settle(session, city_id, (row for row in rows if row.state != "held"), now=now)
    await _queue_alone(session, city_id, alone, now=now)
    for held in together:
        await _queue_digest(session, city_id, held, now=now)
        await _settle(session, city_id, (row._replace(state="bundled") for row in held), now=now)
    return len(rows)


async def _settle(session: AsyncSession, city_id: int, rows: Iterable[_Held], *, now: datetime) -> None:
    ended = {row.id: row.state for row in rows}
    connection = await driver_connection(session)
    await connection.execute(
        """
        UPDATE delivery SET state = ended.state, due_at = %s
        FROM unnest(%s::uuid[], %s::text[]) AS ended (id, state)
        WHERE delivery.city_id = %s AND delivery.id = ended.id
        """,
        (now, list(ended), list(ended.values()), city_id),
    )


async def _queue_alone(session: AsyncSession, city_id: int, rows: Sequence[_Held], *, now: datetime) -> None:
    connection = await driver_connection(session)
    await connection.execute(
        "UPDATE delivery SET state = 'queued', due_at = %s WHERE city_id = %s AND id = ANY(%s)",
        (now, city_id, [row.id for row in rows]),
    )
    await connection.execute(
        "UPDATE notification SET held = false, turn_at = %s WHERE city_id = %s AND id = ANY(%s)",
        (now, city_id, [row.notification_id for row in rows]),
    )


async def _queue_digest(session: AsyncSession, city_id: int, held: Sequence[_Held], *, now: datetime) -> None:
    """Tell one address several things at once. Two phones of a person share the notification, as with any other."""
    last = held[-1]
    items = [{**row.params, "kind": row.kind} for row in reversed(held[-_MOST_ITEMS:])]
    params = {"items": items, "count": len(held), **{name: last.params.get(name) for name in _OF_ALL}}
    connection = await driver_connection(session)
    told = {
        "city": city_id,
        "id": new_id(),
        "event": uuid5(_DIGESTS, " ".join(str(row.notification_id) for row in held)),
        "person": last.person_id,
        "kind": DIGEST,
        "params": Jsonb(params),
        "now": now,
        "happened": last.happened_at,
        "expires": max(row.expires_at for row in held),  # an alert that is soon over takes no other news with it
        "quiet_from": last.quiet_from,
        "quiet_until": last.quiet_until,
        "device": last.device_id,
    }
    await connection.execute(
        """
        INSERT INTO notification (city_id, id, event_id, person_id, kind, params, happened_at, created_at, expires_at,
                                  turn_at, quiet_from, quiet_until)
        VALUES (%(city)s, %(id)s, %(event)s, %(person)s, %(kind)s, %(params)s, %(happened)s, %(now)s, %(expires)s,
                %(now)s, %(quiet_from)s, %(quiet_until)s)
        ON CONFLICT (city_id, event_id, person_id) DO NOTHING
        """,
        told,
    )
    await connection.execute(
        """
        INSERT INTO delivery (city_id, id, notification_id, device_id, state, attempts, due_at)
        SELECT city_id, gen_random_uuid(), id, %(device)s, 'queued', 0, %(now)s FROM notification
        WHERE city_id = %(city)s AND event_id = %(event)s AND person_id = %(person)s
        ON CONFLICT (city_id, notification_id, device_id) DO NOTHING
        """,
        told,
    )
