"""The program that decodes one photo, run as a process of its own that may be killed at any moment.

`python -m media.decode FORMAT MAX_PIXELS MEMORY_BYTES CPU_S` reads the photo from its standard input (a file) and
writes the answer to its standard output: four bytes with the length of a JSON object (big-endian), the object, and
the bytes of the `large` and the `small` picture that it announces. `media.derive` is its only caller.

The pictures are painted on a fresh canvas and hold nothing but pixels: no metadata of the original has a way
into them. What is known of the photo besides (place, time, likeness) goes into the JSON object.
"""

import json
import os
import resource
import sys
import warnings
from io import BytesIO
from typing import Any, BinaryIO, Final

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from media.exif import NO_FACTS, Facts, read_facts
from media.outcome import LARGE_PX, MAX_ANSWER_BYTES, SMALL_PX, Rejection

_WHITE: Final = (255, 255, 255)
# WebP at 80 is hard to tell from the original at these sizes. Method 2 takes half the time of the default (4) for one
# per cent more bytes (measured on street photos).
_QUALITY: Final = 80
_METHOD: Final = 2

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ALPHA_MODES: Final = {"RGBA", "LA", "PA"}


class _Jpeg(JpegImageFile):
    """A JPEG whose EXIF block only `media.exif` reads; Pillow would parse it for the density, which is not needed."""

    def _read_dpi_from_exif(self) -> None:
        pass


# The allow-list. The class is named rather than guessed from the content (`Image.open`), so that no other decoder is
# loaded, not even the one for multi-picture JPEG, whose first picture is the photo.
_DECODERS: Final[dict[str, type[ImageFile.ImageFile]]] = {"jpeg": _Jpeg, "png": PngImageFile, "webp": WebPImageFile}


class _TooManyPixels(Exception):
    """The decoder reads a larger size in the file than the header check did."""


def main(image_format: str, max_pixels: str, memory_bytes: str, cpu_s: str) -> None:
    """Decode the photo on standard input and write the answer, within limits that this process sets itself."""
    _limit_resources(memory_bytes=int(memory_bytes), cpu_s=int(cpu_s))
    warnings.simplefilter("ignore")
    source = sys.stdin.buffer
    try:
        answer, pictures = _answer(source, image_format, int(max_pixels))
    except Exception as error:  # noqa: BLE001 - a hostile file makes a parser raise anything; all of it is the file's fault
        answer, pictures = _rejected(error, source, image_format), []
    text = json.dumps(answer).encode()
    sys.stdout.buffer.write(b"".join([len(text).to_bytes(4, "big"), text, *pictures]))


def _limit_resources(*, memory_bytes: int, cpu_s: int) -> None:
    """Bound what the rest of this process may use; the kernel enforces it, whatever the decoders do."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    # SIGXCPU at the soft limit says why; one second later SIGKILL follows.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_ANSWER_BYTES, MAX_ANSWER_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))  # no process of its own (root is not held by this one)
    os.nice(10)  # the processes that answer requests come first


def _answer(source: BinaryIO, image_format: str, max_pixels: int) -> tuple[dict[str, Any], list[bytes]]:
    image = _DECODERS[image_format](source)
    width, height = image.size
    if width * height > max_pixels:
        raise _TooManyPixels
    large_size = _fit(image.size, LARGE_PX)
    # JPEG decodes at a half, quarter or eighth of its size for a fraction of the work; other formats ignore this.
    image.draft(None, large_size)
    image.load()
    facts = _facts(image)  # after load(): PNG may hold them behind its pixels
    large = _paint(image, large_size, facts.orientation)
    small = large.resize(_fit(large.size, SMALL_PX), Image.Resampling.LANCZOS)
    pictures = [_webp(large), _webp(small)]
    answer = {
        "size": [height, width] if facts.orientation >= 5 else [width, height],
        "place": facts.place,
        "taken_at": facts.taken_at.isoformat() if facts.taken_at else None,
        "dhash": _difference_hash(small),
        "pictures": [len(picture) for picture in pictures],
    }
    return answer, pictures


def _fit(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Scale a size down so that its longer side is at most `longest` pixels; never up, never to nothing."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _facts(image: Image.Image) -> Facts:
    block = image.info.get("exif")
    if block is None and isinstance(raw := image.info.get("Raw profile type exif"), str):
        # ImageMagick's way before PNG had a chunk for it: three lines of head, then hexadecimal digits.
        try:
            block = bytes.fromhex("".join(raw.split("\n")[3:]))
        except ValueError:
            return NO_FACTS
    return read_facts(block) if isinstance(block, bytes) else NO_FACTS


def _paint(image: Image.Image, size: tuple[int, int], orientation: int) -> Image.Image:
    """Paint the picture, upright, in sRGB and on white, on a canvas that has never held anything else."""
    icc = image.info.get("icc_profile")
    scaled = _plain(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    if scaled.mode == "I;16":  # 16-bit grey; convert() would clip instead of scale
        scaled = scaled.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if scaled.mode == "RGBA":
        alpha = scaled.getchannel("A")
        scaled = Image.composite(scaled.convert("RGB"), Image.new("RGB", size, _WHITE), alpha)
    in_srgb = _to_srgb(scaled, icc)
    upright = in_srgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else in_srgb
    canvas = Image.new("RGB", upright.size, _WHITE)
    canvas.paste(upright)
    return canvas


def _plain(image: Image.Image) -> Image.Image:
    """Bring palettes, bitmaps and transparency into a mode whose pixels can be averaged."""
    if image.mode in _ALPHA_MODES or ("transparency" in image.info and image.mode in {"1", "L", "P", "RGB"}):
        return image if image.mode == "RGBA" else image.convert("RGBA")
    if image.mode in {"L", "RGB", "CMYK", "I;16"}:
        return image
    return image.convert("RGB")


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Convert by the photo's own colour profile; without one that works, the colours count as sRGB already."""
    if icc:
        from PIL import ImageCms  # noqa: PLC0415 - loaded only for photos that have a profile

        try:
            profile = ImageCms.ImageCmsProfile(BytesIO(icc))
            converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            converted = None  # damaged, or a profile for other colours than these
        if converted is not None:
            return converted
    return image.convert("RGB")


def _webp(canvas: Image.Image) -> bytes:
    out = BytesIO()
    canvas.save(out, "WEBP", quality=_QUALITY, method=_METHOD)
    return out.getvalue()


def _difference_hash(image: Image.Image) -> int:
    """Tell the likeness of a picture in 64 bits: where a pixel is brighter than its left neighbour.

    Eight rows of nine averaged grey values give eight bits each, the first row and leftmost pair highest. Pictures
    that look alike differ in few bits (N. Krawetz, "Kind of Like That", 2013).
    """
    grey = image.convert("L").resize((9, 8), Image.Resampling.BOX).tobytes()
    bits = 0
    for row in range(8):
        for column in range(8):
            left, right = grey[9 * row + column], grey[9 * row + column + 1]
            bits = bits << 1 | (right > left)
    return bits


def _rejected(error: Exception, source: BinaryIO, image_format: str) -> dict[str, Any]:
    return {"rejected": _reason(error, source, image_format), "error": type(error).__name__}


def _reason(error: Exception, source: BinaryIO, image_format: str) -> Rejection:
    if isinstance(error, _TooManyPixels | Image.DecompressionBombError):
        return Rejection.TOO_MANY_PIXELS
    # Pillow's decoders report a failed allocation as an OSError with this text.
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return Rejection.TOO_COMPLEX
    return Rejection.TRUNCATED if _is_cut_off(source, image_format) else Rejection.DAMAGED


def _is_cut_off(source: BinaryIO, image_format: str) -> bool:
    """Tell whether a file that failed to decode lacks its end, so that its sender is told to send it again."""
    byte_size = source.seek(0, 2)
    if image_format == "webp":
        source.seek(4)
        return int.from_bytes(source.read(4), "little") + 8 > byte_size
    source.seek(max(0, byte_size - 65536))
    return (b"IEND" if image_format == "png" else b"\xff\xd9") not in source.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
