"""From a notice to the people who hear it, each once."""

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
from push import outbox


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
    told_at: Mapped[datetime | None]


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


# The last word counts: who stopped following an issue and follows it again, or one merged into it, hears of it. An
# author who never said anything does.
_LISTENERS = text(
    """
    WITH RECURSIVE family (id) AS (
        SELECT CAST(:issue AS uuid)
        UNION
        SELECT merged.id FROM issue AS merged JOIN family ON merged.merged_into = family.id
        WHERE merged.city_id = :city
    ), wish AS (
        SELECT DISTINCT ON (person_id) person_id, following
        FROM follow
        WHERE city_id = :city AND issue_id IN (SELECT id FROM family) AND (at <= :as_of OR NOT following)
        ORDER BY person_id, at DESC, following
    ), author AS (
        SELECT DISTINCT ON (person_id) person_id, id AS report_id, number
        FROM report
        WHERE city_id = :city AND issue_id = :issue AND person_id IS NOT NULL AND withdrawn_at IS NULL
          AND received_at <= :as_of
        ORDER BY person_id, received_at, id
    )
    SELECT person_id, author.report_id, author.number
    FROM author FULL JOIN wish USING (person_id)
    WHERE coalesce(wish.following, true)
    ORDER BY person_id
    """
)


async def find_audience(session: AsyncSession, city_id: int, issue_id: UUID, *, as_of: datetime) -> list[Listener]:
    """Find who hears of an issue: the authors of its reports and its followers, less those who want no more of it.

    Follows stay where they were made, so those of issues merged into this one count here too. Each person is
    listed once, in the order of their ids.

    Args:
        session: Open transaction of the city.
        city_id: The city.
        issue_id: The issue.
        as_of: When it happened. Who came later knows of it from the answer that they got.
    """
    rows = await session.execute(_LISTENERS, {"city": city_id, "issue": issue_id, "as_of": as_of})
    return [Listener(row.person_id, row.report_id, row.number) for row in rows]


async def tell(session: AsyncSession, city_id: int, event_id: UUID, *, now: datetime) -> int:
    """Turn the notice of an event into notifications, once, however often asked; the work of a 'push.tell' job.

    What still waits to be told of the issue is told with it, in the order in which it happened: jobs come in any order.
    Joins the caller's transaction: the notifications, the marks that they were made, and the job that delivers them.

    Returns:
        How many deliveries to devices were queued; 0 where the notice had been told, or nobody listens.
    """
    key = (Notice.city_id == city_id, Notice.event_id == event_id)
    issue_id = (await session.execute(select(Notice.issue_id).where(*key))).scalar_one()
    return await tell_waiting(session, city_id, [issue_id], now=now)


async def tell_waiting(session: AsyncSession, city_id: int, issue_ids: Collection[UUID], *, now: datetime) -> int:
    """Tell what waits to be told of issues, as it happened; also before reports come or go with their authors.

    Returns:
        How many deliveries to devices were queued.
    """
    waiting = (
        select(Notice)
        .join(Event, and_(Event.city_id == Notice.city_id, Event.id == Notice.event_id))
        .where(Notice.city_id == city_id, Event.issue_id.in_(issue_ids), Notice.told_at.is_(None))
        .order_by(Event.seq)
        .with_for_update(of=Notice)
    )
    queued = 0
    for notice in (await session.scalars(waiting)).all():
        listeners = await find_audience(session, city_id, notice.issue_id, as_of=notice.created_at)
        notice.told_at = now
        await session.flush()
        queued += await tell_people(
            session,
            city_id,
            notice.event_id,
            kind=notice.kind,
            params=notice.params,
            listeners=listeners,
            happened_at=notice.created_at,
            now=now,
        )
    return queued


async def tell_people(
    session: AsyncSession,
    city_id: int,
    event_id: UUID,
    *,
    kind: str,
    params: Mapping[str, str],
    listeners: Sequence[Listener],
    happened_at: datetime,
    now: datetime,
) -> int:
    """Queue what an event has to tell certain people, and the job that delivers it; answers how many deliveries."""
    queued = await outbox.queue_notifications(
        session,
        city_id,
        event_id=event_id,
        kind=kind,
        params=params,
        recipients=[outbox.Recipient(listener.person_id, _own_params(listener)) for listener in listeners],
        happened_at=happened_at,
        now=now,
    )
    if queued:
        await enqueue(session, "push.deliver", {"city_id": city_id})
    return queued


def _own_params(listener: Listener) -> dict[str, str]:
    if listener.report_id is None or listener.number is None:
        return {}
    return {"report_id": str(listener.report_id), "number": listener.number}
