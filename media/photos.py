"""Photos: received, found, and where what is stored of them lies."""

from collections.abc import AsyncIterable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from geoalchemy2 import Geography, Geometry, WKBElement
from sqlalchemy import BigInteger, CheckConstraint, Index, cast, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.jobs import enqueue
from db.rates import Allowance, AllowanceUsedUp, count_use
from db.sessions import Database
from media.exif import TakenPlace
from media.headers import MAX_PIXELS
from media.objects import StorageUnavailable
from media.outcome import Rejection
from media.store import (
    MAX_BYTES,
    ORIGINALS,
    IncomingPhoto,
    PhotoStore,
    content_hash,
    derived_from,
    original_key,
)

MAKE_SAFE: Final = "media.make_safe"
"""Kind of the job that makes a received photo safe; payload `{"photo_id": "<uuid>"}`."""


class PhotoState(StrEnum):
    """How far a photo has come."""

    PENDING = "pending"
    READY = "ready"
    REJECTED = "rejected"


class PhotoSize(StrEnum):
    """The pictures that are made of a photo."""

    LARGE = "large"
    SMALL = "small"


class Photo(Base):
    """A photo by the id its phone gave it.

    Global, because a photo may arrive before the report that tells its city. Position and time of taking are
    private facts read from the original.
    """

    __tablename__ = "photo"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'ready', 'rejected')", name="state"),
        Index("ix_photo_sha256", "sha256"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    uploader: Mapped[str]  # 'device:<id>', 'staff:<id>' or 'report:<id>' for photos sent with an anonymous report
    sha256: Mapped[str]
    upload_id: Mapped[UUID | None]  # the upload whose bytes it has; None where its hash alone is their key
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

    @property
    def original_key(self) -> str:
        """Where its bytes are as they were received; gone once it is rejected."""
        return original_key(self.sha256, self.upload_id)


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


class PhotoIdAlreadyUsed(Exception):
    """The id belongs to a photo with other bytes, or of another sender.

    Attributes:
        photo_id: The id.
        stored: The photo, if it is this sender's own (whose outbox can then be cleared); else `None`.
    """

    def __init__(self, photo_id: UUID, stored: Photo | None) -> None:
        super().__init__(photo_id)
        self.photo_id = photo_id
        self.stored = stored


class PhotoNotReady(Exception):
    """The photo has arrived, but is not made safe yet: to be asked for again in a moment.

    Attributes:
        photo_id: The id.
    """

    def __init__(self, photo_id: UUID) -> None:
        super().__init__(photo_id)
        self.photo_id = photo_id


class PhotoWasRejected(Exception):
    """Nothing could be made of the photo, and its bytes are gone.

    Attributes:
        photo_id: The id.
        reason: Why.
    """

    def __init__(self, photo_id: UUID, reason: Rejection) -> None:
        super().__init__(photo_id, reason)
        self.photo_id = photo_id
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Recorded:
    """A photo as it is stored, and whether this upload was the first of it."""

    photo: Photo
    is_new: bool


@dataclass(frozen=True, slots=True)
class StoredCopy:
    """What is stored of a photo: the original, or a picture made of it.

    Attributes:
        key: Where it is.
        content_type: What it is.
        etag: Changes with the content.
    """

    key: str
    content_type: str
    etag: str


async def receive_photo(
    database: Database,
    store: PhotoStore,
    photo_id: UUID,
    body: AsyncIterable[bytes],
    *,
    uploader: str,
    announced_bytes: int | None,
    now: datetime,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    allowances: Sequence[Allowance] = (),
) -> Recorded:
    """Receive an upload: once this returns, its bytes, its row and the job that makes it safe are durable.

    The same bytes under the same id give the same photo again, in whatever state it is by then. No transaction is
    open while bytes come in. Commits by itself.

    Args:
        database: Where the photo is recorded, in two short transactions.
        store: Where the bytes go.
        photo_id: The id that the phone gave the photo.
        body: The chunks of the upload.
        uploader: Who sends it, as in `Photo.uploader`.
        announced_bytes: The length that the sender announced, if any.
        now: Time of receipt.
        max_bytes: Most bytes accepted.
        max_pixels: Most pixels accepted.
        allowances: What it counts for, unless it was received before.

    Raises:
        PhotoIdAlreadyUsed: the id has other bytes or another uploader; nothing is stored.
        AllowanceUsedUp: its sender has sent enough for now; nothing is stored.
        PhotoTooLarge, BodyLengthMismatch, EmptyPhoto, UnsupportedImage, BrokenImageHeader, TooManyPixels,
        StorageUnavailable: see `PhotoStore.receive`; nothing is stored.
    """
    upload = store.receive(body, announced_bytes=announced_bytes, max_bytes=max_bytes, max_pixels=max_pixels)
    async with upload as incoming:
        async with database.transaction() as session:
            known = await _known_photo(session, photo_id, uploader=uploader, sha256=incoming.sha256)
        if known is not None:
            return Recorded(known, is_new=False)
        await store.keep(incoming)
        try:
            async with database.transaction() as session:
                recorded = await record_photo(session, photo_id, incoming, uploader=uploader, now=now)
                if recorded.is_new:
                    await enqueue(session, MAKE_SAFE, {"photo_id": str(photo_id)})
                    await count_use(session, allowances, now=now)
        except AllowanceUsedUp:
            await delete_soon(store, incoming.key)
            raise
        if not recorded.is_new:  # another copy of this upload was quicker, and its row names its own bytes
            await delete_soon(store, incoming.key)
    return recorded


async def record_photo(
    session: AsyncSession, photo_id: UUID, incoming: IncomingPhoto, *, uploader: str, now: datetime
) -> Recorded:
    """Record a photo whose bytes are durable; repeated, it finds the photo that is there.

    Joins the caller's transaction, in which the caller also enqueues the job `MAKE_SAFE` if the photo is new.

    Raises:
        PhotoIdAlreadyUsed: the id has other bytes or another uploader.
    """
    values: dict[str, Any] = {
        "id": photo_id,
        "uploader": uploader,
        "sha256": incoming.sha256,
        "upload_id": incoming.upload_id,
        "byte_size": incoming.byte_size,
        "content_type": incoming.header.format.content_type,
        "width": incoming.header.width,
        "height": incoming.header.height,
        "state": PhotoState.PENDING,
        "received_at": now,
    }
    statement = insert(Photo).values(values).on_conflict_do_nothing(index_elements=[Photo.id]).returning(Photo)
    photo = await session.scalar(statement)
    if photo is not None:
        return Recorded(photo, is_new=True)
    known = await _known_photo(session, photo_id, uploader=uploader, sha256=incoming.sha256)
    if known is None:
        raise RuntimeError(f"photo {photo_id} was deleted while it was being received")
    return Recorded(known, is_new=False)


async def find_photo(session: AsyncSession, photo_id: UUID) -> Photo | None:
    """Find a photo by its id, of whatever sender; who may see it is for the caller to decide."""
    return await session.get(Photo, photo_id)


async def taken_place(session: AsyncSession, photo_id: UUID) -> TakenPlace | None:
    """Tell where a photo was taken, by its own account; `None` if it does not say, or is not there or not ready.

    A private fact: it may place a report, and is never shown.
    """
    point = cast(Photo.taken_place, Geometry)
    statement = select(func.ST_X(point), func.ST_Y(point), Photo.taken_accuracy_m).where(
        Photo.id == photo_id, Photo.taken_place.is_not(None)
    )
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else TakenPlace(*row)


def stored_original(photo: Photo) -> StoredCopy:
    """Tell where the bytes of a photo are as they were received, which is as soon as they were.

    Raises:
        PhotoWasRejected: nothing could be made of it.
    """
    _refuse_rejected(photo)
    return StoredCopy(photo.original_key, photo.content_type, photo.sha256)


def stored_picture(photo: Photo, size: PhotoSize) -> StoredCopy:
    """Tell where a picture made of a photo is; who may see it is for the caller to decide.

    Raises:
        PhotoNotReady: not made safe yet.
        PhotoWasRejected: nothing could be made of it.
    """
    _refuse_rejected(photo)
    key = photo.large_key if size is PhotoSize.LARGE else photo.small_key
    if key is None:
        raise PhotoNotReady(photo.id)
    return StoredCopy(key, "image/webp", content_hash(key) or key)


async def keys_in_use(session: AsyncSession, keys: Collection[str]) -> set[str]:
    """Tell which keys of the store some photo names; those of others, of whatever kind, are left out."""
    hashes = {key.rpartition("/")[2][:64] for key in keys if key.startswith(ORIGINALS)}
    ids = {photo_id for key in keys if (photo_id := derived_from(key)) is not None}
    in_use: set[str] = set()
    if hashes:
        query = select(Photo.sha256, Photo.upload_id).where(
            Photo.sha256.in_(hashes), Photo.state != PhotoState.REJECTED
        )
        in_use |= {original_key(*row) for row in await session.execute(query)}
    if ids:
        rows = await session.execute(select(Photo.large_key, Photo.small_key).where(Photo.id.in_(ids)))
        in_use |= {key for row in rows for key in row}
    return in_use.intersection(keys)


def _refuse_rejected(photo: Photo) -> None:
    if photo.state == PhotoState.REJECTED:
        raise PhotoWasRejected(photo.id, Rejection(str(photo.reason)))


async def _known_photo(session: AsyncSession, photo_id: UUID, *, uploader: str, sha256: str) -> Photo | None:
    photo = await find_photo(session, photo_id)
    if photo is None:
        return None
    if photo.uploader != uploader:
        raise PhotoIdAlreadyUsed(photo_id, None)
    if photo.sha256 != sha256:
        raise PhotoIdAlreadyUsed(photo_id, photo)
    return photo


async def delete_soon(store: PhotoStore, *keys: str) -> None:
    """Delete what no row names: now, or where the store does not answer, with the next sweep."""
    with suppress(StorageUnavailable):
        await store.delete(*keys)
