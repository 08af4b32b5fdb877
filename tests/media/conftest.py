"""The two kinds of store (a folder, and a bucket of a real S3 server on a loopback port), and photos made safe."""

import logging
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer

from media.decoders import Decoders
from media.derive import Derivatives, Rejected
from media.store import PhotoStore, open_store
from tests.media.cramped import cramped_folder

__all__ = ["bucket_url", "cramped_folder", "folder", "local", "s3_at", "s3_server", "store"]

_buckets = count()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of an S3 server (moto's), spoken to as any other: over a socket, by obstore's own client."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it would write a line for every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Sets what an operator sets for an S3 server, by its address; uploads wait in a folder of the test's own."""

    def use(address: str) -> None:
        for name, value in {
            "ENDPOINT_URL": address,
            "REGION": "ca-central-1",
            "ACCESS_KEY_ID": "id",
            "SECRET_ACCESS_KEY": "secret",
        }.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        monkeypatch.setattr("media.objects.gettempdir", lambda: str(tmp_path))

    return use


@pytest.fixture
def bucket_url(s3_server: str, s3_at) -> str:
    """URL of an empty place in a bucket."""
    s3_at(s3_server)
    name = f"photos-{next(_buckets)}"
    httpx.put(f"{s3_server}/{name}").raise_for_status()
    return f"s3://{name}/of the city"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "photos"


@pytest.fixture
def local(folder: Path) -> PhotoStore:
    return open_store(folder.as_uri())


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, folder: Path) -> PhotoStore:
    """Each kind of store in turn: whoever uses them must not be able to tell them apart."""
    url: str = request.getfixturevalue("bucket_url") if request.param == "bucket" else folder.as_uri()
    return open_store(url)


@pytest.fixture
def made(tmp_path, decoders):
    """Make the photo with these bytes safe."""

    async def make(data: bytes, within: Decoders = decoders) -> Derivatives | Rejected:
        path = tmp_path / "original"
        path.write_bytes(data)
        return await within.make_safe(path)

    return make
