"""Checking the store against the rows, byte for byte."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func, select

from db.sessions import Database
from media.objects import BlobMissing, Objects
from media.photos import Photo, PhotoState, keys_in_use
from media.store import content_hash
from media.sweep import ORPHAN_AFTER, look_for_orphans

_PAGE = 200
_READ_AT_ONCE = 4


class Fault(StrEnum):
    """What can be wrong with something stored."""

    MISSING = "missing"  # a row names it, and it is not there
    DIFFERENT = "different"  # it is not what its key says it is
    ORPHAN = "orphan"  # nobody names it, and the next sweep deletes it


@dataclass(frozen=True, slots=True)
class Finding:
    """Something stored that is not as it should be; the photo that names it, None for an orphan."""

    fault: Fault
    key: str
    photo_id: UUID | None


@dataclass(frozen=True, slots=True)
class Checked:
    """A part of the work done: photos looked at, objects and bytes read for them, and what was found wrong."""

    photos: int
    objects: int
    read_bytes: int
    findings: Sequence[Finding]


async def verify(database: Database, store: Objects, *, now: datetime) -> AsyncIterator[Checked]:
    """Read everything that a photo names and compare it with its SHA-256; then look for what nobody names.

    Some hundred photos at a time, without a transaction over the reading. Photos may come and go meanwhile.

    Raises:
        StorageUnavailable: the store does not answer.
    """
    async with aclosing(_named_keys(database)) as pages:
        async for photos, named in pages:
            yield await _compare(database, store, photos, named)
    async with aclosing(look_for_orphans(database, store, before=now - ORPHAN_AFTER)) as looked_at:
        async for page in looked_at:
            yield Checked(0, 0, 0, [Finding(Fault.ORPHAN, orphan.key, None) for orphan in page.orphans])


async def count_photos(database: Database) -> int:
    """Count the photos that `verify` will look at, for showing how far it is."""
    async with database.transaction() as session:
        return (await session.scalars(select(func.count()).select_from(Photo))).one()


async def _named_keys(database: Database) -> AsyncGenerator[tuple[int, Mapping[str, UUID]], None]:
    """List the keys that photos name, with their photos, and of how many photos, page by page."""
    after = UUID(int=0)
    while True:
        query = select(Photo).where(Photo.id > after).order_by(Photo.id).limit(_PAGE)
        async with database.transaction() as session:
            photos = (await session.scalars(query)).all()
        if not photos:
            return
        kept = [photo for photo in photos if photo.state != PhotoState.REJECTED]
        keys = [(key, photo.id) for photo in kept for key in (photo.original_key, photo.large_key, photo.small_key)]
        yield len(photos), {key: photo_id for key, photo_id in keys if key is not None}
        after = photos[-1].id


async def _compare(database: Database, store: Objects, photos: int, named: Mapping[str, UUID]) -> Checked:
    reading = asyncio.Semaphore(_READ_AT_ONCE)
    # Not a task group: what the store refuses reaches the caller as it is.
    read = dict(zip(named, await asyncio.gather(*(_read(store, key, reading) for key in named)), strict=True))
    missing = [key for key, found in read.items() if found is None]
    if missing:
        async with database.transaction() as session:
            # A photo that was rejected in the meantime names its original no more.
            still_named = await keys_in_use(session, missing)
        missing = [key for key in missing if key in still_named]
    different = [key for key, found in read.items() if found is not None and not found.matches(key)]
    findings = [Finding(Fault.MISSING, key, named[key]) for key in missing]
    findings += [Finding(Fault.DIFFERENT, key, named[key]) for key in different]
    return Checked(photos, len(read), sum(found.byte_size for found in read.values() if found is not None), findings)


@dataclass(frozen=True, slots=True)
class _Read:
    sha256: str
    byte_size: int

    def matches(self, key: str) -> bool:
        return self.sha256.startswith(content_hash(key) or "-")


async def _read(store: Objects, key: str, reading: asyncio.Semaphore) -> _Read | None:
    async with reading:
        try:
            stored = await store.read(key)
        except BlobMissing:
            return None
        digest, byte_size = hashlib.sha256(), 0
        async for chunk in stored.chunks:
            digest.update(chunk)
            byte_size += len(chunk)
        return _Read(digest.hexdigest(), byte_size)
