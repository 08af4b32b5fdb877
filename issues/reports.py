"""Reports: what one person sent once."""

from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geography, WKBElement
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class ReportHome(Base):
    """Where a report lives, and who sent it with what content.

    Its insert is the first write of a submission: simultaneous copies wait for each other on its key.
    """

    __tablename__ = "report_home"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    city_id: Mapped[int]
    sender: Mapped[str]  # 'device:<id>', 'staff:<id>', 'tracking:<hash>' or 'anonymous'
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    tracking_hash: Mapped[bytes] = mapped_column(LargeBinary)


class Report(Base):
    """One report: facts that tell nothing about its sender (those are in `ReportPersonal`)."""

    __tablename__ = "report"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "issue_id"], ["issue.city_id", "issue.id"]),
        UniqueConstraint("city_id", "number"),
        Index("ix_report_city_id_issue_id", "city_id", "issue_id"),
        CheckConstraint("channel IN ('app', 'web', 'phone', 'counter', 'email', 'open311', 'import')", name="channel"),
        CheckConstraint("location_source IN ('gps', 'photo', 'address', 'map')", name="location_source"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]  # '2026-000124': what its sender was told
    issue_id: Mapped[UUID]  # the only truth of which issue a report is in
    service_code: Mapped[str]
    person_id: Mapped[UUID | None]  # None: anonymous, or taken down by staff
    channel: Mapped[str]
    location_source: Mapped[str]
    accuracy_m: Mapped[float | None]
    captured_at: Mapped[datetime | None]  # the phone's clock: kept, never trusted
    received_at: Mapped[datetime]
    near_boundary: Mapped[bool]
    match: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class ReportPersonal(Base):
    """What a report tells about its sender: exact place, words, contact. Erased without touching the history."""

    __tablename__ = "report_personal"
    __table_args__ = (ForeignKeyConstraint(["city_id", "report_id"], ["report.city_id", "report.id"]),)

    city_id: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    place: Mapped[WKBElement] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))
    address_string: Mapped[str | None]
    description: Mapped[str | None]
    attributes: Mapped[dict[str, Any]]
    name: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]


class ReportPhoto(Base):
    """A photo a report names; no foreign key, for it may arrive later."""

    __tablename__ = "report_photo"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "report_id"], ["report.city_id", "report.id"]),
        Index("ix_report_photo_photo_id", "photo_id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    photo_id: Mapped[UUID]
