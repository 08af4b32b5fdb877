import asyncio
import hashlib
import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import obstore
import pytest
from obstore.store import MemoryStore

from media.headers import BrokenImageHeader, EmptyPhoto, ImageFormat, ImageHeader, TooManyPixels, UnsupportedImage
from media.store import (
    BlobMissing,
    BodyLengthMismatch,
    PhotoStore,
    PhotoTooLarge,
    StorageUnavailable,
    open_store,
    original_key,
)
from tests.media.pictures import encoded, png_claiming, scene

PHOTO = encoded(scene())
PHOTO_ID = UUID("01936f3e-8000-7000-8000-000000000001")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "photos"


@pytest.fixture
def local(folder: Path) -> PhotoStore:
    return open_store(folder.as_uri())


@pytest.fixture(params=["local", "objects"])
def store(request, local: PhotoStore, tmp_path, monkeypatch) -> PhotoStore:
    """Each kind of store in turn; an object store's uploads wait in the system's temporary folder."""
    if request.param == "local":
        return local
    monkeypatch.setattr("media.store.gettempdir", lambda: str(tmp_path))
    return PhotoStore(MemoryStore())


async def body(data: bytes, *, chunk_bytes: int = 65536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), chunk_bytes):
        yield data[start : start + chunk_bytes]


async def read(store: PhotoStore, key: str) -> bytes:
    stored = await store.read(key)
    data = b"".join([chunk async for chunk in stored.chunks])
    assert len(data) == stored.byte_size
    return data


async def keep(store: PhotoStore, data: bytes) -> str:
    async with store.receive(body(data), announced_bytes=len(data)) as photo:
        await store.keep(photo)
    return original_key(photo.sha256)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_keeps_a_photo_under_its_hash_and_tells_what_it_is(store, tmp_path):
    async with store.receive(body(PHOTO), announced_bytes=len(PHOTO)) as photo:
        await store.keep(photo)

    assert photo.sha256 == hashlib.sha256(PHOTO).hexdigest()
    assert photo.byte_size == len(PHOTO)
    assert photo.header == ImageHeader(ImageFormat.JPEG, 640, 480)
    assert await read(store, original_key(photo.sha256)) == PHOTO
    assert not [path for path in files(tmp_path) if path.name.startswith("photo-")]


async def test_a_length_need_not_be_announced(store):
    async with store.receive(body(PHOTO), announced_bytes=None) as photo:
        assert photo.byte_size == len(PHOTO)


async def test_what_is_not_kept_leaves_nothing(store, tmp_path):
    async with store.receive(body(PHOTO), announced_bytes=None) as photo:
        pass

    assert files(tmp_path) == []
    with pytest.raises(BlobMissing):
        await store.read(original_key(photo.sha256))


async def test_the_same_photo_may_be_kept_twice(store):
    assert await keep(store, PHOTO) == await keep(store, PHOTO)


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

    assert key.startswith(f"derived/{PHOTO_ID}/large-")
    assert key.endswith(".webp")
    assert key != other
    assert await read(store, key) == b"picture"


async def test_a_program_gets_a_file_to_read(store, tmp_path):
    key = await keep(store, PHOTO)

    async with store.local_copy(key) as path:
        assert path.read_bytes() == PHOTO

    assert await read(store, key) == PHOTO
    assert not [path for path in files(tmp_path) if path.name.startswith("photo-")]


async def test_what_is_not_there_is_missing(store):
    with pytest.raises(BlobMissing):
        await store.read(original_key("0" * 64))
    with pytest.raises(BlobMissing):
        async with store.local_copy(original_key("0" * 64)):
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


async def test_a_disk_that_fails_at_the_last_moment_is_unavailable_and_keeps_nothing(local, folder, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageUnavailable):
        await keep(local, PHOTO)

    assert files(folder) == []


async def test_an_object_store_that_does_not_answer_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.setattr("media.store.gettempdir", lambda: str(tmp_path))
    nobody_listens = obstore.store.S3Store(
        "bucket",
        endpoint="http://127.0.0.1:9",
        region="ca-central-1",
        access_key_id="id",
        secret_access_key="secret",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    store = PhotoStore(nobody_listens)

    with pytest.raises(StorageUnavailable):
        await keep(store, PHOTO)
    with pytest.raises(StorageUnavailable):
        await store.read(original_key("0" * 64))
    with pytest.raises(StorageUnavailable):
        await store.delete(original_key("0" * 64))
    assert files(tmp_path) == []


@pytest.mark.parametrize("url", ["nonsense", "gopher://host/path", "s3://"])
def test_a_url_that_names_no_store_is_refused(url):
    with pytest.raises(ValueError, match="not the URL of a store"):
        open_store(url)


def test_a_local_store_may_lie_in_a_folder_with_any_name(tmp_path):
    folder = tmp_path / "photos d'été"

    open_store(folder.as_uri())

    assert folder.is_dir()
