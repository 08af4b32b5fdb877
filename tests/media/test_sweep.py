"""What nobody names is deleted after a day, and nothing else ever."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from db.sessions import Database
from media.decoders import Decoders
from media.objects import BlobMissing
from media.photos import Photo, PhotoState, find_photo, receive_photo, record_photo
from media.process import process_photo
from media.store import PhotoStore, open_store
from media.sweep import ORPHAN_AFTER, Swept, sweep
from tests.media.pictures import encoded, scene

PHOTO = encoded(scene())
CUT_OFF = PHOTO[: len(PHOTO) // 2]
ID = UUID("01936f3e-8000-7000-8000-000000000001")
OTHER_ID = UUID("01936f3e-8000-7000-8000-000000000002")
PHONE = "device:01936f3e-9000-7000-8000-000000000001"


def tomorrow() -> datetime:
    """A time at which all that is stored now is old; the clock of a bucket cannot be turned."""
    return datetime.now(UTC) + ORPHAN_AFTER + timedelta(minutes=1)


async def body(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.fixture
def receive(database: Database, store: PhotoStore):
    async def receive(data: bytes = PHOTO, photo_id: UUID = ID) -> Photo:
        recorded = await receive_photo(
            database, store, photo_id, body(data), uploader=PHONE, announced_bytes=None, now=datetime.now(UTC)
        )
        return recorded.photo

    return receive


@pytest.fixture
def leave_behind(store: PhotoStore):
    """Keeps the bytes of an upload without ever recording a photo, as a killed process does; answers their key."""

    async def leave_behind(data: bytes = PHOTO) -> str:
        async with store.receive(body(data), announced_bytes=None) as incoming:
            await store.keep(incoming)
        return incoming.key

    return leave_behind


@pytest.fixture
def make_safe(database: Database, store: PhotoStore, decoders: Decoders):
    async def make_safe(photo_id: UUID = ID) -> Photo:
        await process_photo(database, store, decoders, photo_id, now=datetime.now(UTC))
        async with database.transaction() as session:
            photo = await find_photo(session, photo_id)
        assert photo is not None
        return photo

    return make_safe


async def keys(store: PhotoStore) -> set[str]:
    prefixes = ("originals/", "derived/", "checks/", "uploads/", "elsewhere/")
    return {stored.key for prefix in prefixes async for page in store.pages(prefix) for stored in page}


async def read(store: PhotoStore, key: str) -> bytes:
    return b"".join([chunk async for chunk in (await store.read(key)).chunks])


async def test_bytes_that_no_row_names_go_after_a_day_and_not_before(database, store, leave_behind):
    key = await leave_behind()

    early = await sweep(database, store, now=datetime.now(UTC) + ORPHAN_AFTER - timedelta(minutes=1))
    assert (early, await keys(store)) == (Swept(seen=1, deleted=0, deleted_bytes=0), {key})

    late = await sweep(database, store, now=tomorrow())
    assert (late, await keys(store)) == (Swept(seen=1, deleted=1, deleted_bytes=len(PHOTO)), set())


async def test_what_a_photo_names_stays_however_old_it_is(database, store, receive, make_safe):
    await receive()
    ready, pending = await make_safe(), await receive(PHOTO, OTHER_ID)
    named = {ready.original_key, ready.large_key, ready.small_key, pending.original_key}

    swept = await sweep(database, store, now=tomorrow() + timedelta(days=3650))

    assert (swept.seen, swept.deleted) == (4, 0)
    assert await keys(store) == named


async def test_what_killed_processes_leave_of_a_photo_goes(database, store, receive, make_safe):
    await receive(CUT_OFF)
    rejected = await make_safe()
    await store.put(rejected.original_key, CUT_OFF)  # killed between the verdict and the deletion
    await receive(PHOTO, OTHER_ID)
    ready = await make_safe(OTHER_ID)
    await store.put_derivative(OTHER_ID, "large", b"of a second run")  # killed before it saw that it was the second
    await store.put_derivative(UUID(int=1), "large", b"of no photo")
    await store.put("checks/1", b"ready")  # killed while it looked

    swept = await sweep(database, store, now=tomorrow())

    assert rejected.state == PhotoState.REJECTED
    assert swept.deleted == 4
    assert await keys(store) == {ready.original_key, ready.large_key, ready.small_key}


async def test_what_is_not_ours_stays(database, store):
    await store.put("elsewhere/photo.jpg", PHOTO)

    await sweep(database, store, now=tomorrow())

    assert await keys(store) == {"elsewhere/photo.jpg"}


class Interrupted(PhotoStore):
    """A store in which something happens between the look at the rows and the deletion."""

    meanwhile = staticmethod(lambda: asyncio.sleep(0))

    async def delete(self, *keys: str) -> None:
        await self.meanwhile()
        await super().delete(*keys)


@pytest.fixture
def interrupted(store: PhotoStore):
    """The same store, for a sweep, with something else that happens just before it deletes."""

    def interrupted(meanwhile) -> Interrupted:
        other = Interrupted(store._objects, folder=store._folder)
        other.meanwhile = meanwhile
        return other

    return interrupted


async def test_bytes_that_come_again_just_before_they_are_deleted_are_not_lost(
    database, store, leave_behind, receive, interrupted
):
    orphan = await leave_behind()
    photos = []

    async def the_same_photo_arrives() -> None:
        photos.append(await receive())

    await sweep(database, interrupted(the_same_photo_arrives), now=tomorrow())

    assert await read(store, photos[0].original_key) == PHOTO
    with pytest.raises(BlobMissing):
        await store.read(orphan)


async def test_pictures_made_again_just_before_the_first_ones_are_deleted_are_not_lost(
    database, store, receive, make_safe, decoders, interrupted
):
    photo = await receive()
    async with store.local_copy(photo.original_key) as original:
        made = await decoders.make_safe(original)
    left = {await store.put_derivative(ID, size, getattr(made, size)) for size in ("large", "small")}  # killed here

    await sweep(database, interrupted(make_safe), now=tomorrow())

    photo = await make_safe()
    assert await keys(store) == {photo.original_key, photo.large_key, photo.small_key}
    assert left.isdisjoint(await keys(store))


async def test_an_upload_between_its_bytes_and_its_row_is_left_alone(database, store):
    async with store.receive(body(PHOTO), announced_bytes=None) as incoming:
        await store.keep(incoming)

        await sweep(database, store, now=datetime.now(UTC))

        async with database.transaction() as session:
            recorded = await record_photo(session, ID, incoming, uploader=PHONE, now=datetime.now(UTC))
    assert await read(store, recorded.photo.original_key) == PHOTO


async def test_two_sweeps_at_once_do_what_one_does(database, store, leave_behind, receive):
    photo = await receive()
    for _ in range(5):
        await leave_behind()

    await asyncio.gather(*(sweep(database, store, now=tomorrow()) for _ in range(2)))

    assert await keys(store) == {photo.original_key}


async def test_sweeps_in_pages_and_has_no_transaction_open_while_it_deletes(
    database, leave_behind, receive, interrupted, monkeypatch
):
    monkeypatch.setattr("media.objects._PAGE", 2)
    await receive()
    for _ in range(6):
        await leave_behind()
    deletions = 0

    async def look() -> None:
        nonlocal deletions
        deletions += 1
        assert database.engine.pool.checkedout() == 0

    swept = await sweep(database, interrupted(look), now=tomorrow())

    assert (swept.seen, swept.deleted) == (7, 6)
    assert deletions >= 3


async def test_what_killed_processes_were_receiving_goes_after_a_day(database, store, tmp_path):
    async with store.spooled() as killed, store.spooled() as living:
        day_ago = (datetime.now(UTC) - ORPHAN_AFTER - timedelta(minutes=1)).timestamp()
        os.utime(killed.path, (day_ago, day_ago))

        await sweep(database, store, now=datetime.now(UTC))

        assert not killed.path.exists()
        assert living.path.exists()


async def test_an_empty_store_has_nothing_to_sweep(database, folder):
    assert await sweep(database, open_store(folder.as_uri()), now=tomorrow()) == Swept(0, 0, 0)
