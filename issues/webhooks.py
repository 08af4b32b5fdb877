"""Webhooks of a city's other systems: each is told what happened, in order, from where it has read to.

One event at a time, and the next only once the receiver has this one: so whatever happened to an issue arrives in
order. Where an event's answer was lost, or somebody asked for a replay, it comes again under the same id.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from psycopg.rows import class_row
from sqlalchemy import LargeBinary, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, new_id
from db.connections import driver_connection
from issues.event_kinds import EventKind
from issues.events import EventNotFound, EventView, end_of_feed, list_feed
from issues.pages import write_cursor

if TYPE_CHECKING:  # its HTTP libraries are for the worker, and servers start the sooner without
    from push.hooks import HookAnswer

LEASE: Final = timedelta(seconds=60)
"""For how long a webhook is one worker's; longer than posting one event can take."""

_FIRST_DELAY_S: Final = 10.0
_LONGEST_DELAY_S: Final = 3600.0
_MOST_DOUBLINGS: Final = 10
_SECRET_BYTES: Final = 32


class Webhook(Base):
    """Where to post what happens in a city, and how far that has come."""

    __tablename__ = "webhook"

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    url: Mapped[str]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    kinds: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # of events; None: all
    cursor: Mapped[str]
    due_at: Mapped[datetime]  # when it is looked at next; while a worker is at it, when its lease ends
    failures: Mapped[int]  # in a row
    last_error: Mapped[str | None]
    gone_at: Mapped[datetime | None]  # its receiver wants no more
    created_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook and how it fares."""

    id: UUID
    url: str
    secret: bytes = field(repr=False)
    kinds: list[str] | None
    cursor: str
    failures: int
    last_error: str | None
    gone_at: datetime | None
    created_at: datetime


@dataclass(eq=False)
class WebhookNotFound(Exception):
    """The city has no such webhook."""

    id: UUID


_COLUMNS: Final = "id, url, secret, kinds, cursor, failures, last_error, gone_at, created_at"
_ADD: Final = f"""
INSERT INTO webhook (city_id, id, url, secret, kinds, cursor, due_at, failures, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, 0, %s) RETURNING {_COLUMNS}
"""  # noqa: S608 - of constants alone
_LIST: Final = f"SELECT {_COLUMNS} FROM webhook WHERE city_id = %s ORDER BY created_at, id"  # noqa: S608 - as above
_LEASE: Final = f"""
UPDATE webhook SET due_at = %s WHERE city_id = %s AND due_at <= %s AND gone_at IS NULL RETURNING {_COLUMNS}
"""  # noqa: S608 - as above


async def add_webhook(
    session: AsyncSession, city_id: int, url: str, kinds: Sequence[EventKind] | None, *, now: datetime
) -> WebhookView:
    """Have a system told what happens from now on; the secret that its events are signed with is made here."""
    connection = await driver_connection(session)
    values = (city_id, new_id(), url, token_bytes(_SECRET_BYTES), None if kinds is None else list(kinds))
    cursor = connection.cursor(row_factory=class_row(WebhookView))
    await cursor.execute(
        _ADD,
        (*values, await end_of_feed(session), now, now),
    )
    added = await cursor.fetchone()
    assert added is not None  # noqa: S101 - an insert gives its row
    return added


async def list_webhooks(session: AsyncSession, city_id: int) -> list[WebhookView]:
    """List a city's webhooks, the oldest first."""
    connection = await driver_connection(session)
    cursor = connection.cursor(row_factory=class_row(WebhookView))
    await cursor.execute(_LIST, (city_id,))
    return await cursor.fetchall()


async def find_webhook(session: AsyncSession, city_id: int, webhook_id: UUID) -> WebhookView:
    """Find one of a city's webhooks.

    Raises:
        WebhookNotFound: the city has none of that id.
    """
    for found in await list_webhooks(session, city_id):
        if found.id == webhook_id:
            return found
    raise WebhookNotFound(webhook_id)


async def remove_webhook(session: AsyncSession, city_id: int, webhook_id: UUID) -> None:
    """Have a system told no more; again, it is told nothing already."""
    connection = await driver_connection(session)
    await connection.execute("DELETE FROM webhook WHERE city_id = %s AND id = %s", (city_id, webhook_id))


async def replay(session: AsyncSession, city_id: int, webhook_id: UUID, from_event: UUID, *, now: datetime) -> None:
    """Tell a system everything again from an event on.

    Raises:
        EventNotFound: the city has no such event.
        WebhookNotFound: it has no such webhook.
    """
    connection = await driver_connection(session)
    found = await connection.execute(
        "SELECT xid::text, seq FROM event WHERE city_id = %s AND id = %s", (city_id, from_event)
    )
    row = await found.fetchone()
    if row is None:
        raise EventNotFound(from_event)
    moved = await connection.execute(
        "UPDATE webhook SET cursor = %s, due_at = %s, failures = 0, gone_at = NULL WHERE city_id = %s AND id = %s",
        (write_cursor("feed", int(row[0]), row[1] - 1), now, city_id, webhook_id),
    )
    if moved.rowcount == 0:
        raise WebhookNotFound(webhook_id)


async def lease_webhooks(session: AsyncSession, city_id: int, *, now: datetime) -> list[WebhookView]:
    """Take the webhooks whose time has come, for as long as `LEASE`; commit before posting."""
    connection = await driver_connection(session)
    cursor = connection.cursor(row_factory=class_row(WebhookView))
    await cursor.execute(_LEASE, (now + LEASE, city_id, now))
    return await cursor.fetchall()


async def next_event(session: AsyncSession, city_id: int, webhook: WebhookView) -> tuple[EventView | None, str]:
    """Read the next event that a webhook is to be told of, and the cursor behind it.

    Returns:
        No event where there is none yet; the cursor is then behind what its system does not want to hear of.
    """
    cursor = webhook.cursor
    while True:
        page = await list_feed(session, city_id, staff=True, limit=1, cursor=cursor)
        cursor = page.next_cursor or cursor
        if not page.items or webhook.kinds is None or page.items[0].kind in webhook.kinds:
            return (page.items[0] if page.items else None), cursor


def body_of(event: EventView, *, jurisdiction_id: str) -> bytes:
    """Write what a system is told: ids, kinds and statuses; words that people wrote and who acted are left out."""
    told: dict[str, Any] = {
        "type": event.kind,
        "timestamp": event.at.isoformat(),
        "data": {
            "event_id": str(event.id),
            "issue_id": str(event.issue_id),
            "jurisdiction_id": jurisdiction_id,
            "public": event.public,
            **event.data,
        },
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


async def record_answer(
    session: AsyncSession,
    city_id: int,
    webhook: WebhookView,
    answer: "HookAnswer | None",
    cursor: str,
    *,
    now: datetime,
) -> None:
    """Note how far a webhook has come, and when it is looked at again.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        webhook: As it was leased, with the cursor that it was read from. Where it was replayed since, that counts.
        answer: What its receiver said to the event; None where there was no event to tell.
        cursor: Behind the event.
        now: The time.
    """
    taken = answer is None or answer.taken
    failures = 0 if taken else webhook.failures + 1
    delay_s = 0.0 if taken else _FIRST_DELAY_S * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)
    asked_s = 0.0 if answer is None or answer.retry_after_s is None else answer.retry_after_s
    connection = await driver_connection(session)
    await connection.execute(
        """
        UPDATE webhook SET cursor = %(to)s, due_at = %(due)s, failures = %(failures)s, last_error = %(error)s,
                           gone_at = CASE WHEN %(gone)s THEN %(now)s::timestamptz END
        WHERE city_id = %(city)s AND id = %(id)s AND cursor = %(from)s
        """,
        {
            "city": city_id, "id": webhook.id, "from": webhook.cursor, "to": cursor if taken else webhook.cursor,
            "due": now + timedelta(seconds=max(min(delay_s, _LONGEST_DELAY_S), asked_s)), "failures": failures,
            "error": None if answer is None else answer.error, "gone": answer is not None and answer.gone, "now": now,
        },
    )  # fmt: skip
