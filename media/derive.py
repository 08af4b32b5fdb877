"""What is made of a photo, and the judgement of what comes out of the process that decoded it."""

import json
import math
import os
import signal
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, Final

from media.exif import TakenPlace
from media.headers import (
    BrokenImageHeader,
    EmptyPhoto,
    TooManyPixels,
    UnsupportedImage,
    read_header,
)
from media.outcome import LARGE_PX, SMALL_PX, Rejection

# How a decoder library dies of a file that it cannot cope with. SIGKILL is not among them: it comes from outside (an
# operator, a machine out of memory), and says nothing about the photo.
_CRASHES: Final = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}


@dataclass(frozen=True, slots=True)
class Derivatives:
    """What was made of a photo.

    Attributes:
        width: Width of the upright original in pixels.
        height: Height of the upright original in pixels.
        place: Where the original says it was taken; a private fact.
        taken_at: When the original says it was taken (UTC); a private fact.
        dhash: Difference hash of the picture, 64 bits unsigned.
        large: WebP without metadata, longest side at most 1600 px.
        small: WebP without metadata, longest side at most 400 px.
    """

    width: int
    height: int
    place: TakenPlace | None
    taken_at: datetime | None
    dhash: int
    large: bytes
    small: bytes


@dataclass(frozen=True, slots=True)
class Rejected:
    """A photo of which nothing can be made, the reason, and what the decoder raised (for the log)."""

    reason: Rejection
    error: str | None = None


class DecoderFailed(Exception):
    """The decoder gave no answer, and the photo is not known to be the cause: to be tried again.

    Attributes:
        why: What happened, for the log.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Run:
    """How the decoding of one photo ended.

    Attributes:
        status: Exit status of the process; negative: the signal it died of.
        answer: What it wrote as its answer.
        complaint: What it wrote to standard error.
        cpu_s: Computing time in seconds.
        peak_bytes: Most memory that it had at once.
    """

    status: int
    answer: bytes
    complaint: bytes
    cpu_s: float = 0.0
    peak_bytes: int = 0


def judge(run: Run) -> Derivatives | Rejected:
    """Tell what the decoding of a photo came to.

    Raises:
        DecoderFailed: it says nothing about the photo, or something that was not agreed.
    """
    if run.status == -signal.SIGALRM:
        raise DecoderFailed("no answer in time")
    if run.status == -signal.SIGXCPU:
        return Rejected(Rejection.TOO_COMPLEX, "SIGXCPU")
    if -run.status in _CRASHES:
        return Rejected(Rejection.DAMAGED, signal.Signals(-run.status).name)
    if run.status != os.EX_OK:
        raise DecoderFailed(f"exit status {run.status}: {run.complaint[-500:].decode(errors='replace')}")
    try:
        return _read_answer(run.answer)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise DecoderFailed(f"no valid answer: {error!r}") from error


def _read_answer(data: bytes) -> Derivatives | Rejected:
    """Read what the decoder wrote, trusting none of it: a photo may have taken the process over."""
    start = 4 + int.from_bytes(data[:4], "big")
    answer = json.loads(data[4:start])
    if "rejected" in answer:
        return Rejected(Rejection(answer["rejected"]), str(answer["error"])[:100])
    large_bytes, small_bytes = answer["pictures"]
    large, small = data[start : start + large_bytes], data[start + large_bytes :]
    if len(small) != small_bytes:
        raise ValueError("pictures are not as long as announced")
    _check_picture(large, LARGE_PX)
    _check_picture(small, SMALL_PX)
    width, height = map(int, answer["size"])
    return Derivatives(
        width, height, _place(answer["place"]), _moment(answer["taken_at"]), int(answer["dhash"]), large, small
    )


def _check_picture(picture: bytes, longest: int) -> None:
    """Hold a derivative to its promise: a single chunk of lossy WebP, no larger than asked for."""
    try:
        header = read_header(BytesIO(picture))
    except (EmptyPhoto, UnsupportedImage, BrokenImageHeader, TooManyPixels) as error:
        raise ValueError("not a picture") from error
    chunk_bytes = int.from_bytes(picture[16:20], "little")
    is_bare = picture[12:16] == b"VP8 " and len(picture) == 20 + chunk_bytes + chunk_bytes % 2
    if not is_bare or max(header.width, header.height) > longest:
        raise ValueError("not the kind of picture asked for")


def _place(told: Any) -> TakenPlace | None:
    if told is None:
        return None
    lon, lat = float(told[0]), float(told[1])
    accuracy_m = None if told[2] is None else float(told[2])
    if not (abs(lon) <= 180 and abs(lat) <= 90 and math.isfinite(accuracy_m or 0)):
        raise ValueError("no place on earth")
    return TakenPlace(lon, lat, accuracy_m)


def _moment(told: Any) -> datetime | None:
    if told is None:
        return None
    moment = datetime.fromisoformat(told)
    if moment.tzinfo is None:
        raise ValueError("a time without its offset")
    return moment
