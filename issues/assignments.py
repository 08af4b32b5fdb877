"""Work that is given to a crew, told to its members on the devices that they named for it.

A device belongs to a person without a name. A member of the staff lends it to their work with the secret that the city
gave them; from then on that person is told of the crew's orders as of anything else, by push or e-mail as they wish.
"""

from datetime import datetime
from uuid import UUID, uuid5

from sqlalchemy import ForeignKeyConstraint, Index, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.jobs import enqueue
from issues.issue import IssueView
from issues.notices import ASSIGNED
from issues.staff import Staff
from issues.status import notice_params
from issues.work_orders import WorkOrderView
from push.queueing import Recipient, queue_notifications


class StaffPerson(Base):
    """As whom a member of the staff is told of work; one for each device of theirs."""

    __tablename__ = "staff_person"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "staff_id"], ["staff.city_id", "staff.id"]),
        Index(None, "city_id", "person_id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]


async def hear_of_work(session: AsyncSession, city_id: int, staff_id: UUID, person_id: UUID, *, now: datetime) -> None:
    """Have a person told of what is assigned to a member of the staff; no other member's work any more."""
    await forget_work(session, city_id, person_id)
    row = {"city_id": city_id, "staff_id": staff_id, "person_id": person_id, "created_at": now}
    await session.execute(insert(StaffPerson).values(row))


async def forget_work(session: AsyncSession, city_id: int, person_id: UUID) -> None:
    """Have a person told of a city's work no more; again, they are told of none already."""
    await session.execute(delete(StaffPerson).where(StaffPerson.city_id == city_id, StaffPerson.person_id == person_id))


async def tell_crew(session: AsyncSession, order: WorkOrderView, issue: IssueView, *, now: datetime) -> int:
    """Tell a crew's members of an order that is theirs now, or on another day; joins the caller's transaction.

    What they were told of the same order before and have not got yet is overtaken. Of their work they are told
    whatever kinds of news they wish, but when they wish.

    Args:
        session: Open transaction of the city; committed by the caller.
        order: As it stands now.
        issue: Its first.
        now: The time.

    Returns:
        How many deliveries were queued.
    """
    members = (
        select(StaffPerson.person_id)
        .join(Staff, (Staff.city_id == StaffPerson.city_id) & (Staff.id == StaffPerson.staff_id))
        .where(Staff.city_id == order.city_id, Staff.crew_code == order.crew_code, Staff.revoked_at.is_(None))
        .distinct()
    )
    persons = (await session.scalars(members)).all()
    if not persons:
        return 0
    params = await notice_params(session, issue)
    day = order.planned_on.isoformat()
    queued = await queue_notifications(
        session,
        order.city_id,
        # Each time that crew or day change is told of, once.
        event_id=uuid5(order.id, f"{order.crew_code} {day} {order.version}"),
        kind=ASSIGNED,
        params={**params, "work_order_id": str(order.id), "day": day},
        recipients=[Recipient(person_id, {}) for person_id in persons],
        happened_at=now,
        about=order.id,
        safety=params.get("safety") == "true",
        whatever_kinds=True,
        now=now,
    )
    if queued:
        await enqueue(session, "push.deliver", {"city_id": order.city_id})
    return queued
