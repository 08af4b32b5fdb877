"""What was looked up for the last events: everybody who is told of one is shown the same."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar
from uuid import UUID

from db.sessions import DatabaseUnavailable
from media.objects import StorageUnavailable

_log = logging.getLogger(__name__)

Found = TypeVar("Found")


class LastEvents(Generic[Found]):
    """Keeps what was found for the last events; a few are told of at a time."""

    def __init__(self, *, kept: int, patience_s: float) -> None:
        """Keep nothing yet.

        Args:
            kept: For how many events.
            patience_s: How long looking may take: news without a picture are better than news that come late.
        """
        self._most = kept
        self._patience_s = patience_s
        self._kept: dict[UUID, Found | None] = {}

    async def find(self, event_id: UUID, look: Callable[[], Awaitable[Found | None]]) -> Found | None:
        """Look for what there is to show of an event, unless it is known; None also where it cannot be had in time."""
        if event_id in self._kept:
            return self._kept[event_id]
        try:
            async with asyncio.timeout(self._patience_s):
                found = await look()
        except (DatabaseUnavailable, StorageUnavailable, TimeoutError) as error:
            _log.warning("told without what there is to show", extra={"event_id": event_id, "error": repr(error)})
            return None
        while len(self._kept) >= self._most:
            del self._kept[next(iter(self._kept))]
        self._kept[event_id] = found
        return found
