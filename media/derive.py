"""Making a photo safe: its decoding in a process of its own, and a judgement of what comes out of it."""

import asyncio
import json
import math
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, BinaryIO, Final

from media.exif import TakenPlace
from media.headers import (
    MAX_PIXELS,
    BrokenImageHeader,
    EmptyPhoto,
    ImageFormat,
    ImageHeader,
    TooManyPixels,
    UnsupportedImage,
    read_header,
)
from media.outcome import LARGE_PX, MAX_ANSWER_BYTES, SMALL_PX, Rejection

_PACKAGE_ROOT: Final = Path(__file__).resolve().parent.parent
# How a decoder library dies of a file that it cannot cope with. SIGKILL is not among them: it comes from outside (an
# operator, a machine out of memory), and says nothing about the photo.
_CRASHES: Final = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What the decoding of one photo may use.

    Attributes:
        max_pixels: Most pixels (width x height) of the original.
        memory_bytes: Address space of the process; 60 megapixels need up to 1 GB as WebP, 0.6 GB as PNG.
        cpu_s: Computing time in seconds; 60 megapixels need about three.
        wall_s: Time in seconds after which the process is given up, which only a stalled machine reaches.
    """

    max_pixels: int = MAX_PIXELS
    memory_bytes: int = 1 << 30
    cpu_s: int = 10
    wall_s: float = 60.0


DEFAULT_LIMITS: Final = DecodeLimits()


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


async def make_safe(original: Path, *, limits: DecodeLimits = DEFAULT_LIMITS) -> Derivatives | Rejected:
    """Decode a photo in a process of its own and derive pictures that hold nothing but pixels.

    The process has bounded memory and computing time, a temporary folder of its own, no inherited file or
    secret, and is killed when this call is cancelled. A photo's header is checked again first.

    Args:
        original: File of the photo as received.
        limits: What the decoding may use.

    Raises:
        DecoderFailed: no answer, for no fault of the photo.
        OSError: the file cannot be read.
    """
    try:
        header = await asyncio.to_thread(_header_of, original, limits.max_pixels)
    except TooManyPixels:
        return Rejected(Rejection.TOO_MANY_PIXELS)
    except BrokenImageHeader:
        return Rejected(Rejection.DAMAGED)
    except (EmptyPhoto, UnsupportedImage):
        return Rejected(Rejection.NOT_AN_IMAGE)
    with TemporaryDirectory(prefix="jalon-photo-") as folder, original.open("rb") as source:
        run = await _run_decoder(source, header.format, folder=folder, limits=limits)
    return _judge(run)


def _header_of(original: Path, max_pixels: int) -> ImageHeader:
    with original.open("rb") as file:
        return read_header(file, max_pixels=max_pixels)


@dataclass(frozen=True, slots=True)
class _Run:
    status: int  # exit status; negative: the signal it died of
    answer: bytes
    complaint: bytes  # what it wrote to standard error


async def _run_decoder(source: BinaryIO, image_format: ImageFormat, *, folder: str, limits: DecodeLimits) -> _Run:
    numbers = (limits.max_pixels, limits.memory_bytes, limits.cpu_s)
    # Files rather than pipes: the decoder cannot block on them, nothing needs reading while it runs, and the kernel
    # bounds their size.
    with TemporaryFile(dir=folder) as answer, TemporaryFile(dir=folder) as complaint:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-s", "-m", "media.decode", image_format.value, *map(str, numbers)),
            stdin=source,
            stdout=answer,
            stderr=complaint,
            cwd=folder,
            env={"PYTHONPATH": str(_PACKAGE_ROOT), "TMPDIR": folder, "LC_ALL": "C.UTF-8"},
            start_new_session=True,  # Ctrl-C in a terminal is for the worker, which finishes its photo
        )
        try:
            status = await asyncio.wait_for(process.wait(), limits.wall_s)
        except TimeoutError:
            raise DecoderFailed(f"no answer in {limits.wall_s} s") from None
        finally:
            if process.returncode is None:
                await _kill(process)
        return _Run(status, _written(answer, MAX_ANSWER_BYTES), _written(complaint, MAX_ANSWER_BYTES))


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End a decoder, with whatever it may have started: its session is a process group of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _written(file: IO[bytes], limit_bytes: int) -> bytes:
    file.seek(0)
    data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise DecoderFailed(f"more than {limit_bytes} bytes of output")
    return data


def _judge(run: _Run) -> Derivatives | Rejected:
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
