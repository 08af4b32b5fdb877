"""What tus 1.0.0, the protocol for resumable uploads (tus.io), asks of requests and answers, whatever is uploaded."""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import AsyncIterator
from datetime import datetime
from email.utils import format_datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import Header
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems.refusals import (
    BodyStalled,
    ChecksumUnreadable,
    FieldError,
    InvalidFields,
    MediaTypeNotSupported,
    SenderStalled,
    TusVersionNotSupported,
)
from api.scope import BODY, OVERRUN, UNREAD
from issues.languages import msgid
from media.append import Checksum

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,checksum,expiration,termination"
OFFSET_STREAM: Final = "application/offset+octet-stream"
METADATA: Final = "Upload-Metadata"

# By the protocol's names, which are hashlib's too: how many bytes a digest has.
_DIGEST_BYTES: Final = {"sha256": 32, "sha1": 20}
CHECKSUM_ALGORITHMS: Final = ",".join(_DIGEST_BYTES)

_OVERRIDE: Final = b"x-http-method-override"
_METHODS: Final = frozenset({"OPTIONS", "POST", "HEAD", "PATCH", "DELETE"})
_METADATA_KEY: Final = re.compile(r"[!-+\--~]+")  # printable ASCII without space and comma


class TusFrame:
    """Around every request for uploads (pure ASGI): the method that is meant, and the version in every answer."""

    def __init__(self, app: ASGIApp, *, path: str) -> None:
        """Wrap an application.

        Args:
            app: The application.
            path: Where its uploads are; whatever does not begin so is passed on untouched.
        """
        self._app = app
        self._path = path

    async def __call__(  # noqa: D102 - as ASGI says
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self._path):
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == _OVERRIDE), b"")
        method = given.decode("latin-1").upper()
        if method in _METHODS:
            # HEAD is answered as GET (`api.middleware`); named to the server it would keep back an answer's body.
            scope["method"] = "GET" if method == "HEAD" else method

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                version = [(b"tus-resumable", VERSION.encode())]
                if message["status"] == 412:
                    version.append((b"tus-version", VERSION.encode()))
                message = {**message, "headers": [*message["headers"], *version]}
            await send(message)

        await self._app(scope, receive, send_with_version)


async def speak_tus(
    version: Annotated[
        str | None,
        Header(
            alias="Tus-Resumable",
            description="The version that the sender speaks.",
            examples=[VERSION],
            json_schema_extra={"enum": [VERSION]},
        ),
    ] = None,
) -> None:
    """Let in who speaks this version of the protocol.

    Raises:
        TusVersionNotSupported: another one, or none.
    """
    if version != VERSION:
        raise TusVersionNotSupported


Count = Annotated[str, Header(pattern=r"^[0-9]{1,15}$")]
ChecksumHeader = Annotated[
    str | None,
    Header(
        alias="Upload-Checksum",
        max_length=200,
        description="`sha256` or `sha1`, a space, and the digest of the body in Base64.",
    ),
]


def read_photo_id(metadata: str) -> UUID:
    """Read the photo's id from an Upload-Metadata header: keys with values in Base64, separated by commas.

    Raises:
        InvalidFields: the header is written otherwise, or has no `id`.
    """
    values: dict[str, bytes] = {}
    for pair in metadata.split(","):
        key, _, value = pair.strip().partition(" ")
        if key in values or not _METADATA_KEY.fullmatch(key):
            raise _metadata_refused()
        values[key] = _from_base64(value, _metadata_refused())
    try:
        return UUID(values["id"].decode("ascii"))
    except (KeyError, ValueError):
        text = msgid("The photo's own id (UUID) is needed in Upload-Metadata, under the key id.")
        raise InvalidFields([FieldError(METADATA, text)]) from None


def read_checksum(header: str | None) -> Checksum | None:
    """Read an Upload-Checksum header; None where there is none.

    Raises:
        ChecksumUnreadable: of another kind than are supported, or not one.
    """
    if header is None:
        return None
    algorithm, _, digest = header.partition(" ")
    checksum = Checksum(algorithm, _from_base64(digest, ChecksumUnreadable()))
    if _DIGEST_BYTES.get(algorithm) != len(checksum.digest):
        raise ChecksumUnreadable
    return checksum


def check_stream(request: Request) -> None:
    """Make sure that a body is sent as bytes of an upload.

    Raises:
        MediaTypeNotSupported: it is sent as something else.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != OFFSET_STREAM:
        raise MediaTypeNotSupported([OFFSET_STREAM])


def http_date(at: datetime) -> str:
    """Write a time (UTC) as the headers of HTTP have it."""
    return format_datetime(at, usegmt=True)


class ArrivingBody:
    """A body that may stop coming: the stream simply ends then, and `check_complete` tells."""

    def __init__(self, request: Request, *, stall_s: float) -> None:
        """Prepare to read a body.

        Args:
            request: The request.
            stall_s: For how long nothing may come.
        """
        self._request = request
        request.scope[BODY].stall_s = stall_s
        self._broken_off: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the chunks, as far as they come."""
        chunks = self._request.stream()
        while True:
            try:
                chunk = await anext(chunks, None)
            except BodyStalled as error:
                self._broken_off = SenderStalled(error.stall_s)
                return
            except ClientDisconnect as error:
                if OVERRUN in self._request.scope:
                    raise  # who sends more than they announced is confused about all of it
                self._broken_off = error
                if "content-encoding" not in self._request.headers:
                    yield self._request.scope.get(UNREAD, b"")
                return
            if chunk is None:
                return
            yield chunk

    def check_complete(self) -> None:
        """Make sure that all of it came, once it has been read.

        Raises:
            SenderStalled: nothing came for too long.
            ClientDisconnect: the connection broke.
        """
        if self._broken_off is not None:
            raise self._broken_off


def _from_base64(text: str, refusal: Exception) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (NotBase64, ValueError):  # ValueError: letters beyond ASCII
        raise refusal from None


def _metadata_refused() -> InvalidFields:
    text = msgid("These are keys, each with its value in Base64 after a space, separated by commas.")
    return InvalidFields([FieldError(METADATA, text)])
