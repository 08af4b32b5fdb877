"""Work orders: the jobs that fix issues."""

from datetime import date, datetime
from uuid import UUID

from geoalchemy2 import Geography, WKBElement
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class WorkOrder(Base):
    """A job for a crew on a day; place and address are those of its first issue."""

    __tablename__ = "work_order"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "crew_code"], ["crew.city_id", "crew.code"]),
        CheckConstraint("status IN ('planned', 'in_progress', 'done', 'cancelled')", name="status"),
        Index("ix_work_order_day", "city_id", "crew_code", "planned_on", "tour_position", "id"),
        # The same for all crews.
        Index("ix_work_order_planned_on", "city_id", "planned_on", "crew_code", "tour_position", "id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    crew_code: Mapped[str]
    planned_on: Mapped[date]
    tour_position: Mapped[int]
    status: Mapped[str]
    version: Mapped[int]
    place: Mapped[WKBElement] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))
    address: Mapped[str | None]
    layer: Mapped[str | None]
    district_code: Mapped[str | None]
    note: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WorkOrderIssue(Base):
    """An issue that a work order fixes."""

    __tablename__ = "work_order_issue"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "work_order_id"], ["work_order.city_id", "work_order.id"]),
        ForeignKeyConstraint(["city_id", "issue_id"], ["issue.city_id", "issue.id"]),
        Index("ix_work_order_issue_city_id_issue_id", "city_id", "issue_id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    work_order_id: Mapped[UUID] = mapped_column(primary_key=True)
    issue_id: Mapped[UUID] = mapped_column(primary_key=True)


class WorkOrderPhoto(Base):
    """A photo of the place before or after the work; no foreign key, for it may arrive later."""

    __tablename__ = "work_order_photo"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "work_order_id"], ["work_order.city_id", "work_order.id"]),
        Index("ix_work_order_photo_photo_id", "photo_id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    work_order_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    photo_id: Mapped[UUID]
