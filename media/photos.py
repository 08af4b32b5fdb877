"""Photos: received, made safe, served."""

from datetime import datetime
from uuid import UUID

from geoalchemy2 import Geography, WKBElement
from sqlalchemy import BigInteger, CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class Photo(Base):
    """A photo by the id its phone gave it.

    Global, because a photo may arrive before the report that tells its city. Position and time of taking are private facts read from the original.
    """

    __tablename__ = "photo"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'ready', 'rejected')", name="state"),
        Index("ix_photo_sha256", "sha256"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    uploader: Mapped[str]  # 'device:<id>', 'staff:<id>' or 'report:<id>' for photos sent with an anonymous report
    sha256: Mapped[str]
    byte_size: Mapped[int] = mapped_column(BigInteger)
    content_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    state: Mapped[str]
    reason: Mapped[str | None]
    taken_place: Mapped[WKBElement | None] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))
    taken_accuracy_m: Mapped[float | None]
    taken_at: Mapped[datetime | None]
    dhash: Mapped[int | None] = mapped_column(BigInteger)
    large_key: Mapped[str | None]
    small_key: Mapped[str | None]
    received_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class PhotoClaim(Base):
    """Which report or work order a photo belongs to: the first of the same sender that named it.

    Written with the report, whether the photo has arrived or not; a claim by anybody but the uploader never
    matches, so naming somebody else's photo shows nothing. Global for the same reason as the photo.
    """

    __tablename__ = "photo_claim"

    photo_id: Mapped[UUID] = mapped_column(primary_key=True)
    sender: Mapped[str] = mapped_column(primary_key=True)
    city_id: Mapped[int]
    target_id: Mapped[UUID]
