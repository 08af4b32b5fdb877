"""The decoding of one photo: from hostile bytes to pictures that hold nothing but pixels.

Runs in a process that may be killed at any moment (`media.darkroom`). The pictures are painted on a fresh canvas: no
metadata of the original has a way into them. What is known of the photo besides (place, time, likeness) is
answered beside them.
"""

import json
from io import BytesIO
from typing import Any, BinaryIO, Final

import pi_heif
from PIL import Image, ImageCms, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from media import boxes
from media.exif import NO_FACTS, Facts, read_facts
from media.outcome import LARGE_PX, SMALL_PX, Rejection

_WHITE: Final = (255, 255, 255)
# WebP at 80 is hard to tell from the original at these sizes. Method 2 takes half the time of the default (4) for one
# per cent more bytes (measured on street photos).
WEBP_QUALITY: Final = 80
WEBP_METHOD: Final = 2
# Averages whole blocks of pixels first, as the scaled decode of JPEG does, and leaves less than a halving to Lanczos:
# a fraction of the work, and no difference that would be seen (`make bench-photos` measures both).
_REDUCING_GAP: Final = 1.0

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ALPHA_MODES: Final = {"RGBA", "RGBa", "LA", "PA"}
_OUT_OF_MEMORY: Final = ("out of memory", "memory allocation", "memory limit")


class _Jpeg(JpegImageFile):
    """A JPEG whose EXIF block only `media.exif` reads; Pillow would parse it for the density, which is not needed."""

    def _read_dpi_from_exif(self) -> None:
        pass


class _WebP(WebPImageFile):
    """A WebP whose decoder is let go once it has its picture: it holds the whole canvas twice more."""

    def _get_next(self) -> tuple[bytes, int, int]:
        picture = super()._get_next()
        del self._decoder
        return picture


# The allow-list. The class is named rather than guessed from the content (`Image.open`), so that no other decoder is
# loaded, not even the one for multi-picture JPEG, whose first picture is the photo.
_DECODERS: Final[dict[str, type[ImageFile.ImageFile]]] = {"jpeg": _Jpeg, "png": PngImageFile, "webp": _WebP}


class _TooManyPixels(Exception):
    """The decoder reads a larger size in the file than the header check did."""


def prepare() -> None:
    """Load what decoding needs, once for all the processes that are forked afterwards."""
    Image.preinit()  # Pillow would do it at the first picture that is written, when no file can be opened any more
    ImageCms.createProfile("sRGB")
    # The photo alone is decoded. Its tiles one after the other: other photos have the other processors.
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    pi_heif.options.DECODE_THREADS = 1


def decode_photo(source: BinaryIO, image_format: str, *, max_pixels: int) -> bytes:
    """Decode a photo and write the answer for `media.derive`.

    The answer is four bytes with the length of a JSON object (big-endian), the object, and the bytes of the `large`
    and the `small` picture that it announces.

    Args:
        source: Seekable file of the photo.
        image_format: One of the formats of `media.headers`; nothing else is tried.
        max_pixels: Most pixels (width x height) of the photo.

    Raises:
        ImportError, PermissionError: this process lacks something; the photo is not the cause.
    """
    source.seek(0)
    try:
        answer, pictures = _answer(source, image_format, max_pixels)
    except (ImportError, PermissionError):
        raise
    except Exception as error:  # noqa: BLE001 - a hostile file makes a parser raise anything; all of it is the file's fault
        answer, pictures = _rejected(error, source, image_format), []
    text = json.dumps(answer).encode()
    return b"".join([len(text).to_bytes(4, "big"), text, *pictures])


def _answer(source: BinaryIO, image_format: str, max_pixels: int) -> tuple[dict[str, Any], list[bytes]]:
    image = _open_heic(source, max_pixels) if image_format == "heic" else _open(source, image_format, max_pixels)
    # The size as it is in the file; a scaled decode has fewer pixels.
    width, height = image.size
    large_size = _fit(image.size, LARGE_PX)
    # JPEG decodes at a half, quarter or eighth of its size for a fraction of the work; other formats ignore this.
    image.draft(None, large_size)
    image.load()
    facts = _facts(image, image_format)  # after load(): PNG may hold them behind its pixels
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


def _open(source: BinaryIO, image_format: str, max_pixels: int) -> ImageFile.ImageFile:
    image = _DECODERS[image_format](source)
    _check_size(image.size, max_pixels)
    return image


def _open_heic(source: BinaryIO, max_pixels: int) -> Image.Image:
    """Decode the photo of a HEIF file; libheif turns and mirrors it as its `irot` and `imir` say."""
    if boxes.is_cut_off(source):  # libheif would leave grey what is missing
        raise EOFError
    source.seek(0)
    file = pi_heif.open_heif(source)
    photo = next(photo for photo in file if photo.info["primary"])  # it leaves out one that it cannot read
    _check_size(photo.size, max_pixels)
    photo.load()
    image = Image.frombytes(photo.mode, photo.size, photo.data, "raw", photo.mode, photo.stride)
    image.info = {name: photo.info[name] for name in ("exif", "icc_profile") if photo.info.get(name)}
    return image


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise _TooManyPixels


def _fit(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """Scale a size down so that its longer side is at most `longest` pixels; never up, never to nothing."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _facts(image: Image.Image, image_format: str) -> Facts:
    facts = _told_facts(image)
    # In HEIF the turning is a property of the picture and already done; EXIF repeats it for information only
    # (ISO/IEC 23008-12, annex A), and a photo that is turned twice lies on its side.
    return facts._replace(orientation=1) if image_format == "heic" else facts


def _told_facts(image: Image.Image) -> Facts:
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
    plain = _plain(image)
    gap = None if plain.mode == "I;16" else _REDUCING_GAP  # Pillow has no block average for 16-bit grey
    scaled = plain.resize(size, Image.Resampling.LANCZOS, reducing_gap=gap)
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
    canvas.save(out, "WEBP", quality=WEBP_QUALITY, method=WEBP_METHOD)
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
    # The decoders of Pillow and libheif report a failed allocation as other errors with these texts.
    if isinstance(error, MemoryError) or any(text in str(error).lower() for text in _OUT_OF_MEMORY):
        return Rejection.TOO_COMPLEX
    return Rejection.TRUNCATED if _is_cut_off(source, image_format) else Rejection.DAMAGED


def _is_cut_off(source: BinaryIO, image_format: str) -> bool:
    """Tell whether a file that failed to decode lacks its end, so that its sender is told to send it again."""
    if image_format == "heic":
        return boxes.is_cut_off(source)
    source.seek(0)
    data = source.read()
    if image_format == "webp":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    if image_format == "png":
        return b"IEND" not in data
    return b"\xff\xd9" not in data[_jpeg_pixels_at(data) :]


def _jpeg_pixels_at(data: bytes) -> int:
    """Find where the pixels of a JPEG begin: before them, thumbnails have ends of their own."""
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at
