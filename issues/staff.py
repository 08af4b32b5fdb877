"""People who work for a city, and the secrets by which they are known."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Row,
    Select,
    delete,
    exists,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, new_id
from db.connections import driver_connection
from db.credentials import Credential, CredentialKind, hash_secret, new_secret
from db.pipeline import one_message
from db.tenancy import enter_city
from issues.actors import Actor, Role
from issues.catalogue import Crew

# Asked with every call of theirs, hence not through the ORM, and together with the naming of the city.
_FIND = """
SELECT name, role, crew_code, created_at FROM staff WHERE city_id = %s AND id = %s AND revoked_at IS NULL
"""


class Staff(Base):
    """A person on a city's staff; a crew member's list is its crew's."""

    __tablename__ = "staff"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "crew_code"], ["crew.city_id", "crew.code"]),
        CheckConstraint("role IN ('crew', 'agent', 'manager', 'admin')", name="role"),
        CheckConstraint("(role = 'crew') = (crew_code IS NOT NULL)", name="crew_code"),
    )

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[str]
    crew_code: Mapped[str | None]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class StaffView:
    """A person on a city's staff; `crew_code` is set for members of crews alone."""

    id: UUID
    city_id: int
    name: str
    role: Role
    crew_code: str | None
    created_at: datetime
    revoked_at: datetime | None

    @property
    def actor(self) -> Actor:
        """The person as one who acts."""
        return Actor(f"staff:{self.id}", self.role, self.crew_code)


@dataclass(frozen=True, slots=True)
class NewStaff:
    """A person just added, and the secret that is shown this once: only its hash is kept."""

    staff: StaffView
    secret: str = field(repr=False)


@dataclass(eq=False)
class CrewNotFound(Exception):
    """The city has no such crew."""

    crew_code: str


@dataclass(eq=False)
class StaffNotFound(Exception):
    """Nobody of that id is on the city's staff."""

    staff_id: UUID


@dataclass(eq=False)
class RoleNotForStaff(Exception):
    """A resident is not on the staff, a crew member needs a crew, and nobody else has one."""

    role: Role
    crew_code: str | None


async def require_crew(session: AsyncSession, city_id: int, crew_code: str) -> None:
    """Go on only if the city has a crew.

    Raises:
        CrewNotFound: it has not.
    """
    if not await session.scalar(select(exists().where(Crew.city_id == city_id, Crew.code == crew_code))):
        raise CrewNotFound(crew_code)


async def add_staff(
    session: AsyncSession, city_id: int, *, name: str, role: Role, crew_code: str | None = None, now: datetime
) -> NewStaff:
    """Add a person to a city's staff and make the secret by which their requests are known.

    Raises:
        RoleNotForStaff: the role does not go with a crew, or with none, as given.
        CrewNotFound: the city has no such crew.
    """
    if role is Role.RESIDENT or (role is Role.CREW) != (crew_code is not None):
        raise RoleNotForStaff(role, crew_code)
    if crew_code is not None:
        await require_crew(session, city_id, crew_code)
    staff = StaffView(new_id(), city_id, name, role, crew_code, created_at=now, revoked_at=None)
    row = {"city_id": city_id, "id": staff.id, "name": name, "role": role, "crew_code": crew_code, "created_at": now}
    await session.execute(insert(Staff).values(row))
    secret = new_secret()
    known = {"hash": hash_secret(secret), "kind": CredentialKind.STAFF, "subject": staff.id, "city_id": city_id}
    await session.execute(insert(Credential).values(**known, created_at=now))
    return NewStaff(staff, secret)


async def find_staff(session: AsyncSession, city_id: int, staff_id: UUID) -> StaffView | None:
    """Enter a city and find a person on its staff; None where there is none, or they no longer work there."""
    connection = await driver_connection(session)
    async with one_message(connection):
        await enter_city(session, city_id)
        cursor = await connection.execute(_FIND, (city_id, staff_id))
    row = await cursor.fetchone()
    if row is None:
        return None
    name, role, crew_code, created_at = row
    return StaffView(staff_id, city_id, name, Role(role), crew_code, created_at, revoked_at=None)


async def list_staff(session: AsyncSession, city_id: int) -> list[StaffView]:
    """List a city's staff in the order in which they came, those who left included."""
    rows = await session.execute(_staff(city_id).order_by(Staff.created_at, Staff.id))
    return [_view(row) for row in rows]


async def revoke_staff(session: AsyncSession, city_id: int, staff_id: UUID, *, now: datetime) -> None:
    """Take a person off the staff: their secrets mean nothing any more, and what they did stays theirs.

    Raises:
        StaffNotFound: nobody of that id works for the city.
    """
    working = (Staff.city_id == city_id, Staff.id == staff_id, Staff.revoked_at.is_(None))
    revoked = await session.execute(update(Staff).where(*working).values(revoked_at=now).returning(Staff.id))
    if revoked.one_or_none() is None:
        raise StaffNotFound(staff_id)
    theirs = (Credential.subject == staff_id, Credential.kind == CredentialKind.STAFF)
    await session.execute(delete(Credential).where(*theirs))


def _staff(city_id: int) -> Select[Any]:
    return select(*Staff.__table__.c).where(Staff.city_id == city_id)


def _view(row: Row[Any]) -> StaffView:
    values = dict(row._mapping)  # noqa: SLF001 - the documented name, kept apart from columns by its underscore
    return StaffView(**{**values, "role": Role(values["role"])})
