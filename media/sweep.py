"""Deleting what is stored and named by nobody: left by refused forms, killed processes and derivations done twice."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from db.sessions import Database
from media.objects import Objects, StoredObject
from media.parts import PARTS
from media.photos import keys_in_use
from media.store import DERIVED, ORIGINALS
from media.uploads import parts_in_use

SWEEP: Final = "media.sweep"
"""Kind of the job that sweeps; comes by the clock, without a payload."""

ORPHAN_AFTER: Final = timedelta(hours=24)
"""Bytes so old that no row names are nobody's.

A key is written once, by one upload or derivation, which names it in a row some moments later or never: no row can
come to name it between the look at the rows and the deletion. A day is for the slowest of them, and for clocks of
stores that are wrong.
"""

_log = structlog.get_logger()

InUse = Callable[[AsyncSession, Collection[str]], Awaitable[set[str]]]


async def _none_in_use(_session: AsyncSession, _keys: Collection[str]) -> set[str]:
    return set()


# Who knows which keys below a prefix are in use. What lies elsewhere in the folder or bucket is not ours.
_IN_USE: Final[Mapping[str, InUse]] = {
    ORIGINALS: keys_in_use,
    DERIVED: keys_in_use,
    PARTS: parts_in_use,
    "checks/": _none_in_use,  # of a server that was killed while it looked whether it is ready
}


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: how many objects it looked at, and what it deleted."""

    seen: int
    deleted: int
    deleted_bytes: int


async def sweep(database: Database, store: Objects, *, now: datetime, orphan_after: timedelta = ORPHAN_AFTER) -> Swept:
    """Delete orphans from the store, and what killed processes left in this machine's folder for uploads.

    A thousand objects at a time, each with a transaction of a moment that is over when they are deleted. May run any
    number of times, also at once, and may be broken off.

    Raises:
        StorageUnavailable: the store does not answer; what was deleted until then stays deleted.
    """
    seen = deleted = deleted_bytes = 0
    before = now - orphan_after
    async for page in look_for_orphans(database, store, before=before):
        await store.delete(*(orphan.key for orphan in page.orphans))
        seen += page.seen
        deleted += len(page.orphans)
        deleted_bytes += sum(orphan.byte_size for orphan in page.orphans)
    spools = await store.delete_spools(before=before)
    _log.info("store_swept", seen=seen, deleted=deleted, deleted_bytes=deleted_bytes, unfinished=spools)
    return Swept(seen, deleted, deleted_bytes)


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A page of the store: how many objects it had, and which of them are orphans."""

    seen: int
    orphans: Collection[StoredObject]


async def look_for_orphans(database: Database, store: Objects, *, before: datetime) -> AsyncGenerator[LookedAt, None]:
    """Find, page by page, what was stored before a time and is named by no row.

    Raises:
        StorageUnavailable: the store does not answer.
    """
    for prefix, in_use in _IN_USE.items():
        async for page in store.pages(prefix):
            old = {stored.key: stored for stored in page if stored.stored_at < before}
            if old:
                async with database.transaction() as session:
                    for key in await in_use(session, old):
                        del old[key]
            yield LookedAt(len(page), old.values())
