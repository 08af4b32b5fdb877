"""Photos of a work order: the place before and after the work."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from issues.actors import Actor
from issues.work_orders import WorkOrderPhoto, WorkOrderView
from media.photos import PhotoClaim


@dataclass(eq=False)
class PhotoTaken(Exception):
    """A photo of the caller's is part of another report or order already."""

    photo_id: UUID


async def add_photos(session: AsyncSession, order: WorkOrderView, photo_ids: Sequence[UUID], actor: Actor) -> None:
    """Add photos of an actor's, here or still to come, to an order that the caller has locked.

    Raises:
        PhotoTaken: one is part of another report or order.
    """
    if not photo_ids:
        return
    claim = {"sender": actor.sender, "city_id": order.city_id, "target_id": order.id}
    claims = [{"photo_id": photo_id, **claim} for photo_id in sorted(photo_ids)]
    await session.execute(insert(PhotoClaim).values(claims).on_conflict_do_nothing())
    elsewhere = select(PhotoClaim.photo_id).where(
        PhotoClaim.photo_id.in_(photo_ids), PhotoClaim.sender == actor.sender, PhotoClaim.target_id != order.id
    )
    if (taken := await session.scalar(elsewhere.order_by(PhotoClaim.photo_id).limit(1))) is not None:
        raise PhotoTaken(taken)
    named = select(WorkOrderPhoto.photo_id).where(
        WorkOrderPhoto.city_id == order.city_id, WorkOrderPhoto.work_order_id == order.id
    )
    there = (await session.scalars(named)).all()
    # One that somebody else named before is shown by the claim made now, in its old place.
    missing = [photo_id for photo_id in photo_ids if photo_id not in there]
    rows = [
        {"city_id": order.city_id, "work_order_id": order.id, "position": position, "photo_id": photo_id}
        for position, photo_id in enumerate(missing, start=len(there))
    ]
    if rows:
        await session.execute(insert(WorkOrderPhoto).values(rows))
