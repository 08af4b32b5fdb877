"""Putting into the outbox what an event tells people."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from db.connections import driver_connection
from push.pacing import Means, Preferences, Turn, day_of, turn_of
from push.preferences import preferences_of

EXPIRES_AFTER: Final = timedelta(hours=24)

_PERSONS_A_STATEMENT: Final = 1000
_EVERYBODYS: Final = Preferences()


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
    safety: bool = False,
    whatever_kinds: bool = False,
    now: datetime,
    expires_after: timedelta = EXPIRES_AFTER,
    ends_at: datetime | None = None,
) -> int:
    """Queue what an event tells each person, on every device of theirs and by e-mail; each once, however often run.

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
        safety: Whether it concerns safety, and rings also where people want quiet, unless they want quiet from that.
        whatever_kinds: Whether also those are told who named kinds of news, and not this one.
        now: Time of queuing.
        expires_after: So long after it happened it is worth nothing and is not sent any more, also if queued late;
            where its person wants to hear of it later, so long after their turn.
        ends_at: What is worth nothing from a time on, whenever its person's turn comes; instead of `expires_after`.

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
    }
    remaining = iter(recipients)
    queued = 0
    # In the order of the persons: two runs for one event then wait for each other instead of dead-locking.
    while chunk := sorted(islice(remaining, _PERSONS_A_STATEMENT), key=lambda recipient: recipient.person_id):
        planned = await _plan(
            session,
            city_id,
            chunk,
            kind=None if whatever_kinds else kind,
            safety=safety,
            happened_at=happened_at,
            now=now,
            worth=expires_after,
            ends_at=ends_at,
        )
        asked = _asked(told, params, planned)
        await _add_notifications(session, asked)
        queued += await _add_deliveries(session, asked)
    return queued


@dataclass(frozen=True, slots=True)
class _Planned:
    """What a person is told, when, and how long each means waits for the others; None where it is not to be used."""

    recipient: Recipient
    turn: Turn
    expires_at: datetime
    push_after: timedelta | None
    email_after: timedelta | None

    @property
    def row(self) -> dict[str, Any]:
        """The same for PostgreSQL, with an id for the notification, and how long each means waits in seconds."""
        quiet_from, quiet_until = self.turn.quiet or (None, None)
        return {
            "id": str(new_id()),
            "person_id": str(self.recipient.person_id),
            "own_params": self.recipient.params,
            "expires_at": self.expires_at.isoformat(),
            "turn_at": self.turn.at.isoformat(),
            "held": self.turn.held,
            "quiet_from": quiet_from and quiet_from.isoformat(),
            "quiet_until": quiet_until and quiet_until.isoformat(),
            "push_after_s": None if self.push_after is None else self.push_after.total_seconds(),
            "email_after_s": None if self.email_after is None else self.email_after.total_seconds(),
        }


def _asked(told: Mapping[str, Any], params: Mapping[str, str], planned: Iterable[_Planned]) -> dict[str, Any]:
    """What the statements are given. One document: a dozen arrays would take ten times as long to write."""
    return {**told, "params": Jsonb(params), "planned": Jsonb([one.row for one in planned])}


async def _plan(
    session: AsyncSession,
    city_id: int,
    recipients: Sequence[Recipient],
    *,
    kind: str | None,
    safety: bool,
    happened_at: datetime,
    now: datetime,
    worth: timedelta,
    ends_at: datetime | None,
) -> list[_Planned]:
    """Find when and how each person is to be told; those who do not want to hear of such things are left out."""
    wishes_of = await preferences_of(session, [one.person_id for one in recipients], lock=True)
    planned = []
    for recipient in recipients:
        wishes = wishes_of.get(recipient.person_id, _EVERYBODYS)
        if wishes.kinds is not None and kind is not None and kind not in wishes.kinds:
            continue
        told_today = await _count_told(session, city_id, recipient.person_id, wishes, now=now)
        turn = turn_of(wishes, told_today=told_today, safety=safety, now=now)
        after = {means: place * wishes.fallback_after for place, means in enumerate(wishes.means)}
        expires_at = ends_at or (turn.at if turn.held else happened_at) + worth
        planned.append(_Planned(recipient, turn, expires_at, after.get(Means.PUSH), after.get(Means.EMAIL)))
    return planned


async def _count_told(
    session: AsyncSession, city_id: int, person_id: UUID, wishes: Preferences, *, now: datetime
) -> int:
    """Count how often a person was told something on their day; 0 where that does not matter."""
    if wishes.zone is None or wishes.most_a_day is None:
        return 0
    begins, ends = day_of(wishes.zone, now)
    connection = await driver_connection(session)
    cursor = await connection.execute(
        """
        SELECT count(*) FROM notification
        WHERE city_id = %s AND person_id = %s AND NOT held AND turn_at >= %s AND turn_at < %s
        """,
        (city_id, person_id, begins, ends),
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - a count always gives its row
    return int(row[0])


async def _add_notifications(session: AsyncSession, asked: Mapping[str, Any]) -> None:
    connection = await driver_connection(session)
    await connection.execute(
        """
        INSERT INTO notification (city_id, id, event_id, person_id, kind, params, about, happened_at, created_at,
                                  expires_at, turn_at, held, quiet_from, quiet_until)
        SELECT %(city)s, id, %(event)s, person_id, %(kind)s, %(params)s || own_params, %(about)s, %(happened)s, %(now)s,
               expires_at, turn_at, held, quiet_from, quiet_until
        FROM jsonb_to_recordset(%(planned)s)
             AS told (id uuid, person_id uuid, own_params jsonb, expires_at timestamptz, turn_at timestamptz,
                      held boolean, quiet_from timestamptz, quiet_until timestamptz)
        ON CONFLICT (city_id, event_id, person_id) DO NOTHING
        """,
        asked,
    )


# A means that comes second waits for the first, and is only used where that told nobody; it comes at once where its
# person cannot be reached by the first.
_ADD_DELIVERIES = """
WITH wanted AS (
    SELECT notification.id, told.person_id, push_after_s * INTERVAL '1 second' AS push_after,
           email_after_s * INTERVAL '1 second' AS email_after,
           CASE WHEN held THEN 'held' ELSE 'queued' END AS state,
           CASE WHEN held THEN turn_at ELSE %(due)s END AS due_at,
           CASE WHEN held THEN turn_at ELSE %(now)s END AS turn_at
    FROM jsonb_to_recordset(%(planned)s)
         AS told (person_id uuid, push_after_s double precision, email_after_s double precision)
    -- Person by person (OFFSET 0), since the event has told many others by now.
    CROSS JOIN LATERAL (
        SELECT * FROM notification
        WHERE city_id = %(city)s AND event_id = %(event)s AND person_id = told.person_id
        OFFSET 0
    ) AS notification
), pushed AS (
    SELECT wanted.*, device.id AS device_id FROM wanted JOIN device USING (person_id)
    WHERE push_after IS NOT NULL AND push_address IS NOT NULL
), emailed AS (
    SELECT wanted.*, email.id AS device_id FROM wanted JOIN email_address AS email USING (person_id)
    WHERE email.city_id = %(city)s AND email_after IS NOT NULL AND verified_at IS NOT NULL AND refused_at IS NULL
), added AS (
    SELECT id, device_id, state, due_at, turn_at, push_after AS after,
           push_after > INTERVAL '0' AND id IN (SELECT id FROM emailed) AS fallback FROM pushed
    UNION ALL
    SELECT id, device_id, state, due_at, turn_at, email_after,
           email_after > INTERVAL '0' AND id IN (SELECT id FROM pushed) FROM emailed
)
INSERT INTO delivery (city_id, id, notification_id, device_id, state, attempts, due_at, fallback)
SELECT %(city)s, gen_random_uuid(), id, device_id, state, 0,
       CASE WHEN fallback THEN turn_at + after ELSE due_at END, fallback
FROM added
ON CONFLICT (city_id, notification_id, device_id) DO NOTHING
"""


async def _add_deliveries(session: AsyncSession, asked: Mapping[str, Any]) -> int:
    connection = await driver_connection(session)
    # Planned each time: a plan that was kept from an empty outbox need not be good for a full one.
    return (await connection.execute(_ADD_DELIVERIES, asked, prepare=False)).rowcount


async def queue_letter(
    session: AsyncSession,
    city_id: int,
    *,
    event_id: UUID,
    kind: str,
    params: Mapping[str, str],
    person_id: UUID,
    address_id: UUID,
    now: datetime,
) -> None:
    """Queue a letter to one address alone, whatever its person wishes: they have just asked for it."""
    await _queue_for(
        session,
        city_id,
        [(person_id, address_id)],
        event_id=event_id,
        kind=kind,
        params=params,
        expires_at=now + EXPIRES_AFTER,
        now=now,
    )


async def queue_topics(
    session: AsyncSession,
    city_id: int,
    *,
    event_id: UUID,
    kind: str,
    params: Mapping[str, str],
    topic_ids: Collection[UUID],
    expires_at: datetime,
    now: datetime,
) -> None:
    """Queue what an event tells everybody who is in some topics: one message for each topic, however many they are."""
    told = [(topic_id, topic_id) for topic_id in sorted(topic_ids)]
    await _queue_for(
        session, city_id, told, event_id=event_id, kind=kind, params=params, expires_at=expires_at, now=now
    )


async def _queue_for(
    session: AsyncSession,
    city_id: int,
    told: Sequence[tuple[UUID, UUID]],
    *,
    event_id: UUID,
    kind: str,
    params: Mapping[str, str],
    expires_at: datetime,
    now: datetime,
) -> None:
    """Queue the same for several, each at one address of theirs, whatever they wish."""
    planned = [_Planned(Recipient(person_id, {}), Turn(now), expires_at, None, None) for person_id, _ in told]
    event = {"city": city_id, "event": event_id, "kind": kind, "happened": now, "about": None, "due": now, "now": now}
    await _add_notifications(session, _asked(event, params, planned))
    connection = await driver_connection(session)
    await connection.execute(
        """
        INSERT INTO delivery (city_id, id, notification_id, device_id, state, attempts, due_at)
        SELECT city_id, gen_random_uuid(), notification.id, told.address_id, 'queued', 0, %(due)s
        FROM unnest(%(persons)s::uuid[], %(addresses)s::uuid[]) AS told (person_id, address_id)
        JOIN notification ON city_id = %(city)s AND event_id = %(event)s AND notification.person_id = told.person_id
        ON CONFLICT (city_id, notification_id, device_id) DO NOTHING
        """,
        {
            **event,
            "persons": [person_id for person_id, _ in told],
            "addresses": [address_id for _, address_id in told],
        },
    )
