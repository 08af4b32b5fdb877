"""Where photos are kept: originals under their SHA-256, derivatives under their photo.

Every key is one upload's or one derivation's own and is written once. Whatever no row names after a day is nobody's,
therefore, and nobody can be about to name it: that is what `media.sweep` goes by.
"""

import re
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256 as hash_of
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit
from uuid import UUID, uuid4

from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from media.headers import MAX_PIXELS, ImageHeader, read_header
from media.objects import Objects, Spool, StorageUnavailable, make_folder, on_disk

MAX_BYTES: Final = 20_000_000
"""Most bytes of a photo: 20 MB."""

ORIGINALS: Final = "originals/"
DERIVED: Final = "derived/"

# A body is handed to the disk in pieces of about this size: few changes of thread, little memory.
_PIECE_BYTES: Final = 1 << 20
# What was stored before keys were each upload's own ends with the hash, or lies in a folder of its photo.
_KEY: Final = re.compile(
    r"(?:originals/[0-9a-f]{2}/|derived/(?:[0-9a-f]{2}/)?(?P<photo>[0-9a-f-]{36})[-/](?:large|small)-)"
    r"(?P<hash>[0-9a-f]{16,64})(?:-[0-9a-f]{32})?(?:\.webp)?"
)


class NotAStore(ValueError):
    """A URL names no kind of store that there is."""


class PhotoTooLarge(Exception):
    """The upload has, or announces, more bytes than a photo may have.

    Attributes:
        limit_bytes: Most bytes accepted.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes


class BodyLengthMismatch(Exception):
    """The upload is shorter or longer than it announced.

    Attributes:
        announced_bytes: What it announced.
        received_bytes: What came, as far as it was read.
    """

    def __init__(self, announced_bytes: int, received_bytes: int) -> None:
        super().__init__(announced_bytes, received_bytes)
        self.announced_bytes = announced_bytes
        self.received_bytes = received_bytes


@dataclass(frozen=True, slots=True)
class IncomingPhoto:
    """An upload that came whole and has the header of a photo; on disk, but not kept yet.

    Attributes:
        upload_id: Of this one upload: the same bytes sent again have another.
        sha256: Its SHA-256, hexadecimal.
        byte_size: Its length.
        header: What its header declares.
        spool: The file it lies in.
    """

    upload_id: UUID
    sha256: str
    byte_size: int
    header: ImageHeader
    spool: Spool

    @property
    def key(self) -> str:
        """Where `PhotoStore.keep` stores it."""
        return original_key(self.sha256, self.upload_id)


def original_key(sha256: str, upload_id: UUID | None) -> str:
    """Name the place of an original; spread over 256 folders, which keeps each small.

    Args:
        sha256: Of its bytes, hexadecimal.
        upload_id: The upload that brought them; None for one from before uploads were told apart.
    """
    upload = "" if upload_id is None else f"-{upload_id.hex}"
    return f"{ORIGINALS}{sha256[:2]}/{sha256}{upload}"


def content_hash(key: str) -> str | None:
    """Read from a key the SHA-256 of what it holds, or (old derivatives) its first 16 digits; None for other keys."""
    named = _KEY.fullmatch(key)
    return None if named is None else named["hash"]


def derived_from(key: str) -> UUID | None:
    """Read from the key of a derivative which photo it was made from; None for other keys."""
    named = _KEY.fullmatch(key)
    return None if named is None or named["photo"] is None else UUID(named["photo"])


class PhotoStore(Objects):
    """The bytes of photos, in a local folder or an object store."""

    @asynccontextmanager
    async def receive(
        self,
        body: AsyncIterable[bytes],
        *,
        announced_bytes: int | None,
        max_bytes: int = MAX_BYTES,
        max_pixels: int = MAX_PIXELS,
    ) -> AsyncIterator[IncomingPhoto]:
        """Take in an upload; `keep` stores it, and nothing is left of it where the block ends without that.

        The body goes to disk as it comes, and is never in memory whole.

        Args:
            body: The chunks of the upload; what reading them raises passes through.
            announced_bytes: The length that the sender announced, if any.
            max_bytes: Most bytes accepted.
            max_pixels: Most pixels accepted.

        Raises:
            PhotoTooLarge: more than `max_bytes` announced or received.
            BodyLengthMismatch: another length than announced.
            EmptyPhoto, UnsupportedImage, BrokenImageHeader, TooManyPixels: see `read_header`.
            StorageUnavailable: the disk does not take the bytes.
        """
        if announced_bytes is not None and announced_bytes > max_bytes:
            raise PhotoTooLarge(max_bytes)
        async with self.spooled() as spool:
            await _fill(spool, body, max_bytes=max_bytes, announced_bytes=announced_bytes)
            header = await on_disk(read_header, spool.file, max_pixels=max_pixels)
            yield IncomingPhoto(uuid4(), spool.hash.hexdigest(), spool.byte_size, header, spool)

    async def keep(self, photo: IncomingPhoto) -> None:
        """Store an upload under its key; when this returns, the bytes are durable.

        Raises:
            StorageUnavailable: they could not be made durable.
        """
        await self.place(photo.spool, photo.key)

    async def put_derivative(self, photo_id: UUID, size: str, picture: bytes) -> str:
        """Store a WebP derivative of a photo durably; answers its key, which names its content.

        Raises:
            StorageUnavailable: the bytes could not be made durable.
        """
        name = f"{photo_id}-{size}-{hash_of(picture).hexdigest()}-{uuid4().hex}.webp"
        key = f"{DERIVED}{photo_id.hex[-2:]}/{name}"
        await self.put(key, picture)
        return key


def open_store(url: str, *, patience: timedelta = timedelta(seconds=20)) -> PhotoStore:
    """Open the store that a URL names.

    `file:///folder` (made if missing), or an object store such as `s3://bucket/prefix`. An object store's
    credentials, region and endpoint come from its usual environment variables (`AWS_...`).

    Args:
        url: The URL.
        patience: How long an object store may take to answer, the sending of a photo included, before it counts as
            not available; it is asked again only within that time.

    Raises:
        NotAStore: no such kind of store.
        StorageUnavailable: the folder cannot be made.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise NotAStore(f"not the URL of a store: {url}") from error
    if parts.scheme != "file":
        try:
            return PhotoStore(
                from_url(
                    url,
                    # Encrypted unless the endpoint that was set says http://, as one beside this server may.
                    # `timeout` counts on while a slow phone takes the answer; `read_timeout` does not.
                    client_options={
                        "allow_http": True,
                        "connect_timeout": min(patience, timedelta(seconds=3)),
                        "read_timeout": patience,
                        "timeout": timedelta(minutes=10),
                    },
                    retry_config={"max_retries": 2, "retry_timeout": patience},
                )
            )
        except (BaseError, ValueError) as error:
            raise NotAStore(f"not the URL of a store: {parts.scheme}://{parts.netloc}") from error
    folder = Path(unquote(parts.path))
    try:
        make_folder(folder, mode=0o700)
        make_folder(folder / "incoming", mode=0o700)
    except OSError as error:
        raise StorageUnavailable from error
    return PhotoStore(LocalStore(folder), folder=folder)


async def _fill(spool: Spool, body: AsyncIterable[bytes], *, max_bytes: int, announced_bytes: int | None) -> None:
    received_bytes = 0
    piece: list[bytes] = []
    piece_bytes = 0
    async for chunk in body:
        received_bytes += len(chunk)
        if received_bytes > max_bytes:
            raise PhotoTooLarge(max_bytes)
        if announced_bytes is not None and received_bytes > announced_bytes:
            raise BodyLengthMismatch(announced_bytes, received_bytes)
        piece.append(chunk)
        piece_bytes += len(chunk)
        if piece_bytes >= _PIECE_BYTES:
            await on_disk(spool.write, piece)
            piece, piece_bytes = [], 0
    if announced_bytes is not None and received_bytes < announced_bytes:
        raise BodyLengthMismatch(announced_bytes, received_bytes)
    await on_disk(spool.write, piece)
