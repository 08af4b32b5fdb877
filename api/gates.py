"""How much is going on at once: beyond that, who comes is told to come back, rather than wait and hold something."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from api.problems.refusals import TooBusy, TooManyPhotosWaiting
from db.jobs import count_waiting
from media.photos import MAKE_SAFE

_LOOK_EVERY_S: Final = 2.0


class Gate:
    """Lets so many in at once. Nobody queues at it."""

    def __init__(self, most: int) -> None:
        """Let in at most so many."""
        self._room = most

    @property
    def is_full(self) -> bool:
        """Whether the next one would be refused."""
        return self._room <= 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside for the length of the block.

        Raises:
            TooBusy: as many as may are inside already.
        """
        if self.is_full:
            raise TooBusy
        self._room -= 1
        try:
            yield
        finally:
            self._room += 1


class PhotoBacklog:
    """How many photos wait to be made safe, looked at seldom enough to be asked with each photo."""

    def __init__(self, *, most: int, clock: Callable[[], float]) -> None:
        """Take photos until so many wait.

        Args:
            most: How many may wait.
            clock: Seconds since any moment, never going back.
        """
        self._most = most
        self._clock = clock
        self._is_full = False
        self._holds_until = -float("inf")
        self._looking = asyncio.Lock()

    async def refuse_more(self, session: AsyncSession) -> None:
        """Refuse a photo while too many wait.

        Raises:
            TooManyPhotosWaiting: they do.
        """
        if self._clock() >= self._holds_until and not self._looking.locked():
            async with self._looking:
                self._is_full = await count_waiting(session, MAKE_SAFE, at_most=self._most) >= self._most
                self._holds_until = self._clock() + _LOOK_EVERY_S
        if self._is_full:
            raise TooManyPhotosWaiting
