"""What a city offers and who answers for it: services, departments, crews, routes."""

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class Service(Base):
    """A kind of problem (Open311 service), with its policy for joining reports and its deadline."""

    __tablename__ = "service"
    __table_args__ = (CheckConstraint("joins IN ('automatic', 'ask', 'never')", name="joins"),)

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    names: Mapped[dict[str, Any]]
    group_code: Mapped[str]
    group_names: Mapped[dict[str, Any]]
    keywords: Mapped[list[str]] = mapped_column(ARRAY(Text))
    private: Mapped[bool]
    siblings: Mapped[list[str]] = mapped_column(ARRAY(Text))
    radius_m: Mapped[float]
    window_days: Mapped[int]
    join_threshold: Mapped[float]
    joins: Mapped[str]
    deadline_days: Mapped[int]  # working days
    attributes: Mapped[list[Any]] = mapped_column(JSONB)
    offered: Mapped[bool]  # false once a pack no longer lists it; its issues stay


class Department(Base):
    """Who answers for an issue."""

    __tablename__ = "department"

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    names: Mapped[dict[str, Any]]


class Crew(Base):
    """Who does the work."""

    __tablename__ = "crew"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "department_code"], ["department.city_id", "department.code"]),
    )

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    names: Mapped[dict[str, Any]]
    department_code: Mapped[str]


class Route(Base):
    """A rule of who is responsible: the first whose conditions all hold decides; None matches anything."""

    __tablename__ = "route"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "department_code"], ["department.city_id", "department.code"]),
        ForeignKeyConstraint(["city_id", "crew_code"], ["crew.city_id", "crew.code"]),
    )

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    service_code: Mapped[str | None]
    group_code: Mapped[str | None]
    layer: Mapped[str | None]
    district_code: Mapped[str | None]
    department_code: Mapped[str]
    crew_code: Mapped[str | None]
