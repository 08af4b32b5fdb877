"""Where the bytes of photos are kept: originals under their SHA-256, derivatives under their photo.

A local folder or any object store that obstore knows by URL, with one promise for both: what a call has answered is
durable, and what failed leaves nothing behind. A key never changes its content, so that anything may be written
twice.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir, mkstemp
from typing import BinaryIO, Final, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from media.headers import MAX_PIXELS, ImageHeader, read_header

MAX_BYTES: Final = 20_000_000
"""Most bytes of a photo: 20 MB."""

_P = ParamSpec("_P")
_T = TypeVar("_T")

# A body is handed to the disk in pieces of about this size: few changes of thread, little memory.
_PIECE_BYTES: Final = 1 << 20


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


class BlobMissing(Exception):
    """Nothing is stored under a key.

    Attributes:
        key: The key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class StorageUnavailable(Exception):
    """The store cannot be written or read now (disk full, no permission, no answer); nothing was stored."""


@dataclass(frozen=True, slots=True)
class IncomingPhoto:
    """An upload that came whole and has the header of a photo; on disk, but not kept yet.

    Attributes:
        sha256: Its SHA-256, hexadecimal.
        byte_size: Its length.
        header: What its header declares.
        spool: The file it lies in.
    """

    sha256: str
    byte_size: int
    header: ImageHeader
    spool: "_Spool"


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """Stored bytes being read: how many, and the stream of them."""

    byte_size: int
    chunks: AsyncIterator[bytes]


def original_key(sha256: str) -> str:
    """Name the place of an original; spread over 256 folders, which keeps each small."""
    return f"originals/{sha256[:2]}/{sha256}"


class PhotoStore:
    """The bytes of photos, in a local folder or an object store."""

    def __init__(self, objects: ObjectStore, *, folder: Path | None = None) -> None:
        """Use an object store; `open_store` makes one from a URL.

        Args:
            objects: Where bytes are read and deleted, and written unless `folder` is given.
            folder: The folder of a local store: written directly, as obstore does not wait for the disk.
        """
        self._objects = objects
        self._folder = folder
        self._incoming = folder / "incoming" if folder else Path(gettempdir())

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
        async with self._spooled() as spool:
            await _fill(spool, body, max_bytes=max_bytes, announced_bytes=announced_bytes)
            header = await asyncio.to_thread(read_header, spool.file, max_pixels=max_pixels)
            yield IncomingPhoto(spool.hash.hexdigest(), spool.byte_size, header, spool)

    async def keep(self, photo: IncomingPhoto) -> None:
        """Store an upload under its SHA-256; when this returns, the bytes are durable.

        Raises:
            StorageUnavailable: they could not be made durable.
        """
        await self._put(original_key(photo.sha256), photo.spool)

    async def put_derivative(self, photo_id: UUID, size: str, picture: bytes) -> str:
        """Store a WebP derivative of a photo durably; answers its key, which names its content.

        Raises:
            StorageUnavailable: the bytes could not be made durable.
        """
        key = f"derived/{photo_id}/{size}-{hashlib.sha256(picture).hexdigest()[:16]}.webp"
        async with self._spooled() as spool:
            await _on_disk(spool.write, [picture])
            await self._put(key, spool)
        return key

    async def read(self, key: str) -> StoredBytes:
        """Open stored bytes for streaming.

        Raises:
            BlobMissing: nothing is stored there.
            StorageUnavailable: the store does not answer.
        """
        try:
            found = await obstore.get_async(self._objects, key)
        except FileNotFoundError:
            raise BlobMissing(key) from None
        except (BaseError, OSError) as error:
            raise StorageUnavailable from error
        return StoredBytes(found.meta["size"], _chunks(found))

    @asynccontextmanager
    async def local_copy(self, key: str) -> AsyncIterator[Path]:
        """Get stored bytes as a local file, for programs that need one; a copy is removed afterwards.

        Raises:
            BlobMissing: nothing is stored there.
            StorageUnavailable: the store does not answer.
        """
        if self._folder is not None:
            path = self._folder / key
            if not await asyncio.to_thread(path.is_file):
                raise BlobMissing(key)
            yield path
            return
        stored = await self.read(key)
        async with self._spooled() as spool:
            async for chunk in stored.chunks:
                await _on_disk(spool.write, [chunk])
            await _on_disk(spool.file.flush)
            yield spool.path

    async def delete(self, key: str) -> None:
        """Delete what is stored under a key, if anything is.

        Raises:
            StorageUnavailable: the store does not answer.
        """
        try:
            await obstore.delete_async(self._objects, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise StorageUnavailable from error

    async def check(self) -> None:
        """Make sure that photos can be stored now, by writing and deleting a few bytes.

        Raises:
            StorageUnavailable: they cannot.
        """
        key = f"checks/{os.getpid()}"
        async with self._spooled() as spool:
            await _on_disk(spool.write, [b"ready"])
            await self._put(key, spool)
        await self.delete(key)

    @asynccontextmanager
    async def _spooled(self) -> AsyncIterator["_Spool"]:
        spool = await _on_disk(_Spool, self._incoming)
        try:
            yield spool
        finally:
            spool.discard()

    async def _put(self, key: str, spool: "_Spool") -> None:
        """Move a spooled file to its key; on return it is durable."""
        if self._folder is not None:
            await _on_disk(_place, spool, self._folder, key)
            return
        try:
            await _on_disk(spool.file.flush)
            await obstore.put_async(self._objects, key, spool.path)
        except BaseError as error:
            raise StorageUnavailable from error


def open_store(url: str) -> PhotoStore:
    """Open the store that a URL names.

    `file:///folder` (made if missing), or an object store such as `s3://bucket/prefix`. An object store's
    credentials, region and endpoint come from its usual environment variables (`AWS_...`).

    Raises:
        ValueError: no such kind of store.
        StorageUnavailable: the folder cannot be made.
    """
    parts = urlsplit(url)
    if parts.scheme != "file":
        try:
            return PhotoStore(from_url(url))
        except (BaseError, ValueError) as error:
            raise ValueError(f"not the URL of a store: {parts.scheme}://{parts.netloc}") from error
    folder = Path(unquote(parts.path))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "incoming").mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise StorageUnavailable from error
    return PhotoStore(LocalStore(folder), folder=folder)


class _Spool:
    """A file that bytes are collected in before they have a name; gone after `discard`, unless moved away."""

    def __init__(self, folder: Path) -> None:
        handle, name = mkstemp(dir=folder, prefix="photo-")
        self.file: BinaryIO = os.fdopen(handle, "w+b")
        self.path = Path(name)
        self.hash = hashlib.sha256()
        self.byte_size = 0

    def write(self, chunks: list[bytes]) -> None:
        for chunk in chunks:
            self.file.write(chunk)
            self.hash.update(chunk)
            self.byte_size += len(chunk)

    def discard(self) -> None:
        """Close and remove the file; quick enough to run where even a cancelled caller gets to: in the event loop."""
        with suppress(OSError):  # a full disk, said once already when it was written to
            self.file.close()
        self.path.unlink(missing_ok=True)


async def _fill(spool: _Spool, body: AsyncIterable[bytes], *, max_bytes: int, announced_bytes: int | None) -> None:
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
            await _on_disk(spool.write, piece)
            piece, piece_bytes = [], 0
    if announced_bytes is not None and received_bytes < announced_bytes:
        raise BodyLengthMismatch(announced_bytes, received_bytes)
    await _on_disk(spool.write, piece)


def _place(spool: _Spool, folder: Path, key: str) -> None:
    """Give a spooled file its name in a local store: file, then folder, on disk before this returns."""
    spool.file.flush()
    os.fsync(spool.file.fileno())
    target = folder / key
    _make_folder(target.parent, within=folder)
    spool.path.replace(target)
    _sync_folder(target.parent)


def _make_folder(path: Path, *, within: Path) -> None:
    if path == within or path.is_dir():
        return
    _make_folder(path.parent, within=within)
    path.mkdir(exist_ok=True, mode=0o700)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


async def _chunks(found: "obstore.GetResult") -> AsyncIterator[bytes]:
    try:
        async for chunk in found.stream():
            yield bytes(chunk)
    except (BaseError, OSError) as error:
        raise StorageUnavailable from error


async def _on_disk(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Do blocking work on a thread; what the disk refuses is `StorageUnavailable`."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except OSError as error:
        raise StorageUnavailable from error
