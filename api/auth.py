"""Who is calling: one look-up of the secret in the Authorization header."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from api.problems.refusals import SecretUnknown
from db.connections import driver_connection
from db.credentials import CredentialKind, hash_secret
from issues.actors import ANONYMOUS, Actor, Role
from issues.staff import find_staff

# A device's person and language come along: they are asked for with nearly every call, and this is the hot path.
_FIND_CALLER: Final = """
SELECT c.kind, c.subject, c.city_id, d.person_id, d.locale
FROM credential c LEFT JOIN device d ON c.kind = 'device' AND d.id = c.subject
WHERE c.hash = %s AND (c.expires_at IS NULL OR c.expires_at > %s)
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls.

    Attributes:
        actor: Who acts, for the rooms below.
        device_id: The device; None for everybody else.
        city_id: The city that staff or a key work for; None for everybody else.
        locale: The language that a device's person chose.
    """

    actor: Actor
    device_id: UUID | None = None
    city_id: int | None = None
    locale: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether a secret came with the call."""
        return self.actor is not ANONYMOUS

    def is_staff_of(self, city_id: int) -> bool:
        """Whether they work for a city, and so see what is internal there."""
        return self.actor.is_staff and self.city_id == city_id


NOBODY: Final = Caller(ANONYMOUS)


def bearer_secret(request: HTTPConnection) -> str | None:
    """Get the secret that came with a request; None where there is no Authorization header.

    Raises:
        SecretUnknown: the header holds something else than a bearer's secret.
    """
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise SecretUnknown
    return secret.strip()


async def find_caller(session: AsyncSession, secret: str, *, now: datetime) -> Caller | None:
    """Find whom a secret stands for; None where it is unknown, has expired, or its person left.

    Leaves the transaction in the caller's city, where they have one.
    """
    connection = await driver_connection(session)
    cursor = await connection.execute(_FIND_CALLER, (hash_secret(secret), now))
    row = await cursor.fetchone()
    if row is None:
        return None
    kind, subject, city_id, person_id, locale = row
    if kind == CredentialKind.DEVICE:
        if person_id is None:
            return None
        actor = Actor(f"device:{subject}", Role.RESIDENT, person_id=person_id)
        return Caller(actor, device_id=subject, locale=locale)
    staff = await find_staff(session, city_id, subject)
    if staff is None:
        return None
    actor = staff.actor
    if kind == CredentialKind.KEY:
        actor = replace(actor, sender=f"key:{subject}")
    return Caller(actor, city_id=city_id)


async def authenticate(session: AsyncSession, request: HTTPConnection, *, now: datetime) -> Caller:
    """Tell who sends a request; `NOBODY` where no secret came with it.

    Raises:
        SecretUnknown: a secret came that stands for nobody. It is never taken for none.
    """
    secret = bearer_secret(request)
    if secret is None:
        return NOBODY
    caller = await find_caller(session, secret, now=now)
    if caller is None:
        raise SecretUnknown
    return caller
