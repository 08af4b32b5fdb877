"""The program that photos are decoded in: loads the decoders once and forks a child for each photo.

`python -m media.darkroom MAX_PIXELS MEMORY_BYTES CPU_S WALL_S` has a socket (SOCK_SEQPACKET) as its standard input. It
says there whether its children are confined (`media.confine`), then takes one request after the other: the photo's
format, with the files of the photo, of the answer and of complaints. The child limits itself, decodes and is gone;
how it ended is told back. A child is as far from the next photo as a program started anew, at a tenth of the cost.

Nothing of a photo is ever looked at in this process itself. `media.derive` is its only caller.
"""

import gc
import json
import os
import resource
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple, NoReturn

from media import decode
from media.confine import ConfinementUnavailable, confine
from media.niceness import weigh_session
from media.outcome import MAX_ANSWER_BYTES

_REQUEST_BYTES: Final = 256
_NICENESS: Final = 10  # a tenth of the weight of others; at the far end, a photo would run out of time
_SOURCE, _ANSWER, _COMPLAINT = 0, 1, 2  # the files of a child, in the places of standard input, output and error


class _Limits(NamedTuple):
    max_pixels: int
    memory_bytes: int
    cpu_s: int
    wall_s: int


def main(limits: _Limits) -> None:
    """Serve requests until the caller is gone."""
    _step_back()
    warnings.simplefilter("ignore")
    decode.prepare()
    why_not = _try_confinement()
    gc.freeze()  # what is here now is never looked through again, so that children share its memory
    with socket.socket(fileno=os.dup(_SOURCE)) as caller:
        caller.send(json.dumps({"unconfined": why_not}).encode())
        while True:
            request, files, _, _ = socket.recv_fds(caller, _REQUEST_BYTES, 3)
            if not request:
                return
            caller.send(json.dumps(_run(request.decode(), files, limits)).encode())


def _step_back() -> None:
    """Leave the processors to the processes that answer requests, as far as they want them."""
    os.nice(_NICENESS)
    weigh_session(_NICENESS)  # this is a session of its own


def _try_confinement() -> str | None:
    """Confine a child to learn whether that works here; answers what is missing, `None` if nothing is."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            confine()
            socket.socket()
            os.write(writer, b"a confined process can open sockets")
        except ConfinementUnavailable as error:
            os.write(writer, error.why.encode())
        except PermissionError:
            pass
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as file:
        return file.read().decode() or None


def _run(image_format: str, files: Sequence[int], limits: _Limits) -> dict[str, float]:
    """Decode one photo in a child; answers how it ended (negative: the signal), and what it used."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    child = os.fork()
    if child == 0:
        _work(image_format, files, limits)
    for file in files:
        os.close(file)
    _, status, used = os.wait4(child, 0)
    after = resource.getrusage(resource.RUSAGE_SELF)
    own_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {
        "status": os.waitstatus_to_exitcode(status),
        "cpu_s": used.ru_utime + used.ru_stime + own_s,
        "peak_bytes": used.ru_maxrss * 1024,
    }


def _work(image_format: str, files: Sequence[int], limits: _Limits) -> NoReturn:
    status = os.EX_SOFTWARE
    try:
        for place, file in enumerate(files):
            os.dup2(file, place)
        os.closerange(_COMPLAINT + 1, 256)  # above all the way back to the caller
        _limit(limits)
        with os.fdopen(_SOURCE, "rb") as source:
            answer = decode.decode_photo(source, image_format, max_pixels=limits.max_pixels)
        written = 0
        while written < len(answer):
            written += os.write(_ANSWER, answer[written:])
        status = os.EX_OK
    except BaseException:  # noqa: BLE001 - this child must never return into the loop of its parent
        os.write(_COMPLAINT, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _limit(limits: _Limits) -> None:
    """Bound what the rest of this process may use; the kernel enforces it, whatever the decoders do."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    # SIGXCPU at the soft limit says why; one second later SIGKILL follows.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_ANSWER_BYTES, MAX_ANSWER_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(limits.wall_s)  # ends also a child whose parent is gone
    # Where there is no confinement this was said when the program started; the worker logs it, `jalon doctor` shows it.
    with suppress(ConfinementUnavailable):
        confine()


if __name__ == "__main__":
    main(_Limits(*map(int, sys.argv[1:])))
