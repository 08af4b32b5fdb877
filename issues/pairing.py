"""Looking again what an issue may be about: once its photos can be compared, and after its place was put right."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from db.tenancy import enter_city
from issues.catalogue import Catalogue, KnownCatalogues
from issues.issue import IssueView, read_issue
from issues.lifecycle import OPEN
from issues.match import Candidate, Joins, Match, rank_candidates, suggestible
from issues.neighbours import ask_neighbours, read_candidates, wording_of
from issues.pairs import store_pairs
from issues.photo_hashes import hashes_of_issues, with_photos

_OPENER = """
SELECT r.id, r.received_at, r.location_source, p.address_string, p.description
FROM report r JOIN report_personal p ON p.city_id = r.city_id AND p.report_id = r.id
WHERE r.city_id = %s AND r.issue_id = %s ORDER BY r.received_at, r.id LIMIT 1
"""
_REPORT_OF_PHOTO = """
SELECT c.city_id, c.target_id FROM photo p JOIN photo_claim c ON c.photo_id = p.id AND c.sender = p.uploader
WHERE p.id = %s
"""


async def pair_by_photo(session: AsyncSession, photo_id: UUID, *, catalogues: KnownCatalogues, now: datetime) -> None:
    """Pair the issue of the report that a photo came with, now that the photo is ready.

    Does nothing for a photo that no report has named yet: the report looks at it when it comes. Where both happen
    within the same milliseconds, neither may see the other, and the pair counts without this photo.

    Args:
        session: Open transaction in no city; entered here, committed by the caller.
        photo_id: The photo.
        catalogues: Of the cities.
        now: For pairs that are new.
    """
    connection = await driver_connection(session)
    claim = await (await connection.execute(_REPORT_OF_PHOTO, (photo_id,))).fetchone()
    if claim is None:
        return
    city_id, report_id = claim
    await enter_city(session, city_id)
    cursor = await connection.execute(
        "SELECT issue_id FROM report WHERE city_id = %s AND id = %s", (city_id, report_id)
    )
    row = await cursor.fetchone()
    if row is not None:  # else it is a work order's
        await pair_issue(session, city_id, await catalogues.find(session, city_id), row[0], now=now)


async def pair_issue(
    session: AsyncSession, city_id: int, catalogue: Catalogue, issue_id: UUID, *, now: datetime
) -> None:
    """Put an issue and what else it may be about into the review queue, as the report that opened it did.

    Pairs that wait there are scored anew. An issue that is closed, private, or of a service whose reports are kept
    apart is in no pair.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        catalogue: The city's.
        issue_id: The issue.
        now: For pairs that are new.
    """
    issue = await read_issue(session, city_id, issue_id)
    if issue is None or issue.private or issue.status not in OPEN or issue.merged_into is not None:
        return
    connection = await driver_connection(session)
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_OPENER, (city_id, issue_id))
    opener = await cursor.fetchone()
    if opener is None:
        return
    if doubtful := await _doubtful(connection, catalogue, issue, opener):
        await store_pairs(connection, city_id, opener["id"], doubtful, now=now)


async def _doubtful(
    connection: AsyncConnection, catalogue: Catalogue, issue: IssueView, opener: dict[str, Any]
) -> Sequence[Match]:
    service = catalogue.services[issue.service_code]
    if service.policy.joins is Joins.NEVER or not service.neighbours:
        return []
    policy, then = service.policy.for_suggestions(), opener["received_at"]
    cursor = await ask_neighbours(
        connection, issue.city_id, service_codes=service.neighbours, at=issue.at, policy=policy, now=then
    )
    others = [_as_earlier(found, then) for found in await read_candidates(cursor) if found.issue_id != issue.id]
    shown = (await hashes_of_issues(connection, issue.city_id, [issue.id])).get(issue.id, ())
    ranked = rank_candidates(
        await with_photos(connection, issue.city_id, others, shown),
        service_code=service.code,
        accuracy_m=issue.accuracy_m,
        policy=policy,
        now=then,
        wording=wording_of(opener["location_source"], opener["address_string"], opener["description"], shown),
    )
    return suggestible(ranked, service.policy)


def _as_earlier(candidate: Candidate, then: datetime) -> Candidate:
    """Let what was reported later count as what was reported earlier by as much."""
    return replace(candidate, last_report_at=then - abs(candidate.last_report_at - then))
