"""The processes that photos are decoded in: how many, within which limits, and how they end."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, Final

from media.derive import DecoderFailed, Derivatives, Rejected, Run, judge
from media.folders import OwnFolder
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
from media.outcome import MAX_ANSWER_BYTES, Rejection

_PACKAGE_ROOT: Final = Path(__file__).resolve().parent.parent
# How much longer than a photo's own process the one that started it waits.
_PATIENCE_S: Final = 10


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What the decoding of one photo may use.

    Attributes:
        max_pixels: Most pixels (width x height) of the original.
        memory_bytes: Address space of the process; 60 megapixels need up to 1 GB as WebP, 0.6 GB as PNG.
        cpu_s: Computing time in seconds; 60 megapixels need about three.
        wall_s: Time in seconds after which the process ends itself, which only a stalled machine reaches.
    """

    max_pixels: int = MAX_PIXELS
    memory_bytes: int = 1 << 30
    cpu_s: int = 10
    wall_s: int = 60


DEFAULT_LIMITS: Final = DecodeLimits()


class Decoders:
    """Makes photos safe, at most so many at once; each in a process of its own that knows nothing but its pixels.

    A decoding process has bounded memory and computing time, no inherited file or secret, and is confined
    (`media.confine`) where the kernel can do that. The programs that they are forked from (`media.darkroom`) are
    started when first needed and end with `close`.
    """

    def __init__(self, *, at_once: int, limits: DecodeLimits = DEFAULT_LIMITS, program: str = "media.darkroom") -> None:
        """Say what decoding may use; nothing is started yet.

        Args:
            at_once: Most photos decoded at the same time; others wait.
            limits: What the decoding of each may use.
            program: The module that decodes.
        """
        self.limits = limits
        self._program = program
        self._free = asyncio.Semaphore(at_once)
        self._idle: list[_Darkroom] = []

    async def make_safe(self, original: Path) -> Derivatives | Rejected:
        """Decode a photo and derive pictures that hold nothing but pixels.

        The photo's header is checked again first. A call that is cancelled leaves no process behind.

        Args:
            original: File of the photo as received.

        Raises:
            DecoderFailed: no answer, for no fault of the photo that is known.
            OSError: the file cannot be read.
        """
        try:
            header = await asyncio.to_thread(_header_of, original, self.limits.max_pixels)
        except TooManyPixels:
            return Rejected(Rejection.TOO_MANY_PIXELS)
        except BrokenImageHeader:
            return Rejected(Rejection.DAMAGED)
        except (EmptyPhoto, UnsupportedImage):
            return Rejected(Rejection.NOT_AN_IMAGE)
        with original.open("rb") as source:
            return judge(await self._run(source, header.format))

    async def why_unconfined(self) -> str | None:
        """Tell what keeps the kernel from confining decoders here; `None` where they are confined.

        Raises:
            DecoderFailed: no decoder could be started.
        """
        async with self._free:
            darkroom = await self._take()
            self._idle.append(darkroom)
            return darkroom.unconfined

    def close(self) -> None:
        """End the programs; no call may be running."""
        while self._idle:
            self._idle.pop().kill()

    async def _run(self, source: BinaryIO, image_format: ImageFormat) -> Run:
        async with self._free:
            darkroom = await self._take()
            is_well = False
            try:
                run = await darkroom.run(source, image_format)
                is_well = True
            finally:
                # One that was left in the middle of a photo is ended, with all that it has forked.
                if is_well:
                    self._idle.append(darkroom)
                else:
                    darkroom.kill()
        return run

    async def _take(self) -> "_Darkroom":
        if self._idle:
            return self._idle.pop()
        darkroom = _start(self._program, self.limits)
        try:
            darkroom.unconfined = (await darkroom.hear())["unconfined"]
        except BaseException:
            darkroom.kill()
            raise
        return darkroom


def _header_of(original: Path, max_pixels: int) -> ImageHeader:
    with original.open("rb") as file:
        return read_header(file, max_pixels=max_pixels)


class _Darkroom:
    """A running `media.darkroom`, which decodes one photo at a time."""

    def __init__(self, process: "subprocess.Popen[bytes]", line: socket.socket, folder: OwnFolder, wall_s: int) -> None:
        self._process = process
        self._line = line
        self._folder = folder
        self._wall_s = wall_s
        self.unconfined: str | None = None

    async def hear(self) -> Any:
        """Wait for what the program has to say next.

        Raises:
            DecoderFailed: it is gone, or says nothing for longer than any photo takes.
        """
        loop = asyncio.get_running_loop()
        try:
            message = await asyncio.wait_for(loop.sock_recv(self._line, 4096), self._wall_s + _PATIENCE_S)
        except TimeoutError:
            raise DecoderFailed(f"no answer in {self._wall_s + _PATIENCE_S} s") from None
        except ConnectionError as error:
            raise DecoderFailed(f"the decoder is gone: {error}") from error
        if not message:
            raise DecoderFailed("the decoder is gone")
        return json.loads(message)

    async def run(self, source: BinaryIO, image_format: ImageFormat) -> Run:
        """Decode one photo.

        Raises:
            DecoderFailed: there is no word of how it ended.
        """
        # Files rather than pipes: the decoder cannot block on them, nothing needs reading while it runs, and the
        # kernel bounds their size.
        with TemporaryFile(dir=self._folder.path) as answer, TemporaryFile(dir=self._folder.path) as complaint:
            files = [source.fileno(), answer.fileno(), complaint.fileno()]
            try:
                socket.send_fds(self._line, [image_format.value.encode()], files)
            except ConnectionError as error:
                raise DecoderFailed(f"the decoder is gone: {error}") from error
            told = await self.hear()
            return Run(
                status=told["status"],
                answer=_written(answer, MAX_ANSWER_BYTES),
                complaint=_written(complaint, MAX_ANSWER_BYTES),
                cpu_s=told["cpu_s"],
                peak_bytes=told["peak_bytes"],
            )

    def kill(self) -> None:
        """End the program with all that it has forked: its session is a process group of its own."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._line.close()
        self._process.wait()
        self._folder.delete()


def _start(program: str, limits: DecodeLimits) -> _Darkroom:
    """Start the program; it is ready once it has said its first word."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    folder = OwnFolder()
    numbers = (limits.max_pixels, limits.memory_bytes, limits.cpu_s, limits.wall_s)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", program, *map(str, numbers)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder.path,
            env={"PYTHONPATH": str(_PACKAGE_ROOT), "TMPDIR": str(folder.path), "LC_ALL": "C.UTF-8"},
            start_new_session=True,  # Ctrl-C in a terminal is for the worker, which finishes its photo
        )
    return _Darkroom(process, ours, folder, limits.wall_s)


def _written(file: IO[bytes], limit_bytes: int) -> bytes:
    file.seek(0)
    data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise DecoderFailed(f"more than {limit_bytes} bytes of output")
    return data
