"""The size that a HEIF photo declares, read from the boxes before its pixels (ISO/IEC 14496-12 and 23008-12).

A small reader of its own, because the boxes are hostile input: it looks at the few it needs, reads each once, and
stops after a bounded number.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

# A phone's photo has some 50 tiles, each with an entry; its `meta` box takes some kilobytes.
_MAX_BOXES: Final = 4096
_MAX_META_BYTES: Final = 1 << 20
_MAX_FILE_BYTES: Final = 1 << 40
_STILL_KINDS: Final = {b"hvc1", b"grid", b"iden", b"iovl"}
# What phones put on the top level of a photo. Anything else behind them may be no box at all, which no reader minds.
_TOP_KINDS: Final = {b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"uuid", b"mpvd"}


class BrokenBoxes(Exception):
    """The boxes are cut off, contradict each other, or do not lead to a size."""


class NotHevc(Exception):
    """The photo is coded by something else than HEVC.

    Attributes:
        kind: Type of the primary item, four characters, such as `av01`.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def primary_size(file: BinaryIO) -> tuple[int, int]:
    """Tell width and height in pixels of the photo of a HEIF file: its primary item, before any rotation.

    Args:
        file: Seekable file, read from its start; left at an unspecified position.

    Raises:
        BrokenBoxes: no size is to be found.
        NotHevc: the photo is of a kind that is not decoded here.
    """
    boxes = _parts(_meta(file), at=4)
    photo = _number(boxes.get(b"pitm", b""), at=4, is_long=_version(boxes.get(b"pitm", b"")) > 0)
    kind = _kind_of(photo, boxes.get(b"iinf", b""))
    if kind not in _STILL_KINDS:
        raise NotHevc(kind.decode("ascii", "replace"))
    properties = _parts(boxes.get(b"iprp", b""))
    held = _properties_of(photo, properties.get(b"ipma", b""), properties.get(b"ipco", b""))
    size = next((content for name, content in held if name == b"ispe"), b"")
    return _number(size, at=4, is_long=True), _number(size, at=8, is_long=True)


def is_cut_off(file: BinaryIO) -> bool:
    """Tell whether a file ends before the last of its boxes does."""
    byte_size = file.seek(0, 2)
    return any(kind in _TOP_KINDS and end > byte_size for kind, _, end in _top_boxes(file))


def _meta(file: BinaryIO) -> bytes:
    """Read the content of the first `meta` box on the top level."""
    for kind, start, end in _top_boxes(file):
        if kind == b"meta":
            return _exactly(file, start, end - start)
    raise BrokenBoxes


def _top_boxes(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """List the boxes of a file: kind, where the content starts, and where it says that it ends."""
    at = 0
    for _ in range(_MAX_BOXES):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        length, kind = struct.unpack_from(">I4s", head)
        skipped = 8
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
            skipped = 16
        if not skipped <= length < _MAX_FILE_BYTES:  # 0, "to the end of the file", is of the last box, with the pixels
            return
        yield kind, at + skipped, at + length
        at += length


def _exactly(file: BinaryIO, at: int, count: int) -> bytes:
    if count > _MAX_META_BYTES:
        raise BrokenBoxes
    file.seek(at)
    data = file.read(count)
    if len(data) < count:
        raise BrokenBoxes
    return data


def _boxes(data: bytes, at: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """List the boxes in a box: kind and content of each."""
    for _ in range(_MAX_BOXES):
        if at == len(data):
            return
        if at + 8 > len(data):
            raise BrokenBoxes
        length, kind = struct.unpack_from(">I4s", data, at)
        if length < 8 or at + length > len(data):
            raise BrokenBoxes
        yield kind, data[at + 8 : at + length]
        at += length
    raise BrokenBoxes


def _parts(data: bytes, at: int = 0) -> dict[bytes, bytes]:
    """Name the boxes in a box by their kinds; there is one of each of those that are looked for."""
    return dict(_boxes(data, at))


def _version(data: bytes) -> int:
    return data[0] if data else 0


def _number(data: bytes, at: int, *, is_long: bool) -> int:
    width = 4 if is_long else 2
    if at + width > len(data):
        raise BrokenBoxes
    return int.from_bytes(data[at : at + width], "big")


def _kind_of(item: int, iinf: bytes) -> bytes:
    """Find the type of an item in the list of them."""
    for kind, entry in _boxes(iinf, at=8 if _version(iinf) > 0 else 6):
        if kind != b"infe" or _version(entry) < 2:
            continue
        is_long = _version(entry) > 2
        if _number(entry, at=4, is_long=is_long) == item:
            at = 10 if is_long else 8
            return entry[at : at + 4]
    raise BrokenBoxes


def _properties_of(item: int, ipma: bytes, ipco: bytes) -> list[tuple[bytes, bytes]]:
    """List the properties of an item: kind and content of each, in their order."""
    known = list(_boxes(ipco))
    has_long_ids, has_long_indexes = _version(ipma) > 0, bool(ipma[3:4] and ipma[3] & 1)
    width = 2 if has_long_indexes else 1
    at = 8
    for _ in range(min(_number(ipma, at=4, is_long=True), _MAX_BOXES)):
        holder = _number(ipma, at, is_long=has_long_ids)
        at += 4 if has_long_ids else 2
        if at >= len(ipma):
            raise BrokenBoxes
        count, at = ipma[at], at + 1
        indexes = [int.from_bytes(ipma[at + width * i : at + width * i + width], "big") for i in range(count)]
        at += width * count
        if holder == item:
            # The highest bit says whether a reader must know the property; the rest counts from one.
            places = [index & (0x7FFF if has_long_indexes else 0x7F) for index in indexes]
            return [known[place - 1] for place in places if 0 < place <= len(known)]
    raise BrokenBoxes
