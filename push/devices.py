"""Devices: where pushes go."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class Device(Base):
    """A phone or browser: push address, language, platform, and the person it belongs to (an id, no name)."""

    __tablename__ = "device"
    __table_args__ = (
        CheckConstraint("platform IN ('android', 'ios', 'web')", name="platform"),
        CheckConstraint("push_kind IN ('fid', 'token')", name="push_kind"),
        CheckConstraint("(push_kind IS NULL) = (push_address IS NULL)", name="push_address"),
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
    refreshed_at: Mapped[datetime]
    created_at: Mapped[datetime]
