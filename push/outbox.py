"""The outbox: what is told to whom, and what became of it on each device.

A delivery waits as ``queued`` until its time has come, is leased for a while to whoever sends it, and ends as ``sent``,
``forgotten`` (the device is gone), ``dead`` (its provider does not take it), ``expired`` or ``superseded`` (there is
newer news of the same thing). A lease that nobody answers for ends by itself: then the delivery is due again. What its
person does not want to hear yet is ``held`` until then, and ends as ``bundled`` where a digest tells it. What was to be
told by another means, had the first not worked, ends as ``unneeded``.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from psycopg.rows import dict_row
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.connections import driver_connection
from push.channels import AddressKind, Outcome, Platform, PushKeys, SendResult
from push.devices import forget_address
from push.emails import VERIFY, refuse_addresses
from push.outcomes import NO_CHANNEL, count_outcomes
from push.retries import Ending, Tries, ending_of


class Notification(Base):
    """What one event told one person."""

    __tablename__ = "notification"
    __table_args__ = (
        UniqueConstraint("city_id", "event_id", "person_id"),
        # From what is to be sent to what the person was told since of the same thing.
        Index("ix_notification_person", "city_id", "person_id", "about", "happened_at", "id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID]
    person_id: Mapped[UUID]  # or a topic's id, which is told as one
    kind: Mapped[str]
    params: Mapped[dict[str, Any]]  # ids, number and status for text and data; nothing personal
    about: Mapped[UUID | None]  # what it tells the state of, until there is later news of that; None: for good
    happened_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    turn_at: Mapped[datetime] = mapped_column(server_default=text("now()"))  # when its person is to be told
    held: Mapped[bool] = mapped_column(server_default=text("false"))  # until then, to be told with what else there is
    quiet_from: Mapped[datetime | None]  # the person's next quiet hours: what is not out by then waits for their end
    quiet_until: Mapped[datetime | None]


class Delivery(Base):
    """The history of one notification on one device."""

    __tablename__ = "delivery"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "notification_id"], ["notification.city_id", "notification.id"], ondelete="CASCADE"
        ),
        UniqueConstraint("city_id", "notification_id", "device_id"),
        CheckConstraint(
            "state IN ('queued', 'sent', 'forgotten', 'dead', 'expired', 'superseded', 'held', 'bundled', 'unneeded')",
            name="state",
        ),
        Index("ix_delivery_device", "city_id", "device_id", "due_at", "id", postgresql_where=text("state = 'queued'")),
        Index("ix_delivery_held", "city_id", "due_at", "device_id", postgresql_where=text("state = 'held'")),
        # `attempts >= 0` is true of all; who wants this index says so. A look at one device does not, and never reads
        # all that is due: to the statistics of a storm that has just begun, either index would seem as good.
        Index(
            "ix_delivery_due", "city_id", "due_at", "id", postgresql_where=text("state = 'queued' AND attempts >= 0")
        ),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    notification_id: Mapped[UUID]
    device_id: Mapped[UUID]  # or an e-mail address, or a topic; no foreign key: the history outlives a forgotten device
    state: Mapped[str]
    attempts: Mapped[int]  # how often it left, or may have
    failures: Mapped[int] = mapped_column(server_default=text("0"))  # how often its provider was in trouble
    unanswered: Mapped[int] = mapped_column(server_default=text("0"))  # how often it left and nobody answered
    due_at: Mapped[datetime]  # while leased: when the lease ends
    lease: Mapped[UUID | None]
    provider_id: Mapped[str | None]
    last_error: Mapped[str | None]
    sent_at: Mapped[datetime | None]
    fallback: Mapped[bool] = mapped_column(server_default=text("false"))  # only where no other one was sent by then


@dataclass(frozen=True, slots=True)
class LeasedDelivery:
    """A delivery whose turn it is, with all that sending it takes.

    Attributes:
        tries: How it fared, this attempt included.
        due_at: When it fell due: its place among those of the device, which it keeps if it does not leave.
        refreshed_at: Which state of the device the address is of.
    """

    id: UUID
    device_id: UUID
    tries: Tries
    due_at: datetime
    refreshed_at: datetime
    event_id: UUID
    person_id: UUID
    kind: str
    params: Mapping[str, Any]
    expires_at: datetime
    platform: Platform
    locale: str
    address_kind: AddressKind
    address: str = field(repr=False)
    keys: PushKeys | None

    @property
    def lane(self) -> str:
        """Whose trouble is its trouble: the provider, or the host of its endpoint."""
        return urlsplit(self.address).netloc if self.address_kind.has_endpoint else self.address_kind


@dataclass(frozen=True, slots=True)
class Lease:
    """Deliveries that are one sender's until a time.

    Attributes:
        at: When it was taken.
        until: When its deliveries fall due again, if their results are not recorded.
        deliveries: Those to send now.
        settled: How many whose turn it was need no sending any more: expired, superseded, or their device is gone.
    """

    token: UUID
    at: datetime
    until: datetime
    deliveries: Sequence[LeasedDelivery]
    settled: int


# Takes the oldest of each device, where nothing of that device is on its way. Both look at what was committed before,
# so two senders at once agree on which is the oldest: one takes it, the other passes it by. OFFSET 0 keeps both looks
# into the index, device by device; PostgreSQL would else read all that are on their way or waiting, to take a few.
_TAKE_TURNS = """
WITH due AS (
    SELECT id, notification_id, device_id, due_at, fallback FROM delivery
    WHERE city_id = %(city)s AND state = 'queued' AND attempts >= 0 AND due_at <= %(now)s
      AND NOT EXISTS (
          SELECT FROM delivery AS older
          WHERE older.city_id = %(city)s AND older.device_id = delivery.device_id AND older.state = 'queued'
            AND (older.due_at, older.id) < (delivery.due_at, delivery.id)
          OFFSET 0
      )
      AND NOT EXISTS (
          SELECT FROM delivery AS in_flight
          WHERE in_flight.city_id = %(city)s AND in_flight.device_id = delivery.device_id
            AND in_flight.state = 'queued' AND in_flight.lease IS NOT NULL AND in_flight.due_at > %(now)s
          OFFSET 0
      )
    ORDER BY due_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), turn AS MATERIALIZED (  -- its state is asked for more than once
    SELECT due.id, due.due_at, event_id, notification.person_id, kind, params, expires_at, quiet_until,
           coalesce(platform, 'web') AS platform, coalesce(device.locale, email.locale, topic.locale) AS locale,
           CASE WHEN email.id IS NOT NULL THEN 'email' WHEN topic.id IS NOT NULL THEN 'topic' ELSE push_kind END
             AS address_kind,
           coalesce(push_address, email.address, topic.name) AS address, push_p256dh AS p256dh, push_auth AS auth,
           coalesce(refreshed_at, asked_at, topic.created_at) AS refreshed_at,
           CASE WHEN expires_at <= %(now)s THEN 'expired'
                WHEN fallback AND EXISTS (
                    SELECT FROM delivery AS other
                    WHERE other.city_id = %(city)s AND other.notification_id = due.notification_id
                      AND other.state IN ('sent', 'bundled')
                ) THEN 'unneeded'
                WHEN about IS NOT NULL AND EXISTS (
                    SELECT FROM notification AS newer
                    WHERE newer.city_id = %(city)s AND newer.person_id = notification.person_id
                      AND newer.about = notification.about
                      AND (newer.happened_at, newer.id) > (notification.happened_at, notification.id)
                ) THEN 'superseded'
                WHEN push_address IS NULL AND topic.id IS NULL
                 AND (email.id IS NULL OR refused_at IS NOT NULL OR verified_at IS NULL AND kind <> %(verify)s)
                THEN 'forgotten'
                WHEN quiet_from <= %(sent)s AND %(now)s < quiet_until THEN 'held'
                ELSE 'queued' END AS state
    FROM due
    JOIN notification ON notification.city_id = %(city)s AND notification.id = due.notification_id
    LEFT JOIN device ON device.id = due.device_id
    LEFT JOIN email_address AS email ON email.city_id = %(city)s AND email.id = due.device_id
    LEFT JOIN topic ON topic.city_id = %(city)s AND topic.id = due.device_id
)
UPDATE delivery SET
    state = turn.state,
    lease = CASE turn.state WHEN 'queued' THEN %(token)s::uuid END,
    due_at = CASE turn.state WHEN 'queued' THEN %(until)s WHEN 'held' THEN quiet_until ELSE delivery.due_at END,
    attempts = delivery.attempts + (turn.state = 'queued')::integer
FROM turn WHERE delivery.city_id = %(city)s AND delivery.id = turn.id
RETURNING delivery.id, delivery.device_id, delivery.attempts, delivery.failures, delivery.unanswered, turn.due_at,
          turn.event_id, turn.person_id, turn.kind, turn.params, turn.expires_at, turn.platform, turn.locale,
          turn.address_kind, turn.address, turn.p256dh, turn.auth, turn.refreshed_at, turn.state
"""


async def lease_deliveries(
    session: AsyncSession, city_id: int, *, now: datetime, limit: int, window_s: float, lease_s: float
) -> Lease:
    """Take the deliveries that are due longest, past those that another sender is taking.

    One for each device, the oldest, and none for a device that another lease is sending to: a phone hears of things in
    the order they happened, but for those that have to be tried again. Commit before sending: the lease, not a lock,
    keeps others away. Expired ones, those that newer news have overtaken, and those whose device is gone, are marked so
    on the way; those whose person might want quiet before they leave are held.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        now: Due are those whose time is not later.
        limit: At most so many.
        window_s: Within how long they leave.
        lease_s: For how long they are the caller's; longer than sending them can take.
    """
    token, until = uuid4(), now + timedelta(seconds=lease_s)
    asked = {"city": city_id, "now": now, "limit": limit, "verify": VERIFY, "sent": now + timedelta(seconds=window_s)}
    connection = await driver_connection(session)
    cursor = connection.cursor(row_factory=dict_row)
    # Planned each time: a plan that was kept from an empty outbox need not be good for a full one.
    await cursor.execute(_TAKE_TURNS, {**asked, "token": token, "until": until}, prepare=False)
    rows = await cursor.fetchall()
    settled = Counter((row["address_kind"] or NO_CHANNEL, row["state"]) for row in rows if row["state"] != "queued")
    await count_outcomes(session, city_id, settled)
    deliveries = [_leased(row) for row in rows if row.pop("state") == "queued"]
    return Lease(token, now, until, deliveries, settled=len(rows) - len(deliveries))


async def record_results(
    session: AsyncSession,
    city_id: int,
    lease: Lease,
    results: Sequence[SendResult],
    *,
    now: datetime,
    jitter: Callable[[], float] = random.random,
) -> int:
    """Record what became of leased deliveries, and when those that failed are tried again.

    A delivery whose lease has ended and that another sender took since is left to that sender, unless it was sent.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        lease: What `lease_deliveries` gave.
        results: One for each of its deliveries, in order.
        now: Time of the answers.
        jitter: Numbers from 0 to 1 that spread the next tries.

    Returns:
        How many were recorded.
    """
    refreshed = await _forget_devices(session, city_id, lease, results, now=now)
    endings = [
        ending_of(
            # Refused at the old address; the device has told its new one since.
            replace(result, outcome=Outcome.RETRY) if delivery.device_id in refreshed else result,
            delivery.tries,
            due_at=delivery.due_at,
            expires_at=delivery.expires_at,
            now=now,
            jitter=jitter(),
        )
        for delivery, result in zip(lease.deliveries, results, strict=True)
    ]
    recorded = await _write_endings(session, city_id, lease, endings, results, now=now)
    # Last of all, since others may wait to count on.
    pairs = zip(lease.deliveries, results, strict=True)
    await count_outcomes(session, city_id, Counter((one.address_kind, result.outcome) for one, result in pairs))
    return recorded


# What is written of each delivery, and of which type.
_ENDING = {
    "id": "uuid",
    "state": "text",
    "due_at": "timestamptz",
    "attempts": "integer",
    "failures": "integer",
    "unanswered": "integer",
    "provider_id": "text",
    "error": "text",
}
# One by one, by id. The planner is shown neither how many there are (hence the sub-selects) nor a condition that some
# index is made for (hence CASE): in a storm that has just begun it knows of nothing queued, and would rather read all.
_WRITE_ENDINGS = f"""
UPDATE delivery SET
    state = ending.state, due_at = coalesce(ending.due_at, delivery.due_at), lease = NULL,
    attempts = ending.attempts, failures = ending.failures, unanswered = ending.unanswered,
    provider_id = ending.provider_id, last_error = coalesce(ending.error, delivery.last_error),
    sent_at = CASE ending.state WHEN 'sent' THEN %(now)s::timestamptz END
FROM unnest({", ".join(f"(SELECT %({name})s::{kind}[])" for name, kind in _ENDING.items())})
     AS ending ({", ".join(_ENDING)})
WHERE delivery.city_id = %(city)s AND delivery.id = ending.id
  AND CASE delivery.state WHEN 'queued' THEN delivery.lease = %(token)s OR ending.state = 'sent' END
"""  # noqa: S608 - made of constants


async def _write_endings(
    session: AsyncSession,
    city_id: int,
    lease: Lease,
    endings: Sequence[Ending],
    results: Sequence[SendResult],
    *,
    now: datetime,
) -> int:
    connection = await driver_connection(session)
    written = await connection.execute(
        _WRITE_ENDINGS,
        {
            "city": city_id,
            "now": now,
            "token": lease.token,
            "id": [delivery.id for delivery in lease.deliveries],
            "state": [ending.state for ending in endings],
            "due_at": [ending.due_at for ending in endings],
            "attempts": [ending.tries.attempts for ending in endings],
            "failures": [ending.tries.failures for ending in endings],
            "unanswered": [ending.tries.unanswered for ending in endings],
            "provider_id": [_storable(result.provider_id) for result in results],
            "error": [_storable(result.error) for result in results],
        },
        prepare=False,  # as for `_TAKE_TURNS`
    )
    return written.rowcount


def _storable(said: str | None) -> str | None:
    """Take out of a provider's words what PostgreSQL does not store, which would lose the whole batch's results."""
    return None if said is None else said.replace("\0", "").encode(errors="replace").decode()


async def _forget_devices(
    session: AsyncSession, city_id: int, lease: Lease, results: Sequence[SendResult], *, now: datetime
) -> set[UUID]:
    """Forget the devices that their provider does not know; gives those that registered since, which it does."""
    gone = {
        delivery.device_id: delivery.refreshed_at
        for delivery, result in zip(lease.deliveries, results, strict=True)
        if result.outcome is Outcome.FORGET and delivery.address_kind is not AddressKind.EMAIL
    }
    refused = [
        delivery.device_id
        for delivery, result in zip(lease.deliveries, results, strict=True)
        if result.outcome is Outcome.FORGET and delivery.address_kind is AddressKind.EMAIL
    ]
    if refused:
        await refuse_addresses(session, city_id, refused, now=now)
    refreshed = set()
    for device_id, as_of in sorted(gone.items()):
        if not await forget_address(session, device_id, as_of=as_of):
            refreshed.add(device_id)
    return refreshed


def _leased(row: dict[str, Any]) -> LeasedDelivery:
    platform, address_kind = Platform(row.pop("platform")), AddressKind(row.pop("address_kind"))
    tries = Tries(row.pop("attempts"), row.pop("failures"), row.pop("unanswered"))
    p256dh, auth = row.pop("p256dh"), row.pop("auth")
    keys = None if p256dh is None else PushKeys(p256dh, auth)
    return LeasedDelivery(**row, tries=tries, platform=platform, address_kind=address_kind, keys=keys)
