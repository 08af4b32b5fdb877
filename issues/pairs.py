"""Pairs of issues that may be one problem, kept for staff to look at when a report comes.

A pair is made of the reports that opened its two issues, not of the issues: whatever is merged, split or undone later,
each side is the issue that its report is in then. So a pair whose issues were merged is no pair any more, one whose
merge was undone is one again, and what was told apart stays apart under whichever issues have the two reports.
`issues.review` lists and decides them.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, new_id
from issues.match import Match
from issues.reports import MatchView


class PairState(StrEnum):
    """What became of a pair."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class Pair(Base):
    """Two reports, each of which opened an issue, that may be about one problem."""

    __tablename__ = "issue_pair"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "one_id"], ["report.city_id", "report.id"]),
        ForeignKeyConstraint(["city_id", "other_id"], ["report.city_id", "report.id"]),
        UniqueConstraint("city_id", "one_id", "other_id"),
        CheckConstraint("one_id < other_id", name="order"),
        CheckConstraint("state IN ('pending', 'confirmed', 'rejected')", name="state"),
        # The queue, likeliest first.
        Index("ix_issue_pair_state", "city_id", "state", "score", "id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    one_id: Mapped[UUID]
    other_id: Mapped[UUID]
    score: Mapped[float]
    reasons: Mapped[list[Any]] = mapped_column(JSONB)
    state: Mapped[str]
    made_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]


@cache
def pair_rows(pairs: int) -> str:
    """Write the statement that stores so many pairs of a report, also as a part of the one that writes the report.

    In the same order for everybody, so that two who store the same pairs never wait for each other. Why there are no
    arrays: see `db.rates.counting_after`.

    Args:
        pairs: How many; at least one.

    Returns:
        A statement with the values of `pair_values`, and with ``city_id``, ``report_id`` and ``now``.
    """
    rows = ", ".join(
        f"(%(id_{n})s::uuid, %(issue_id_{n})s::uuid, %(score_{n})s::float8, %(reasons_{n})s::jsonb)"
        for n in range(pairs)
    )
    return f"""
INSERT INTO issue_pair (city_id, id, one_id, other_id, score, reasons, state, made_at)
SELECT %(city_id)s, pair.id, least(opener.id, %(report_id)s), greatest(opener.id, %(report_id)s), pair.score,
       pair.reasons, 'pending', %(now)s
FROM (VALUES {rows}) AS pair(id, issue_id, score, reasons)
CROSS JOIN LATERAL (
    SELECT id FROM report
    WHERE city_id = %(city_id)s AND issue_id = pair.issue_id ORDER BY received_at, id LIMIT 1
) AS opener
ORDER BY 3, 4
ON CONFLICT (city_id, one_id, other_id) DO UPDATE SET score = excluded.score, reasons = excluded.reasons
WHERE issue_pair.state = 'pending'
"""  # noqa: S608 - made of constants


_TELL_APART = """
INSERT INTO issue_pair (city_id, id, one_id, other_id, score, reasons, state, made_at, decided_at, decided_by)
SELECT %(city_id)s, %(id)s, least(opener.id, %(report_id)s), greatest(opener.id, %(report_id)s), 0, '[]', 'rejected',
       %(now)s, %(now)s, %(by)s
FROM (SELECT id FROM report WHERE city_id = %(city_id)s AND issue_id = %(issue_id)s ORDER BY received_at, id LIMIT 1)
         AS opener
ON CONFLICT (city_id, one_id, other_id) DO UPDATE
SET state = excluded.state, decided_at = excluded.decided_at, decided_by = excluded.decided_by
"""
_FORGET = "DELETE FROM issue_pair WHERE city_id = %s AND (one_id = %s OR other_id = %s) AND state = 'pending'"


async def store_pairs(
    connection: AsyncConnection, city_id: int, report_id: UUID, matches: Sequence[Match], *, now: datetime
) -> None:
    """Put a report that opened an issue before, and what else it may be about, into the queue.

    Pairs that are there get the new score and its reasons, unless somebody has decided them.
    """
    values = {"city_id": city_id, "report_id": report_id, "now": now, **pair_values(matches)}
    await connection.execute(pair_rows(len(matches)), values, prepare=True)


def pair_values(matches: Sequence[Match]) -> dict[str, Any]:
    """Give the values of pairs by their names in `pair_rows`."""
    values: dict[str, Any] = {}
    for n, match in enumerate(matches):
        values |= {
            f"id_{n}": new_id(),
            f"issue_id_{n}": match.candidate.issue_id,
            f"score_{n}": match.score,
            f"reasons_{n}": json.dumps(MatchView.of(match).to_json()["reasons"]),
        }
    return values


async def forget_pairs(connection: AsyncConnection, city_id: int, report_id: UUID) -> None:
    """Take the pairs of a report out of the queue that are still to be decided: they are about where it was."""
    await connection.execute(_FORGET, (city_id, report_id, report_id))


async def tell_apart(
    connection: AsyncConnection, city_id: int, report_id: UUID, issue_id: UUID, *, cause: UUID, by: str, now: datetime
) -> None:
    """Keep a report that was taken out of an issue from being paired with it again: staff have said what it is not.

    A pair that is new gets the id of the event that caused it, by which `forget_cause` finds it.
    """
    values = {"city_id": city_id, "id": cause, "report_id": report_id, "issue_id": issue_id, "by": by, "now": now}
    await connection.execute(_TELL_APART, values)


async def forget_cause(connection: AsyncConnection, city_id: int, event_id: UUID) -> None:
    """Take back what `tell_apart` wrote for an event that is undone."""
    await connection.execute("DELETE FROM issue_pair WHERE city_id = %s AND id = %s", (city_id, event_id))
