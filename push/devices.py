"""Devices: where pushes go."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row
from sqlalchemy import CheckConstraint, Index
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, new_id
from db.connections import driver_connection
from db.credentials import CredentialKind, hash_secret
from db.jobs import enqueue
from push.channels import AddressKind, Platform, PushKeys
from push.topics import TOPICS_OF

_NO_ADDRESS = "push_kind = NULL, push_address = NULL, push_p256dh = NULL, push_auth = NULL"


class Device(Base):
    """A phone or browser: push address, language, platform, and the person it belongs to (an id, no name)."""

    __tablename__ = "device"
    __table_args__ = (
        CheckConstraint("platform IN ('android', 'ios', 'web')", name="platform"),
        CheckConstraint("push_kind IN ('fid', 'token', 'webpush', 'unifiedpush')", name="push_kind"),
        CheckConstraint("(push_kind IS NULL) = (push_address IS NULL)", name="push_address"),
        CheckConstraint(
            "(push_kind IN ('webpush', 'unifiedpush')) IS TRUE = (push_p256dh IS NOT NULL AND push_auth IS NOT NULL)",
            name="push_keys",
        ),
        # A push address belongs to one device: the last registration takes it over.
        Index("uq_device_push_address", "push_kind", "push_address", unique=True),
        Index("ix_device_person_id", "person_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID]
    platform: Mapped[str]
    locale: Mapped[str]
    push_kind: Mapped[str | None]
    push_address: Mapped[str | None]
    push_p256dh: Mapped[str | None]  # of an endpoint, as is the next
    push_auth: Mapped[str | None]
    refreshed_at: Mapped[datetime]
    created_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class PushAddress:
    """Where a provider finds a device; `keys` where it is an endpoint."""

    kind: AddressKind
    value: str = field(repr=False)
    keys: PushKeys | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """What a device says of itself.

    Attributes:
        id: Made by the device.
        secret: Made by the device too; only its hash is kept.
        locale: The language its person reads, such as ``fr-CA``.
        push: None where the person allows no pushes, or the platform has none yet.
    """

    id: UUID
    secret: str = field(repr=False)
    platform: Platform
    locale: str
    push: PushAddress | None


@dataclass(frozen=True, slots=True)
class RegisteredDevice:
    """A device as it stands after registering; `created` is false where it only refreshed."""

    id: UUID
    person_id: UUID
    created: bool


@dataclass(eq=False)
class DeviceSecretMismatch(Exception):
    """The device was registered with another secret, or the secret is another's: this caller is not the device."""

    device_id: UUID


class _Before(NamedTuple):
    id: UUID
    person_id: UUID
    push_kind: str | None
    push_address: str | None
    locale: str


async def register_device(session: AsyncSession, registration: Registration, *, now: datetime) -> RegisteredDevice:
    """Register a device, or refresh what is known of it.

    A push address belongs to the device that registered it last; any other loses it. A new device is a person of its
    own; a known one stays its person's.

    Raises:
        DeviceSecretMismatch: the caller's secret is not this device's; nothing of the transaction may be committed.
    """
    before = await _lock_devices(session, registration.id, registration.push)
    if registration.push is not None:
        await _take_over_address(session, registration.id, registration.push)
    device = await _upsert_device(session, registration, now)
    # After the device's row is locked: of two secrets that come at once, the later sees the earlier.
    await _claim_secret(session, registration, now)
    for person_id in _moved(before, registration):
        await enqueue(session, TOPICS_OF, {"person_id": str(person_id)})
    return device


async def forget_device(session: AsyncSession, device_id: UUID) -> bool:
    """Delete a device and its secret; pushes still queued for it are dropped when their turn comes.

    Returns:
        Whether there was such a device.
    """
    connection = await driver_connection(session)
    cursor = await connection.execute("DELETE FROM device WHERE id = %s RETURNING person_id", (device_id,))
    deleted = await cursor.fetchone()
    await connection.execute(
        "DELETE FROM credential WHERE kind = %s AND subject = %s", (CredentialKind.DEVICE, device_id)
    )
    if deleted is not None:
        await enqueue(session, TOPICS_OF, {"person_id": str(deleted[0])})
    return deleted is not None


async def forget_address(session: AsyncSession, device_id: UUID, *, as_of: datetime) -> bool:
    """Forget where to push to a device that its provider no longer knows; the device itself stays registered.

    Args:
        session: Open transaction. Whoever forgets several locks them in the order of their ids.
        device_id: The device.
        as_of: Its ``refreshed_at`` when the address that was refused was read. A device that has registered since
            is alive. The stamp is compared for being the same, so that no clock has to agree with another.

    Returns:
        Whether it has no push address now; false where it registered since and can be pushed to.
    """
    connection = await driver_connection(session)
    forgotten = await connection.execute(
        f"UPDATE device SET {_NO_ADDRESS} WHERE id = %s AND refreshed_at = %s RETURNING person_id",  # noqa: S608 - a constant
        (device_id, as_of),
    )
    for (person_id,) in await forgotten.fetchall():
        await enqueue(session, TOPICS_OF, {"person_id": str(person_id)})
    # A statement of its own, which sees a registration that the first had to wait for.
    kept = await connection.execute("SELECT FROM device WHERE id = %s AND push_address IS NOT NULL", (device_id,))
    return await kept.fetchone() is None


async def _lock_devices(session: AsyncSession, device_id: UUID, push: PushAddress | None) -> Sequence[_Before]:
    """Lock the device and the one that has its address now; answers with what is known of them.

    Everybody takes the locks in one order, so that none waits for another in a circle: addresses, then devices by id,
    then credentials.
    """
    connection = await driver_connection(session)
    kind, value = (None, None) if push is None else (push.kind, push.value)
    if push is not None:
        # Two devices that register one address at once take turns; else the later would break the unique index.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{kind}:{value}",))
    cursor = connection.cursor(row_factory=class_row(_Before))
    await cursor.execute(
        """
        SELECT id, person_id, push_kind, push_address, locale FROM device
        WHERE id = %s OR (push_kind = %s::text AND push_address = %s::text) ORDER BY id FOR UPDATE
        """,
        (device_id, kind, value),
    )
    return await cursor.fetchall()


def _moved(before: Sequence[_Before], registration: Registration) -> list[UUID]:
    """List whose address or language is not what it was: theirs who register, or that of whose address they take."""
    push = registration.push
    now = (None, None, registration.locale) if push is None else (push.kind, push.value, registration.locale)
    return [
        one.person_id
        for one in before
        if one.id != registration.id or (one.push_kind, one.push_address, one.locale) != now
    ]


async def _take_over_address(session: AsyncSession, device_id: UUID, push: PushAddress) -> None:
    connection = await driver_connection(session)
    await connection.execute(
        f"UPDATE device SET {_NO_ADDRESS} WHERE push_kind = %s AND push_address = %s AND id <> %s",  # noqa: S608 - as above
        (push.kind, push.value, device_id),
    )


async def _upsert_device(session: AsyncSession, registration: Registration, now: datetime) -> RegisteredDevice:
    connection = await driver_connection(session)
    push = registration.push
    keys = None if push is None else push.keys
    cursor = await connection.execute(
        """
        INSERT INTO device (id, person_id, platform, locale, push_kind, push_address, push_p256dh, push_auth,
                            refreshed_at, created_at)
        VALUES (%(id)s, %(person_id)s, %(platform)s, %(locale)s, %(push_kind)s, %(push_address)s, %(push_p256dh)s,
                %(push_auth)s, %(now)s, %(now)s)
        ON CONFLICT (id) DO UPDATE SET
            platform = excluded.platform, locale = excluded.locale, push_kind = excluded.push_kind,
            push_address = excluded.push_address, push_p256dh = excluded.push_p256dh, push_auth = excluded.push_auth,
            refreshed_at = greatest(excluded.refreshed_at, device.refreshed_at + interval '1 microsecond')
        RETURNING person_id, xmax = 0 -- a row that nobody updated is new
        """,
        {
            "id": registration.id,
            "person_id": new_id(),
            "platform": registration.platform,
            "locale": registration.locale,
            "push_kind": None if push is None else push.kind,
            "push_address": None if push is None else push.value,
            "push_p256dh": None if keys is None else keys.p256dh,
            "push_auth": None if keys is None else keys.auth,
            "now": now,
        },
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - an upsert without a condition always gives its row
    return RegisteredDevice(registration.id, row[0], created=row[1])


async def _claim_secret(session: AsyncSession, registration: Registration, now: datetime) -> None:
    connection = await driver_connection(session)
    secret_hash = hash_secret(registration.secret)
    await connection.execute(
        "INSERT INTO credential (hash, kind, subject, created_at) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (hash) DO NOTHING",
        (secret_hash, CredentialKind.DEVICE, registration.id, now),
    )
    cursor = await connection.execute(
        "SELECT hash, kind, subject FROM credential WHERE hash = %s OR (kind = %s AND subject = %s)",
        (secret_hash, CredentialKind.DEVICE, registration.id),
    )
    if await cursor.fetchall() != [(secret_hash, CredentialKind.DEVICE, registration.id)]:
        raise DeviceSecretMismatch(registration.id)
