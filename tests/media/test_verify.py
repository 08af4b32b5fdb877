"""The check of the store against the rows finds what is missing, what is not as it was, and what nobody names."""

import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from db.sessions import Database
from media.decoders import Decoders
from media.objects import StorageUnavailable
from media.photos import Photo, find_photo, receive_photo
from media.process import process_photo
from media.store import PhotoStore, open_store
from media.sweep import ORPHAN_AFTER
from media.verify import Checked, Fault, Finding, count_photos, verify
from tests.media.pictures import encoded, scene

PHOTO = encoded(scene())
CUT_OFF = PHOTO[: len(PHOTO) // 2]
PHONE = "device:01936f3e-9000-7000-8000-000000000001"
IDS = [UUID(int=number + 1) for number in range(5)]


@pytest.fixture
def add(database: Database, store: PhotoStore, decoders: Decoders):
    """Receives a photo and makes it safe, unless told not to."""

    async def body(data: bytes) -> AsyncIterator[bytes]:
        yield data

    async def add(photo_id: UUID, data: bytes = PHOTO, *, safe: bool = True) -> Photo:
        now = datetime.now(UTC)
        await receive_photo(database, store, photo_id, body(data), uploader=PHONE, announced_bytes=None, now=now)
        if safe:
            await process_photo(database, store, decoders, photo_id, now=now)
        async with database.transaction() as session:
            photo = await find_photo(session, photo_id)
        assert photo is not None
        return photo

    return add


async def checked(database: Database, store: PhotoStore, *, later: timedelta = timedelta(0)) -> Checked:
    """Verify all, and add up the parts."""
    parts = [part async for part in verify(database, store, now=datetime.now(UTC) + later)]
    findings = sorted((finding for part in parts for finding in part.findings), key=lambda each: each.key)
    return Checked(
        sum(part.photos for part in parts),
        sum(part.objects for part in parts),
        sum(part.read_bytes for part in parts),
        findings,
    )


async def test_a_store_as_it_should_be_has_no_finding(database, store, add, monkeypatch):
    monkeypatch.setattr("media.verify._PAGE", 2)
    for photo_id in IDS[:3]:
        await add(photo_id)
    await add(IDS[3], safe=False)
    await add(IDS[4], CUT_OFF)

    found = await checked(database, store, later=2 * ORPHAN_AFTER)

    assert (found.photos, found.objects, list(found.findings)) == (5, 3 * 3 + 1, [])
    assert found.read_bytes > 4 * len(PHOTO)
    assert await count_photos(database) == 5


async def test_finds_what_is_missing_different_and_named_by_nobody(database, store, add):
    lost, changed, fine = await add(IDS[0]), await add(IDS[1]), await add(IDS[2])
    await store.delete(lost.original_key, lost.small_key)
    await store.put(changed.original_key, PHOTO[:-1] + b"\0")
    await store.put(changed.large_key, b"another picture")
    orphan = await store.put_derivative(fine.id, "large", b"of a killed run")

    found = await checked(database, store, later=ORPHAN_AFTER + timedelta(minutes=1))

    expected = [
        Finding(Fault.MISSING, lost.original_key, lost.id),
        Finding(Fault.MISSING, lost.small_key, lost.id),
        Finding(Fault.DIFFERENT, changed.original_key, changed.id),
        Finding(Fault.DIFFERENT, changed.large_key, changed.id),
        Finding(Fault.ORPHAN, orphan, None),
    ]
    assert list(found.findings) == sorted(expected, key=lambda each: each.key)


async def test_what_is_on_its_way_is_no_orphan(database, store):
    await store.put("checks/1", b"ready")

    assert list((await checked(database, store)).findings) == []


async def test_a_photo_that_is_rejected_while_it_is_looked_for_is_not_missing(database, store, add, decoders):
    await add(IDS[0], CUT_OFF, safe=False)

    class Slow(PhotoStore):
        """The photo is decoded, found damaged and deleted between the look at its row and the reading."""

        async def read(self, key: str):
            await process_photo(database, store, decoders, IDS[0], now=datetime.now(UTC))
            return await super().read(key)

    found = await checked(database, Slow(store._objects, folder=store._folder))

    assert (found.photos, list(found.findings)) == (1, [])


async def test_a_store_that_does_not_answer_is_no_finding(database, store, add, s3_at):
    await add(IDS[0])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        s3_at(f"http://127.0.0.1:{taken.getsockname()[1]}")  # nobody listens any more after this block

    with pytest.raises(StorageUnavailable):
        await checked(database, open_store("s3://bucket"))
