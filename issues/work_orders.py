"""Work orders: the jobs that fix issues, and how they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geography, WKBElement
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    ForeignKeyConstraint,
    Index,
    Row,
    Select,
    Text,
    Uuid,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from geo.points import LonLat
from issues.actors import Actor, Role
from issues.issue import Issue, planar
from issues.lifecycle import NotAllowed, OrderStatus, Status
from issues.pages import Page, read_cursor, read_number, read_text, write_cursor
from media.photos import Photo, PhotoClaim


class WorkOrder(Base):
    """A job for a crew on a day; place and address are those of its first issue."""

    __tablename__ = "work_order"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "crew_code"], ["crew.city_id", "crew.code"]),
        CheckConstraint("status IN ('planned', 'in_progress', 'done', 'cancelled')", name="status"),
        Index("ix_work_order_day", "city_id", "crew_code", "planned_on", "tour_position", "id"),
        # The same for all crews.
        Index("ix_work_order_planned_on", "city_id", "planned_on", "crew_code", "tour_position", "id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    crew_code: Mapped[str]
    planned_on: Mapped[date]
    tour_position: Mapped[int]
    status: Mapped[str]
    version: Mapped[int]
    place: Mapped[WKBElement] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))
    address: Mapped[str | None]
    layer: Mapped[str | None]
    district_code: Mapped[str | None]
    note: Mapped[str | None]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class WorkOrderIssue(Base):
    """An issue that a work order fixes."""

    __tablename__ = "work_order_issue"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "work_order_id"], ["work_order.city_id", "work_order.id"]),
        ForeignKeyConstraint(["city_id", "issue_id"], ["issue.city_id", "issue.id"]),
        Index("ix_work_order_issue_city_id_issue_id", "city_id", "issue_id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    work_order_id: Mapped[UUID] = mapped_column(primary_key=True)
    issue_id: Mapped[UUID] = mapped_column(primary_key=True)


class WorkOrderPhoto(Base):
    """A photo of the place before or after the work; no foreign key, for it may arrive later."""

    __tablename__ = "work_order_photo"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "work_order_id"], ["work_order.city_id", "work_order.id"]),
        Index("ix_work_order_photo_photo_id", "photo_id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    work_order_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    photo_id: Mapped[UUID]


@dataclass(frozen=True, slots=True)
class OrderIssue:
    """An issue of a work order, as far as a list of the day's work needs it."""

    id: UUID
    number: str
    service_code: str
    status: Status


@dataclass(frozen=True, slots=True)
class OrderPhoto:
    """A photo of a work order; its state is None until it has arrived."""

    id: UUID
    state: str | None


@dataclass(frozen=True, slots=True)
class WorkOrderView:
    """A work order as crews and agents see it.

    Attributes:
        tour_position: Its place in the crew's day; two orders may share one, and then their ids decide.
        version: Grows with every change; who changes an order names the version they saw.
        at: Where its first issue is (WGS 84), as are `address` and district.
        issues: In the order of their ids, so the one opened first comes first.
        photos: Of the place before and after the work, in the order in which they were added.
        created_by: The actor who planned it.
    """

    city_id: int
    id: UUID
    crew_code: str
    planned_on: date
    tour_position: int
    status: OrderStatus
    version: int
    at: LonLat
    address: str | None
    layer: str | None
    district_code: str | None
    note: str | None
    issues: tuple[OrderIssue, ...]
    photos: tuple[OrderPhoto, ...]
    created_by: str
    created_at: datetime
    updated_at: datetime

    @property
    def issue_ids(self) -> tuple[UUID, ...]:
        """The ids of its issues."""
        return tuple(issue.id for issue in self.issues)

    @property
    def photo_ids(self) -> tuple[UUID, ...]:
        """The ids of its photos."""
        return tuple(photo.id for photo in self.photos)


@dataclass(eq=False)
class WorkOrderNotFound(Exception):
    """The city has no such work order, or the crew that asks has not."""

    order_id: UUID


async def find_work_order(session: AsyncSession, city_id: int, order_id: UUID, *, actor: Actor) -> WorkOrderView:
    """Find a work order: any for agents and above, a crew's own for a crew.

    Raises:
        NotAllowed: the actor does not work for the city.
        WorkOrderNotFound: the city has no such order, or it is another crew's.
    """
    own = _crew_of(actor)
    order = await read_work_order(session, city_id, order_id)
    if own not in {None, order.crew_code}:
        raise WorkOrderNotFound(order_id)
    return order


async def read_work_order(session: AsyncSession, city_id: int, order_id: UUID) -> WorkOrderView:
    """Read a work order by its key, for whoever may see it.

    Raises:
        WorkOrderNotFound: the city has no such order.
    """
    rows = (await session.execute(_orders(city_id).where(WorkOrder.id == order_id))).all()
    if not rows:
        raise WorkOrderNotFound(order_id)
    (order,) = await _views(session, city_id, rows)
    return order


async def list_work_orders(
    session: AsyncSession,
    city_id: int,
    *,
    actor: Actor,
    crew_code: str | None = None,
    planned_on: date | None = None,
    limit: int,
    cursor: str | None = None,
) -> Page[WorkOrderView]:
    """List work orders by day, then crew, then place in the tour.

    Args:
        session: Open transaction of the city.
        city_id: The city.
        actor: Who asks; a crew is given its own orders.
        crew_code: Only this crew's; None for all that the actor may see.
        planned_on: Only this day's; None for all days.
        limit: Most orders on a page.
        cursor: Where the page before ended.

    Raises:
        NotAllowed: the actor does not work for the city, or asks for another crew's orders.
        InvalidCursor: the cursor is not from here.
    """
    own = _crew_of(actor)
    if own is not None and crew_code not in {None, own}:
        raise NotAllowed(actor.role, "crew")
    crew_code = own if crew_code is None else crew_code
    query = _orders(city_id)
    # Of one crew's orders the crew is no part of the order: so the index of a crew's days gives them as they come.
    order = [WorkOrder.planned_on, WorkOrder.crew_code, WorkOrder.tour_position, WorkOrder.id]
    if crew_code is not None:
        order.remove(WorkOrder.crew_code)
        query = query.where(WorkOrder.crew_code == crew_code)
    if planned_on is not None:
        query = query.where(WorkOrder.planned_on == planned_on)
    if cursor is not None:
        query = query.where(tuple_(*order) > _place_of(cursor, with_crew=crew_code is None))
    rows = (await session.execute(query.order_by(*order).limit(limit + 1))).all()
    items = await _views(session, city_id, rows[:limit])
    if len(rows) <= limit:
        return Page(items, None)
    last = items[-1]
    return Page(items, write_cursor("orders", last.planned_on, last.crew_code, last.tour_position, last.id))


async def crew_has_issue(session: AsyncSession, city_id: int, crew_code: str, issue_id: UUID) -> bool:
    """Tell whether an issue is in a work order of a crew that has not been called off."""
    of_crew = (
        exists()
        .where(WorkOrderIssue.city_id == city_id, WorkOrderIssue.issue_id == issue_id)
        .where(WorkOrder.city_id == city_id, WorkOrder.id == WorkOrderIssue.work_order_id)
        .where(WorkOrder.crew_code == crew_code, WorkOrder.status != OrderStatus.CANCELLED)
    )
    return bool(await session.scalar(select(of_crew)))


def _crew_of(actor: Actor) -> str | None:
    """The crew whose orders alone an actor sees; None where all."""
    if actor.at_least(Role.AGENT):
        return None
    if actor.crew_code is None:
        raise NotAllowed(actor.role, "work-orders")
    return actor.crew_code


def _place_of(cursor: str, *, with_crew: bool) -> Any:
    day, crew_code, position, order_id = read_cursor(cursor, "orders", date.fromisoformat, read_text, read_number, UUID)
    crew = [literal(crew_code, Text)] if with_crew else []
    return tuple_(literal(day, Date), *crew, literal(position, BigInteger), literal(order_id, Uuid))


def _orders(city_id: int) -> Select[Any]:
    order = WorkOrder.__table__
    place = planar(order.c.place)
    columns = [column for column in order.c if column is not order.c.place]
    query = select(*columns, func.ST_X(place).label("lon"), func.ST_Y(place).label("lat"))
    return query.where(order.c.city_id == city_id)


async def _views(session: AsyncSession, city_id: int, rows: Sequence[Row[Any]]) -> tuple[WorkOrderView, ...]:
    ids = [row.id for row in rows]
    issues = await _issues_of(session, city_id, ids)
    photos = await _photos_of(session, city_id, ids)
    return tuple(_view(row, issues.get(row.id, ()), photos.get(row.id, ())) for row in rows)


async def _issues_of(
    session: AsyncSession, city_id: int, order_ids: Sequence[UUID]
) -> dict[UUID, tuple[OrderIssue, ...]]:
    query = (
        select(WorkOrderIssue.work_order_id, Issue.id, Issue.number, Issue.service_code, Issue.status)
        .join(Issue, and_(Issue.city_id == WorkOrderIssue.city_id, Issue.id == WorkOrderIssue.issue_id))
        .where(WorkOrderIssue.city_id == city_id, WorkOrderIssue.work_order_id.in_(order_ids))
        .order_by(WorkOrderIssue.work_order_id, Issue.id)
    )
    found: dict[UUID, tuple[OrderIssue, ...]] = {}
    for order_id, issue_id, number, service_code, status in await session.execute(query):
        issue = OrderIssue(issue_id, number, service_code, Status(status))
        found[order_id] = (*found.get(order_id, ()), issue)
    return found


async def _photos_of(
    session: AsyncSession, city_id: int, order_ids: Sequence[UUID]
) -> dict[UUID, tuple[OrderPhoto, ...]]:
    # A photo is the order's if the one who uploaded it named it there; before it has arrived, that is not known.
    claimed = (
        exists()
        .where(PhotoClaim.photo_id == WorkOrderPhoto.photo_id, PhotoClaim.target_id == WorkOrderPhoto.work_order_id)
        .where(or_(Photo.id.is_(None), PhotoClaim.sender == Photo.uploader))
    )
    query = (
        select(WorkOrderPhoto.work_order_id, WorkOrderPhoto.photo_id, Photo.state)
        .outerjoin(Photo, Photo.id == WorkOrderPhoto.photo_id)
        .where(WorkOrderPhoto.city_id == city_id, WorkOrderPhoto.work_order_id.in_(order_ids), claimed)
        .order_by(WorkOrderPhoto.work_order_id, WorkOrderPhoto.position)
    )
    found: dict[UUID, tuple[OrderPhoto, ...]] = {}
    for order_id, photo_id, state in await session.execute(query):
        found[order_id] = (*found.get(order_id, ()), OrderPhoto(photo_id, state))
    return found


def _view(row: Row[Any], issues: tuple[OrderIssue, ...], photos: tuple[OrderPhoto, ...]) -> WorkOrderView:
    values = dict(row._mapping)  # noqa: SLF001 - the documented name, kept apart from columns by its underscore
    at, status = LonLat(values.pop("lon"), values.pop("lat")), OrderStatus(values.pop("status"))
    return WorkOrderView(**values, at=at, status=status, issues=issues, photos=photos)
