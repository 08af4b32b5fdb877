"""What a letter encloses: the place, a photo of the problem, and what the city wrote.

Only what everybody may see: mail is read on its way.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from db.connections import driver_connection
from db.sessions import Database
from geo.minimap import find_paths
from geo.minimap_picture import paint_minimap
from geo.points import LonLat
from issues.last_events import LastEvents
from issues.shown_photo import find_shown_photo
from media.objects import BlobMissing
from media.store import PhotoStore

_PLACE: Final = """
SELECT ST_X(place::geometry), ST_Y(place::geometry), address FROM issue WHERE city_id = %s AND id = %s AND NOT private
"""
_NOTE: Final = "SELECT text FROM event_note WHERE city_id = %s AND event_id = %s AND public"


@dataclass(frozen=True, slots=True)
class Enclosures:
    """What there is to show of an issue with an event of it.

    Attributes:
        minimap: PNG.
        address: Where that is, for those who do not see it; None where nobody knows.
        photo: WebP; None where there is none for the public.
        note: What the city wrote to residents with the event; None for nothing.
    """

    minimap: bytes
    address: str | None
    photo: bytes | None
    note: str | None


class LetterEnclosures:
    """Finds what letters enclose."""

    def __init__(self, database: Database, store: PhotoStore) -> None:
        """Look into a database and a store."""
        self._database = database
        self._store = store
        self._last: LastEvents[Enclosures] = LastEvents(kept=64, patience_s=3.0)

    async def find(
        self, city_id: int, issue_id: UUID, event_id: UUID, *, fixed: bool, now: datetime
    ) -> Enclosures | None:
        """Find what to show of an issue.

        Args:
            city_id: The city.
            issue_id: The issue.
            event_id: What is told of it: the same is enclosed for everybody who is within a minute.
            fixed: Whether that is that it is fixed.
            now: The time.

        Returns:
            None where there is nothing for the public to see, or it cannot be had in good time.
        """
        look = partial(self._find, city_id, issue_id, event_id, fixed=fixed, now=now)
        return await self._last.find(event_id, look, now=now)

    async def _find(
        self, city_id: int, issue_id: UUID, event_id: UUID, *, fixed: bool, now: datetime
    ) -> Enclosures | None:
        async with self._database.transaction(city_id) as session:
            connection = await driver_connection(session)
            place = await (await connection.execute(_PLACE, (city_id, issue_id))).fetchone()
            if place is None:
                return None
            lon, lat, address = place
            paths = await find_paths(session, city_id, LonLat(lon, lat), on=now.date())
            note = await (await connection.execute(_NOTE, (city_id, event_id))).fetchone()
            shown = await find_shown_photo(session, city_id, issue_id, fixed=fixed)
        minimap = await asyncio.to_thread(paint_minimap, paths)
        photo = None if shown is None or shown.small_key is None else await self._read(shown.small_key)
        return Enclosures(minimap, address, photo, None if note is None else note[0])

    async def _read(self, key: str) -> bytes | None:
        try:
            stored = await self._store.read(key)
            return b"".join([chunk async for chunk in stored.chunks])
        except BlobMissing:
            return None
