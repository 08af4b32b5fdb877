"""From a notice to the people who hear it, each once.

Anybody may follow an issue, so there may be a million of them. They are told in the order of their ids, so many in one
transaction; the notice keeps how far it has come, and whoever goes on begins there.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, and_, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.jobs import enqueue
from issues.events import Event
from issues.lifecycle import NoticeKind
from push import queueing


class Notice(Base):
    """What an event has to tell; written with the event, told by a job."""

    __tablename__ = "notice"
    __table_args__ = (ForeignKeyConstraint(["city_id", "event_id"], ["event.city_id", "event.id"]),)

    city_id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    issue_id: Mapped[UUID]
    kind: Mapped[str]
    params: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    told_at: Mapped[datetime | None]  # when all had been told
    told_through: Mapped[UUID | None]  # the last person who was, while others are still to be
    authors_told: Mapped[bool] = mapped_column(server_default=text("false"))  # before their reports went elsewhere


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
class Part:
    """Some of those who may hear of an issue.

    Attributes:
        listeners: Who do.
        through: The last who was looked at; None where nobody is left.
    """

    listeners: Sequence[Listener]
    through: UUID | None


@dataclass(frozen=True, slots=True)
class Told:
    """What one step of telling came to; `more` while there is more to tell."""

    queued: int
    more: bool


# The last word counts: who stopped following an issue and follows it again, or one merged into it, hears of it. An
# author who never said anything does. Of each issue of the family so many are read as are told at a time, in the order
# of the index: none of them is passed over, since whoever comes first among all comes first in their own issue.
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
            SELECT ours.person_id, false FROM family CROSS JOIN LATERAL (
                SELECT person_id FROM follow
                WHERE city_id = :city AND issue_id = family.id AND person_id > :after
                ORDER BY person_id LIMIT :most
            ) AS ours
            WHERE :with_followers
            UNION ALL
            SELECT ours.person_id, true FROM place CROSS JOIN unnest(districts) AS key CROSS JOIN LATERAL (
                SELECT person_id FROM subscription
                WHERE city_id = :city AND area IS NULL AND district = key AND person_id > :after
                  AND (services IS NULL OR service_code = ANY(services)) AND CAST(:kind AS text) = ANY(kinds)
                  AND created_at <= :as_of
                ORDER BY person_id LIMIT :most
            ) AS ours
            UNION ALL
            SELECT ours.person_id, true FROM place CROSS JOIN LATERAL (
                SELECT person_id FROM subscription_map
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
_NOBODY = UUID(int=0)
_PERSONS_AT_ONCE = 5000


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


async def tell(
    session: AsyncSession, city_id: int, event_id: UUID, *, now: datetime, most: int = _PERSONS_AT_ONCE
) -> Told:
    """Turn the next part of an event's notice into notifications; the work of a 'push.tell' job, until all is told.

    What still waits to be told of the issue is told before it, in the order in which it happened: jobs come in any
    order. Joins the caller's transaction: the notifications, the mark of how far they go, and the job that delivers
    them.

    Args:
        session: Open transaction of the city; committed by the caller, who asks again while there is more.
        city_id: The city.
        event_id: The event.
        now: Time of telling.
        most: How many persons are looked at, so that no transaction is long.

    Returns:
        How many deliveries to devices were queued, and whether anything of the issue is still to be told.
    """
    key = (Notice.city_id == city_id, Notice.event_id == event_id)
    issue_id = (await session.execute(select(Notice.issue_id).where(*key))).scalar_one()
    waiting = await _lock_waiting(session, city_id, [issue_id])
    if not waiting:
        return Told(0, more=False)
    notice = waiting[0]
    part = await find_part(
        session,
        city_id,
        issue_id,
        kind=notice.kind,
        as_of=notice.created_at,
        after=notice.told_through,
        most=most,
        authors=not notice.authors_told,
    )
    queued = await _tell_of(session, notice, part.listeners, now=now)
    notice.told_through = part.through
    notice.told_at = now if part.through is None else None
    await session.flush()
    return Told(queued, more=part.through is not None or len(waiting) > 1)


async def tell_authors(session: AsyncSession, city_id: int, issue_ids: Collection[UUID], *, now: datetime) -> int:
    """Tell the authors of reports what waits to be told of their issues, before the reports go elsewhere.

    Who follows stays a follower of the issue, and is told by its job.

    Returns:
        How many deliveries to devices were queued.
    """
    queued = 0
    for notice in await _lock_waiting(session, city_id, issue_ids):
        if not notice.authors_told:
            part = await find_part(
                session,
                city_id,
                notice.issue_id,
                kind=notice.kind,
                as_of=notice.created_at,
                most=None,
                followers=False,
            )
            queued += await _tell_of(session, notice, part.listeners, now=now)
            notice.authors_told = True
    await session.flush()
    return queued


async def _lock_waiting(session: AsyncSession, city_id: int, issue_ids: Collection[UUID]) -> Sequence[Notice]:
    """Lock what is not told yet of issues, as it happened."""
    waiting = (
        select(Notice)
        .join(Event, and_(Event.city_id == Notice.city_id, Event.id == Notice.event_id))
        .where(Notice.city_id == city_id, Event.issue_id.in_(issue_ids), Notice.told_at.is_(None))
        .order_by(Event.seq)
        .with_for_update(of=Notice)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(waiting)).all()


async def _tell_of(session: AsyncSession, notice: Notice, listeners: Sequence[Listener], *, now: datetime) -> int:
    return await tell_people(
        session,
        notice.city_id,
        notice.event_id,
        kind=notice.kind,
        params=notice.params,
        listeners=listeners,
        happened_at=notice.created_at,
        about=notice.issue_id if NoticeKind(notice.kind).is_state else None,
        now=now,
    )


async def tell_people(
    session: AsyncSession,
    city_id: int,
    event_id: UUID,
    *,
    kind: str,
    params: Mapping[str, str],
    listeners: Sequence[Listener],
    happened_at: datetime,
    about: UUID | None,
    now: datetime,
) -> int:
    """Queue what an event has to tell certain people, and the job that delivers it; answers how many deliveries.

    Where `about` names the issue, it is of its state, and whatever is told of that later takes its place.
    """
    queued = await queueing.queue_notifications(
        session,
        city_id,
        event_id=event_id,
        kind=kind,
        params=params,
        recipients=[queueing.Recipient(listener.person_id, _own_params(listener)) for listener in listeners],
        happened_at=happened_at,
        about=about,
        safety=params.get("safety") == "true",
        now=now,
    )
    if queued:
        await enqueue(session, "push.deliver", {"city_id": city_id})
    return queued


def _own_params(listener: Listener) -> dict[str, str]:
    if listener.report_id is None or listener.number is None:
        return {}
    return {"report_id": str(listener.report_id), "number": listener.number}
