"""Devices and their owners, for tests of push."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from db.credentials import new_secret
from push.channels import AddressKind, Platform
from push.devices import PushAddress, RegisteredDevice, Registration, register_device

CITY, OTHER_CITY = 1, 2
NOON = datetime(2026, 11, 23, 17, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def a_registration(
    address: str | None,
    *,
    device_id: UUID | None = None,
    secret: str | None = None,
    kind: AddressKind = AddressKind.FID,
    locale: str = "fr-CA",
) -> Registration:
    return Registration(
        id=device_id or new_id(),
        secret=secret or new_secret(),
        platform=Platform.ANDROID,
        locale=locale,
        push=None if address is None else PushAddress(kind, address),
    )


async def a_device(session: AsyncSession, address: str | None, *, locale: str = "fr-CA") -> RegisteredDevice:
    return await register_device(session, a_registration(address, locale=locale), now=NOON)
