"""Telling people what happened to an issue, each once, part by part.

Anybody may follow an issue, so there may be a million of them. They are told in the order of their ids, so many in one
transaction; the notice keeps how far it has come, and whoever goes on begins there.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, and_, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.jobs import enqueue
from issues.audience import Listener, Newcomers, find_newcomers, find_part
from issues.events import Event
from issues.lifecycle import NoticeKind
from push import queueing

_PERSONS_AT_ONCE = 5000


class Notice(Base):
    """What an event has to tell; written with the event, told by a job."""

    __tablename__ = "notice"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "event_id"], ["event.city_id", "event.id"]),
        Index("ix_notice_waiting", "city_id", "issue_id", postgresql_where=text("told_at IS NULL")),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    issue_id: Mapped[UUID]
    kind: Mapped[str]
    params: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    told_at: Mapped[datetime | None]  # when all had been told
    told_through: Mapped[UUID | None]  # the last person who was, while others are still to be
    authors_told: Mapped[bool] = mapped_column(server_default=text("false"))  # before their reports went elsewhere
    newcomers: Mapped[dict[str, Any] | None]  # those whom a merge brought, who alone are told; see `Newcomers`


@dataclass(frozen=True, slots=True)
class Told:
    """What one step of telling came to; `more` while there is more to tell."""

    queued: int
    more: bool


async def give_notice(
    session: AsyncSession,
    city_id: int,
    event_id: UUID,
    issue_id: UUID,
    *,
    kind: NoticeKind,
    params: Mapping[str, str],
    newcomers: Newcomers | None = None,
    at: datetime,
) -> None:
    """Write down what an event has to tell of an issue, and enqueue the telling: to all, or to newcomers alone."""
    row = {"city_id": city_id, "event_id": event_id, "issue_id": issue_id, "kind": kind, "params": params}
    if newcomers is not None:
        # Reports that go elsewhere change nothing: who is told stands there.
        row |= {"newcomers": newcomers.to_json(), "authors_told": True}
    await session.execute(insert(Notice).values(**row, created_at=at))
    await enqueue(session, "push.tell", {"city_id": city_id, "event_id": str(event_id)})


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
    if notice.newcomers is None:
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
    else:
        part = await find_newcomers(
            session,
            city_id,
            issue_id,
            notice.newcomers,
            as_of=notice.created_at,
            after=notice.told_through,
            most=most,
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
        .where(Notice.city_id == city_id, Notice.issue_id.in_(issue_ids), Notice.told_at.is_(None))
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
