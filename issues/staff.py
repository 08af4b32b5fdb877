"""People who work for a city."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


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
