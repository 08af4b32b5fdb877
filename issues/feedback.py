"""What people say of a repair: fixed, or not. Who says that it is not, soon enough, opens the issue again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, SmallInteger
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.connections import driver_connection
from issues.actors import Actor
from issues.event_kinds import EventKind
from issues.events import NewEvent, append_event
from issues.issue import IssueNotFound, IssueView, lock_issues
from issues.lifecycle import NotAllowed, Status
from issues.status import move_issue

WITHIN: Final = timedelta(days=14)
"""So long after an issue was resolved people may say what they think of it."""


class Feedback(Base):
    """What a person says of one time that an issue was resolved; their last word counts."""

    __tablename__ = "feedback"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "event_id"], ["event.city_id", "event.id"]),
        CheckConstraint("satisfaction BETWEEN 1 AND 5", name="satisfaction"),
        Index(None, "city_id", "issue_id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)  # that resolved it
    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    issue_id: Mapped[UUID]
    fixed: Mapped[bool]
    satisfaction: Mapped[int | None] = mapped_column(SmallInteger)  # 1 to 5, the best
    at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody says: whether it is fixed, and how content they are, from 1 to 5, where they say so."""

    fixed: bool
    satisfaction: int | None = None


@dataclass(frozen=True, slots=True)
class FeedbackGiven:
    """What feedback came to: the issue as it stands now, and whether this opened it again."""

    issue: IssueView
    reopened: bool


@dataclass(frozen=True, slots=True)
class FeedbackCount:
    """What people said of one time that an issue was resolved; `satisfaction` is the mean of those who said."""

    event_id: UUID
    at: datetime
    fixed: int
    not_fixed: int
    satisfaction: float | None


@dataclass(eq=False)
class NothingToJudge(Exception):
    """The issue has not been resolved, or not lately enough.

    Attributes:
        until: When the time for it ended; None where it was never resolved.
    """

    until: datetime | None


# An issue and those that have taken its reports over, one after the other.
_HOMES = """
WITH RECURSIVE home (id) AS (
    SELECT %(issue)s::uuid
    UNION
    SELECT issue.merged_into FROM issue JOIN home USING (id)
    WHERE issue.city_id = %(city)s AND issue.merged_into IS NOT NULL
)"""
_HOME_IDS = f"{_HOMES} SELECT id FROM home"  # noqa: S608 - made of constants
_RESOLUTIONS = """
SELECT id, at FROM event
WHERE city_id = %(city)s AND issue_id = %(issue)s AND kind = %(kind)s AND data ->> 'to' = 'resolved'
  AND (%(event)s::uuid IS NULL OR id = %(event)s)
ORDER BY seq DESC LIMIT 1
"""
# Who has a report in it, also where another issue has taken its reports over since, or follows it, unless it has become
# private; of an issue merged into it too.
_CONCERNED = f"""{_HOMES}, family (id) AS (
    SELECT %(issue)s::uuid
    UNION
    SELECT merged.id FROM issue AS merged JOIN family ON merged.merged_into = family.id WHERE merged.city_id = %(city)s
)
SELECT EXISTS (
    SELECT FROM report JOIN home ON issue_id = home.id
    WHERE city_id = %(city)s AND person_id = %(person)s AND withdrawn_at IS NULL
) OR EXISTS (
    SELECT FROM follow JOIN family ON issue_id = family.id
    WHERE city_id = %(city)s AND person_id = %(person)s AND following
) AND NOT (
    SELECT private FROM issue WHERE city_id = %(city)s AND id = %(issue)s
)
"""  # noqa: S608 - made of constants


async def give_feedback(
    session: AsyncSession,
    city_id: int,
    issue_id: UUID,
    verdict: Verdict,
    *,
    actor: Actor,
    event_id: UUID | None = None,
    now: datetime,
) -> FeedbackGiven:
    """Note what a person says of a repair; again, the last word counts, and the satisfaction that was said stays.

    Where another issue has taken it over since, that is opened again. Joins the caller's transaction: the feedback, and
    where it is not fixed the event that opens the issue again, with what its people are told.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        issue_id: The issue.
        verdict: What they say.
        actor: Who, with a person; somebody with a report in it, or who follows it.
        event_id: Of which time that it was resolved; None for the last.
        now: The time.

    Raises:
        IssueNotFound: the city has no such issue.
        NotAllowed: the person has nothing to do with it.
        NothingToJudge: it was not resolved within `WITHIN`.
    """
    survivor = await _lock_home(session, city_id, issue_id)
    asked = {
        "city": city_id, "issue": issue_id, "kind": EventKind.STATUS, "event": event_id, "person": actor.person_id,
        "fixed": verdict.fixed, "satisfaction": verdict.satisfaction, "now": now,
    }  # fmt: skip
    connection = await driver_connection(session)
    concerned = await (await connection.execute(_CONCERNED, asked)).fetchone()
    if actor.person_id is None or concerned != (True,):
        raise NotAllowed(actor.role, "feedback")
    resolution = await (await connection.execute(_RESOLUTIONS, asked)).fetchone()
    if resolution is None or now >= resolution[1] + WITHIN:
        raise NothingToJudge(None if resolution is None else resolution[1] + WITHIN)
    asked["event"] = resolution[0]
    await connection.execute(
        """
        INSERT INTO feedback (city_id, event_id, person_id, issue_id, fixed, satisfaction, at)
        VALUES (%(city)s, %(event)s, %(person)s, %(issue)s, %(fixed)s, %(satisfaction)s, %(now)s)
        ON CONFLICT (city_id, event_id, person_id) DO UPDATE SET
            fixed = excluded.fixed, satisfaction = coalesce(excluded.satisfaction, feedback.satisfaction),
            at = excluded.at
        """,
        asked,
    )
    if verdict.fixed or survivor.status not in (Status.RESOLVED, Status.CLOSED):
        return FeedbackGiven(survivor, reopened=False)
    return await _reopen(session, survivor, actor, resolved_by=resolution[0], now=now)


async def _lock_home(session: AsyncSession, city_id: int, issue_id: UUID) -> IssueView:
    """Lock an issue and those that took it over; answers with the one that has its reports now."""
    connection = await driver_connection(session)
    while True:
        cursor = await connection.execute(_HOME_IDS, {"city": city_id, "issue": issue_id})
        locked = await lock_issues(session, city_id, [home_id for (home_id,) in await cursor.fetchall()])
        if issue_id not in locked:
            raise IssueNotFound(issue_id)
        for issue in locked.values():
            if issue.merged_into is None:  # else the last one was merged while it was waited for
                return issue


async def _reopen(
    session: AsyncSession, issue: IssueView, actor: Actor, *, resolved_by: UUID, now: datetime
) -> FeedbackGiven:
    data: dict[str, Any] = {"fixed": False, "resolved_by": str(resolved_by)}
    said = NewEvent(issue.id, EventKind.FEEDBACK, actor.sender, now, public=False, data=data)
    await append_event(session, issue.city_id, said)
    change = await move_issue(session, issue, Status.ACKNOWLEDGED, actor=actor, cause=said.id, now=now)
    return FeedbackGiven(change.issue, reopened=True)


async def count_feedback(session: AsyncSession, city_id: int, issue_id: UUID) -> Sequence[FeedbackCount]:
    """Count what people said of an issue, for each time that it was resolved, the last first; for staff."""
    connection = await driver_connection(session)
    cursor = await connection.execute(
        """
        SELECT event.id, event.at, count(*) FILTER (WHERE fixed), count(*) FILTER (WHERE NOT fixed),
               avg(satisfaction)::float8
        FROM feedback JOIN event ON event.city_id = %(city)s AND event.id = event_id
        WHERE feedback.city_id = %(city)s AND feedback.issue_id = %(issue)s
        GROUP BY event.id, event.at, event.seq ORDER BY event.seq DESC
        """,
        {"city": city_id, "issue": issue_id},
    )
    return [FeedbackCount(*row) for row in await cursor.fetchall()]
