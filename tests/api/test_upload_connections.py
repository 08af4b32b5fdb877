"""Uploads over connections that break, to a server that is killed: nothing acknowledged is sent again or lost."""

import hashlib
import random
import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from io import BytesIO
from pathlib import Path
from uuid import UUID

import pytest
from tusclient.client import TusClient

from bench.servers import Server, jalon_environment, running
from db.base import new_id
from media.parts import PART_BYTES
from tests.api.served import PICTURE, a_secret
from tests.api.test_uploads import STREAM, TUS, metadata

# JPEG decoders pass over what follows the picture.
PHOTO = PICTURE + random.Random(3).randbytes(3 * PART_BYTES)
PATIENCE_S = 5.0  # less than a server listens to a body that it refused
GIVE_UP_S = 60.0


@dataclass
class Phone:
    """Sends one photo, and remembers how many of its bytes were ever sent."""

    port: int
    secret: str
    photo_id: UUID
    content: bytes = PHOTO
    sent: int = 0

    @property
    def _address(self) -> str:
        return f"/v1/uploads/{self.photo_id}"

    def register(self) -> None:
        device = b'{"platform": "android", "push": null, "locale": "fr-CA"}'
        assert self.call("PUT", f"/v1/devices/{new_id()}", device, {"Content-Type": "application/json"}).status == 201

    def begin(self) -> None:
        length = {"Upload-Length": str(len(self.content)), "Upload-Metadata": metadata(self.photo_id)}
        assert self.call("POST", "/v1/uploads", b"", TUS | length).status == 201

    def offset(self) -> int:
        answer = self.call("HEAD", self._address, b"", TUS)
        assert answer.status == 200
        offset = int(answer.headers["Upload-Offset"])
        assert offset <= self.sent
        return offset

    def send_from(self, offset: int) -> int:
        """Send all that is missing; answers the status."""
        self.sent = len(self.content)
        headers = {**STREAM, "Upload-Offset": str(offset)}
        return self.call("PATCH", self._address, self.content[offset:], headers).status

    def begin_to_send(self, offset: int, count: int) -> socket.socket:
        """Announce all that is missing, and send only so many bytes of it."""
        head = [
            f"PATCH {self._address} HTTP/1.1",
            "Host: jalon.test",
            f"Authorization: Bearer {self.secret}",
            f"Content-Length: {len(self.content) - offset}",
            f"Upload-Offset: {offset}",
            *(f"{name}: {value}" for name, value in STREAM.items()),
        ]
        self.sent = max(self.sent, min(offset + count, len(self.content)))
        line = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        line.sendall("\r\n".join([*head, "", ""]).encode() + self.content[offset : offset + count])
        return line

    def finish(self) -> None:
        """Go on until it is whole, as a phone does that is told that somebody else is sending."""
        deadline = time.monotonic() + GIVE_UP_S
        while (offset := self.offset()) < len(self.content):
            assert self.send_from(offset) in {204, 409, 423}
            assert time.monotonic() < deadline

    def sha256(self) -> str:
        answer = self.call("GET", f"/v1/photos/{self.photo_id}", b"", {})
        return answer.body.decode().partition('"sha256":"')[2][:64]

    def call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> "Answer":
        connection = HTTPConnection("127.0.0.1", self.port, timeout=GIVE_UP_S)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {self.secret}", **headers})
            return Answer.of(connection.getresponse())
        finally:
            connection.close()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, response: HTTPResponse) -> "Answer":
        headers = {name.title(): value for name, value in response.getheaders()}
        return cls(response.status, headers, response.read())


def break_off(line: socket.socket) -> None:
    """End a connection as a lost signal does: without a word, and with a reset once anybody asks."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


@pytest.fixture
def stall_s() -> float:
    """How long the server waits for a sender's next byte."""
    return 0.5


@pytest.fixture
def server(database_name: str, app_url: str, tmp_path: Path, stall_s: float) -> Iterator[Server]:
    environment = jalon_environment(app_url, tmp_path / "data", upload_stall_s=str(stall_s))
    server = Server(environment, tmp_path / "serve.log")
    with running([server]):
        yield server


@pytest.fixture
def phone(server: Server) -> Phone:
    phone = Phone(server.port, a_secret(), new_id())
    phone.register()
    phone.begin()
    return phone


def test_over_connections_that_all_break_an_upload_comes_to_its_end(phone):
    dice = random.Random(2026)
    reached = 0
    deadline = time.monotonic() + GIVE_UP_S
    while reached < len(PHOTO) - 1:
        count = dice.choice([1, 500, 20_000, 300_000, 1_000_000])
        break_off(phone.begin_to_send(phone.offset(), count=dice.randrange(count)))
        reached = min(phone.offset() + count, len(PHOTO) - 1)
        while (offset := phone.offset()) < reached:
            phone.begin_to_send(offset, reached - offset).close()
            assert time.monotonic() < deadline
    phone.finish()

    assert phone.sha256() == hashlib.sha256(PHOTO).hexdigest()


def test_killed_while_bytes_come_and_with_the_last_one_the_upload_goes_on(server, phone, cluster, database_name):
    with phone.begin_to_send(0, 2 * PART_BYTES + 1000):
        while (counted := phone.offset()) < PART_BYTES:
            pass
        server.kill()
    server.start()
    server.wait_until_ready()
    kept = phone.offset()
    assert kept >= counted

    with phone.begin_to_send(kept, len(PHOTO)):
        server.kill()
    server.start()
    server.wait_until_ready()
    assert phone.offset() >= kept
    phone.finish()

    assert phone.sha256() == hashlib.sha256(PHOTO).hexdigest()
    with cluster.connect(database_name) as connection:
        kinds = connection.execute("SELECT entrypoint FROM pgqueuer").fetchall()
    assert kinds == [("media.make_safe",)]


@pytest.mark.parametrize("stall_s", [GIVE_UP_S])
def test_one_of_two_is_refused_before_it_has_sent_all(phone):
    with phone.begin_to_send(0, 1000) as one, phone.begin_to_send(0, 1000) as other:
        (refused,), _, _ = select.select([one, other], [], [], GIVE_UP_S)
        kept = other if refused is one else one  # either may have been quicker inside of the server
        answered = refused.recv(12)
        kept.sendall(PHOTO[1000:])

        assert (answered, kept.recv(12)) == (b"HTTP/1.1 423", b"HTTP/1.1 204")


def test_a_client_of_the_protocols_authors_uploads_with_checksums(server, phone):
    photo_id = new_id()
    client = TusClient(f"{server.url}/v1/uploads", headers={"Authorization": f"Bearer {phone.secret}"})
    uploader = client.uploader(
        file_stream=BytesIO(PHOTO),
        chunk_size=1_000_000,
        metadata={"id": str(photo_id), "filename": "nid-de-poule été.jpg"},
        upload_checksum=True,
    )
    uploader.upload(stop_at=1_500_000)

    again = client.uploader(url=uploader.url, file_stream=BytesIO(PHOTO), chunk_size=1_000_000)
    assert again.offset == 1_500_000
    again.upload()

    phone.photo_id = photo_id
    assert phone.sha256() == hashlib.sha256(PHOTO).hexdigest()
