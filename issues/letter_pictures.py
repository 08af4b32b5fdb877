"""What a letter shows: the place and a photo of the problem. Only what everybody may see: mail is read on its way."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from db.connections import driver_connection
from db.sessions import Database, DatabaseUnavailable
from geo.minimap import find_paths
from geo.minimap_picture import paint_minimap
from geo.points import LonLat
from issues.shown_photo import find_shown_photo
from media.objects import BlobMissing, StorageUnavailable
from media.store import PhotoStore

_log = logging.getLogger(__name__)

# A letter without its pictures is better than one that comes late.
_PATIENCE_S: Final = 3.0
# Everybody who is told of an event gets the same; a few events are told of at a time.
_KEPT: Final = 64

_PLACE: Final = """
SELECT ST_X(place::geometry), ST_Y(place::geometry), address FROM issue WHERE city_id = %s AND id = %s AND NOT private
"""


@dataclass(frozen=True, slots=True)
class Pictures:
    """What there is to show of an issue.

    Attributes:
        minimap: PNG.
        address: Where that is, for those who do not see it; None where nobody knows.
        photo: WebP; None where there is none for the public.
    """

    minimap: bytes
    address: str | None
    photo: bytes | None


class LetterPictures:
    """Finds pictures, and keeps those of the last events."""

    def __init__(self, database: Database, store: PhotoStore) -> None:
        """Look into a database and a store."""
        self._database = database
        self._store = store
        self._kept: dict[UUID, Pictures | None] = {}

    async def find(
        self, city_id: int, issue_id: UUID, event_id: UUID, *, fixed: bool, now: datetime
    ) -> Pictures | None:
        """Find what to show of an issue.

        Args:
            city_id: The city.
            issue_id: The issue.
            event_id: What is told of it: the same pictures for everybody who is.
            fixed: Whether that is that it is fixed.
            now: The time, for the districts of the day.

        Returns:
            None where there is nothing for the public to see, or it cannot be had in good time.
        """
        if event_id in self._kept:
            return self._kept[event_id]
        try:
            async with asyncio.timeout(_PATIENCE_S):
                found = await self._find(city_id, issue_id, fixed=fixed, now=now)
        except (DatabaseUnavailable, StorageUnavailable, TimeoutError) as error:
            _log.warning("letter without pictures", extra={"city_id": city_id, "error": repr(error)})
            return None
        while len(self._kept) >= _KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[event_id] = found
        return found

    async def _find(self, city_id: int, issue_id: UUID, *, fixed: bool, now: datetime) -> Pictures | None:
        async with self._database.transaction(city_id) as session:
            cursor = await (await driver_connection(session)).execute(_PLACE, (city_id, issue_id))
            place = await cursor.fetchone()
            if place is None:
                return None
            lon, lat, address = place
            paths = await find_paths(session, city_id, LonLat(lon, lat), on=now.date())
            shown = await find_shown_photo(session, city_id, issue_id, fixed=fixed)
        minimap = await asyncio.to_thread(paint_minimap, paths)
        photo = None if shown is None or shown.small_key is None else await self._read(shown.small_key)
        return Pictures(minimap, address, photo)

    async def _read(self, key: str) -> bytes | None:
        try:
            stored = await self._store.read(key)
            return b"".join([chunk async for chunk in stored.chunks])
        except BlobMissing:
            return None
