"""What every store of photos does, in a folder and in a bucket alike."""

import asyncio
import hashlib
import os
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from media.headers import BrokenImageHeader, EmptyPhoto, ImageFormat, ImageHeader, TooManyPixels, UnsupportedImage
from media.objects import BlobMissing, StorageFull, StorageUnavailable
from media.store import (
    ORIGINALS,
    BodyLengthMismatch,
    NotAStore,
    PhotoTooLarge,
    content_hash,
    derived_from,
    open_store,
    original_key,
)
from tests.media.pictures import encoded, png_claiming, scene
from tests.media.stores import PHOTO, body, files, keep, listed, read, spools

PHOTO_ID = UUID("01936f3e-8000-7000-8000-000000000001")


async def test_keeps_a_photo_under_its_hash_and_tells_what_it_is(store, tmp_path):
    async with store.receive(body(PHOTO), announced_bytes=len(PHOTO)) as photo:
        await store.keep(photo)

    assert photo.sha256 == hashlib.sha256(PHOTO).hexdigest()
    assert photo.byte_size == len(PHOTO)
    assert photo.header == ImageHeader(ImageFormat.JPEG, 640, 480)
    assert content_hash(photo.key) == photo.sha256
    assert await read(store, photo.key) == PHOTO
    assert spools(tmp_path) == []


async def test_a_length_need_not_be_announced(store):
    async with store.receive(body(PHOTO), announced_bytes=None) as photo:
        assert photo.byte_size == len(PHOTO)


async def test_what_is_not_kept_leaves_nothing(store, tmp_path):
    async with store.receive(body(PHOTO), announced_bytes=None) as photo:
        pass

    assert files(tmp_path) == []
    with pytest.raises(BlobMissing):
        await store.read(photo.key)


async def test_the_same_bytes_sent_twice_are_kept_under_two_keys(store):
    first, second = await keep(store, PHOTO), await keep(store, PHOTO)

    await store.delete(first)

    assert await read(store, second) == PHOTO


@pytest.mark.parametrize(
    ("sent", "announced", "error"),
    [
        (b"", None, EmptyPhoto),
        (b"", 0, EmptyPhoto),
        (encoded(scene(20, 20), "TIFF"), None, UnsupportedImage),
        (PHOTO[:12], None, BrokenImageHeader),
        (png_claiming(60_000, 60_000), None, TooManyPixels),
        (PHOTO, len(PHOTO) - 1, BodyLengthMismatch),
        (PHOTO, len(PHOTO) + 1, BodyLengthMismatch),
        (PHOTO + b"\0" * 50_000, None, PhotoTooLarge),
        (PHOTO, 50_001, PhotoTooLarge),
    ],
)
async def test_what_is_refused_leaves_nothing(store, tmp_path, sent, announced, error):
    assert len(PHOTO) < 50_000
    with pytest.raises(error):
        async with store.receive(body(sent), announced_bytes=announced, max_bytes=50_000):
            pytest.fail("accepted")

    assert files(tmp_path) == []


async def test_a_connection_that_is_cut_off_leaves_nothing(store, tmp_path):
    async def cut_off() -> AsyncIterator[bytes]:
        yield PHOTO[:1000]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        async with store.receive(cut_off(), announced_bytes=None):
            pytest.fail("accepted")

    assert files(tmp_path) == []


@pytest.mark.parametrize(("announced", "received"), [(1000, 2048), (999_999, len(PHOTO))])
async def test_a_wrong_length_is_told_with_both_numbers(store, announced, received):
    with pytest.raises(BodyLengthMismatch) as raised:
        async with store.receive(body(PHOTO, chunk_bytes=2048), announced_bytes=announced):
            pytest.fail("accepted")

    assert (raised.value.announced_bytes, raised.value.received_bytes) == (announced, received)


async def test_the_limit_itself_is_accepted_and_not_a_byte_more(store):
    async with store.receive(body(PHOTO), announced_bytes=None, max_bytes=len(PHOTO)) as photo:
        assert photo.byte_size == len(PHOTO)
    with pytest.raises(PhotoTooLarge) as raised:
        async with store.receive(body(PHOTO), announced_bytes=None, max_bytes=len(PHOTO) - 1):
            pytest.fail("accepted")

    assert raised.value.limit_bytes == len(PHOTO) - 1


async def test_a_body_beyond_the_limit_is_not_read_to_its_end(store):
    chunks_sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal chunks_sent
        while True:
            chunks_sent += 1
            yield bytes(65536)

    with pytest.raises(PhotoTooLarge):
        async with store.receive(endless(), announced_bytes=None, max_bytes=1_000_000):
            pytest.fail("accepted")

    assert chunks_sent == 16


async def test_a_cancelled_upload_leaves_nothing(store, tmp_path):
    waiting = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield PHOTO[:1000]
        waiting.set()
        await asyncio.Event().wait()

    async def upload() -> None:
        async with store.receive(stalled(), announced_bytes=None):
            pytest.fail("accepted")

    task = asyncio.create_task(upload())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert files(tmp_path) == []


async def test_a_large_photo_is_never_whole_in_memory(local):
    async def large() -> AsyncIterator[bytes]:
        yield PHOTO
        for _ in range(300):
            yield bytes(65536)

    tracemalloc.start()
    try:
        async with local.receive(large(), announced_bytes=None) as photo:
            await local.keep(photo)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert photo.byte_size > 19_000_000
    assert peak_bytes < photo.byte_size / 2  # the least that tells; other threads of the process count in


async def test_a_local_photo_is_on_disk_before_it_has_its_name_and_its_name_before_the_answer(
    local, folder, monkeypatch
):
    steps = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(handle):
        steps.append(("fsync", Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    def noted_replace(path, target):
        steps.append(("replace", Path(target)))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    target = folder / await keep(local, PHOTO)

    (first, spool), *made_folders, (renamed, name), (last, parent) = steps
    assert (first, spool.parent) == ("fsync", folder / "incoming")
    assert made_folders == [("fsync", folder), ("fsync", folder / "originals")]
    assert (renamed, name) == ("replace", target)
    assert (last, parent) == ("fsync", target.parent)


async def test_a_local_photo_is_readable_by_its_owner_only(local, folder):
    path = folder / await keep(local, PHOTO)

    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_a_derivative_is_named_for_its_photo_size_and_content(store):
    key = await store.put_derivative(PHOTO_ID, "large", b"picture")
    other = await store.put_derivative(PHOTO_ID, "large", b"another picture")
    again = await store.put_derivative(PHOTO_ID, "large", b"picture")

    assert key.startswith(f"derived/01/{PHOTO_ID}-large-{hashlib.sha256(b'picture').hexdigest()}-")
    assert key.endswith(".webp")
    assert (content_hash(key), derived_from(key)) == (hashlib.sha256(b"picture").hexdigest(), PHOTO_ID)
    assert len({key, other, again}) == 3
    assert await read(store, key) == b"picture"


@pytest.mark.parametrize(
    ("key", "digits", "photo_id"),
    [
        (original_key("ab" * 32, None), "ab" * 32, None),
        (original_key("ab" * 32, PHOTO_ID), "ab" * 32, None),
        (f"derived/{PHOTO_ID}/small-0123456789abcdef.webp", "0123456789abcdef", PHOTO_ID),
        ("uploads/01936f3e-8000-7000-8000-000000000001-x", None, None),
        (f"originals/ab/{'ab' * 32}.tmp", None, None),
    ],
)
def test_a_key_tells_what_it_holds(key, digits, photo_id):
    assert (content_hash(key), derived_from(key)) == (digits, photo_id)


async def test_a_program_gets_a_file_to_read(store, tmp_path):
    key = await keep(store, PHOTO)

    async with store.local_copy(key) as path:
        assert path.read_bytes() == PHOTO

    assert await read(store, key) == PHOTO
    assert spools(tmp_path) == []


async def test_what_is_not_there_is_missing(store):
    with pytest.raises(BlobMissing):
        await store.read(original_key("0" * 64, PHOTO_ID))
    with pytest.raises(BlobMissing):
        async with store.local_copy(original_key("0" * 64, PHOTO_ID)):
            pytest.fail("found")


async def test_deletes_and_does_not_mind_what_is_gone(store):
    key = await keep(store, PHOTO)

    await store.delete(key)
    await store.delete(key)

    with pytest.raises(BlobMissing):
        await store.read(key)


async def test_a_check_leaves_nothing(store, tmp_path):
    await store.check()

    assert files(tmp_path) == []


async def test_a_disk_that_does_not_take_the_bytes_is_unavailable(local, folder):
    (folder / "incoming").rmdir()

    with pytest.raises(StorageUnavailable):
        await keep(local, PHOTO)
    with pytest.raises(StorageUnavailable):
        await local.check()


async def test_a_folder_with_no_room_is_full_and_keeps_nothing(cramped_folder):
    store = open_store(cramped_folder.as_uri())
    larger = PHOTO + bytes(2_000_000)

    with pytest.raises(StorageFull):
        await keep(store, larger)
    with pytest.raises(StorageFull):
        await store.put_derivative(PHOTO_ID, "large", larger)

    assert files(cramped_folder) == []
    assert await read(store, await keep(store, PHOTO)) == PHOTO


async def test_lists_what_is_below_a_prefix_with_its_length_and_time(store):
    began = datetime.now(UTC) - timedelta(seconds=1)  # S3 counts in whole seconds
    keys = sorted([await keep(store, PHOTO), await keep(store, PHOTO + b"\0")])
    await store.put_derivative(PHOTO_ID, "large", b"picture")

    assert await listed(store, ORIGINALS) == keys
    (stored,) = [stored async for page in store.pages("derived/") for stored in page]
    assert stored.byte_size == len(b"picture")
    assert began <= stored.stored_at <= datetime.now(UTC)
    assert await listed(store, "uploads/") == []


async def test_lists_in_pages(store, monkeypatch):
    monkeypatch.setattr("media.objects._PAGE", 2)
    keys = sorted([f"checks/{number}" for number in range(5)])
    for key in keys:
        await store.put(key, b"x")

    pages = [page async for page in store.pages("checks/")]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(stored.key for page in pages for stored in page) == keys


async def test_forgets_what_killed_processes_were_receiving(store, tmp_path):
    async with store.spooled() as killed, store.spooled() as living:
        os.utime(killed.path, (0, 0))

        deleted = await store.delete_spools(before=datetime.now(UTC) - timedelta(hours=24))

        assert (deleted, spools(tmp_path)) == (1, [living.path])


@pytest.mark.parametrize("url", ["nonsense", "gopher://host/path", "s3://", "s3://[x"])
def test_a_url_that_names_no_store_is_refused(url):
    with pytest.raises(NotAStore, match="not the URL of a store"):
        open_store(url)


def test_a_local_store_may_lie_in_a_folder_with_any_name(tmp_path):
    folder = tmp_path / "photos d'été"

    open_store(folder.as_uri())

    assert folder.is_dir()


async def test_what_root_makes_in_the_services_folder_the_service_can_use(tmp_path):
    folder, mine = tmp_path / "photos", (os.geteuid(), os.getegid())
    service = (4711, 4712) if os.geteuid() == 0 else mine
    os.chown(tmp_path, *service)

    store = open_store(folder.as_uri())
    await store.check()
    await keep(store, PHOTO)

    made = [folder, *folder.rglob("*")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {service}
    assert {"incoming", "checks", "originals"} < {path.name for path in made}
