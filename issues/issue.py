"""Issues: the real-world problems that reports are about."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geography, Geometry, WKBElement
from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    FromClause,
    Index,
    Row,
    Text,
    cast,
    func,
    select,
    table,
    text,
)
from sqlalchemy import column as column_of
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from geo.points import LonLat
from issues.lifecycle import Status

# Which statuses are open is decided here for the index and in `issues.lifecycle` for people; a test holds them equal.
OPEN_SQL = "status IN ('received', 'acknowledged', 'scheduled', 'in_progress') AND merged_into IS NULL"
# What everybody may see; with no report left, nobody says any more that there is a problem. The views of open data
# decide the same in their migration.
PUBLIC_SQL = "NOT private AND merged_into IS NULL AND report_count > 0"


class Issue(Base):
    """A problem with its status, place, owner and deadline."""

    __tablename__ = "issue"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "service_code"], ["service.city_id", "service.code"]),
        ForeignKeyConstraint(["city_id", "department_code"], ["department.city_id", "department.code"]),
        CheckConstraint(
            "status IN ('received', 'acknowledged', 'scheduled', 'in_progress',"
            " 'resolved', 'closed', 'declined', 'transferred')",
            name="status",
        ),
        # Neighbours of a report: open issues of a service around a place.
        Index(
            "ix_issue_open_place",
            "city_id",
            "service_code",
            "place",
            postgresql_using="gist",
            postgresql_where=text(OPEN_SQL),
        ),
        # Maps: everything in a box. Geography compares boxes in three dimensions; a box on a map is a planar one.
        Index("ix_issue_map", "city_id", text("(place::geometry)"), postgresql_using="gist"),
        Index("ix_issue_districts", "districts", postgresql_using="gin"),
        Index("ix_issue_city_id_updated_at", "city_id", "updated_at", "id"),
        # Lists by status, by service or by both; see `issues.browse`.
        Index("ix_issue_status", "city_id", "status", "service_code", "id"),
        # Those whose address another geocoder is to be asked for; see `issues.addresses`.
        Index(
            "ix_issue_address_ask_at",
            "city_id",
            "address_ask_at",
            postgresql_where=text("address_ask_at IS NOT NULL"),
        ),
        # From an issue to those merged into it, whose followers hear of it.
        Index("ix_issue_merged_into", "city_id", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    )

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]  # of the report that opened it
    service_code: Mapped[str]
    status: Mapped[str]
    place: Mapped[WKBElement] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))
    accuracy_m: Mapped[float]
    address: Mapped[str | None]  # without one only where an older version wrote it
    address_ask_at: Mapped[datetime | None]  # while the address says only what is near: when to ask for a better one
    layer: Mapped[str | None]  # the responsible layer and its district, None where no district has the place
    district_code: Mapped[str | None]
    districts: Mapped[list[str]] = mapped_column(ARRAY(Text))  # 'layer:code' of every layer
    department_code: Mapped[str]
    crew_code: Mapped[str | None]
    near_boundary: Mapped[bool]
    private: Mapped[bool]  # its service's, at opening
    report_count: Mapped[int]
    opened_at: Mapped[datetime]
    last_report_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    expected_at: Mapped[datetime | None]
    merged_into: Mapped[UUID | None]


# What searches by place or text reads this view. Under row-level security PostgreSQL may not use an index for an
# operator that is not leakproof, and no PostGIS, array or LIKE operator is; the view has its owner's rights and
# names the city itself: same isolation, and the index. Only SELECT is granted: a writable view would not check.
# Not among the tables of `Base`: a migration creates it.
_NOT_IN_MAP = "address_ask_at"
ISSUE_MAP = table(
    "issue_map",
    *(column_of(column.name, column.type) for column in Issue.__table__.columns if column.name != _NOT_IN_MAP),
)


@dataclass(frozen=True, slots=True)
class IssueView:
    """An issue as it stands, for whoever may see it.

    Attributes:
        at: Where it is (WGS 84); `accuracy_m` in metres.
        layer: The responsible layer, and `district_code` its district; None where no district has the place.
        districts: 'layer:code' of every layer.
        merged_into: The issue that took its reports over; None for nearly all.
    """

    city_id: int
    id: UUID
    number: str
    status: Status
    service_code: str
    at: LonLat
    accuracy_m: float
    address: str | None
    layer: str | None
    district_code: str | None
    districts: tuple[str, ...]
    department_code: str
    crew_code: str | None
    near_boundary: bool
    private: bool
    report_count: int
    opened_at: datetime
    last_report_at: datetime
    updated_at: datetime
    expected_at: datetime | None
    merged_into: UUID | None


@dataclass(eq=False)
class IssueNotFound(Exception):
    """The city has no such issue, or none that the caller may see."""

    issue_id: UUID


class IssueWithdrawn(IssueNotFound):
    """No report is about the issue any more, so that only staff see it: they were taken back, or went elsewhere."""


@dataclass(eq=False)
class IssueMerged(Exception):
    """The issue's reports are in another one now, which is the one to act on."""

    issue_id: UUID
    survivor_id: UUID


def planar(place: ColumnElement[Any]) -> ColumnElement[Any]:
    """Take a place as a point on the flat map, written exactly as in the index over it."""
    return cast(place, Geometry(geometry_type=None))


def issue_columns(source: FromClause) -> list[ColumnElement[Any]]:
    """List what to select for `view_of`, from the table or from `ISSUE_MAP`."""
    place = planar(source.c.place)
    columns: list[ColumnElement[Any]] = [source.c[name] for name in IssueView.__slots__ if name != "at"]
    return [*columns, func.ST_X(place).label("lon"), func.ST_Y(place).label("lat")]


def view_of(row: Row[Any]) -> IssueView:
    """Make the view of a row selected with `issue_columns`."""
    given = row._mapping  # noqa: SLF001 - the documented name, kept apart from columns by its underscore
    values = {name: given[name] for name in (*IssueView.__slots__, "lon", "lat") if name != "at"}
    at = LonLat(values.pop("lon"), values.pop("lat"))
    status, districts = Status(values.pop("status")), tuple(values.pop("districts"))
    return IssueView(**values, at=at, status=status, districts=districts)


async def read_issue(session: AsyncSession, city_id: int, issue_id: UUID) -> IssueView | None:
    """Read an issue by its key; None where the city has no such issue."""
    issue = Issue.__table__
    query = select(*issue_columns(issue)).where(issue.c.city_id == city_id, issue.c.id == issue_id)
    row = (await session.execute(query)).one_or_none()
    return None if row is None else view_of(row)


async def lock_issues(session: AsyncSession, city_id: int, issue_ids: Collection[UUID]) -> dict[UUID, IssueView]:
    """Lock issues until the transaction ends, in the order of their ids so that no two callers wait for each other.

    Returns:
        The issues by id; those that the city does not have are left out.
    """
    issue = Issue.__table__
    # An issue's key never changes, so other rows may go on referring to it meanwhile.
    query = (
        select(*issue_columns(issue))
        .where(issue.c.city_id == city_id, issue.c.id.in_(issue_ids))
        .order_by(issue.c.id)
        .with_for_update(key_share=True)
    )
    return {row.id: view_of(row) for row in await session.execute(query)}
