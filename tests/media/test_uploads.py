"""Uploads in pieces: what is kept of each request, who may send, and what the last byte makes of it."""

import hashlib
import random
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text

from db.base import new_id
from db.sessions import Database
from media import append
from media.append import Checksum, ChecksumMismatch, UploadOverrun, append_bytes
from media.headers import BrokenImageHeader, EmptyPhoto, TooManyPixels, UnsupportedImage
from media.objects import StorageUnavailable
from media.parts import PART_BYTES, PARTS, Part, absorbed
from media.photos import PhotoIdAlreadyUsed, find_photo, receive_photo
from media.store import ORIGINALS, PhotoStore, PhotoTooLarge
from media.sweep import sweep
from media.uploads import (
    KEPT_FOR,
    Begun,
    Upload,
    UploadLeased,
    UploadNotFound,
    UploadOffsetMismatch,
    begin_upload,
    find_upload,
    forget_expired,
    lease_upload,
    terminate_upload,
)
from tests.media.pictures import encoded, png_claiming, scene

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=20)
PHOTO = encoded(scene())
# A photo that takes several parts: JPEG decoders pass over what follows the picture.
LARGE_PHOTO = PHOTO + random.Random(1).randbytes(3 * PART_BYTES)
ID = UUID("01936f3e-8000-7000-8000-000000000001")
PHONE = "device:01936f3e-9000-7000-8000-000000000001"
OTHER_PHONE = "device:01936f3e-9000-7000-8000-000000000002"


class Clock:
    """Stands still unless it is moved on."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def in_chunks(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@dataclass
class Phone:
    """Sends a photo, as a server would have it done."""

    database: Database
    store: PhotoStore
    clock: Clock

    async def begin(self, byte_size: int = len(PHOTO), uploader: str = PHONE) -> Begun:
        async with self.database.transaction() as session:
            return await begin_upload(
                session, ID, uploader=uploader, byte_size=byte_size, metadata="id x", now=self.clock()
            )

    async def lease(self, offset: int = 0, uploader: str = PHONE) -> Upload:
        async with self.database.transaction() as session:
            return await lease_upload(session, ID, uploader=uploader, offset=offset, now=self.clock(), lease_for=LEASE)

    async def add(
        self,
        leased: Upload,
        body: bytes | AsyncIterator[bytes],
        *,
        checksum: Checksum | None = None,
        announced: int | None = None,
    ) -> Upload:
        """Send bytes by a lease that is held."""
        return await append_bytes(
            self.database,
            self.store,
            leased,
            in_chunks(body) if isinstance(body, bytes) else body,
            announced_bytes=announced,
            checksum=checksum,
            clock=self.clock,
            lease_for=LEASE,
        )

    async def send(self, body: bytes | AsyncIterator[bytes], offset: int = 0, **options: Any) -> Upload:
        """Send bytes as one request does."""
        return await self.add(await self.lease(offset), body, **options)

    async def found(self, uploader: str = PHONE) -> Upload:
        async with self.database.transaction() as session:
            return await find_upload(session, ID, uploader=uploader, now=self.clock())

    async def photo(self) -> tuple[str, int] | None:
        """Tell the hash of the photo's stored bytes, and how many jobs wait for it."""
        async with self.database.transaction() as session:
            stored = await find_photo(session, ID)
            jobs = await session.scalar(text("SELECT count(*) FROM pgqueuer WHERE entrypoint = 'media.make_safe'"))
        if stored is None:
            return None
        content = b"".join([chunk async for chunk in (await self.store.read(stored.original_key)).chunks])
        assert hashlib.sha256(content).hexdigest() == stored.sha256
        return stored.sha256, jobs

    async def parts(self) -> dict[str, int]:
        """Tell what lies in the store for uploads: keys and lengths."""
        return {each.key: each.byte_size async for page in self.store.pages(PARTS) for each in page}


@pytest.fixture
def phone(database: Database, store: PhotoStore, clock: Clock) -> Phone:
    return Phone(database, store, clock)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_an_upload_in_two_requests_is_the_photo_and_leaves_no_parts(phone):
    await phone.begin()

    first = await phone.send(PHOTO[:1000])
    assert (first.received_bytes, first.lease, await phone.photo()) == (1000, None, None)
    last = await phone.send(PHOTO[1000:], offset=1000)

    assert last.is_whole
    assert (await phone.found()).is_whole
    assert await phone.photo() == (sha256(PHOTO), 1)
    assert await phone.parts() == {}


async def test_the_same_id_again_finds_the_same_upload_and_keeps_it_longer(clock, phone):
    begun = await phone.begin()
    await phone.send(PHOTO[:1000])
    clock.now += timedelta(hours=23)

    again = await phone.begin()

    assert (begun.is_new, again.is_new) == (True, False)
    assert (again.upload.id, again.upload.received_bytes) == (begun.upload.id, 1000)
    assert again.upload.expires_at == clock.now + KEPT_FOR


async def test_senders_who_use_one_id_have_uploads_of_their_own_until_one_is_whole(phone):
    await phone.begin()
    await phone.begin(uploader=OTHER_PHONE)
    await phone.send(PHOTO)

    assert (await phone.found(OTHER_PHONE)).received_bytes == 0
    with pytest.raises(PhotoIdAlreadyUsed):
        await phone.begin(uploader=OTHER_PHONE)


@pytest.mark.parametrize(
    ("byte_size", "refusal"),
    [(0, EmptyPhoto), (20_000_001, PhotoTooLarge), (len(PHOTO) + 1, PhotoIdAlreadyUsed)],
)
async def test_what_cannot_become_the_photo_is_not_begun(byte_size, refusal, phone):
    await phone.begin()

    with pytest.raises(refusal):
        await phone.begin(byte_size)

    assert (await phone.found()).byte_size == len(PHOTO)


async def test_a_photo_that_came_in_one_piece_is_found_by_its_length(database, store, phone):
    await receive_photo(database, store, ID, in_chunks(PHOTO), uploader=PHONE, announced_bytes=None, now=NOON)

    with pytest.raises(PhotoIdAlreadyUsed):
        await phone.begin(len(PHOTO) - 1)
    await phone.begin()
    await phone.send(PHOTO)

    assert await phone.photo() == (sha256(PHOTO), 1)


async def test_bytes_belong_where_the_others_end(phone):
    await phone.begin()
    await phone.send(PHOTO[:1000])

    for offset in (0, 999, 1001):
        with pytest.raises(UploadOffsetMismatch) as refusal:
            await phone.lease(offset)
        assert refusal.value.received_bytes == 1000


async def test_one_at_a_time_has_the_lease_and_nobody_else_the_upload(phone):
    await phone.begin()
    await phone.lease()

    with pytest.raises(UploadLeased):
        await phone.lease()
    with pytest.raises(UploadNotFound):
        await phone.lease(uploader=OTHER_PHONE)


async def test_who_was_too_slow_adds_nothing_to_what_the_next_one_sends(clock, phone):
    await phone.begin()
    slow = await phone.lease()
    clock.now += LEASE
    quick = await phone.lease()

    with pytest.raises(UploadLeased):
        await phone.add(slow, b"x" * 5000)
    await phone.add(quick, PHOTO)

    assert await phone.photo() == (sha256(PHOTO), 1)
    assert await phone.parts() == {}


async def test_bytes_are_counted_while_they_come_and_only_once_they_are_stored(clock, phone):
    counted = []

    async def slowly() -> AsyncIterator[bytes]:
        for start in range(0, 10_000, 1000):
            yield LARGE_PHOTO[start : start + 1000]
            clock.now += LEASE / 8
            upload = await phone.found()
            assert upload.leased_until > clock.now
            assert upload.received_bytes == sum((await phone.parts()).values())
            counted.append(upload.received_bytes)

    await phone.begin(len(LARGE_PHOTO))
    await phone.send(slowly())

    assert counted[-1] >= 9000
    assert counted == sorted(counted)
    assert (await phone.found()).received_bytes == 10_000


async def test_what_was_counted_stays_when_reading_fails(phone):
    async def broken() -> AsyncIterator[bytes]:
        yield LARGE_PHOTO[:PART_BYTES]
        yield LARGE_PHOTO[PART_BYTES : PART_BYTES + 1000]
        raise RuntimeError("the body is not what it says")

    await phone.begin(len(LARGE_PHOTO))
    with pytest.raises(RuntimeError):
        await phone.send(broken())

    upload = await phone.found()
    assert (upload.received_bytes, upload.lease) == (PART_BYTES, None)


async def test_cut_off_anywhere_an_upload_goes_on_and_is_the_photo(phone):
    dice = random.Random(2026)
    await phone.begin(len(LARGE_PHOTO))
    sent = 0
    while sent < len(LARGE_PHOTO):
        length = dice.choice([1, 100, 5000, 20_000, 70_000, 150_000])
        await phone.send(LARGE_PHOTO[sent : sent + length], offset=sent)
        sent = min(sent + length, len(LARGE_PHOTO))

        upload = await phone.found()
        assert upload.received_bytes == sent
        assert len(await phone.parts()) == len(upload.parts) <= sent // PART_BYTES + 21

    assert await phone.photo() == (sha256(LARGE_PHOTO), 1)
    assert await phone.parts() == {}


@given(st.lists(st.one_of(st.just(1), st.integers(1, 5000), st.integers(1, 2 * PART_BYTES)), min_size=40, max_size=400))
@example([1] * 5000)
@example(list(range(5000, 0, -1)))
@example([2**power for power in range(20, -1, -1)] * 3)
def test_however_an_upload_is_cut_its_parts_stay_few_and_are_seldom_written_again(lengths: Iterable[int]):
    parts: list[Part] = []
    total = written = 0
    for length in lengths:
        kept = len(parts) - absorbed(parts, length)
        part = Part("", length + sum(each.byte_size for each in parts[kept:]))
        parts[kept:] = [part]
        total += length
        written += part.byte_size

    assert sum(part.byte_size for part in parts) == total
    assert len(parts) <= total // PART_BYTES + 21
    assert written <= 35 * total


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
async def test_bytes_with_their_checksum_count_at_the_end_only(clock, algorithm, phone):
    data = LARGE_PHOTO[: 2 * PART_BYTES + 10]

    async def watched() -> AsyncIterator[bytes]:
        async for chunk in in_chunks(data):
            yield chunk
            assert (await phone.found()).received_bytes == 0

    await phone.begin(len(LARGE_PHOTO))
    upload = await phone.send(watched(), checksum=Checksum(algorithm, hashlib.new(algorithm, data).digest()))

    assert upload.received_bytes == len(data)


async def test_nothing_is_kept_of_bytes_with_another_checksum(phone):
    checksum = Checksum("sha256", hashlib.sha256(b"something else").digest())
    await phone.begin(len(LARGE_PHOTO))
    await phone.send(LARGE_PHOTO[:1000])
    before = await phone.parts()

    for end in (2000, 2 * PART_BYTES, len(LARGE_PHOTO)):
        with pytest.raises(ChecksumMismatch):
            await phone.send(LARGE_PHOTO[1000:end], offset=1000, checksum=checksum)

    upload = await phone.found()
    assert (upload.received_bytes, upload.lease, await phone.photo()) == (1000, None, None)
    assert await phone.parts() == before
    assert (await phone.send(LARGE_PHOTO[1000:], offset=1000)).is_whole


async def test_more_than_is_missing_is_refused_before_it_comes_or_as_it_comes(phone):
    await phone.begin()
    await phone.send(PHOTO[:1000])

    with pytest.raises(UploadOverrun):
        await phone.send(PHOTO[1000:], offset=1000, announced=len(PHOTO) - 999)
    with pytest.raises(UploadOverrun):
        await phone.send(PHOTO[1000:] + b"x", offset=1000)

    assert ((await phone.found()).received_bytes, await phone.photo()) == (1000, None)


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (encoded(scene(), "GIF"), UnsupportedImage),
        (PHOTO[:30], BrokenImageHeader),
        (png_claiming(60_000, 60_000), TooManyPixels),
    ],
    ids=["a GIF", "a header cut off", "a bomb"],
)
async def test_what_is_no_photo_is_refused_with_its_last_byte_and_gone(content, refusal, phone):
    await phone.begin(len(content))
    await phone.send(content[:20])

    with pytest.raises(refusal):
        await phone.send(content[20:], offset=20)

    with pytest.raises(UploadNotFound):
        await phone.found()
    assert await phone.parts() == {}
    assert [page async for page in phone.store.pages(ORIGINALS)] == []


async def test_killed_between_photo_and_count_the_last_bytes_are_sent_again(clock, monkeypatch, phone):
    async def killed(*_args, **_kwargs):
        raise SystemExit

    await phone.begin()
    await phone.send(PHOTO[:1000])
    with monkeypatch.context() as patch:
        patch.setattr(append._Adding, "_count", killed)
        with pytest.raises(SystemExit):
            await phone.send(PHOTO[1000:], offset=1000)
    assert (await phone.found()).received_bytes == 1000
    clock.now += LEASE

    again = await phone.send(PHOTO[1000:], offset=1000)

    assert again.is_whole
    assert await phone.photo() == (sha256(PHOTO), 1)


async def test_a_store_that_does_not_answer_costs_the_last_bytes_only(store, monkeypatch, phone):
    async def unavailable(*_args):
        raise StorageUnavailable

    await phone.begin()
    await phone.send(PHOTO[:1000])
    with monkeypatch.context() as patch:
        patch.setattr(store, "keep", unavailable)
        with pytest.raises(StorageUnavailable):
            await phone.send(PHOTO[1000:], offset=1000)

    assert (await phone.found()).received_bytes == 1000
    assert (await phone.send(PHOTO[1000:], offset=1000)).is_whole
    assert await phone.photo() == (sha256(PHOTO), 1)


async def test_an_upload_whose_bytes_are_gone_is_begun_anew(phone):
    await phone.begin()
    await phone.send(PHOTO[:1000])
    await phone.store.delete(*await phone.parts())

    with pytest.raises(UploadNotFound):
        await phone.send(PHOTO[1000:], offset=1000)

    with pytest.raises(UploadNotFound):
        await phone.found()
    assert (await phone.begin()).is_new
    await phone.send(PHOTO)
    assert await phone.photo() == (sha256(PHOTO), 1)


async def test_an_upload_is_given_up_also_while_bytes_come(database, store, clock, phone):
    async def given_up() -> AsyncIterator[bytes]:
        yield LARGE_PHOTO[:PART_BYTES]
        await terminate_upload(database, store, ID, uploader=PHONE, now=clock())
        yield LARGE_PHOTO[PART_BYTES : 2 * PART_BYTES]

    await phone.begin(len(LARGE_PHOTO))
    with pytest.raises(UploadLeased):
        await phone.send(given_up())

    with pytest.raises(UploadNotFound):
        await phone.found()
    assert await phone.parts() == {}
    with pytest.raises(UploadNotFound):
        await terminate_upload(database, store, ID, uploader=PHONE, now=clock())


async def test_an_upload_nobody_continues_is_forgotten_with_its_parts(database, store, clock, phone):
    await phone.begin()
    await phone.send(PHOTO[:1000])
    clock.now += KEPT_FOR
    with pytest.raises(UploadNotFound):
        await phone.found()

    assert await forget_expired(database, store, now=clock() - timedelta(seconds=1)) == 0
    assert await forget_expired(database, store, now=clock()) == 1
    assert await phone.parts() == {}


async def test_what_is_being_sent_does_not_expire_and_each_count_keeps_it_longer(database, store, clock, phone):
    await phone.begin()
    clock.now += KEPT_FOR - timedelta(seconds=1)
    leased = await phone.lease()
    clock.now += timedelta(seconds=2)

    assert await forget_expired(database, store, now=clock()) == 0
    clock.now += LEASE
    await phone.begin()
    upload = await phone.send(PHOTO[:1000])

    assert upload.id == leased.id
    assert upload.expires_at == clock.now + KEPT_FOR


async def test_the_sweep_takes_parts_that_no_upload_refers_to(database, store, phone):
    await phone.begin()
    await phone.send(PHOTO[:1000])
    referred = await phone.parts()
    await store.put(f"{PARTS}{new_id()}-{new_id().hex}", b"of a killed process")

    await sweep(database, store, now=datetime.now(UTC) + timedelta(hours=23))
    assert len(await phone.parts()) == 2
    await sweep(database, store, now=datetime.now(UTC) + timedelta(hours=25))

    assert await phone.parts() == referred
