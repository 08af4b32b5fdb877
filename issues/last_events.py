"""What was looked up for the last events: everybody who is told of one is shown the same."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar
from uuid import UUID

from db.sessions import DatabaseUnavailable
from media.objects import StorageUnavailable

_log = logging.getLogger(__name__)

Found = TypeVar("Found")

_KEPT_FOR: Final = timedelta(minutes=1)
"""Then it is looked for anew: an issue may have become private, or a photo been taken back, and messages are held."""


class LastEvents(Generic[Found]):
    """Keeps what was found for the last events for a minute; a few are told of at a time."""

    def __init__(self, *, kept: int, patience_s: float) -> None:
        """Keep nothing yet.

        Args:
            kept: For how many events.
            patience_s: How long looking may take: news without a picture are better than news that come late.
        """
        self._most = kept
        self._patience_s = patience_s
        self._kept: dict[UUID, tuple[datetime, Found | None]] = {}

    async def find(self, event_id: UUID, look: Callable[[], Awaitable[Found | None]], *, now: datetime) -> Found | None:
        """Look for what there is to show of an event, unless it is known; None also where it cannot be had in time."""
        kept = self._kept.get(event_id)
        if kept is not None and now < kept[0] + _KEPT_FOR:
            return kept[1]
        try:
            async with asyncio.timeout(self._patience_s):
                found = await look()
        except (DatabaseUnavailable, StorageUnavailable, TimeoutError) as error:
            _log.warning("told without what there is to show", extra={"event_id": event_id, "error": repr(error)})
            return None
        self._kept.pop(event_id, None)
        while len(self._kept) >= self._most:
            del self._kept[next(iter(self._kept))]
        self._kept[event_id] = now, found
        return found
