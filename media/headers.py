"""What an image file says it is, read from its first bytes without decoding any pixel.

The name and the declared type of an upload are never looked at. Only the headers are read, with a bound on the
work, so that this may run in the process that serves requests; everything beyond happens in `media.decode`.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Final

from media.boxes import BrokenBoxes, NotHevc, primary_size

MAX_PIXELS: Final = 60_000_000
"""Most pixels (width x height) that a photo may declare: 60 megapixels."""

# A real photo has some tens of segments or chunks before its pixels, a panorama with extended XMP some hundreds.
# The bound keeps a file made of empty segments from holding a thread for seconds.
_MAX_STEPS: Final = 4096

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_DEPTHS: Final = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}

# Start-of-frame markers: baseline, extended sequential and progressive Huffman, which is what cameras write.
_JPEG_FRAMES: Final = {0xC0, 0xC1, 0xC2}
# The other processes of ITU-T T.81 (lossless, hierarchical, arithmetic). 0xC4, 0xC8 and 0xCC are no frames.
_JPEG_RARE_FRAMES: Final = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_JPEG_WITHOUT_LENGTH: Final = {0x01, *range(0xD0, 0xD8)}

_KNOWN_STARTS: Final = (
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"\0\0\1\0", "ico"),
    (b"8BPS", "psd"),
    (b"%PDF", "pdf"),
    (b"PK\3\4", "zip"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL ", "jxl"),
    (b"\0\0\0\x0cjP  ", "jp2"),
)
_HEIF_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"MiHE"}
_AVIF_BRANDS: Final = {b"avif", b"avis"}
_START_BYTES: Final = 64


class ImageFormat(StrEnum):
    """The formats that are accepted, by content."""

    JPEG = "jpeg"
    PNG = "png"
    WEBP = "webp"
    HEIC = "heic"

    @property
    def content_type(self) -> str:
        """The media type under which bytes of this format are kept."""
        return f"image/{self.value}"


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a header declares: the format, and the stored size in pixels (before any EXIF rotation)."""

    format: ImageFormat
    width: int
    height: int


class EmptyPhoto(Exception):
    """The upload has no bytes."""


class UnsupportedImage(Exception):
    """The content is not a still JPEG, PNG, WebP or HEIC.

    Attributes:
        found: What the content seems to be (`tiff`, `gif`, `avif`, `animated-webp`, ...), or `None` if unknown.
    """

    def __init__(self, found: str | None) -> None:
        super().__init__(found)
        self.found = found


class BrokenImageHeader(Exception):
    """The content starts as an accepted format, but its header is cut off or contradicts the format.

    Attributes:
        format: The format that the content starts as.
    """

    def __init__(self, image_format: ImageFormat) -> None:
        super().__init__(image_format)
        self.format = image_format


class TooManyPixels(Exception):
    """The header declares more pixels than are accepted.

    Attributes:
        width: Declared width in pixels.
        height: Declared height in pixels.
        limit: Most pixels accepted.
    """

    def __init__(self, width: int, height: int, limit: int) -> None:
        super().__init__(width, height, limit)
        self.width = width
        self.height = height
        self.limit = limit


def read_header(file: BinaryIO, *, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Tell the format and declared size of an image from its first bytes.

    Reads only headers: segments and chunks before the pixels are skipped by seeking, however large they are.

    Args:
        file: Seekable file of the whole upload, read from its start; left at an unspecified position.
        max_pixels: Most pixels (width x height) accepted.

    Raises:
        EmptyPhoto: there are no bytes.
        UnsupportedImage: not an accepted format by content, or an animation.
        BrokenImageHeader: an accepted format whose header cannot be read.
        TooManyPixels: the header declares more than `max_pixels`.
    """
    file.seek(0)
    start = file.read(_START_BYTES)
    if not start:
        raise EmptyPhoto
    image_format, read = _reader_for(start)
    file.seek(0)
    try:
        width, height = read(file)
    except _Broken:
        raise BrokenImageHeader(image_format) from None
    if width == 0 or height == 0:
        raise BrokenImageHeader(image_format)
    if width * height > max_pixels:
        raise TooManyPixels(width, height, max_pixels)
    return ImageHeader(image_format, width, height)


class _Broken(Exception):
    """A header cannot be followed further; becomes `BrokenImageHeader` where the format is known."""


_Size = tuple[int, int]  # width, height in pixels


def _reader_for(start: bytes) -> tuple[ImageFormat, Callable[[BinaryIO], _Size]]:
    if start.startswith(b"\xff\xd8\xff"):
        return ImageFormat.JPEG, _jpeg_size
    if start.startswith(_PNG_SIGNATURE):
        return ImageFormat.PNG, _png_size
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return ImageFormat.WEBP, _webp_size
    if _HEIF_BRANDS & _brands(start) and start[8:12] not in _AVIF_BRANDS:
        return ImageFormat.HEIC, _heic_size
    raise UnsupportedImage(_name_of(start))


def _name_of(start: bytes) -> str | None:
    """Name the well-known kind of file that starts like this, so that the sender can be told; else `None`."""
    if brands := _brands(start):
        return "avif" if brands & _AVIF_BRANDS else "mp4"
    return next((name for prefix, name in _KNOWN_STARTS if start.startswith(prefix)), None)


def _brands(start: bytes) -> set[bytes]:
    """List what an ISO base media file says it is, first its main brand; empty if it is no such file."""
    if start[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(start[:4], "big"), len(start))
    return {start[8:12], *(start[at : at + 4] for at in range(16, end - 3, 4))}


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise _Broken
    return data


def _jpeg_size(file: BinaryIO) -> _Size:
    """Walk the segments up to the frame header (ITU-T T.81, annex B); metadata before it may be of any size."""
    file.seek(2)
    for _ in range(_MAX_STEPS):
        marker = _next_jpeg_marker(file)
        if marker in _JPEG_WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack(">H", _exactly(file, 2))
        if marker in _JPEG_FRAMES:
            return _jpeg_frame_size(_exactly(file, 6))
        if marker in _JPEG_RARE_FRAMES:
            raise UnsupportedImage("rare-jpeg")
        # Pixels (start of scan) or the end before any frame header: nothing to decode them with.
        if marker in (0xD8, 0xD9, 0xDA) or length < 2:
            raise _Broken
        file.seek(length - 2, 1)
    raise _Broken


def _next_jpeg_marker(file: BinaryIO) -> int:
    """Find the next marker code; as decoders do, stray bytes and padding between segments are passed over."""
    after_ff = False
    for _ in range(_MAX_STEPS):
        byte = _exactly(file, 1)[0]
        if after_ff and byte not in (0x00, 0xFF):
            return byte
        after_ff = byte == 0xFF
    raise _Broken


def _jpeg_frame_size(frame: bytes) -> _Size:
    precision, height, width, components = struct.unpack(">BHHB", frame)
    if precision != 8 or components not in (1, 3, 4):
        raise UnsupportedImage("rare-jpeg")
    # A height of 0 means "told after the first scan" (DNL), which no camera writes: refused as broken.
    return width, height


def _png_size(file: BinaryIO) -> _Size:
    """Read IHDR, then look for an animation (acTL) among the chunks before the pixels (PNG third edition)."""
    file.seek(len(_PNG_SIGNATURE))
    head = _exactly(file, 25)
    length, kind, width, height, depth, colour, _, _, interlace, checksum = struct.unpack(">I4sIIBBBBBI", head)
    if (length, kind) != (13, b"IHDR") or zlib.crc32(head[4:21]) != checksum:
        raise _Broken
    if depth not in _PNG_COLOUR_DEPTHS.get(colour, ()) or interlace > 1:
        raise _Broken
    for _ in range(_MAX_STEPS):
        length, kind = struct.unpack(">I4s", _exactly(file, 8))
        if kind == b"IDAT":
            return width, height
        if kind == b"acTL":
            raise UnsupportedImage("animated-png")
        file.seek(length + 4, 1)
    raise _Broken


def _webp_size(file: BinaryIO) -> _Size:
    """Read the first chunk, which holds the size in each of the three layouts (RFC 9649)."""
    head = _exactly(file, 30)
    kind, payload = head[12:16], head[20:]
    if kind == b"VP8 ":
        if payload[3:6] != b"\x9d\x01\x2a":
            raise _Broken
        width, height = struct.unpack("<HH", payload[6:10])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        if payload[0] != 0x2F:
            raise _Broken
        bits = int.from_bytes(payload[1:5], "little")
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if kind == b"VP8X":
        if payload[0] & 0x02:
            raise UnsupportedImage("animated-webp")
        return int.from_bytes(payload[4:7], "little") + 1, int.from_bytes(payload[7:10], "little") + 1
    raise _Broken


def _heic_size(file: BinaryIO) -> _Size:
    try:
        return primary_size(file)
    except BrokenBoxes:
        raise _Broken from None
    except NotHevc as error:
        raise UnsupportedImage("avif" if error.kind == "av01" else "rare-heif") from None
