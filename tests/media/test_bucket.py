"""A store of photos in a bucket, and what may be wrong with that."""

import asyncio
import socket
from collections.abc import Awaitable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from media.objects import StorageFull, StorageUnavailable
from media.store import ORIGINALS, PhotoStore, open_store
from tests.media.stores import PHOTO, files, keep, listed, read


async def test_a_bucket_whose_uploads_find_no_room_to_wait_is_full(bucket_url, cramped_folder, monkeypatch):
    monkeypatch.setattr("media.objects.gettempdir", lambda: str(cramped_folder))
    store = open_store(bucket_url)

    with pytest.raises(StorageFull):
        await keep(store, PHOTO + bytes(2_000_000))

    assert files(cramped_folder) == []


async def test_a_large_photo_is_sent_to_a_bucket_in_one_piece(bucket_url):
    store = open_store(bucket_url)
    large = PHOTO + bytes(12_000_000)

    assert await read(store, await keep(store, large)) == large


@pytest.fixture
def ask(s3_at):
    """Calls all that a store does, one by one, and tells what each ran into."""

    async def ask(store: PhotoStore) -> list[type[BaseException] | None]:
        async def copy() -> None:
            async with store.local_copy("originals/a"):
                pytest.fail("found")

        calls: list[Awaitable[object]] = [keep(store, PHOTO), store.put("checks/1", b"x"), store.read("originals/a")]
        calls += [copy(), store.delete("originals/a"), listed(store, ORIGINALS), store.check()]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        return [type(outcome) if isinstance(outcome, BaseException) else None for outcome in outcomes]

    return ask


async def test_a_bucket_that_is_down_is_unavailable_at_once(s3_at, ask, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody_listens = probe.getsockname()[1]
    s3_at(f"http://127.0.0.1:{nobody_listens}")

    assert await ask(open_store("s3://bucket")) == [StorageUnavailable] * 7
    assert files(tmp_path) == []


async def test_a_bucket_that_takes_calls_and_never_answers_is_unavailable_after_a_while(s3_at, ask, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as never_answers:
        s3_at(f"http://127.0.0.1:{never_answers.getsockname()[1]}")
        store = open_store("s3://bucket", patience=timedelta(seconds=0.3))

        async with asyncio.timeout(10):
            assert await ask(store) == [StorageUnavailable] * 7
    assert files(tmp_path) == []


class Refusing(BaseHTTPRequestHandler):
    """Answers everybody that they may not."""

    def refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


for _method in ("GET", "PUT", "POST", "DELETE"):
    setattr(Refusing, f"do_{_method}", Refusing.refuse)


async def test_a_bucket_that_refuses_the_credentials_is_unavailable(s3_at, ask):
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever).start()
        s3_at(f"http://127.0.0.1:{server.server_port}")
        answers = await ask(open_store("s3://bucket"))
        server.shutdown()

    assert answers == [StorageUnavailable] * 7


async def test_a_bucket_that_is_not_there_takes_nothing(s3_server, s3_at):
    s3_at(s3_server)
    store = open_store("s3://nobody-made-this")

    with pytest.raises(StorageUnavailable):
        await keep(store, PHOTO)
    with pytest.raises(StorageUnavailable):
        await store.check()
