"""A push service on a real socket, and browsers that subscribed there: checks who posts (RFC 8292), and decrypts.

The decryption is written from RFC 8188 and RFC 8291 with nothing of the sender's, on HMAC alone; `test_encryption.py`
holds it to their examples.
"""

import hashlib
import hmac
import json
import os
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from push.channels import PushKeys
from push.vapid import VapidKey

VAPID_KEY = VapidKey(b"\1" * 32)
CUT = 0
"""Instead of a status: the line is cut once the request has come."""


def unpadded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def from_unpadded(value: str) -> bytes:
    return urlsafe_b64decode(value + "=" * (-len(value) % 4))


def private_key(value: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(from_unpadded(value), "big"), ec.SECP256R1())


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, hashlib.sha256)


@dataclass(frozen=True)
class Browser:
    """One that is subscribed for pushes: only it can read them."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))

    @property
    def point(self) -> bytes:
        return point_of(self.key.public_key())

    @property
    def keys(self) -> PushKeys:
        return PushKeys(unpadded(self.point), unpadded(self.auth))

    def decrypt(self, body: bytes) -> bytes:
        """Read a body of one record."""
        salt, record_bytes, id_bytes = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, record = body[21 : 21 + id_bytes], body[21 + id_bytes :]
        assert len(record) <= record_bytes
        shared = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        input_key = _hmac(_hmac(self.auth, shared), b"WebPush: info\0" + self.point + sender + b"\1")
        pseudo_random = _hmac(salt, input_key)
        content_key = _hmac(pseudo_random, b"Content-Encoding: aes128gcm\0\1")[:16]
        nonce = _hmac(pseudo_random, b"Content-Encoding: nonce\0\1")[:12]
        padded = AESGCM(content_key).decrypt(nonce, record, None).rstrip(b"\0")
        assert padded[-1:] == b"\2"  # the last record
        return padded[:-1]


@dataclass(frozen=True)
class Arrival:
    """One request, and what it was answered."""

    path: str
    headers: dict[str, str]
    claims: dict[str, Any]
    text: dict[str, Any]
    status: int


class PushService:
    """A push service at one address.

    Attributes:
        public_key: Whose pushes it takes; a real one keeps it with each subscription.
        came: How many requests did, counted before each is answered.
        answers: Status and headers by path, `*` for any; 201 else.
        on_arrival: Called, in the service's thread, before it answers.
    """

    def __init__(self, url: str, public_key: str) -> None:
        self.url = url
        self.public_key = public_key
        self.browsers: dict[str, Browser] = {}
        self.came = 0
        self.arrivals: list[Arrival] = []
        self.answers: dict[str, tuple[int, dict[str, str]]] = {}
        self.on_arrival: list[Callable[[str], None]] = []

    def subscribe(self, name: str) -> str:
        """Subscribe a browser; answers its endpoint."""
        self.browsers[f"/push/{name}"] = Browser()
        return f"{self.url}/push/{name}"

    def fail(self, status: int, name: str | None = None, **headers: str) -> None:
        given = {header.replace("_", "-"): value for header, value in headers.items()}
        self.answers["*" if name is None else f"/push/{name}"] = (status, given)

    def names(self) -> list[str]:
        """To whom pushes came that were taken, in order."""
        return [arrival.path.removeprefix("/push/") for arrival in self.arrivals if arrival.status == 201]

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        self.came += 1
        claims = self._claims(headers.get("Authorization", ""))
        text = json.loads(self.browsers[path].decrypt(body))
        for call in self.on_arrival:
            call(path)
        status, given = self.answers.get(path) or self.answers.get("*") or (201, {})
        if status == 413 and not text["body"]:
            status = 201
        self.arrivals.append(Arrival(path, headers, claims, text, status))
        return status, given

    def _claims(self, authorization: str) -> dict[str, Any]:
        """Check who posts, as RFC 8292 asks for."""
        scheme, _, given = authorization.partition(" ")
        parameters = dict(part.strip().split("=", 1) for part in given.split(","))
        assert (scheme, parameters["k"]) == ("vapid", self.public_key)
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_unpadded(parameters["k"]))
        # Times are the test's own.
        return jwt.decode(
            parameters["t"], key, algorithms=["ES256"], audience=self.url,
            options={"require": ["aud", "exp", "sub"], "verify_exp": False},
        )  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    service: PushService

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status, headers = self.service.receive(self.path, dict(self.headers), body)
        except Exception:  # noqa: BLE001 - whatever is wrong with a request, a real service refuses it
            status, headers = 401, {}
        if status == CUT:
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running_push_service(public_key: str) -> Iterator[PushService]:
    """Run a push service on a free port of loopback."""

    class Handler(_Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        Handler.service = PushService(f"http://127.0.0.1:{server.server_port}", public_key)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield Handler.service
        finally:
            server.shutdown()
            thread.join()
