"""What a letter shows: the place and a photo of the problem. Only what everybody may see: mail is read on its way."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.rows import class_row
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from db.sessions import Database, DatabaseUnavailable
from geo.minimap import find_paths
from geo.minimap_picture import paint_minimap
from geo.points import LonLat
from media.objects import BlobMissing, StorageUnavailable
from media.store import PhotoStore

_log = logging.getLogger(__name__)

# A letter without its pictures is better than one that comes late.
_PATIENCE_S: Final = 3.0
# Everybody who is told of an event gets the same; a few events are told of at a time.
_KEPT: Final = 64

# Of the photos that the issue's reports came with the first. Whose photo it is decides who sent it (`photo_claim`).
_SHOWN: Final = """
SELECT ST_X(place::geometry) AS lon, ST_Y(place::geometry) AS lat, address,
       CASE WHEN city.settings ->> 'photos' = 'public' THEN (
           SELECT small_key FROM report
           JOIN report_photo USING (city_id) JOIN photo ON photo.id = photo_id
           JOIN photo_claim AS claim ON claim.photo_id = photo.id AND claim.sender = uploader
                                    AND claim.city_id = report.city_id AND claim.target_id = report.id
           WHERE report.city_id = issue.city_id AND report.issue_id = issue.id AND report_photo.report_id = report.id
             AND withdrawn_at IS NULL AND photo.state = 'ready'
           ORDER BY report.received_at, report.id, report_photo.position LIMIT 1
       ) END AS photo_key
FROM issue JOIN city ON city.id = issue.city_id
WHERE issue.city_id = %s AND issue.id = %s AND NOT private
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


@dataclass(frozen=True, slots=True)
class _Shown:
    lon: float
    lat: float
    address: str | None
    photo_key: str | None


class LetterPictures:
    """Finds pictures, and keeps those of the last events."""

    def __init__(self, database: Database, store: PhotoStore) -> None:
        """Look into a database and a store."""
        self._database = database
        self._store = store
        self._kept: dict[UUID, Pictures | None] = {}

    async def find(self, city_id: int, issue_id: UUID, event_id: UUID, *, now: datetime) -> Pictures | None:
        """Find what to show of an issue.

        Args:
            city_id: The city.
            issue_id: The issue.
            event_id: What is told of it: the same pictures for everybody who is.
            now: The time, for the districts of the day.

        Returns:
            None where there is nothing for the public to see, or it cannot be had in good time.
        """
        if event_id in self._kept:
            return self._kept[event_id]
        try:
            async with asyncio.timeout(_PATIENCE_S):
                found = await self._find(city_id, issue_id, now=now)
        except (DatabaseUnavailable, StorageUnavailable, TimeoutError) as error:
            _log.warning("letter without pictures", extra={"city_id": city_id, "error": repr(error)})
            return None
        while len(self._kept) >= _KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[event_id] = found
        return found

    async def _find(self, city_id: int, issue_id: UUID, *, now: datetime) -> Pictures | None:
        async with self._database.transaction(city_id) as session:
            shown = await _read_shown(session, city_id, issue_id)
            if shown is None:
                return None
            paths = await find_paths(session, city_id, LonLat(shown.lon, shown.lat), on=now.date())
        minimap = await asyncio.to_thread(paint_minimap, paths)
        photo = None if shown.photo_key is None else await self._read(shown.photo_key)
        return Pictures(minimap, shown.address, photo)

    async def _read(self, key: str) -> bytes | None:
        try:
            stored = await self._store.read(key)
            return b"".join([chunk async for chunk in stored.chunks])
        except BlobMissing:
            return None


async def _read_shown(session: AsyncSession, city_id: int, issue_id: UUID) -> _Shown | None:
    connection = await driver_connection(session)
    cursor = connection.cursor(row_factory=class_row(_Shown))
    await cursor.execute(_SHOWN, (city_id, issue_id))
    return await cursor.fetchone()
