"""Being told to stop: by SIGTERM, as systemd does it, or by Ctrl-C."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


def take_sigterm_as_interrupt() -> None:
    """Have SIGTERM do what Ctrl-C does.

    asyncio knows about the latter: it cancels what it does and raises KeyboardInterrupt once that has ended, instead
    of being torn out of the middle of a statement.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


async def said_at_once(main: Coroutine[Any, Any, None], say: Callable[[], None]) -> None:
    """Run what asyncio.run() was given, and say at once that Ctrl-C came, however long it is until that can end.

    What computes for seconds without giving way is cancelled only after that.

    Args:
        main: What is run.
        say: Called in the handler of the signal, each time it comes.
    """
    stop: Any = signal.getsignal(signal.SIGINT)

    def say_and_stop(number: int, frame: FrameType | None) -> None:
        say()
        stop(number, frame)

    signal.signal(signal.SIGINT, say_and_stop)
    try:
        await main
    finally:
        signal.signal(signal.SIGINT, stop)


@contextmanager
def announced(announce: Callable[[], None], *, notice_s: float) -> Iterator[None]:
    """Put a notice period before what SIGTERM does in the block: whoever was told has time to go elsewhere.

    Runs in the main thread, on its event loop. Being told again changes nothing: a process of a group hears of it
    from its parent and from whoever stops the whole group. Ctrl-C waits for no period.

    Args:
        announce: Called on the loop when the signal comes.
        notice_s: Length of the period in seconds.
    """
    loop = asyncio.get_running_loop()
    stop: Any = signal.getsignal(signal.SIGTERM)

    def begin(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        loop.call_soon_threadsafe(announce)
        loop.call_soon_threadsafe(loop.call_later, notice_s, end, number, frame)

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, stop)
        stop(number, frame)

    signal.signal(signal.SIGTERM, begin)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) in (begin, signal.SIG_IGN):
            signal.signal(signal.SIGTERM, stop)
