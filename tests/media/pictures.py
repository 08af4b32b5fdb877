"""Pictures that the tests paint themselves, and the ways in which files can be wrong."""

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageStat

RED, GREEN, BLUE, YELLOW = (200, 30, 30), (30, 160, 60), (40, 60, 190), (220, 200, 40)


def scene(width: int = 640, height: int = 480) -> Image.Image:
    """Paint a picture that looks different whichever way it is turned: four colours and a mark near the top left."""
    image = Image.new("RGB", (width, height), RED)
    draw = ImageDraw.Draw(image)
    draw.rectangle((width // 2, 0, width, height // 2), fill=GREEN)
    draw.rectangle((0, height // 2, width // 2, height), fill=BLUE)
    draw.rectangle((width // 2, height // 2, width, height), fill=YELLOW)
    draw.ellipse((width // 8, height // 8, width // 4, height // 4), fill=(250, 250, 250))
    return image


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures, in grey values (0 to 255)."""
    assert one.size == other.size
    return sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3


def gradient(width: int, height: int) -> Image.Image:
    """Paint a picture that is large to decode and quick to make."""
    return Image.linear_gradient("L").resize((width, height)).convert("RGB")


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = BytesIO()
    quick = {"JPEG": {"quality": 92}, "WEBP": {"method": 0}}
    image.save(out, kind, **quick.get(kind, {}) | options)
    return out.getvalue()


def orientation_block(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def with_segments(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    """Put segments (marker, payload) right after the start of a JPEG."""
    added = b"".join(struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload for marker, payload in segments)
    return jpeg[:2] + added + jpeg[2:]


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", len(payload), kind) + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png_claiming(width: int, height: int, *, body_bytes: int = 30_000) -> bytes:
    """Make a PNG whose header claims a size that its few bytes of pixels do not bear out."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", b"\0" * body_bytes) + png_chunk(b"IEND", b"")


def webp_chunks(webp: bytes) -> list[bytes]:
    """List the kinds of chunks of a WebP, which must fill it to the last byte."""
    assert webp[:4] == b"RIFF"
    assert webp[8:12] == b"WEBP"
    assert int.from_bytes(webp[4:8], "little") + 8 == len(webp)
    kinds, at = [], 12
    while at < len(webp):
        kind, length = struct.unpack_from("<4sI", webp, at)
        kinds.append(kind)
        at += 8 + length + length % 2
    assert at == len(webp)
    return kinds


def opened(picture: bytes) -> Image.Image:
    return Image.open(BytesIO(picture)).convert("RGB")
