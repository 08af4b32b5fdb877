"""What photos show, as far as scores are concerned: the difference hashes of those that are made safe.

Photos are decoded a moment after they came, so there may be none yet; `issues.pairing` looks again once there are.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection

from issues.match import Candidate

# Fog, night and a finger on the lens all look alike: a picture with next to no brighter (or darker) neighbours says
# nothing. Photos of streets have 18 to 40 such bits of 64.
_LEAST_BITS: Final = 8

# None but its uploader's: whose photo resembles somebody else's is nobody's to find out.
_OWN = """
SELECT dhash FROM photo
WHERE id = ANY(%(photo_ids)s::uuid[]) AND uploader = %(uploader)s AND state = 'ready' AND dhash IS NOT NULL
"""
_OF_ISSUES = """
SELECT r.issue_id, p.dhash
FROM report r
JOIN report_photo f ON f.city_id = r.city_id AND f.report_id = r.id
JOIN photo p ON p.id = f.photo_id AND p.state = 'ready' AND p.dhash IS NOT NULL
JOIN photo_claim c ON c.photo_id = p.id AND c.sender = p.uploader AND c.city_id = r.city_id AND c.target_id = r.id
WHERE r.city_id = %(city_id)s::integer AND r.issue_id = ANY(%(issue_ids)s::uuid[]) AND r.withdrawn_at IS NULL
"""


async def hashes_sent(connection: AsyncConnection, photo_ids: Collection[UUID], *, uploader: str) -> tuple[int, ...]:
    """Read the hashes of photos that somebody uploaded; those of others, and those not decoded yet, are left out."""
    if not photo_ids:
        return ()
    cursor = await connection.execute(_OWN, {"photo_ids": list(photo_ids), "uploader": uploader})
    return _telling(row[0] for row in await cursor.fetchall())


async def hashes_of_issues(
    connection: AsyncConnection, city_id: int, issue_ids: Collection[UUID]
) -> dict[UUID, tuple[int, ...]]:
    """Read the hashes of the photos that the reports of issues came with; issues without any are left out."""
    cursor = await connection.execute(_OF_ISSUES, {"city_id": city_id, "issue_ids": list(issue_ids)})
    found = defaultdict(list)
    for issue_id, dhash in await cursor.fetchall():
        found[issue_id].append(dhash)
    return {issue_id: hashes for issue_id, seen in found.items() if (hashes := _telling(seen))}


async def with_photos(
    connection: AsyncConnection, city_id: int, candidates: Sequence[Candidate], own: Collection[int]
) -> list[Candidate]:
    """Add to candidates what their photos show, where there is one (`own`) to compare them with."""
    if not own or not candidates:
        return list(candidates)
    hashes = await hashes_of_issues(connection, city_id, [candidate.issue_id for candidate in candidates])
    return [replace(each, photos=hashes.get(each.issue_id, ())) for each in candidates]


def _telling(hashes: Iterable[int]) -> tuple[int, ...]:
    most = 64 - _LEAST_BITS
    return tuple(dhash for dhash in hashes if _LEAST_BITS <= (dhash % (1 << 64)).bit_count() <= most)
