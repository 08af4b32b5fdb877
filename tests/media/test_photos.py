import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, text

from db.sessions import Database
from media.decoders import Decoders
from media.derive import DecoderFailed, Derivatives
from media.headers import EmptyPhoto, TooManyPixels
from media.objects import BlobMissing, StorageFull
from media.outcome import Rejection
from media.photos import (
    Photo,
    PhotoIdAlreadyUsed,
    PhotoNotReady,
    PhotoSize,
    PhotoState,
    PhotoWasRejected,
    Recorded,
    find_photo,
    keys_in_use,
    receive_photo,
    stored_original,
    stored_picture,
    taken_place,
)
from media.process import process_photo
from media.store import BodyLengthMismatch, PhotoStore, open_store, original_key
from tests.media.pictures import encoded, opened, orientation_block, png_claiming, scene, webp_chunks

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(seconds=2)
PHOTO = encoded(scene())
OTHER_PHOTO = encoded(scene(320, 240))
CUT_OFF = PHOTO[: len(PHOTO) // 2]
ID = UUID("01936f3e-8000-7000-8000-000000000001")
OTHER_ID = UUID("01936f3e-8000-7000-8000-000000000002")
PHONE = "device:01936f3e-9000-7000-8000-000000000001"
OTHER_PHONE = "device:01936f3e-9000-7000-8000-000000000002"
REAL_PHOTO = Path(__file__).parents[2] / "cities/montreal/samples/photos/broken-gully.jpg"


async def body(data: bytes) -> AsyncIterator[bytes]:
    yield data


@pytest.fixture
def store(local: PhotoStore) -> PhotoStore:
    return local


@pytest.fixture
def receive(database: Database, store: PhotoStore):
    async def receive(
        data: bytes = PHOTO, photo_id: UUID = ID, uploader: str = PHONE, announced: int | None = None
    ) -> Recorded:
        return await receive_photo(
            database, store, photo_id, body(data), uploader=uploader, announced_bytes=announced, now=NOON
        )

    return receive


@pytest.fixture
def process(database: Database, store: PhotoStore, decoders: Decoders):
    async def process(photo_id: UUID = ID, now: datetime = LATER, *, gives_up: bool = False) -> PhotoState | None:
        return await process_photo(database, store, decoders, photo_id, now=now, gives_up=gives_up)

    return process


@pytest.fixture
def stored(database: Database):
    async def stored(photo_id: UUID = ID) -> Photo:
        async with database.transaction() as session:
            photo = await find_photo(session, photo_id)
        assert photo is not None
        return photo

    return stored


@pytest.fixture
def counts(database: Database):
    """Count the rows of photos and the jobs waiting for them."""

    async def counts() -> tuple[int, int]:
        async with database.transaction() as session:
            photos = await session.scalar(text("SELECT count(*) FROM photo"))
            jobs = await session.scalar(text("SELECT count(*) FROM pgqueuer WHERE entrypoint = 'media.make_safe'"))
        return photos, jobs

    return counts


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def bytes_of(store: PhotoStore, photo: Photo, size: PhotoSize | None = None) -> bytes:
    """Read a picture made of a photo, or the original."""
    copy = stored_original(photo) if size is None else stored_picture(photo, size)
    stored = await store.read(copy.key)
    return b"".join([chunk async for chunk in stored.chunks])


async def test_a_received_photo_has_its_bytes_its_row_and_its_job(receive, stored, counts, store, database):
    recorded = await receive()

    assert recorded.is_new
    photo = await stored()
    assert (photo.uploader, photo.state, photo.received_at) == (PHONE, "pending", NOON)
    assert (photo.sha256, photo.byte_size) == (hashlib.sha256(PHOTO).hexdigest(), len(PHOTO))
    assert (photo.content_type, photo.width, photo.height) == ("image/jpeg", 640, 480)
    assert await bytes_of(store, photo) == PHOTO
    assert await counts() == (1, 1)
    async with database.transaction() as session:
        payload = await session.scalar(text("SELECT convert_from(payload, 'UTF8')::json ->> 'photo_id' FROM pgqueuer"))
    assert payload == str(ID)


async def test_the_same_photo_again_is_the_same_photo(receive, counts, folder):
    first = await receive()
    before = [(path, path.stat().st_mtime_ns) for path in files(folder)]

    second = await receive()

    assert (second.photo.id, second.photo.received_at, second.is_new) == (first.photo.id, NOON, False)
    assert await counts() == (1, 1)
    assert [(path, path.stat().st_mtime_ns) for path in files(folder)] == before


async def test_copies_sent_at_once_are_one_photo(receive, counts, folder):
    recorded = await asyncio.gather(*(receive() for _ in range(6)))

    assert sorted(one.is_new for one in recorded) == [False] * 5 + [True]
    assert await counts() == (1, 1)
    assert len(files(folder)) == 1


async def test_an_id_with_other_bytes_is_refused_and_shows_its_sender_what_is_there(receive, stored, folder):
    await receive()
    before = files(folder)

    with pytest.raises(PhotoIdAlreadyUsed) as raised:
        await receive(OTHER_PHOTO)

    assert raised.value.stored is not None
    assert raised.value.stored.sha256 == (await stored()).sha256 == hashlib.sha256(PHOTO).hexdigest()
    assert files(folder) == before


@pytest.mark.parametrize("data", [PHOTO, OTHER_PHOTO])
async def test_an_id_of_another_sender_is_refused_without_details(receive, stored, folder, data):
    await receive()
    before = files(folder)

    with pytest.raises(PhotoIdAlreadyUsed) as raised:
        await receive(data, uploader=OTHER_PHONE)

    assert (raised.value.photo_id, raised.value.stored) == (ID, None)
    assert (await stored()).uploader == PHONE
    assert files(folder) == before


async def test_of_two_photos_sent_at_once_under_one_id_one_is_taken(receive, stored):
    results = await asyncio.gather(receive(PHOTO), receive(OTHER_PHOTO), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["PhotoIdAlreadyUsed", "Recorded"]
    taken = PHOTO if isinstance(results[0], Recorded) else OTHER_PHOTO
    assert (await stored()).sha256 == hashlib.sha256(taken).hexdigest()


@pytest.mark.parametrize(
    ("data", "announced"), [(png_claiming(60_000, 60_000), None), (PHOTO, len(PHOTO) + 1), (b"", None)]
)
async def test_what_is_refused_at_receipt_is_not_recorded(receive, counts, folder, data, announced):
    with pytest.raises((TooManyPixels, BodyLengthMismatch, EmptyPhoto)):
        await receive(data, announced=announced)

    assert await counts() == (0, 0)
    assert files(folder) == []


async def test_a_photo_that_finds_no_room_is_not_recorded(database, cramped_folder, counts):
    store = open_store(cramped_folder.as_uri())
    too_much = body(PHOTO + bytes(2_000_000))

    with pytest.raises(StorageFull):
        await receive_photo(database, store, ID, too_much, uploader=PHONE, announced_bytes=None, now=NOON)

    assert (await counts(), files(cramped_folder)) == ((0, 0), [])
    taken = await receive_photo(database, store, ID, body(PHOTO), uploader=PHONE, announced_bytes=None, now=NOON)
    assert taken.is_new


async def test_no_transaction_is_open_while_bytes_come_in(database, store):
    async def watched() -> AsyncIterator[bytes]:
        assert database.engine.pool.checkedout() == 0
        yield PHOTO

    recorded = await receive_photo(database, store, ID, watched(), uploader=PHONE, announced_bytes=len(PHOTO), now=NOON)

    assert recorded.is_new


async def test_a_processed_photo_has_safe_pictures_and_its_facts_beside_them(receive, process, stored, store, database):
    await receive(REAL_PHOTO.read_bytes())

    assert await process() is PhotoState.READY

    photo = await stored()
    assert (photo.state, photo.reason, photo.finished_at) == ("ready", None, LATER)
    assert (photo.width, photo.height) == (968, 1296)
    assert photo.taken_at == datetime(2017, 5, 19, 8, 58, 53, tzinfo=UTC)
    assert photo.dhash is not None
    for size, longest in ((PhotoSize.LARGE, 1296), (PhotoSize.SMALL, 400)):
        picture = await bytes_of(store, photo, size)
        assert webp_chunks(picture) == [b"VP8 "]
        assert max(opened(picture).size) == longest
    async with database.transaction() as session:
        place = await taken_place(session, ID)
    assert place is not None
    assert place.lon == pytest.approx(-2.599556, abs=1e-6)
    assert place.lat == pytest.approx(51.400922, abs=1e-6)
    assert place.accuracy_m is None


async def test_what_is_served_has_a_type_and_a_tag_of_its_content(receive, process, stored):
    await receive(encoded(scene(), "PNG"))
    await process()
    photo = await stored()

    large, small = stored_picture(photo, PhotoSize.LARGE), stored_picture(photo, PhotoSize.SMALL)
    original = stored_original(photo)

    assert (large.content_type, small.content_type, original.content_type) == ("image/webp", "image/webp", "image/png")
    assert len({large.etag, small.etag, original.etag}) == 3
    assert original.etag == photo.sha256


async def test_a_photo_without_a_place_has_none(receive, process, database):
    await receive()
    async with database.transaction() as session:
        assert await taken_place(session, ID) is None
    await process()

    async with database.transaction() as session:
        assert await taken_place(session, ID) is None
        assert await taken_place(session, OTHER_ID) is None


async def test_a_hash_with_its_highest_bit_set_is_kept(receive, process, stored, decoders, monkeypatch):
    make_safe = decoders.make_safe

    async def with_that_hash(original):
        made = await make_safe(original)
        assert isinstance(made, Derivatives)
        return Derivatives(9, 9, None, None, (1 << 64) - 2, made.large, made.small)

    monkeypatch.setattr(decoders, "make_safe", with_that_hash)
    await receive()
    await process()

    assert (await stored()).dhash == -2


async def test_before_it_is_safe_only_the_original_is_there(receive, stored, store):
    await receive()
    photo = await stored()

    with pytest.raises(PhotoNotReady):
        stored_picture(photo, PhotoSize.LARGE)
    assert await bytes_of(store, photo) == PHOTO


async def test_a_truncated_photo_is_rejected_with_its_reason_and_its_bytes_are_deleted(
    receive, process, stored, store, folder
):
    await receive(CUT_OFF)

    assert await process() is PhotoState.REJECTED

    photo = await stored()
    assert (photo.state, photo.reason, photo.finished_at) == ("rejected", "truncated", LATER)
    assert files(folder) == []
    for size in (None, *PhotoSize):
        with pytest.raises(PhotoWasRejected) as raised:
            await bytes_of(store, photo, size)
        assert raised.value.reason is Rejection.TRUNCATED


async def test_a_rejected_photo_sent_again_stays_rejected_and_leaves_nothing(receive, process, folder, counts):
    await receive(CUT_OFF)
    await process()

    again = await receive(CUT_OFF)

    assert (again.photo.state, again.is_new) == ("rejected", False)
    assert files(folder) == []
    assert await counts() == (1, 1)


async def test_rejected_bytes_go_and_the_same_bytes_of_another_photo_stay(receive, process, stored, store):
    await receive(CUT_OFF)
    await receive(CUT_OFF, OTHER_ID, OTHER_PHONE)

    await process(ID)

    assert await bytes_of(store, await stored(OTHER_ID)) == CUT_OFF
    with pytest.raises(BlobMissing):
        await store.read((await stored(ID)).original_key)


async def test_photos_from_before_uploads_were_told_apart_share_their_bytes_until_both_are_rejected(
    receive, process, stored, store, database
):
    await receive(CUT_OFF)
    await receive(CUT_OFF, OTHER_ID, OTHER_PHONE)
    shared = original_key(hashlib.sha256(CUT_OFF).hexdigest(), None)
    await store.put(shared, CUT_OFF)
    async with database.transaction() as session:
        await session.execute(text("UPDATE photo SET upload_id = NULL"))

    await process(ID)
    assert await bytes_of(store, await stored(OTHER_ID)) == CUT_OFF

    await process(OTHER_ID)
    with pytest.raises(BlobMissing):
        await store.read(shared)


async def test_a_photo_whose_bytes_are_gone_is_an_error(receive, process, stored, store):
    await receive()
    await store.delete((await stored()).original_key)

    with pytest.raises(BlobMissing):
        await process()
    assert (await stored()).state == "pending"


async def test_keys_are_in_use_as_long_as_a_photo_names_them(receive, process, stored, database):
    await receive()
    await process()
    await receive(CUT_OFF, OTHER_ID)
    pending, ready = await stored(OTHER_ID), await stored()
    named = {pending.original_key, ready.original_key, ready.large_key, ready.small_key}
    others = {original_key(ready.sha256, ID), f"derived/01/{ID}-large-{ready.sha256}-{ID.hex}.webp", "checks/1", "x"}

    async with database.transaction() as session:
        assert await keys_in_use(session, named | others) == named
    await process(OTHER_ID)

    async with database.transaction() as session:
        assert await keys_in_use(session, named | others) == named - {pending.original_key}
        assert await keys_in_use(session, []) == set()


async def test_a_second_run_changes_nothing(receive, process, stored, folder):
    await receive()
    await process()
    before, files_before = await stored(), files(folder)

    assert await process(now=LATER + timedelta(hours=1)) is PhotoState.READY

    after = await stored()
    assert (after.finished_at, after.large_key) == (before.finished_at, before.large_key)
    assert files(folder) == files_before


async def test_runs_at_once_give_one_result(receive, process, folder):
    await receive()

    assert await asyncio.gather(*(process() for _ in range(3))) == [PhotoState.READY] * 3
    assert len(files(folder)) == 3


async def test_a_photo_that_is_not_there_is_nothing_to_do(process):
    assert await process() is None


async def failing(original):
    raise DecoderFailed("no answer")


async def test_a_decoder_that_fails_leaves_the_photo_to_be_tried_again(receive, process, stored, decoders, monkeypatch):
    await receive()
    with monkeypatch.context() as patch:
        patch.setattr(decoders, "make_safe", failing)
        with pytest.raises(DecoderFailed):
            await process()
    assert (await stored()).state == "pending"

    assert await process() is PhotoState.READY


async def test_a_photo_that_its_decoder_never_answers_for_is_given_up(receive, process, stored, decoders, monkeypatch):
    monkeypatch.setattr(decoders, "make_safe", failing)
    await receive()

    assert await process(gives_up=True) is PhotoState.REJECTED

    assert (await stored()).reason == Rejection.TOO_COMPLEX


async def test_no_transaction_is_open_over_the_decoding(receive, process, database, decoders, monkeypatch):
    make_safe = decoders.make_safe

    async def watched(original):
        assert database.engine.pool.checkedout() == 0
        return await make_safe(original)

    monkeypatch.setattr(decoders, "make_safe", watched)
    await receive()

    assert await process() is PhotoState.READY


async def test_the_row_tells_the_upright_size(receive, process, stored):
    await receive(encoded(scene(), exif=orientation_block(8)))
    assert ((await stored()).width, (await stored()).height) == (640, 480)

    await process()

    assert ((await stored()).width, (await stored()).height) == (480, 640)


async def test_an_unknown_state_is_refused_by_the_database(receive, database):
    await receive()
    with pytest.raises(Exception, match="ck_photo_state"):
        async with database.transaction() as session:
            await session.execute(text("UPDATE photo SET state = 'lost'"))
    async with database.transaction() as session:
        assert await session.scalar(select(Photo.state)) == "pending"
