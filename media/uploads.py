"""Uploads that can be continued where they broke off: how much has arrived, who is sending, until when it is kept.

A row never says more than is durable: the bytes are stored first, and an upload that says it is whole is a photo. Who
sends bytes holds the upload's lease, which runs out by itself where a process was killed, so that no transaction and no
lock is held while a phone takes its time.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, ColumnElement, Index, delete, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.sessions import Database
from media.headers import EmptyPhoto
from media.objects import Objects
from media.parts import Part, delete_parts, upload_of
from media.photos import Photo, PhotoIdAlreadyUsed
from media.store import MAX_BYTES, PhotoTooLarge

KEPT_FOR: Final = timedelta(hours=24)
"""For how long an upload is kept that nothing is added to; a whole one, for telling its sender so."""


FORGET_EXPIRED: Final = "media.forget_expired"
"""Kind of the job that forgets uploads nobody continued; comes by the clock, without a payload."""


class Upload(Base):
    """A photo on its way in, by the id its phone gave it.

    Global for the same reason as the photo. Of several senders who use one id each has an upload of their own; the
    first that is whole is the photo.
    """

    __tablename__ = "upload"
    __table_args__ = (
        CheckConstraint("received_bytes BETWEEN 0 AND byte_size", name="received_bytes"),
        Index("ix_upload_expires_at", "expires_at"),
    )

    uploader: Mapped[str] = mapped_column(primary_key=True)  # as in `Photo.uploader`
    photo_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)  # names the parts: begun anew, an upload has none of the old ones
    metadata_sent: Mapped[str] = mapped_column("metadata")
    byte_size: Mapped[int] = mapped_column(BigInteger)
    received_bytes: Mapped[int] = mapped_column(BigInteger)  # all of them durable
    parts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # each as `Part`, in their order; none once it is whole
    expires_at: Mapped[datetime]
    lease: Mapped[UUID | None]
    leased_until: Mapped[datetime | None]

    @property
    def is_whole(self) -> bool:
        """Whether all of it has arrived; it is a photo then."""
        return self.received_bytes == self.byte_size

    @property
    def stored_parts(self) -> list[Part]:
        """Where its bytes lie."""
        return [Part(**part) for part in self.parts]


class UploadNotFound(Exception):
    """There is no such upload, not for this sender, or no longer.

    Attributes:
        photo_id: The photo's id.
    """

    def __init__(self, photo_id: UUID) -> None:
        super().__init__(photo_id)
        self.photo_id = photo_id


class UploadLeased(Exception):
    """Another request is sending bytes of this upload, or was killed doing so a moment ago.

    Attributes:
        photo_id: The photo's id.
    """

    def __init__(self, photo_id: UUID) -> None:
        super().__init__(photo_id)
        self.photo_id = photo_id


class UploadOffsetMismatch(Exception):
    """The bytes would not follow on those that are there.

    Attributes:
        received_bytes: Where the next ones belong.
    """

    def __init__(self, received_bytes: int) -> None:
        super().__init__(received_bytes)
        self.received_bytes = received_bytes


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload as it stands, and whether it was begun just now."""

    upload: Upload
    is_new: bool


async def begin_upload(
    session: AsyncSession,
    photo_id: UUID,
    *,
    uploader: str,
    byte_size: int,
    metadata: str,
    now: datetime,
    max_bytes: int = MAX_BYTES,
) -> Begun:
    """Begin an upload, or find the one that this sender began under the same id; its time then starts anew.

    Args:
        session: Flushed here, committed by the caller.
        photo_id: The id that the phone gave the photo.
        uploader: Who sends it, as in `Photo.uploader`.
        byte_size: The length that the photo will have.
        metadata: What the sender said about it, to be told again; never looked at.
        now: Time of receipt.
        max_bytes: Most bytes that a photo may have.

    Raises:
        EmptyPhoto: no bytes are to come.
        PhotoTooLarge: more than `max_bytes` are.
        PhotoIdAlreadyUsed: the id has a photo or an upload of another length, or a photo of another sender.
    """
    if byte_size == 0:
        raise EmptyPhoto
    if byte_size > max_bytes:
        raise PhotoTooLarge(max_bytes)
    photo = await session.get(Photo, photo_id)
    # Refused before anything is sent. Bytes of the same length are compared when they are there.
    if photo is not None and (photo.uploader, photo.byte_size) != (uploader, byte_size):
        raise PhotoIdAlreadyUsed(photo_id, photo if photo.uploader == uploader else None)
    new_id = uuid4()
    values: dict[str, Any] = {
        "uploader": uploader,
        "photo_id": photo_id,
        "id": new_id,
        "metadata_sent": metadata,
        "byte_size": byte_size,
        "received_bytes": 0,
        "parts": [],
        "expires_at": now + KEPT_FOR,
    }
    statement = insert(Upload).values(values)
    found = statement.on_conflict_do_update(
        index_elements=[Upload.uploader, Upload.photo_id], set_={"expires_at": statement.excluded.expires_at}
    )
    upload = (await session.scalars(found.returning(Upload))).one()
    if upload.byte_size != byte_size:
        raise PhotoIdAlreadyUsed(photo_id, None)
    return Begun(upload, is_new=upload.id == new_id)


async def find_upload(session: AsyncSession, photo_id: UUID, *, uploader: str, now: datetime) -> Upload:
    """Find an upload of this sender.

    Raises:
        UploadNotFound: there is none, or it has expired.
    """
    upload = await session.scalar(select(Upload).where(*_own(photo_id, uploader), Upload.expires_at > now))
    if upload is None:
        raise UploadNotFound(photo_id)
    return upload


async def lease_upload(
    session: AsyncSession, photo_id: UUID, *, uploader: str, offset: int, now: datetime, lease_for: timedelta
) -> Upload:
    """Take the lease of an upload, for adding bytes to it: of several who try at once, one gets it.

    Commit before the bytes are read: the lease, not a lock, keeps others away.

    Args:
        session: Flushed here, committed by the caller.
        photo_id: The photo's id.
        uploader: Who sends.
        offset: Where the bytes belong.
        now: From when the lease counts.
        lease_for: How long it lasts unless it is renewed, which is as long as a killed process keeps others away.

    Raises:
        UploadNotFound: see `find_upload`.
        UploadLeased: somebody else has the lease.
        UploadOffsetMismatch: the next bytes belong elsewhere.
    """
    claim = (
        update(Upload)
        .where(*_own(photo_id, uploader), Upload.expires_at > now, Upload.received_bytes == offset, _is_free(now))
        .values(lease=uuid4(), leased_until=now + lease_for)
    )
    leased: Upload | None = await session.scalar(claim.returning(Upload))
    if leased is not None:
        return leased
    upload = await find_upload(session, photo_id, uploader=uploader, now=now)
    if upload.received_bytes != offset and (upload.leased_until is None or upload.leased_until <= now):
        raise UploadOffsetMismatch(upload.received_bytes)
    raise UploadLeased(photo_id)


async def change_leased(session: AsyncSession, upload: Upload, **values: Any) -> Upload:
    """Change an upload that one has the lease of.

    Raises:
        UploadLeased: the lease ran out and somebody else took it, or the upload was given up.
    """
    mine = update(Upload).where(Upload.id == upload.id, Upload.lease == upload.lease)
    changed: Upload | None = await session.scalar(mine.values(**values).returning(Upload))
    if changed is None:
        raise UploadLeased(upload.photo_id)
    return changed


async def forget_leased(database: Database, store: Objects, upload: Upload) -> None:
    """Give up an upload that one has the lease of, with all that has arrived. Commits by itself.

    Raises:
        UploadLeased: see `change_leased`.
    """
    async with database.transaction() as session:
        mine = delete(Upload).where(Upload.id == upload.id, Upload.lease == upload.lease)
        forgotten = await session.scalar(mine.returning(Upload))
    if forgotten is None:
        raise UploadLeased(upload.photo_id)
    await delete_parts(store, [part.key for part in forgotten.stored_parts])


async def terminate_upload(database: Database, store: Objects, photo_id: UUID, *, uploader: str, now: datetime) -> None:
    """Give up an upload at its sender's wish, also while bytes are coming in; a photo that it became stays.

    Commits by itself.

    Raises:
        UploadNotFound: see `find_upload`.
    """
    async with database.transaction() as session:
        own = delete(Upload).where(*_own(photo_id, uploader), Upload.expires_at > now)
        terminated = await session.scalar(own.returning(Upload))
    if terminated is None:
        raise UploadNotFound(photo_id)
    await delete_parts(store, [part.key for part in terminated.stored_parts])


async def forget_expired(database: Database, store: Objects, *, now: datetime) -> int:
    """Forget uploads that nobody continued in time, with all that has arrived; answers how many there were.

    Commits by itself. Parts that a killed process leaves behind here are orphans to `media.sweep`.
    """
    async with database.transaction() as session:
        expired = delete(Upload).where(Upload.expires_at <= now, _is_free(now))
        forgotten = (await session.scalars(expired.returning(Upload))).all()
    await delete_parts(store, [part.key for upload in forgotten for part in upload.stored_parts])
    return len(forgotten)


async def parts_in_use(session: AsyncSession, keys: Collection[str]) -> set[str]:
    """Tell which of some keys below `PARTS` an upload refers to."""
    uploads = await session.scalars(select(Upload).where(Upload.id.in_({upload_of(key) for key in keys})))
    return {part.key for upload in uploads for part in upload.stored_parts}.intersection(keys)


def _own(photo_id: UUID, uploader: str) -> tuple[ColumnElement[bool], ...]:
    return Upload.uploader == uploader, Upload.photo_id == photo_id


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(Upload.leased_until.is_(None), Upload.leased_until <= now)
