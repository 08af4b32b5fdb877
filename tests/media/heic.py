"""HEIC files put together box by box, as phones do: a grid of two tiles that a real phone coded.

No package here can write HEVC, and none needs to: what the tests turn, damage and hide things in are the boxes
(ISO/IEC 14496-12 and 23008-12), not the pixels.
"""

import struct
from pathlib import Path

_TILES = Path(__file__).parent.parent / "data" / "photos" / "tiles"
_LEFT, _RIGHT = (_TILES / "left.hevc").read_bytes(), (_TILES / "right.hevc").read_bytes()
_DECODER = (_TILES / "tile.hvcC").read_bytes()
_TILE_PX = 512

WIDTH, HEIGHT = 2 * _TILE_PX, _TILE_PX
"""Size of the photo before it is turned."""

# For each EXIF orientation the boxes that turn a picture the same way: quarter turns to the left, then the mirror
# (0 exchanges top and bottom, 1 left and right), or None.
TURNED: dict[int, tuple[int, int | None]] = {
    1: (0, None),
    2: (0, 1),
    3: (2, None),
    4: (0, 0),
    5: (1, 0),
    6: (3, None),
    7: (1, 1),
    8: (1, None),
}


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full_box(kind: bytes, version: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24), *parts)


def heic(
    orientation: int = 1,
    *,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    kind: bytes = b"grid",
    exif: bytes | None = None,
    xmp: bytes | None = None,
    icc: bytes | None = None,
    name: bytes = b"",
    behind: bytes = b"",
) -> bytes:
    """Put a photo together.

    Args:
        orientation: How it is to be turned, by the boxes, as EXIF counts.
        size: The size that the boxes tell for the whole.
        kind: Type of the primary item.
        exif: EXIF block (from its byte order on).
        xmp: XMP packet.
        icc: Colour profile.
        name: Name of the primary item.
        behind: What follows the last box.
    """
    hidden = [] if exif is None else [(b"Exif", b"", struct.pack(">I", 6) + b"Exif\0\0" + exif)]
    if xmp is not None:
        hidden.append((b"mime", b"application/rdf+xml\0\0", xmp))
    data = [_LEFT, _RIGHT, *(content for _, _, content in hidden)]
    entries = [_entry(1, b"hvc1"), _entry(2, b"hvc1"), _entry(3, kind, name)]
    entries += [_entry(4 + i, item, b"", more) for i, (item, more, _) in enumerate(hidden)]
    described = [_reference(b"cdsc", 4 + i, 3) for i in range(len(hidden))]
    grid = struct.pack(">BBBBHH", 0, 0, 0, 1, *size)  # one row of two tiles
    file_type = box(b"ftyp", b"heic", struct.pack(">I", 0), b"mif1", b"heic")

    def meta(offset: int) -> bytes:
        return full_box(
            b"meta",
            0,
            full_box(b"hdlr", 0, bytes(4), b"pict", bytes(12), b"\0"),
            full_box(b"pitm", 0, struct.pack(">H", 3)),
            full_box(b"iinf", 0, struct.pack(">H", len(entries)), *entries),
            full_box(b"iref", 0, _reference(b"dimg", 3, 1, 2), *described),
            _properties(orientation, size, icc),
            box(b"idat", grid),
            _places(offset, data, len(grid)),
        )

    start = len(file_type) + len(meta(0)) + 8
    return file_type + meta(start) + box(b"mdat", *data) + behind


def _entry(item: int, kind: bytes, name: bytes = b"", more: bytes = b"") -> bytes:
    return full_box(b"infe", 2, struct.pack(">HH", item, 0), kind, name + b"\0", more)


def _reference(kind: bytes, item: int, *others: int) -> bytes:
    return box(kind, struct.pack(f">HH{len(others)}H", item, len(others), *others))


def _properties(orientation: int, size: tuple[int, int], icc: bytes | None) -> bytes:
    turns, mirror = TURNED[orientation]
    of_tile = [box(b"hvcC", _DECODER), full_box(b"ispe", 0, struct.pack(">II", _TILE_PX, _TILE_PX))]
    of_photo = [full_box(b"ispe", 0, struct.pack(">II", *size))]
    if icc is not None:
        of_photo.append(box(b"colr", b"prof", icc))
    if turns:
        of_photo.append(box(b"irot", bytes([turns])))
    if mirror is not None:
        of_photo.append(box(b"imir", bytes([mirror])))
    tile = struct.pack(">BBB", 2, 0x81, 0x02)
    places = range(3, 3 + len(of_photo))
    photo = struct.pack(f">HB{len(of_photo)}B", 3, len(of_photo), *places)
    held = struct.pack(">I", 3) + b"".join([struct.pack(">H", 1) + tile, struct.pack(">H", 2) + tile, photo])
    return box(b"iprp", box(b"ipco", *of_tile, *of_photo), full_box(b"ipma", 0, held))


def _places(offset: int, data: list[bytes], grid_bytes: int) -> bytes:
    """Say where the content of each item lies: of the grid in the box `idat`, of all others in the file."""
    entries = []
    for item, content in zip([1, 2, *range(4, 2 + len(data))], data, strict=True):
        entries.append(struct.pack(">HHHHII", item, 0, 0, 1, offset, len(content)))
        offset += len(content)
    entries.append(struct.pack(">HHHHII", 3, 1, 0, 1, 0, grid_bytes))
    return full_box(b"iloc", 1, b"\x44\x00", struct.pack(">H", len(entries)), *entries)
