"""Bytes under keys, in a local folder or in an object store that obstore knows by URL.

One promise for both: what a call has answered is durable, and what failed has stored nothing under its key.
"""

import asyncio
import errno
import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import gettempdir, mkstemp
from typing import BinaryIO, Final, ParamSpec, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

_P = ParamSpec("_P")
_T = TypeVar("_T")

_PAGE: Final = 1000
_FOLDERS_REMEMBERED: Final = 4096
_SPOOL_PREFIX: Final = "jalon-photo-"
# No room, no room for this account, and no file of that size: nothing more fits until somebody makes room.
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class BlobMissing(Exception):
    """Nothing is stored under a key.

    Attributes:
        key: The key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class StorageUnavailable(Exception):
    """The store cannot be written or read now (no permission, no answer); nothing was stored."""


class StorageFull(StorageUnavailable):
    """The store has no room; nothing was stored."""


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """Stored bytes being read: how many, and the stream of them."""

    byte_size: int
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Something that is stored.

    Attributes:
        stored_at: When, by the store's own clock.
    """

    key: str
    byte_size: int
    stored_at: datetime


class Spool:
    """A file that bytes are collected in before they have a key; gone after `discard`, unless moved away."""

    def __init__(self, folder: Path) -> None:
        handle, name = mkstemp(dir=folder, prefix=_SPOOL_PREFIX)
        _hand_over(handle, folder)
        self.file: BinaryIO = os.fdopen(handle, "w+b")
        self.path = Path(name)
        self.hash = hashlib.sha256()
        self.byte_size = 0

    def write(self, chunks: list[bytes]) -> None:
        """Add chunks to the file."""
        for chunk in chunks:
            self.file.write(chunk)
            self.hash.update(chunk)
            self.byte_size += len(chunk)

    def discard(self) -> None:
        """Close and remove the file; quick enough to run where even a cancelled caller gets to: in the event loop."""
        with suppress(OSError):  # a full disk, said once already when it was written to
            self.file.close()
        self.path.unlink(missing_ok=True)


class Objects:
    """Bytes under keys: a key is written at once and whole, and may be written again."""

    def __init__(self, store: ObjectStore, *, folder: Path | None = None) -> None:
        """Use an object store.

        Args:
            store: Where bytes are read, listed and deleted, and written unless `folder` is given.
            folder: The folder of a local store: written directly, as obstore does not wait for the disk.
        """
        self._objects = store
        self._folder = folder
        self._durable_folders: set[Path] = set()
        self._spools = folder / "incoming" if folder else Path(gettempdir())

    @asynccontextmanager
    async def spooled(self) -> AsyncIterator[Spool]:
        """Open a file to collect bytes in; it is gone after the block, unless `place` gave it a key.

        Raises:
            StorageUnavailable: the disk does not take it.
        """
        spool = await on_disk(Spool, self._spools)
        try:
            yield spool
        finally:
            spool.discard()

    async def place(self, spool: Spool, key: str) -> None:
        """Give collected bytes a key; when this returns, they are durable.

        Raises:
            StorageUnavailable: they could not be made durable.
        """
        if self._folder is not None:
            await on_disk(_place, spool, self._folder, key, durable=self._durable_folders)
            return
        await on_disk(spool.file.flush)
        await self._send(key, spool.path)

    async def put(self, key: str, data: bytes) -> None:
        """Store a few bytes under a key; when this returns, they are durable.

        Raises:
            StorageUnavailable: they could not be made durable.
        """
        if self._folder is None:
            await self._send(key, data)
            return
        async with self.spooled() as spool:
            await on_disk(spool.write, [data])
            await self.place(spool, key)

    async def read(self, key: str) -> StoredBytes:
        """Open stored bytes for streaming.

        Raises:
            BlobMissing: nothing is stored there.
            StorageUnavailable: the store does not answer, now or while its bytes are read.
        """
        try:
            found = await obstore.get_async(self._objects, key)
        except FileNotFoundError:
            raise BlobMissing(key) from None
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
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
        async with self.spooled() as spool:
            async for chunk in stored.chunks:
                await on_disk(spool.write, [chunk])
            await on_disk(spool.file.flush)
            yield spool.path

    async def delete(self, *keys: str) -> None:
        """Delete what is stored under keys, if anything is.

        Raises:
            StorageUnavailable: the store does not answer; some may be deleted.
        """
        # One by one: asked for several, the local store stops at the first that is gone.
        for key in keys:
            with storage_refusals(), suppress(FileNotFoundError):
                await obstore.delete_async(self._objects, key)

    async def pages(self, prefix: str) -> AsyncIterator[Sequence[StoredObject]]:
        """List what is stored below a prefix (`originals/`), a thousand at a time and in no order.

        What is stored or deleted meanwhile may be listed or not.

        Raises:
            StorageUnavailable: the store does not answer.
        """
        with storage_refusals():
            async for page in obstore.list(self._objects, prefix, chunk_size=_PAGE):
                yield [StoredObject(each["path"], each["size"], each["last_modified"]) for each in page]

    async def delete_spools(self, *, before: datetime) -> int:
        """Delete what killed processes of this machine were collecting; answers how many files there were.

        Args:
            before: Files written to later stay: their processes may live.

        Raises:
            StorageUnavailable: the disk does not answer.
        """
        return await on_disk(_delete_spools, self._spools, before.timestamp())

    async def check(self) -> None:
        """Make sure that bytes can be stored now, by writing and deleting a few.

        Raises:
            StorageUnavailable: they cannot.
        """
        key = f"checks/{os.getpid()}"
        await self.put(key, b"ready")
        await self.delete(key)

    async def look(self, *, room_bytes: int) -> None:
        """Make sure that bytes can be stored, as far as that shows without storing any.

        Args:
            room_bytes: What a folder has to have room for. An object store only has to answer.

        Raises:
            StorageUnavailable: they cannot.
        """
        if self._folder is not None:
            await on_disk(_look_at, self._spools, room_bytes)
            return
        with storage_refusals():
            async for _ in obstore.list(self._objects, "checks/"):
                return

    async def _send(self, key: str, data: bytes | Path) -> None:
        """Store at an object store, whose answer says that the bytes are durable; signed with their SHA-256."""
        with storage_refusals():
            # In one piece: of an upload in several, a killed process leaves pieces that no listing shows.
            await obstore.put_async(self._objects, key, data, use_multipart=False)


async def on_disk(work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Do blocking work on a thread; what the disk refuses is `StorageUnavailable`."""
    with storage_refusals():
        return await asyncio.to_thread(work, *args, **kwargs)


@contextmanager
def storage_refusals() -> Iterator[None]:
    """Have what a disk or an object store refuses raised as `StorageUnavailable`, and no room as `StorageFull`."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> StorageUnavailable:
    return StorageFull() if isinstance(error, OSError) and error.errno in _FULL else StorageUnavailable()


def make_folder(path: Path, *, mode: int = 0o777) -> None:
    """Make a folder with those above it, durably; there already, it is left alone."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True, mode=mode)
    _hand_over_folder(path)
    _sync_folder(path.parent)


def _place(spool: Spool, folder: Path, key: str, *, durable: set[Path]) -> None:
    """Give a spooled file its name in a local store: file, then folder, on disk before this returns."""
    spool.file.flush()
    os.fsync(spool.file.fileno())
    target = folder / key
    _make_durable(target.parent, within=folder, durable=durable)
    spool.path.replace(target)
    _sync_folder(target.parent)


def _make_durable(path: Path, *, within: Path, durable: set[Path]) -> None:
    """Make a folder that outlives a power cut.

    One that is there may have been made a moment ago, by somebody who has not got to syncing it yet or was killed:
    each process syncs every folder once by itself.
    """
    if path == within:
        return
    _make_durable(path.parent, within=within, durable=durable)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if path in durable:
            return
    else:
        _hand_over_folder(path)
    _sync_folder(path.parent)
    if len(durable) >= _FOLDERS_REMEMBERED:
        durable.clear()
    durable.add(path)


def _hand_over(handle: int, folder: Path) -> None:
    """Give what root has made in a folder to whom the folder belongs: the service would else not get at it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        with suppress(PermissionError):  # a container's root may not, or a share's server does not let it
            os.fchown(handle, owner.st_uid, owner.st_gid)


def _hand_over_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)  # never what somebody has put in its place
    try:
        _hand_over(handle, path.parent)
    finally:
        os.close(handle)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _look_at(folder: Path, room_bytes: int) -> None:
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize < room_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if not os.access(folder, os.W_OK | os.X_OK):  # also where the disk has become read-only, which root is told too
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def _delete_spools(folder: Path, written_before: float) -> int:
    deleted = 0
    for path in folder.glob(f"{_SPOOL_PREFIX}*"):
        # Another sweep, or the one that wrote it, may be quicker; and the system's folder has other people's files.
        with suppress(FileNotFoundError, PermissionError):
            if path.lstat().st_mtime < written_before:
                path.unlink()
                deleted += 1
    return deleted


async def _chunks(found: "obstore.GetResult") -> AsyncIterator[bytes]:
    with storage_refusals():
        async for chunk in found.stream():
            yield bytes(chunk)
