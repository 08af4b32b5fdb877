"""Photos through `kill -9`, as processes of their own, and `jalon media verify` afterwards."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from bench.servers import Child, Server, jalon_environment
from db.base import new_id
from db.credentials import new_secret
from db.dumps import libpq_url
from media.photos import find_photo, receive_photo
from media.process import process_photo
from media.store import PhotoStore, open_store
from media.sweep import ORPHAN_AFTER, sweep
from tests.media.pictures import encoded, scene

PHOTO = encoded(scene())
_JALON = "import sys; from api.cli import main; sys.argv[0] = 'jalon'; main()"
_PATIENCE_S = 60


@pytest.fixture
def environment(app_url, tmp_path):
    return jalon_environment(app_url, tmp_path)


@pytest.fixture
def store(tmp_path) -> PhotoStore:
    return open_store((tmp_path / "photos").as_uri())


@pytest.fixture
def stored_files(tmp_path):
    def stored_files() -> list[Path]:
        return [path for path in (tmp_path / "photos").rglob("*") if path.is_file()]

    return stored_files


@pytest.fixture
def verify(environment):
    """Runs `jalon media verify --json`; answers its exit code and what it found."""

    def verify() -> tuple[int, dict]:
        command = [sys.executable, "-c", _JALON, "media", "verify", "--json"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return verify


@pytest.fixture
def rows_stay_as_they_are(owner_url):
    """In its block nobody writes a row of a photo; a process that tries waits, which the block can wait for."""

    @contextmanager
    def rows_stay_as_they_are() -> Iterator[Callable[[Child], None]]:
        with psycopg.connect(libpq_url(owner_url)) as holder, psycopg.connect(libpq_url(owner_url)) as watcher:
            holder.execute("LOCK TABLE photo IN EXCLUSIVE MODE")

            def wait_until_it_waits(process: Child) -> None:
                deadline = time.monotonic() + _PATIENCE_S
                query = "SELECT count(*) FROM pg_locks WHERE relation = 'photo'::regclass AND NOT granted"
                while watcher.execute(query).fetchone() == (0,):
                    process.check_alive()
                    assert time.monotonic() < deadline
                    time.sleep(0.02)

            yield wait_until_it_waits
            holder.rollback()

    return rows_stay_as_they_are


@contextmanager
def serving(environment, log: Path) -> Iterator[tuple[Server, httpx.Client]]:
    """A server, and a phone of its that is registered."""
    server = Server(environment, log)
    server.start()
    try:
        server.wait_until_ready()
        secret = {"Authorization": f"Bearer {new_secret()}"}
        with httpx.Client(base_url=server.url, headers=secret, timeout=_PATIENCE_S) as phone:
            device = {"platform": "android", "push": None, "locale": "fr-CA"}
            phone.put(f"/v1/devices/{new_id()}", json=device).raise_for_status()
            yield server, phone
    finally:
        with suppress(ProcessLookupError):  # killed already
            server.kill()


def age(path: Path) -> None:
    """Make a file older than orphans have to be."""
    stored_at = (datetime.now(UTC) - ORPHAN_AFTER - timedelta(minutes=1)).timestamp()
    os.utime(path, (stored_at, stored_at))


async def test_a_server_killed_between_bytes_and_row_loses_nothing_that_was_answered_and_leaves_an_orphan(
    environment, tmp_path, store, stored_files, verify, rows_stay_as_they_are, database
):
    path = f"/v1/photos/{new_id()}"
    with serving(environment, tmp_path / "log") as (server, phone), ThreadPoolExecutor() as pool:
        with rows_stay_as_they_are() as wait_until_it_waits:
            sending = pool.submit(phone.put, path, content=PHOTO)
            wait_until_it_waits(server)
            server.kill()
        assert isinstance(sending.exception(), httpx.TransportError)
    (orphan,) = stored_files()

    age(orphan)
    code, found = verify()
    assert (code, [each["key"] for each in found["orphan"]]) == (0, [str(orphan.relative_to(tmp_path / "photos"))])
    await sweep(database, store, now=datetime.now(UTC))
    assert stored_files() == []

    with serving(environment, tmp_path / "log") as (_, phone):
        assert phone.put(path, content=PHOTO).status_code == 201
    (original,) = stored_files()
    assert original.read_bytes() == PHOTO


async def test_a_worker_killed_between_pictures_and_row_leaves_orphans_and_a_photo_to_be_made_safe(
    environment, tmp_path, store, stored_files, verify, rows_stay_as_they_are, database, decoders
):
    async def body():
        yield PHOTO

    photo_id, now = new_id(), datetime.now(UTC)
    await receive_photo(database, store, photo_id, body(), uploader="staff:1", announced_bytes=None, now=now)
    worker = Child(["work"], environment, tmp_path / "log")
    with rows_stay_as_they_are() as wait_until_it_waits:
        worker.start()
        try:
            wait_until_it_waits(worker)
        finally:
            worker.kill()
    assert len(stored_files()) == 3

    await process_photo(database, store, decoders, photo_id, now=now)
    for path in stored_files():
        age(path)
    swept = await sweep(database, store, now=datetime.now(UTC))

    assert swept.deleted == 2
    async with database.transaction() as session:
        photo = await find_photo(session, photo_id)
    keys = {photo.original_key, photo.large_key, photo.small_key}
    assert {str(path.relative_to(tmp_path / "photos")) for path in stored_files()} == keys
    assert verify() == (
        0,
        {
            "photos": 1,
            "objects": 3,
            "read_bytes": sum(path.stat().st_size for path in stored_files()),
            "missing": [],
            "different": [],
            "orphan": [],
        },
    )

    (tmp_path / "photos" / photo.small_key).unlink()
    (tmp_path / "photos" / photo.original_key).write_bytes(PHOTO[:-1])
    code, found = verify()
    assert (code, found["missing"][0]["key"], found["different"][0]["key"]) == (1, photo.small_key, photo.original_key)
    assert found["missing"][0]["photo_id"] == str(photo_id)
