"""The parts in which an unfinished upload lies in the store.

An object store cannot append to an object, so what each request brings becomes a part of its own. A phone that is cut
off again and again would leave thousands of them; hence what comes is stored together with the small parts before it.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from media.objects import Objects, StorageUnavailable

PARTS: Final = "uploads/"
"""Where parts lie in the store; nothing else does."""
PART_BYTES: Final = 1 << 20
"""A part of so many bytes, or more, is never written again."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of an upload: where it lies, and its length."""

    key: str
    byte_size: int


def part_key(upload_id: UUID) -> str:
    """Name the place of a new part; never the same twice, so that no late writer changes what is referred to."""
    return f"{PARTS}{upload_id}-{uuid4().hex}"


def upload_of(key: str) -> UUID:
    """Tell which upload a part belongs to."""
    return UUID(key.removeprefix(PARTS)[:36])


def absorbed(parts: Sequence[Part], byte_size: int) -> int:
    """Tell how many of the last parts are written again, as one with the bytes that follow them.

    Those that are less than twice as long as what follows. Every part that stays is then at least twice as long as the
    next one, or has `PART_BYTES`: with requests of any length, `n` bytes lie in at most n / `PART_BYTES` + 21 parts. A
    byte is written again only into a part that is half as long again, so some thirty times at most; that costs a small
    part, and a phone that sends a byte at a time no more than its own time.
    """
    count = 0
    for part in reversed(parts):
        if part.byte_size >= PART_BYTES or part.byte_size >= 2 * byte_size:
            break
        byte_size += part.byte_size
        count += 1
    return count


async def store_part(store: Objects, upload_id: UUID, absorb: Sequence[Part], piece: bytes) -> Part:
    """Store a piece, after the parts that it absorbs; durable when this returns.

    Raises:
        BlobMissing: a part to absorb is gone.
        StorageUnavailable: the store does not take it, or does not answer.
    """
    content = b"".join([*[chunk async for chunk in joined(store, absorb)], piece])
    part = Part(part_key(upload_id), len(content))
    await store.put(part.key, content)
    return part


async def joined(store: Objects, parts: Sequence[Part], last: bytes = b"") -> AsyncIterator[bytes]:
    """Read parts one after the other, and `last` after them.

    Raises:
        BlobMissing: a part is gone.
        StorageUnavailable: the store does not answer.
    """
    for part in parts:
        stored = await store.read(part.key)
        async for chunk in stored.chunks:
            yield chunk
    yield last


async def delete_parts(store: Objects, keys: Sequence[str]) -> None:
    """Delete parts that no upload refers to any more; what the store does not take now, the sweep finds later."""

    async def delete(key: str) -> None:
        with suppress(StorageUnavailable):
            await store.delete(key)

    await asyncio.gather(*(delete(key) for key in keys))
