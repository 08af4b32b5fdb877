"""Making received photos safe: what the decoder finds becomes pictures, facts and a verdict."""

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from geoalchemy2 import WKTElement
from sqlalchemy import select, update

from db.sessions import Database
from media.decoders import Decoders
from media.derive import DecoderFailed, Derivatives, Rejected
from media.outcome import Rejection
from media.photos import Photo, PhotoSize, PhotoState, delete_soon, find_photo, keys_in_use
from media.store import PhotoStore

_log = structlog.get_logger()


async def process_photo(
    database: Database,
    store: PhotoStore,
    decoders: Decoders,
    photo_id: UUID,
    *,
    now: datetime,
    gives_up: bool = False,
) -> PhotoState | None:
    """Make a received photo safe and record what came of it; answers its state, `None` for no such photo.

    May run any number of times, also at once: the first result stands. No transaction is open over the decoding.
    Commits by itself.

    Args:
        database: Where the photo is recorded.
        store: Where its bytes are.
        decoders: Who decodes it.
        photo_id: Which photo.
        now: Time of the result.
        gives_up: A decoder that gives no answer has had its tries: the photo is rejected.

    Raises:
        DecoderFailed: the decoder gave no answer; to be tried again.
        BlobMissing: the original is gone.
        StorageUnavailable: the store does not answer; to be tried again.
    """
    async with database.transaction() as session:
        photo = await find_photo(session, photo_id)
    if photo is None:
        return None
    if photo.state == PhotoState.PENDING:
        outcome = await _derive(store, decoders, photo, gives_up=gives_up)
        return await _record_outcome(database, store, photo, outcome, now=now)
    return PhotoState(photo.state)


async def _derive(store: PhotoStore, decoders: Decoders, photo: Photo, *, gives_up: bool) -> Derivatives | Rejected:
    try:
        async with store.local_copy(photo.original_key) as original:
            return await decoders.make_safe(original)
    except DecoderFailed as failed:
        if not gives_up:
            raise
        return Rejected(Rejection.TOO_COMPLEX, failed.why)


async def _record_outcome(
    database: Database, store: PhotoStore, photo: Photo, outcome: Derivatives | Rejected, *, now: datetime
) -> PhotoState:
    made: dict[str, str] = {}
    if isinstance(outcome, Rejected):
        _log.info("photo_rejected", photo_id=str(photo.id), reason=outcome.reason, error=outcome.error)
        values: dict[str, Any] = {"state": PhotoState.REJECTED, "reason": outcome.reason}
    else:
        made["large_key"] = await store.put_derivative(photo.id, PhotoSize.LARGE, outcome.large)
        made["small_key"] = await store.put_derivative(photo.id, PhotoSize.SMALL, outcome.small)
        values = _facts(outcome) | made | {"state": PhotoState.READY}
    pending = update(Photo).where(Photo.id == photo.id, Photo.state == PhotoState.PENDING)
    async with database.transaction() as session:
        state = await session.scalar(pending.values(**values, finished_at=now).returning(Photo.state))
        is_first = state is not None
        if state is None:
            state = (await session.scalars(select(Photo.state).where(Photo.id == photo.id))).one()
    if not is_first:
        await delete_soon(store, *made.values())
    elif isinstance(outcome, Rejected):
        await _delete_unused(database, store, photo.original_key)
    return PhotoState(state)


def _facts(made: Derivatives) -> dict[str, Any]:
    place = made.place
    return {
        "width": made.width,
        "height": made.height,
        "taken_place": None if place is None else WKTElement(f"POINT({place.lon!r} {place.lat!r})", srid=4326),
        "taken_accuracy_m": None if place is None else place.accuracy_m,
        "taken_at": made.taken_at,
        # The column is signed.
        "dhash": made.dhash - (1 << 64) if made.dhash >> 63 else made.dhash,
    }


async def _delete_unused(database: Database, store: PhotoStore, key: str) -> None:
    """Delete rejected bytes; of before uploads were kept apart, another photo may have the same."""
    async with database.transaction() as session:
        in_use = await keys_in_use(session, [key])
    if not in_use:
        await delete_soon(store, key)
