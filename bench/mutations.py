"""Photos damaged as no camera does it: by chance, and where their readers trust what is written."""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

_MOST_BYTES = 64
_HEIF_PARENTS = {b"meta", b"iprp", b"ipco", b"iinf", b"iref", b"moov", b"udta"}
_HEIF_FULL = {b"meta": 4, b"iinf": 6, b"iref": 4}  # bytes before the first box within
_MOST_FIELDS = 500


@dataclass(frozen=True, slots=True)
class Length:
    """A length that a file tells: where, in how many bytes, and in which order."""

    at: int
    width: int
    big: bool


def mutate(photo: bytes, rng: Random) -> bytes:
    """Damage a photo in one way or in a few; the draws decide all of it."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if photo:
            photo = rng.choice(_WAYS)(photo, rng)
    return photo


def lengths(photo: bytes) -> list[Length]:
    """Find the lengths of a photo's segments, chunks or boxes; as far as they lead to one another."""
    if photo.startswith(b"\xff\xd8"):
        found = _of_segments(photo)
    elif photo.startswith(b"\x89PNG"):
        found = (Length(at, 4, big=True) for at, _ in _chunks(photo, 8, ">"))
    elif photo.startswith(b"RIFF"):
        found = (Length(at, 4, big=False) for at in [4, *(at + 4 for at, _ in _chunks(photo, 12, "<"))])
    else:
        found = _of_boxes(photo, 0, len(photo))
    return [length for length, _ in zip(found, range(_MOST_FIELDS), strict=False)]


def _of_segments(photo: bytes) -> Iterator[Length]:
    at = 2
    while at + 4 <= len(photo) and photo[at] == 0xFF:
        yield Length(at + 2, 2, big=True)
        at += 2 + int.from_bytes(photo[at + 2 : at + 4], "big")


def _chunks(photo: bytes, at: int, order: str) -> Iterator[tuple[int, int]]:
    """List where the chunks of PNG or WebP begin, and how long they say they are."""
    while at + 8 <= len(photo):
        is_png = order == ">"
        (count,) = struct.unpack_from(order + "I", photo, at if is_png else at + 4)
        yield at, count
        at += 8 + count + (4 if is_png else count % 2)


def _of_boxes(photo: bytes, at: int, end: int) -> Iterator[Length]:
    while at + 8 <= end:
        count, kind = struct.unpack_from(">I4s", photo, at)
        yield Length(at, 4, big=True)
        if count < 8:
            return
        if kind in _HEIF_PARENTS:
            yield from _of_boxes(photo, at + 8 + _HEIF_FULL.get(kind, 0), min(at + count, end))
        at += count


def _flip_bits(photo: bytes, rng: Random) -> bytes:
    damaged = bytearray(photo)
    for _ in range(rng.randint(1, 16)):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _flip_bits_of_head(photo: bytes, rng: Random) -> bytes:
    head = min(len(photo), 1024)
    return _flip_bits(photo[:head], rng) + photo[head:]


def _insert(photo: bytes, rng: Random) -> bytes:
    at = rng.randint(0, len(photo))
    more = rng.choice((rng.randbytes(rng.randint(1, _MOST_BYTES)), bytes(_MOST_BYTES), b"\xff" * _MOST_BYTES))
    return photo[:at] + more + photo[at:]


def _delete(photo: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(photo))
    return photo[:at] + photo[at + rng.randint(1, _MOST_BYTES) :]


def _swap_blocks(photo: bytes, rng: Random) -> bytes:
    first, second, third = sorted(rng.randint(0, len(photo)) for _ in range(3))
    return photo[:first] + photo[second:third] + photo[first:second] + photo[third:]


def _repeat_block(photo: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(photo))
    block = photo[at : at + rng.randint(1, 2000)]
    return photo[:at] + block * rng.randint(2, 20) + photo[at:]


def _cut_off(photo: bytes, rng: Random) -> bytes:
    return photo[: rng.randrange(len(photo))]


def _lie_about_length(photo: bytes, rng: Random) -> bytes:
    found = lengths(photo)
    if not found:
        return _flip_bits(photo, rng)
    length = rng.choice(found)
    order: Literal["big", "little"] = "big" if length.big else "little"
    told = int.from_bytes(photo[length.at : length.at + length.width], order)
    most = 256**length.width - 1
    lie = rng.choice((0, 1, 7, told - 1, told + 1, 2 * told, most, most // 2, rng.randint(0, most)))
    return _put(photo, length.at, max(0, min(lie, most)).to_bytes(length.width, order))


def _rename(photo: bytes, rng: Random) -> bytes:
    """Give a segment, a chunk or a box another kind, perhaps that of another one."""
    found = lengths(photo)
    if len(found) < 2:
        return _flip_bits_of_head(photo, rng)
    of, like = rng.choice(found), rng.choice(found)
    if of.width == 2:  # JPEG: the marker stands before the length
        return _put(photo, of.at - 1, rng.choice((bytes([rng.randrange(256)]), photo[like.at - 1 : like.at])))
    shift = 4 if of.big else -4
    return _put(photo, of.at + shift, photo[like.at + shift : like.at + shift + 4])


def _lie_in_png(photo: bytes, rng: Random) -> bytes:
    """Damage a chunk of a PNG and put its checksum right, without which nobody would look at it."""
    chunks = list(_chunks(photo, 8, ">")) if photo.startswith(b"\x89PNG") else []
    whole = [(at, count) for at, count in chunks if 0 < count <= len(photo) - at - 12]
    if not whole:
        return _flip_bits_of_head(photo, rng)
    at, count = rng.choice(whole)
    content = photo[at + 4 : at + 8] + _flip_bits(photo[at + 8 : at + 8 + count], rng)
    return _put(photo, at + 4, content + struct.pack(">I", zlib.crc32(content)))


def _put(photo: bytes, at: int, content: bytes) -> bytes:
    return photo[:at] + content + photo[at + len(content) :]


_WAYS: Sequence[Callable[[bytes, Random], bytes]] = (
    *(_flip_bits, _flip_bits_of_head, _insert, _delete, _swap_blocks, _repeat_block, _cut_off),
    *(_lie_about_length, _lie_about_length, _rename, _lie_in_png),
)
