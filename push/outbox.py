"""The outbox: what is told to whom, and what became of it on each device."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class Notification(Base):
    """What one event told one person."""

    __tablename__ = "notification"
    __table_args__ = (UniqueConstraint("city_id", "event_id", "person_id"),)

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID]
    person_id: Mapped[UUID]
    kind: Mapped[str]
    params: Mapped[dict[str, Any]]  # ids, number and status for text and data; nothing personal
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Delivery(Base):
    """The history of one notification on one device."""

    __tablename__ = "delivery"
    __table_args__ = (
        ForeignKeyConstraint(
            ["city_id", "notification_id"], ["notification.city_id", "notification.id"], ondelete="CASCADE"
        ),
        UniqueConstraint("city_id", "notification_id", "device_id"),
        CheckConstraint("state IN ('queued', 'sent', 'forgotten', 'dead', 'expired')", name="state"),
        Index("ix_delivery_due", "city_id", "due_at", "id", postgresql_where=text("state = 'queued'")),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    notification_id: Mapped[UUID]
    device_id: Mapped[UUID]  # no foreign key: the history outlives a forgotten device
    state: Mapped[str]
    attempts: Mapped[int]
    due_at: Mapped[datetime]  # while leased: when the lease ends
    lease: Mapped[UUID | None]
    provider_id: Mapped[str | None]
    last_error: Mapped[str | None]
    sent_at: Mapped[datetime | None]
