"""What a report may be about, shown before it is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from geo.points import LonLat
from issues.city import CityBook
from issues.issue import ISSUE_MAP, IssueView, issue_columns, view_of
from issues.match import Match, Reason, assumed_accuracy_m, rank_candidates
from issues.neighbours import ask_neighbours, read_candidates

_MOST_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class NearIssue:
    """An open issue a report may be about: how far from it, how likely (0 to 1), and why."""

    issue: IssueView
    distance_m: float
    score: float
    reasons: tuple[Reason, ...]


async def find_near(
    session: AsyncSession,
    *,
    city: CityBook,
    service_code: str,
    at: LonLat,
    accuracy_m: float | None,
    now: datetime,
    limit: int = _MOST_SHOWN,
) -> list[NearIssue]:
    """Find the open issues that a report from a place may be about.

    The search reaches farther than joining does, in metres and in days, for here people look for themselves.

    Args:
        session: A transaction in the city.
        city: The city.
        service_code: What would be reported; its siblings are searched as well.
        at: Position in WGS 84.
        accuracy_m: Its accuracy; None where unknown.
        now: The time to reckon ages from.
        limit: At most so many.

    Returns:
        Best first. Nothing for a private service: what concerns one home is nobody else's to see.

    Raises:
        ServiceNotOffered: the city has no such service.
    """
    service = city.catalogue.offered(service_code)
    if not service.neighbours:
        return []
    policy = service.policy.for_suggestions()
    cursor = await ask_neighbours(
        await driver_connection(session), city.id, service_codes=service.neighbours, at=at, policy=policy, now=now
    )
    matches = rank_candidates(
        await read_candidates(cursor),
        service_code=service_code,
        accuracy_m=assumed_accuracy_m("map") if accuracy_m is None else accuracy_m,
        policy=policy,
        now=now,
    )
    return await _with_issues(session, city.id, matches[:limit])


async def _with_issues(session: AsyncSession, city_id: int, matches: Sequence[Match]) -> list[NearIssue]:
    query = select(*issue_columns(ISSUE_MAP)).where(
        ISSUE_MAP.c.city_id == city_id, ISSUE_MAP.c.id.in_([match.candidate.issue_id for match in matches])
    )
    issues = {row.id: view_of(row) for row in await session.execute(query)}
    return [
        NearIssue(issues[match.candidate.issue_id], match.candidate.distance_m, match.score, match.reasons)
        for match in matches
        if match.candidate.issue_id in issues
    ]
