"""Who hears of an issue, each once: those who reported it, who follow it, and who subscribed to its place.

Anybody may follow an issue, so there may be a million of them: they are found in the order of their ids, part by part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection


@dataclass(frozen=True, slots=True)
class Listener:
    """A person who hears of an issue.

    Attributes:
        report_id: Their own first report in it; None where they only follow it.
        number: That report's, which is the one they were told; None where they only follow.
    """

    person_id: UUID
    report_id: UUID | None
    number: str | None


@dataclass(frozen=True, slots=True)
class Newcomers:
    """Those who heard of an issue that was merged into another, and not of that other: as it was before.

    Attributes:
        issues: The issue, and all merged into it, whose followers they are.
        authors: Who reported it, and listens.
        known_issues: The other, and all merged into it: who follows one of these knows how it stands.
        known_authors: Who reported the other, and listens.
        told_by: Events whose notices, all told before, come first: of issues merged at the same time.
    """

    issues: Sequence[UUID]
    authors: Sequence[Listener]
    known_issues: Sequence[UUID]
    known_authors: Sequence[UUID]
    told_by: Sequence[UUID]

    def to_json(self) -> dict[str, Any]:
        """Write them for a notice."""
        return {
            "issues": [str(each) for each in self.issues],
            "authors": [[str(one.person_id), str(one.report_id), one.number] for one in self.authors],
            "known_issues": [str(each) for each in self.known_issues],
            "known_authors": [str(each) for each in self.known_authors],
            "told_by": [str(each) for each in self.told_by],
        }


@dataclass(frozen=True, slots=True)
class Part:
    """Some of those who may hear of an issue.

    Attributes:
        listeners: Who do.
        through: The last who was looked at; None where nobody is left.
    """

    listeners: Sequence[Listener]
    through: UUID | None


# The last word counts: who stopped following an issue and follows it again, or one merged into it, hears of it. An
# author who never said anything does. Of each issue of the family so many are read as are told at a time, in the order
# of the index: none of them is passed over, since whoever comes first among all comes first in their own issue.
# Of a private issue only authors hear: others may have followed it while everybody saw it.
# The same goes for those who subscribed to each of its districts. Of a new issue only these hear, and not who reported
# it. What somebody wished of the issue itself counts before what they subscribed to.
_PART = text(
    """
    WITH RECURSIVE family (id) AS (
        SELECT CAST(:issue AS uuid)
        UNION
        SELECT merged.id FROM issue AS merged JOIN family ON merged.merged_into = family.id
        WHERE merged.city_id = :city
    ), author AS MATERIALIZED (
        SELECT DISTINCT ON (person_id) person_id, id AS report_id, number
        FROM report
        WHERE city_id = :city AND issue_id = :issue AND person_id > :after AND withdrawn_at IS NULL
          AND received_at <= :as_of AND :with_authors
        ORDER BY person_id, received_at, id
    ), place AS MATERIALIZED (
        SELECT place::geometry AS at, districts, service_code FROM issue
        WHERE city_id = :city AND id = :issue AND NOT private AND :with_followers
    ), part AS MATERIALIZED (
        SELECT person_id, bool_or(subscribed) AS subscribed FROM (
            SELECT person_id, false AS subscribed FROM author
            UNION ALL
            SELECT ours.person_id, false FROM place CROSS JOIN family CROSS JOIN LATERAL (
                SELECT person_id FROM follow
                WHERE city_id = :city AND issue_id = family.id AND person_id > :after
                ORDER BY person_id LIMIT :most
            ) AS ours
            UNION ALL
            SELECT ours.person_id, true FROM place CROSS JOIN unnest(districts) AS key CROSS JOIN LATERAL (
                SELECT DISTINCT person_id FROM subscription
                WHERE city_id = :city AND area IS NULL AND district = key AND person_id > :after
                  AND (services IS NULL OR service_code = ANY(services)) AND CAST(:kind AS text) = ANY(kinds)
                  AND created_at <= :as_of
                ORDER BY person_id LIMIT :most
            ) AS ours
            UNION ALL
            SELECT ours.person_id, true FROM place CROSS JOIN LATERAL (
                SELECT DISTINCT person_id FROM subscription_map
                WHERE city_id = :city AND ST_Covers(area, place.at) AND person_id > :after
                  AND (services IS NULL OR service_code = ANY(services)) AND CAST(:kind AS text) = ANY(kinds)
                  AND created_at <= :as_of
                ORDER BY person_id LIMIT :most
            ) AS ours
        ) AS anybody
        GROUP BY person_id ORDER BY person_id LIMIT :most
    ), wish AS (
        SELECT DISTINCT ON (person_id) person_id, following
        FROM part CROSS JOIN family JOIN follow USING (person_id)
        WHERE city_id = :city AND issue_id = family.id AND (at <= :as_of OR NOT following)
        ORDER BY person_id, at DESC, following
    )
    SELECT person_id, author.report_id, author.number,
           CASE WHEN CAST(:kind AS text) = 'opened' THEN subscribed AND report_id IS NULL
                ELSE coalesce(following, report_id IS NOT NULL OR subscribed) END AS listens
    FROM part LEFT JOIN author USING (person_id) LEFT JOIN wish USING (person_id)
    ORDER BY person_id
    """
)
# As above, but for a merge: from what was written down when it was made. Who has said anything of the other issue
# since knows how it stands. Of an issue that has become private meanwhile only authors hear, here as above.
_NEWCOMERS = """
    WITH author AS MATERIALIZED (
        SELECT (author ->> 0)::uuid AS person_id, (author ->> 1)::uuid AS report_id, author ->> 2 AS number
        FROM jsonb_array_elements(%(authors)s) AS author WHERE (author ->> 0)::uuid > %(after)s
    ), part AS MATERIALIZED (
        SELECT person_id FROM author
        UNION
        SELECT ours.person_id FROM issue CROSS JOIN unnest(%(issues)s::uuid[]) AS family (id) CROSS JOIN LATERAL (
            SELECT person_id FROM follow
            WHERE city_id = %(city)s AND issue_id = family.id AND person_id > %(after)s
            ORDER BY person_id LIMIT %(most)s
        ) AS ours
        WHERE issue.city_id = %(city)s AND issue.id = %(issue)s AND NOT private
        ORDER BY person_id LIMIT %(most)s
    ), wish AS (
        SELECT DISTINCT ON (person_id) person_id, following FROM part JOIN follow USING (person_id)
        WHERE city_id = %(city)s AND issue_id = ANY(%(issues)s::uuid[]) AND (at <= %(as_of)s OR NOT following)
        ORDER BY person_id, at DESC, following
    ), known AS (
        SELECT DISTINCT ON (person_id) person_id, following OR at > %(as_of)s AS knows
        FROM part JOIN follow USING (person_id)
        WHERE city_id = %(city)s AND issue_id = ANY(%(known_issues)s::uuid[])
        ORDER BY person_id, at DESC, following
    )
    SELECT person_id, report_id, number,
           coalesce(following, report_id IS NOT NULL)
           AND NOT coalesce(knows, person_id = ANY(%(known_authors)s::uuid[]))
           AND NOT EXISTS (
               SELECT FROM notification AS told
               WHERE told.city_id = %(city)s AND told.event_id = ANY(%(told_by)s::uuid[])
                 AND told.person_id = part.person_id
           ) AS listens
    FROM part LEFT JOIN author USING (person_id) LEFT JOIN wish USING (person_id) LEFT JOIN known USING (person_id)
    ORDER BY person_id
"""
_FAMILY = """
    WITH RECURSIVE family (id) AS (
        SELECT %(issue)s::uuid
        UNION
        SELECT merged.id FROM issue AS merged JOIN family ON merged.merged_into = family.id
        WHERE merged.city_id = %(city)s
    )
    SELECT id FROM family ORDER BY id
"""
_NOBODY = UUID(int=0)


async def find_audience(session: AsyncSession, city_id: int, issue_id: UUID, *, as_of: datetime) -> list[Listener]:
    """Find who hears of an issue: the authors of its reports and its followers, less those who want no more of it.

    Follows stay where they were made, so those of issues merged into this one count here too. Each person is listed
    once, in the order of their ids. Who subscribed to its place is not among them.

    Args:
        session: Open transaction of the city.
        city_id: The city.
        issue_id: The issue.
        as_of: When it happened. Who came later knows of it from the answer that they got.
    """
    return list((await find_part(session, city_id, issue_id, kind=None, as_of=as_of, most=None)).listeners)


async def find_part(
    session: AsyncSession,
    city_id: int,
    issue_id: UUID,
    *,
    kind: str | None,
    as_of: datetime,
    after: UUID | None = None,
    most: int | None,
    authors: bool = True,
    followers: bool = True,
) -> Part:
    """Find the next of those who hear of an issue.

    Args:
        session: Open transaction of the city.
        city_id: The city.
        issue_id: The issue.
        kind: Of what there is to tell; None leaves those out who subscribed to kinds of news of the place.
        as_of: As for `find_audience`.
        after: The last person looked at before; None to begin.
        most: So many are looked at; None for all.
        authors: Whether to look at the authors of reports.
        followers: Whether to look at those who follow.
    """
    asked = {
        "city": city_id,
        "issue": issue_id,
        "kind": kind,
        "as_of": as_of,
        "after": after or _NOBODY,
        "most": most,
        "with_authors": authors,
        "with_followers": followers,
    }
    rows = (await session.execute(_PART, asked)).all()
    listeners = [Listener(row.person_id, row.report_id, row.number) for row in rows if row.listens]
    return Part(listeners, rows[-1].person_id if len(rows) == most else None)


async def find_newcomers(
    session: AsyncSession,
    city_id: int,
    issue_id: UUID,
    newcomers: Mapping[str, Any],
    *,
    as_of: datetime,
    after: UUID | None,
    most: int,
) -> Part:
    """Find the next of those whom a merge brought an issue, noted as `Newcomers` does; otherwise as `find_part`."""
    connection = await driver_connection(session)
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        _NEWCOMERS,
        {
            **newcomers,
            "authors": Jsonb(newcomers["authors"]),
            "city": city_id,
            "issue": issue_id,
            "as_of": as_of,
            "after": after or _NOBODY,
            "most": most,
        },
    )
    rows = await cursor.fetchall()
    listeners = [Listener(row["person_id"], row["report_id"], row["number"]) for row in rows if row["listens"]]
    return Part(listeners, rows[-1]["person_id"] if len(rows) == most else None)


async def find_authors(session: AsyncSession, city_id: int, issue_id: UUID, *, as_of: datetime) -> Sequence[Listener]:
    """Find those who reported an issue and hear of it."""
    part = await find_part(session, city_id, issue_id, kind=None, as_of=as_of, most=None, followers=False)
    return part.listeners


async def find_family(session: AsyncSession, city_id: int, issue_id: UUID) -> list[UUID]:
    """Find an issue and all that were merged into it."""
    connection = await driver_connection(session)
    cursor = await connection.execute(_FAMILY, {"city": city_id, "issue": issue_id})
    return [found for (found,) in await cursor.fetchall()]
