"""The review queue: staff say of pairs of issues whether they are one problem."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from db.connections import driver_connection
from issues.actors import Actor, Role
from issues.commands import claim_command
from issues.event_kinds import EventKind
from issues.events import NewEvent, find_event
from issues.issue import Issue, IssueView, issue_columns, view_of
from issues.lifecycle import OPEN, NotAllowed
from issues.match import Reason
from issues.merging import take_over
from issues.pages import Page, read_cursor, write_cursor
from issues.pairs import PairState
from issues.regrouping import Regrouping, hold_issues, read_regrouping, record


@dataclass(eq=False)
class PairNotFound(Exception):
    """The city has no such pair."""

    pair_id: UUID


@dataclass(eq=False)
class PairSettled(Exception):
    """There is nothing to decide about a pair any more.

    Attributes:
        state: What somebody decided; still pending where its issues were merged or closed instead.
    """

    pair_id: UUID
    state: PairState


@dataclass(frozen=True, slots=True)
class PairView:
    """A pair as staff see it.

    Attributes:
        issues: The two that have its reports now, the one opened first before the other; the same twice where they
            were merged.
        score: How likely they are one problem (0 to 1), and `reasons` why, as of when the later report came.
    """

    id: UUID
    state: PairState
    issues: tuple[IssueView, IssueView]
    score: float
    reasons: tuple[Reason, ...]
    made_at: datetime
    decided_at: datetime | None
    decided_by: str | None

    @property
    def is_open(self) -> bool:
        """Whether there is anything to decide."""
        one, other = self.issues
        return self.state is PairState.PENDING and one.id != other.id and {one.status, other.status} <= OPEN


_PAIR: Final = """
SELECT p.id, p.state, p.score, p.reasons, p.made_at, p.decided_at, p.decided_by,
       one.issue_id AS one_issue, other.issue_id AS other_issue
FROM issue_pair p
JOIN report one ON one.city_id = p.city_id AND one.id = p.one_id
JOIN report other ON other.city_id = p.city_id AND other.id = p.other_id
"""
_AFTER: Final = "(%(score)s::float8 IS NULL OR (p.score, p.id) < (%(score)s::float8, %(id)s::uuid))"
_ORDER: Final = "ORDER BY p.score DESC, p.id DESC LIMIT %(limit)s"
_DECIDED = f"{_PAIR} WHERE p.city_id = %(city)s AND p.state = %(state)s AND {_AFTER} {_ORDER}"
# Merges make one pair of issues of several pairs of reports: the likeliest stands for them, and none does once one of
# them was decided.
_PENDING = f"""
{_PAIR}
JOIN issue a ON a.city_id = p.city_id AND a.id = one.issue_id
JOIN issue b ON b.city_id = p.city_id AND b.id = other.issue_id
WHERE p.city_id = %(city)s AND p.state = 'pending' AND {_AFTER}
  AND a.id <> b.id AND a.status = ANY(%(open)s) AND b.status = ANY(%(open)s)
  AND NOT EXISTS (
      SELECT FROM report x
      JOIN issue_pair q ON q.city_id = x.city_id AND q.one_id = x.id
      JOIN report y ON y.city_id = q.city_id AND y.id = q.other_id
      WHERE x.city_id = p.city_id AND x.issue_id IN (a.id, b.id) AND y.issue_id IN (a.id, b.id)
        AND x.issue_id <> y.issue_id AND (q.state <> 'pending' OR (q.score, q.id) > (p.score, p.id))
  )
{_ORDER}
"""


async def list_pairs(
    session: AsyncSession, city_id: int, state: PairState, *, limit: int, cursor: str | None = None
) -> Page[PairView]:
    """List the pairs in a state, the likeliest first.

    Pending are those that can still be decided: their issues are open, and none was merged into the other. Several
    pairs of reports that are one pair of issues are listed once, and no more once one of them was decided.

    Raises:
        InvalidCursor: the cursor is not from here.
    """
    score, last = (None, None) if cursor is None else read_cursor(cursor, "matches", _read_score, UUID)
    values = {"city": city_id, "state": state, "open": sorted(OPEN), "score": score, "id": last, "limit": limit + 1}
    connection = await driver_connection(session)
    query = _PENDING if state is PairState.PENDING else _DECIDED
    rows = await (await connection.cursor(row_factory=dict_row).execute(query, values)).fetchall()
    items = await _views(session, city_id, rows[:limit])
    more = len(rows) > limit
    return Page(items, write_cursor("matches", items[-1].score, items[-1].id) if more else None)


async def find_pair(session: AsyncSession, city_id: int, pair_id: UUID) -> PairView:
    """Find a pair by its id, whatever became of it.

    Raises:
        PairNotFound: the city has no such pair.
    """
    connection = await driver_connection(session)
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(f"{_PAIR} WHERE p.city_id = %s AND p.id = %s", (city_id, pair_id))
    row = await cursor.fetchone()
    if row is None:
        raise PairNotFound(pair_id)
    (pair,) = await _views(session, city_id, [row])
    return pair


async def confirm_pair(
    session: AsyncSession,
    city_id: int,
    pair_id: UUID,
    *,
    actor: Actor,
    note: str | None = None,
    confirmed: bool = False,
    command_id: UUID | None = None,
    now: datetime,
) -> Regrouping:
    """Merge the two issues of a pair: the one opened first takes the other over.

    Arguments as for `merge_issues`.

    Raises:
        NotAllowed: the actor decides nothing.
        PairNotFound: the city has no such pair.
        PairSettled: it was decided, or its issues were merged or closed.
        MergeNeedsConfirmation: it looks unlikely, and was not confirmed.
        CommandIdUsed: another command has the id.
    """
    said = _said(actor, note, "merge")
    content = ("match.confirm", pair_id, said)
    if not await claim_command(session, city_id, command_id, content, actor=actor, now=now):
        return await _first_result(session, city_id, command_id)
    pair = await _hold_pair(session, city_id, pair_id)
    survivor, other = pair.issues
    merged = await take_over(
        session,
        city_id,
        survivor.id,
        [other.id],
        actor=actor,
        note=said,
        confirmed=confirmed,
        event_id=command_id,
        pair_id=pair_id,
        now=now,
    )
    await _decide(session, city_id, pair_id, PairState.CONFIRMED, actor=actor, now=now)
    return merged


async def reject_pair(
    session: AsyncSession,
    city_id: int,
    pair_id: UUID,
    *,
    actor: Actor,
    note: str | None = None,
    command_id: UUID | None = None,
    now: datetime,
) -> PairView:
    """Say that the two issues of a pair are two problems; they are never paired again.

    The histories of both tell the staff who said so, and why.

    Raises:
        NotAllowed, PairNotFound, PairSettled, CommandIdUsed: as for `confirm_pair`.
    """
    said = _said(actor, note, "match")
    content = ("match.reject", pair_id, said)
    if await claim_command(session, city_id, command_id, content, actor=actor, now=now):
        pair = await _hold_pair(session, city_id, pair_id)
        one, other = (issue.id for issue in pair.issues)
        for issue_id, apart_from, own_id in ((one, other, command_id or new_id()), (other, one, new_id())):
            data = {"match": str(pair_id), "issue": str(apart_from)}
            event = NewEvent(issue_id, EventKind.TOLD_APART, actor.sender, now, public=False, data=data, id=own_id)
            await record(session, city_id, event, note=said)
        await _decide(session, city_id, pair_id, PairState.REJECTED, actor=actor, now=now)
    return await find_pair(session, city_id, pair_id)


def _said(actor: Actor, note: str | None, doing: str) -> str | None:
    if not actor.at_least(Role.AGENT):
        raise NotAllowed(actor.role, doing)
    return (note or "").strip() or None


async def _first_result(session: AsyncSession, city_id: int, command_id: UUID | None) -> Regrouping:
    assert command_id is not None  # noqa: S101 - what has no id is never a repeat
    event = await find_event(session, city_id, command_id)
    assert event is not None  # noqa: S101 - a confirmation that was carried out wrote one
    return await read_regrouping(session, city_id, event.issue_id, command_id)


async def _hold_pair(session: AsyncSession, city_id: int, pair_id: UUID) -> PairView:
    """Lock the issues of a pair that is still to be decided; whoever decides it too waits here."""
    while True:
        seen = await find_pair(session, city_id, pair_id)
        async with session.begin_nested() as attempt:
            await hold_issues(session, city_id, {issue.id for issue in seen.issues})
            pair = await find_pair(session, city_id, pair_id)
            if {issue.id for issue in pair.issues} == {issue.id for issue in seen.issues}:
                if not pair.is_open:
                    raise PairSettled(pair_id, pair.state)
                return pair
            # A report of it was moved since it was read: other locks are needed, and these are let go.
            await attempt.rollback()


async def _decide(
    session: AsyncSession, city_id: int, pair_id: UUID, state: PairState, *, actor: Actor, now: datetime
) -> None:
    connection = await driver_connection(session)
    await connection.execute(
        "UPDATE issue_pair SET state = %s, decided_at = %s, decided_by = %s WHERE city_id = %s AND id = %s",
        (state, now, actor.sender, city_id, pair_id),
    )


async def _views(session: AsyncSession, city_id: int, rows: Sequence[Mapping[str, Any]]) -> tuple[PairView, ...]:
    issue = Issue.__table__
    wanted = {row[side] for row in rows for side in ("one_issue", "other_issue")}
    query = select(*issue_columns(issue)).where(issue.c.city_id == city_id, issue.c.id.in_(wanted))
    issues = {found.id: view_of(found) for found in await session.execute(query)}
    return tuple(_view(row, issues[row["one_issue"]], issues[row["other_issue"]]) for row in rows)


def _view(row: Mapping[str, Any], one: IssueView, other: IssueView) -> PairView:
    if (other.opened_at, other.id) < (one.opened_at, one.id):
        one, other = other, one
    return PairView(
        id=row["id"],
        state=PairState(row["state"]),
        issues=(one, other),
        score=row["score"],
        reasons=tuple(Reason(**reason) for reason in row["reasons"]),
        made_at=row["made_at"],
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
    )


def _read_score(text: str) -> float:
    score = float(text)
    if not math.isfinite(score):
        raise ValueError(text)
    return score
