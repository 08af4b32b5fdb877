"""What a report may be about, shown before it is sent."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from geo.points import LonLat, MetresPerDegree
from issues.catalogue import ServiceEntry
from issues.city import CityBook
from issues.issue import ISSUE_MAP, PUBLIC_SQL, IssueView, issue_columns, view_of
from issues.match import (
    Candidate,
    Match,
    MatchPolicy,
    Reason,
    Wording,
    assumed_accuracy_m,
    rank_candidates,
    suggestible,
)
from issues.neighbours import ask_neighbours, read_candidates
from issues.photo_hashes import hashes_sent, with_photos

_MOST_CAME_BACK: Final = 20
# A box in degrees is rounded; what sticks out of the circle is left out by its distance.
_ROOM: Final = 1.01

# However long ago it was reported, what counts is that it was resolved lately.
_ANY_AGE_DAYS: Final = 100_000

# The map's index finds all of a box, open or not; of a street corner that is not much. When an issue was resolved is
# told by its last change, which nearly always was that.
_CAME_BACK = f"""
SELECT id, service_code, ST_Distance(place, ST_Point(%(lon)s::float8, %(lat)s::float8, 4326)::geography) AS distance_m,
       accuracy_m, last_report_at, true
FROM issue_map
WHERE city_id = %(city_id)s::integer AND service_code = ANY(%(service_codes)s::text[]) AND status = 'resolved'
  AND {PUBLIC_SQL} AND updated_at >= %(since)s::timestamptz
  AND place::geometry && ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, 4326)
  AND ST_DWithin(place, ST_Point(%(lon)s::float8, %(lat)s::float8, 4326)::geography, %(radius_m)s::float8)
ORDER BY distance_m, id
LIMIT {_MOST_CAME_BACK}
"""  # noqa: S608 - made of constants

# The photo that was reported first, of those that `issues.reports.photo_release` lets everybody see.
_PHOTOS = """
SELECT DISTINCT ON (r.issue_id) r.issue_id, p.id
FROM report r
JOIN report_photo f ON f.city_id = r.city_id AND f.report_id = r.id
JOIN photo p ON p.id = f.photo_id AND p.state = 'ready'
JOIN photo_claim c ON c.photo_id = p.id AND c.sender = p.uploader AND c.city_id = r.city_id AND c.target_id = r.id
JOIN issue i ON i.city_id = r.city_id AND i.id = r.issue_id AND NOT i.private
WHERE r.city_id = %(city_id)s AND r.issue_id = ANY(%(issue_ids)s) AND r.withdrawn_at IS NULL
ORDER BY r.issue_id, r.received_at, r.id, f.position
"""


@dataclass(frozen=True, slots=True)
class NearIssue:
    """An issue a report may be about.

    Attributes:
        distance_m: How far from the report's place.
        score: How likely it is meant, 0 to 1, and `reasons` why.
        came_back: It was resolved a short while ago.
        photo_id: A photo of it that everybody may see; None where there is none.
    """

    issue: IssueView
    distance_m: float
    score: float
    reasons: tuple[Reason, ...]
    came_back: bool
    photo_id: UUID | None


async def find_near(
    session: AsyncSession,
    *,
    city: CityBook,
    service_code: str,
    at: LonLat,
    accuracy_m: float | None,
    photo_ids: Collection[UUID] = (),
    uploader: str = "",
    now: datetime,
) -> list[NearIssue]:
    """Find the issues that a report from a place may be about: open ones, and those resolved a short while ago.

    The search reaches farther than joining does, in metres, in days and in services, for here people look for
    themselves; what scores below the service's threshold for suggestions is left out.

    Args:
        session: A transaction in the city.
        city: The city.
        service_code: What would be reported.
        at: Position in WGS 84.
        accuracy_m: Its accuracy; None where unknown.
        photo_ids: What would be sent with it; counts as far as it is decoded and the uploader's own.
        uploader: Who asks, as in `Photo.uploader`.
        now: The time to reckon ages from.

    Returns:
        At most five, best first. Nothing for a private service: what concerns one home is nobody else's to see.

    Raises:
        ServiceNotOffered: the city has no such service.
    """
    service = city.catalogue.offered(service_code)
    if not service.closeness:
        return []
    policy = service.policy.for_suggestions()
    accuracy_m = assumed_accuracy_m("map") if accuracy_m is None else accuracy_m
    connection = await driver_connection(session)
    shown = await hashes_sent(connection, photo_ids, uploader=uploader)
    matches = [
        match
        for candidates, limits in (
            *await _open_ones(connection, city.id, service, at, policy, now=now),
            await _came_back(connection, city.id, service, at, policy, now=now),
        )
        for match in rank_candidates(
            await with_photos(connection, city.id, candidates, shown),
            service_code=service_code,
            accuracy_m=accuracy_m,
            policy=limits,
            now=now,
            wording=Wording(photos=shown),
        )
    ]
    matches.sort(key=lambda match: (-match.score, match.candidate.distance_m, match.candidate.issue_id))
    return await _with_issues(session, city, suggestible(matches, policy))


async def find_photos(
    session: AsyncSession, city: CityBook, issue_ids: Collection[UUID], *, staff: bool
) -> Mapping[UUID, UUID]:
    """Find the first photo of each public issue that everybody, or the city's staff, may see; some have none."""
    if not issue_ids or not (staff or city.settings.photos_public):
        return {}
    connection = await driver_connection(session)
    cursor = await connection.execute(_PHOTOS, {"city_id": city.id, "issue_ids": list(issue_ids)})
    return dict(await cursor.fetchall())


# Candidates that crowd each other, and the limits for them.
_Sort = tuple[list[Candidate], MatchPolicy]


async def _open_ones(
    connection: AsyncConnection,
    city_id: int,
    service: ServiceEntry,
    at: LonLat,
    policy: MatchPolicy,
    *,
    now: datetime,
) -> tuple[_Sort, _Sort]:
    """Find the open ones: those that a report could join, and others of the group."""
    codes = list(service.closeness)
    cursor = await ask_neighbours(connection, city_id, service_codes=codes, at=at, policy=policy, now=now)
    found = [replace(each, closeness=service.closeness[each.service_code]) for each in await read_candidates(cursor)]
    own = [candidate for candidate in found if candidate.service_code in service.neighbours]
    others = [candidate for candidate in found if candidate.service_code not in service.neighbours]
    return (own, policy), (others, policy)


async def _came_back(
    connection: AsyncConnection,
    city_id: int,
    service: ServiceEntry,
    at: LonLat,
    policy: MatchPolicy,
    *,
    now: datetime,
) -> _Sort:
    degree = MetresPerDegree.around(at.lat)
    width, height = policy.radius_m * _ROOM / degree.lon, policy.radius_m * _ROOM / degree.lat
    values = {
        "city_id": city_id,
        "service_codes": list(service.neighbours),
        "lon": at.lon,
        "lat": at.lat,
        "radius_m": policy.radius_m,
        "since": now - timedelta(days=policy.window_days),
        "west": at.lon - width,
        "south": at.lat - height,
        "east": at.lon + width,
        "north": at.lat + height,
    }
    cursor = await connection.execute(_CAME_BACK, values)
    found = [Candidate(*row) for row in await cursor.fetchall()]
    return found, replace(policy, window_days=_ANY_AGE_DAYS)


async def _with_issues(session: AsyncSession, city: CityBook, matches: Sequence[Match]) -> list[NearIssue]:
    ids = [match.candidate.issue_id for match in matches]
    query = select(*issue_columns(ISSUE_MAP)).where(
        ISSUE_MAP.c.city_id == city.id, ISSUE_MAP.c.id.in_(ids), ISSUE_MAP.c.report_count > 0
    )
    issues = {row.id: view_of(row) for row in await session.execute(query)}
    photos = await find_photos(session, city, ids, staff=False)
    return [
        NearIssue(
            issue=issues[match.candidate.issue_id],
            distance_m=match.candidate.distance_m,
            score=match.score,
            reasons=match.reasons,
            came_back=match.candidate.came_back,
            photo_id=photos.get(match.candidate.issue_id),
        )
        for match in matches
        if match.candidate.issue_id in issues
    ]
