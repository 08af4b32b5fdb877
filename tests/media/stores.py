"""A photo, and what tests do with a store of photos."""

from collections.abc import AsyncIterator
from pathlib import Path

from media.store import PhotoStore
from tests.media.pictures import encoded, scene

PHOTO = encoded(scene())


async def body(data: bytes, *, chunk_bytes: int = 65536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), chunk_bytes):
        yield data[start : start + chunk_bytes]


async def read(store: PhotoStore, key: str) -> bytes:
    stored = await store.read(key)
    data = b"".join([chunk async for chunk in stored.chunks])
    assert len(data) == stored.byte_size
    return data


async def keep(store: PhotoStore, data: bytes) -> str:
    async with store.receive(body(data), announced_bytes=len(data)) as photo:
        await store.keep(photo)
    return photo.key


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def spools(folder: Path) -> list[Path]:
    """What is left of uploads on their way."""
    return [path for path in files(folder) if path.name.startswith("jalon-photo-")]


async def listed(store: PhotoStore, prefix: str) -> list[str]:
    return sorted([stored.key async for page in store.pages(prefix) for stored in page])
