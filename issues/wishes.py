"""« Moi aussi »: reports that join an issue because their sender says that it is the same problem."""

from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from geo.points import LonLat, distance_m
from issues.browse import find_issue
from issues.catalogue import ServiceEntry
from issues.issue import IssueNotFound, read_issue
from issues.lifecycle import OPEN
from issues.match import LARGEST_RADIUS_M, Joins, Reason
from issues.reports import MatchView

BY_WISH: Final = MatchView(1.0, (Reason("wish", 1.0, "1", 1.0),))
"""Why a report joined the issue that its sender named: nothing was weighed."""


async def find_wished(
    session: AsyncSession, city_id: int, issue_id: UUID | None, *, service: ServiceEntry, at: LonLat
) -> UUID | None:
    """Find the issue that a report joins by its sender's wish.

    An issue that was merged since the sender saw it stands for the one that took it over. A wish that cannot be
    granted is no reason to refuse a report: that is filed as if it had come without one.

    Args:
        session: The transaction of the submission, which holds the cells of its place.
        city_id: The city.
        issue_id: The issue that was named; None for none.
        service: The report's service.
        at: The report's place.

    Returns:
        None where the issue is not there for everybody, not open, of no service that people are shown before they
        report one of the report's, or farther than any report joins.
    """
    if issue_id is None or service.policy.joins is Joins.NEVER:
        return None
    try:
        issue = await find_issue(session, city_id, issue_id, staff=False)
    except IssueNotFound:
        return None
    survivor = issue if issue.merged_into is None else await read_issue(session, city_id, issue.merged_into)
    if survivor is None or survivor.status not in OPEN or survivor.service_code not in service.closeness:
        return None
    return survivor.id if distance_m(at, survivor.at) <= LARGEST_RADIUS_M else None
