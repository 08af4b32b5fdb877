"""Adding bytes to an upload: stored as they come, counted once they are durable, and a photo with the last of them."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any, Final

from db.sessions import Database, DatabaseUnavailable
from media.headers import MAX_PIXELS, BrokenImageHeader, EmptyPhoto, TooManyPixels, UnsupportedImage
from media.objects import BlobMissing
from media.parts import PART_BYTES, Part, absorbed, delete_parts, joined, store_part
from media.photos import PhotoIdAlreadyUsed, receive_photo
from media.store import MAX_BYTES, BodyLengthMismatch, PhotoStore, PhotoTooLarge
from media.uploads import KEPT_FOR, Upload, UploadLeased, UploadNotFound, change_leased, forget_leased

# Bytes are counted at least so often while a lease lasts, so that it never runs out under a sender who is sending.
_COUNTS_PER_LEASE: Final = 4
# What no photo can be made of: the upload is given up, as a photo sent at once would be.
_REFUSALS: Final = (
    EmptyPhoto,
    UnsupportedImage,
    BrokenImageHeader,
    TooManyPixels,
    PhotoTooLarge,
    BodyLengthMismatch,
    PhotoIdAlreadyUsed,
)


class UploadOverrun(Exception):
    """More bytes came than the upload was to have.

    Attributes:
        byte_size: How many it was to have.
    """

    def __init__(self, byte_size: int) -> None:
        super().__init__(byte_size)
        self.byte_size = byte_size


class ChecksumMismatch(Exception):
    """Other bytes came than the sender took the checksum of; none of them is kept."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of a request have to add up to: an algorithm by its name in hashlib, and the digest."""

    algorithm: str
    digest: bytes


async def append_bytes(
    database: Database,
    store: PhotoStore,
    upload: Upload,
    body: AsyncIterable[bytes],
    *,
    announced_bytes: int | None,
    checksum: Checksum | None,
    clock: Callable[[], datetime],
    lease_for: timedelta,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> Upload:
    """Add the bytes of one request to an upload, and give back its lease.

    A body may end anywhere, as it does where a connection breaks: what came is kept, unless a checksum cannot be met
    without the rest. While bytes come in they are counted about every megabyte and every quarter of a lease, and no
    transaction is open. With the last byte the upload becomes a photo, just as `receive_photo` makes one; only then
    does it count that byte. Killed anywhere, it goes on from what was counted.

    Args:
        database: Where it is counted, in short transactions.
        store: Where the bytes go.
        upload: As `lease_upload` gave it.
        body: The bytes that follow on those that are there. What reading them raises passes through; of what came
            since they were last counted nothing is kept then.
        announced_bytes: How many they are to be; None where the sender does not say.
        checksum: What they have to add up to; None where the sender does not say.
        clock: Tells the time.
        lease_for: How long the lease is renewed for.
        max_bytes: Most bytes that a photo may have.
        max_pixels: Most pixels that it may have.

    Returns:
        The upload as it stands now.

    Raises:
        UploadOverrun: more is announced, or comes, than is missing.
        ChecksumMismatch: it adds up to something else; nothing of this body is kept.
        UploadLeased: the lease ran out meanwhile, and somebody else took it; or the upload was given up.
        UploadNotFound: bytes that had arrived are gone, and the upload with them.
        UnsupportedImage, BrokenImageHeader, TooManyPixels, PhotoIdAlreadyUsed: as from `receive_photo`; the upload is
            given up.
        StorageUnavailable: the store does not answer; what was counted is kept.
    """
    adding = _Adding(
        database,
        store,
        upload,
        checksum,
        clock,
        lease_for,
        max_bytes,
        max_pixels,
        received_bytes=upload.received_bytes,
        parts=upload.stored_parts,
        hash=None if checksum is None else hashlib.new(checksum.algorithm, usedforsecurity=False),
    )
    try:
        _refuse_overrun(upload, announced_bytes or 0)
        async for piece in _pieces(upload, body, clock=clock, longest=lease_for / _COUNTS_PER_LEASE):
            await adding.add(piece)
        return await adding.finish()
    except Exception:
        await adding.give_up()
        raise


def _refuse_overrun(upload: Upload, more_bytes: int) -> None:
    if upload.received_bytes + more_bytes > upload.byte_size:
        raise UploadOverrun(upload.byte_size)


async def _pieces(
    upload: Upload, body: AsyncIterable[bytes], *, clock: Callable[[], datetime], longest: timedelta
) -> AsyncIterator[bytes]:
    """Gather chunks to pieces of about `PART_BYTES`, or of what comes in a while."""
    piece = bytearray()
    more_bytes = 0
    began = clock()
    async for chunk in body:
        more_bytes += len(chunk)
        _refuse_overrun(upload, more_bytes)
        if not piece:
            began = clock()
        piece += chunk
        if len(piece) >= PART_BYTES or (piece and clock() - began >= longest):
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


@dataclass(slots=True, eq=False)
class _Adding:
    """The bytes of one request on their way into the upload that it has the lease of."""

    database: Database
    store: PhotoStore
    upload: Upload
    checksum: Checksum | None
    clock: Callable[[], datetime]
    lease_for: timedelta
    max_bytes: int
    max_pixels: int
    received_bytes: int
    parts: list[Part]
    hash: "hashlib._Hash | None"
    last_piece: bytes = b""
    # Keys of parts that the row does not name yet, and of those that it need not name any more.
    written: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)

    async def add(self, piece: bytes) -> None:
        """Take in a piece: durable and counted on return, unless its checksum is still to come or it is the last."""
        if self.hash is not None:
            self.hash.update(piece)
        self.received_bytes += len(piece)
        if self.received_bytes == self.upload.byte_size:
            self.last_piece = piece  # stored as the end of the photo only
            return
        await self._write(piece)
        if self.checksum is None:
            await self._count(leased_until=self.clock() + self.lease_for)
        else:
            await self._change(leased_until=self.clock() + self.lease_for)

    async def finish(self) -> Upload:
        """Keep what came; answers the upload, without a lease."""
        if self.checksum and self.hash and not compare_digest(self.hash.digest(), self.checksum.digest):
            raise ChecksumMismatch
        if self.last_piece:
            await self._become_photo()
        else:
            await self._count(lease=None, leased_until=None)
        return self.upload

    async def give_up(self) -> None:
        """Let others go on from what was counted."""
        await delete_parts(self.store, self.written)
        with suppress(UploadLeased, DatabaseUnavailable):  # it is somebody else's already, or runs out by itself
            await self._change(lease=None, leased_until=None)

    async def _write(self, piece: bytes) -> None:
        kept = len(self.parts) - absorbed(self.parts, len(piece))
        old = self.parts[kept:]
        part = await store_part(self.store, self.upload.id, old, piece)
        self.written.append(part.key)
        self.replaced += [each.key for each in old]
        self.parts[kept:] = [part]

    async def _count(self, **lease: Any) -> None:
        """Have the row say what is durable."""
        written, self.written = self.written, []
        try:
            await self._change(
                received_bytes=self.received_bytes,
                parts=[asdict(part) for part in self.parts],
                expires_at=self.clock() + KEPT_FOR,
                **lease,
            )
        except UploadLeased:
            # Surely not named by the row; after any other error of a commit they may be.
            self.written = written
            raise
        await delete_parts(self.store, self.replaced)
        self.replaced.clear()

    async def _become_photo(self) -> None:
        await self._change(leased_until=self.clock() + self.lease_for)
        try:
            await receive_photo(
                self.database,
                self.store,
                self.upload.photo_id,
                joined(self.store, self.parts, self.last_piece),
                uploader=self.upload.uploader,
                announced_bytes=self.upload.byte_size,
                now=self.clock(),
                max_bytes=self.max_bytes,
                max_pixels=self.max_pixels,
            )
        except _REFUSALS:
            await forget_leased(self.database, self.store, self.upload)
            raise
        except BlobMissing:
            await forget_leased(self.database, self.store, self.upload)
            raise UploadNotFound(self.upload.photo_id) from None
        keys = [*(part.key for part in self.upload.stored_parts), *self.written]
        self.parts = []
        await self._count(lease=None, leased_until=None)
        await delete_parts(self.store, keys)

    async def _change(self, **values: Any) -> None:
        async with self.database.transaction() as session:
            self.upload = await change_leased(session, self.upload, **values)
