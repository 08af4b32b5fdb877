"""What the making safe of a photo comes to: the sizes of its pictures, or the reason for which there are none."""

from enum import StrEnum
from typing import Final

LARGE_PX: Final = 1600
"""Longest side of the large picture in pixels."""
SMALL_PX: Final = 400
"""Longest side of the small picture in pixels."""
MAX_ANSWER_BYTES: Final = 16 << 20
"""Most bytes that the decoder writes. Both pictures of a real photo take half a megabyte, of pure noise a few."""


class Rejection(StrEnum):
    """The reason for which a photo was rejected after receipt; `api` has the words for the resident."""

    TRUNCATED = "truncated"
    """The file ends before its picture does: an upload or a copy was cut off."""
    DAMAGED = "damaged"
    """The pixels cannot be decoded, though the file is whole."""
    NOT_AN_IMAGE = "not_an_image"
    """The content is not a still JPEG, PNG, WebP or HEIC."""
    TOO_MANY_PIXELS = "too_many_pixels"
    """More pixels than are accepted."""
    TOO_COMPLEX = "too_complex"
    """Decoding took more memory or computing time than a photo ever needs, or never came to an end."""
