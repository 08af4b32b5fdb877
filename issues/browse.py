"""Looking through a city's issues: on a map, by filters, one by one."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from issues.issue import ISSUE_MAP, IssueNotFound, IssueView, IssueWithdrawn, issue_columns, planar, read_issue, view_of
from issues.lifecycle import Status
from issues.pages import Page, read_cursor, write_cursor
from issues.reports import Report


@dataclass(eq=False)
class InvalidBoundingBox(Exception):
    """A box that lies on no map.

    Attributes:
        edge: The edge that is wrong: 'west', 'south', 'east' or 'north'.
        value: What was given, in degrees.
    """

    edge: str
    value: float


@dataclass(frozen=True, slots=True)
class BoundingBox:
    """A box of longitudes and latitudes (WGS 84 degrees), edges included.

    West of east it is an ordinary box; east of west it is the one across the antimeridian (RFC 7946, 5.2).
    Raises `InvalidBoundingBox` unless its edges are places on the earth and south is not north of north.
    """

    west: float
    south: float
    east: float
    north: float

    def __post_init__(self) -> None:
        for edge, limit in (("west", 180.0), ("south", 90.0), ("east", 180.0), ("north", 90.0)):
            # Comparisons with NaN are false, so this refuses it too.
            if not -limit <= getattr(self, edge) <= limit:
                raise InvalidBoundingBox(edge, getattr(self, edge))
        if self.south > self.north:
            raise InvalidBoundingBox("south", self.south)

    @property
    def halves(self) -> tuple["BoundingBox", ...]:
        """The box itself, or the two on either side of the antimeridian."""
        if self.west <= self.east:
            return (self,)
        return (
            BoundingBox(self.west, self.south, 180.0, self.north),
            BoundingBox(-180.0, self.south, self.east, self.north),
        )


@dataclass(frozen=True, slots=True)
class IssueFilter:
    """Which issues are wanted; what is empty or None does not narrow, several values of one kind widen.

    Attributes:
        districts: As 'layer:code'.
        updated_after: Those that changed later than this.
        number: The one that has the report of this number now.
    """

    bbox: BoundingBox | None = None
    statuses: tuple[Status, ...] = ()
    service_codes: tuple[str, ...] = ()
    districts: tuple[str, ...] = ()
    updated_after: datetime | None = None
    number: str | None = None


async def list_issues(
    session: AsyncSession, city_id: int, wanted: IssueFilter, *, staff: bool, limit: int, cursor: str | None = None
) -> Page[IssueView]:
    """List a city's issues, the one opened last first.

    The order is that of their ids, which are made as issues are opened and never change. Ordered by their last
    change, an issue that changes while somebody pages would be shown twice, or never.

    Args:
        session: Open transaction of the city.
        city_id: The city.
        wanted: Which ones.
        staff: Whether those of private services, merged into others, or without a report are listed too.
        limit: Most issues on a page.
        cursor: Where the page before ended.

    Raises:
        InvalidCursor: the cursor is not from here.
        IssueWithdrawn: the one wanted by its number has no report any more; not raised for staff.
    """
    query = _wanted(city_id, wanted)
    if not staff:
        query = query.where(~ISSUE_MAP.c.private, ISSUE_MAP.c.merged_into.is_(None), ISSUE_MAP.c.report_count > 0)
    if cursor is not None:
        (last,) = read_cursor(cursor, "issues", UUID)
        query = query.where(ISSUE_MAP.c.id < last)
    await _plan_for_these_values(session)
    rows = (await session.execute(query.order_by(ISSUE_MAP.c.id.desc()).limit(limit + 1))).all()
    if not rows and not staff and wanted.number is not None:
        await _refuse_withdrawn(session, city_id, wanted.number)
    items = tuple(view_of(row) for row in rows[:limit])
    return Page(items, write_cursor("issues", items[-1].id) if len(rows) > limit else None)


async def find_issue(session: AsyncSession, city_id: int, issue_id: UUID, *, staff: bool) -> IssueView:
    """Find one issue; one merged into another has its own id and the status of the one that took it over.

    Its `merged_into` is then the issue at the end of the chain, which has not been merged itself.

    Raises:
        IssueNotFound: the city has no such issue; or it, or the one it was merged into, is not for the public.
        IssueWithdrawn: no report is left in it, or in the one it was merged into; not raised for staff.
    """
    issue = survivor = await read_issue(session, city_id, issue_id)
    while survivor is not None and survivor.merged_into is not None and (staff or not survivor.private):
        survivor = await read_issue(session, city_id, survivor.merged_into)
    if issue is None or survivor is None or (not staff and (issue.private or survivor.private)):
        raise IssueNotFound(issue_id)
    if not staff and survivor.report_count == 0:
        raise IssueWithdrawn(issue_id)
    if survivor is issue:
        return issue
    return replace(issue, status=survivor.status, merged_into=survivor.id)


async def _refuse_withdrawn(session: AsyncSession, city_id: int, number: str) -> None:
    """Say of the issue of a report's number that it has no report any more, where that is why it is not listed."""
    for issue in (await list_issues(session, city_id, IssueFilter(number=number), staff=True, limit=1)).items:
        if issue.report_count == 0 and not issue.private:
            raise IssueWithdrawn(issue.id)


async def _plan_for_these_values(session: AsyncSession) -> None:
    # The best way to a few newest issues in a box depends on the box: nearly all of the city, and one walks back from
    # the newest; a street corner, and one asks the map's index. A plan kept for any value would walk through a
    # million issues for the street corner.
    connection = await driver_connection(session)
    await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")


def _wanted(city_id: int, wanted: IssueFilter) -> Select[Any]:
    issue = ISSUE_MAP.c
    query = select(*issue_columns(ISSUE_MAP)).where(issue.city_id == city_id)
    if wanted.bbox is not None:
        query = query.where(or_(*(_inside(half) for half in wanted.bbox.halves)))
    if wanted.statuses or wanted.service_codes:
        # One index serves both, by status first. A service alone is asked for in every status, so that it may be used.
        query = query.where(issue.status.in_(wanted.statuses or tuple(Status)))
    if wanted.service_codes:
        query = query.where(issue.service_code.in_(wanted.service_codes))
    if wanted.districts:
        query = query.where(issue.districts.overlap(list(wanted.districts)))
    if wanted.updated_after is not None:
        query = query.where(issue.updated_at > wanted.updated_after)
    if wanted.number is not None:
        of_number = select(Report.issue_id).where(Report.city_id == city_id, Report.number == wanted.number)
        query = query.where(issue.id == of_number.scalar_subquery())
    return query


def _inside(box: BoundingBox) -> ColumnElement[bool]:
    envelope = func.ST_MakeEnvelope(box.west, box.south, box.east, box.north, 4326)
    # Exact: the operator that the index knows compares boxes rounded to single precision.
    inside: ColumnElement[bool] = func.ST_Intersects(planar(ISSUE_MAP.c.place), envelope)
    return inside
