"""Photos to send: as heavy as a phone's, each with bytes of its own."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

_COMMENT = b"\xff\xfe"  # JPEG's comment segment: two bytes of length, which count themselves, then text
_START = b"\xff\xd8"
_QUALITIES = range(95, 30, -5)


def draw_photo(width: int, height: int, *, at_most_bytes: int, seed: int) -> bytes:
    """Draw a JPEG with the grain of a camera's picture, in the best quality that fits.

    Raises:
        ValueError: it does not fit in any quality.
    """
    rng = np.random.default_rng(seed)
    shapes = Image.fromarray(rng.integers(256, size=(height // 64, width // 64, 3), dtype=np.uint8))
    smooth = np.asarray(shapes.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    grain = rng.normal(scale=9, size=(height, width, 1)).astype(np.int16)
    picture = Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))
    for quality in _QUALITIES:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality)
        if file.tell() <= at_most_bytes:
            return file.getvalue()
    raise ValueError(f"{width} x {height} pixels do not fit in {at_most_bytes} bytes")


def stamp_photo(jpeg: bytes, stamp: bytes) -> Sequence[bytes]:
    """Give a copy of a JPEG bytes of its own by a comment in its head; the parts share the picture's bytes."""
    return _START, _COMMENT, (len(stamp) + 2).to_bytes(2, "big"), stamp, jpeg[len(_START) :]
