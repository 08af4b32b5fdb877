"""Devices and their owners, for tests of push."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from db.credentials import new_secret
from push.channels import AddressKind, Platform, PushKeys, SendWindow
from push.devices import PushAddress, RegisteredDevice, Registration, register_device

CITY, OTHER_CITY = 1, 2
NOON = datetime(2026, 11, 23, 17, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


class Clock:
    """A time that the test sets: the database's, and what a process counts; both go on together."""

    def __init__(self) -> None:
        self.now = NOON

    async def __call__(self, _session: AsyncSession) -> datetime:
        return self.now

    def seconds(self) -> float:
        return (self.now - NOON).total_seconds()

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def window(self, open_s: float = 30) -> SendWindow:
        return SendWindow(self.seconds() + open_s, self.seconds)


def a_registration(
    address: str | None,
    *,
    device_id: UUID | None = None,
    secret: str | None = None,
    kind: AddressKind = AddressKind.FID,
    keys: PushKeys | None = None,
    locale: str = "fr-CA",
    platform: Platform = Platform.ANDROID,
) -> Registration:
    return Registration(
        id=device_id or new_id(),
        secret=secret or new_secret(),
        platform=platform,
        locale=locale,
        push=None if address is None else PushAddress(kind, address, keys),
    )


async def a_device(
    session: AsyncSession, address: str | None, *, locale: str = "fr-CA", platform: Platform = Platform.ANDROID
) -> RegisteredDevice:
    return await register_device(session, a_registration(address, locale=locale, platform=platform), now=NOON)
