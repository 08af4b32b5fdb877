"""Events: everything that happened to an issue, in order, never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Identity,
    Index,
    Row,
    Select,
    and_,
    cast,
    func,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Xid8, new_id
from db.connections import driver_connection
from issues.browse import find_issue
from issues.event_kinds import EventKind
from issues.issue import Issue
from issues.lifecycle import Status
from issues.pages import Page, read_cursor, read_number, write_cursor


class Event(Base):
    """Something that happened to an issue.

    Feeds order by (`xid`, `seq`) and stop before the oldest transaction still running.
    """

    __tablename__ = "event"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "issue_id"], ["issue.city_id", "issue.id"]),
        Index("ix_event_city_id_issue_id", "city_id", "issue_id", "seq"),
        Index("ix_event_city_id_xid", "city_id", "xid", "seq"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)  # the client's id of a command, so that it may be repeated
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    issue_id: Mapped[UUID]
    kind: Mapped[str]
    actor: Mapped[str]  # 'device:<id>', 'staff:<id>', 'anonymous' or 'system'
    at: Mapped[datetime]
    public: Mapped[bool]
    data: Mapped[dict[str, Any]]
    undoes: Mapped[UUID | None]
    cause: Mapped[UUID | None]  # the event or work order that brought it about


class EventNote(Base):
    """What somebody wrote with an event: words may name people, so they can be erased without touching the event."""

    __tablename__ = "event_note"
    __table_args__ = (ForeignKeyConstraint(["city_id", "event_id"], ["event.city_id", "event.id"]),)

    city_id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    public: Mapped[bool]  # an internal note is for staff, also with a change that everybody sees
    text: Mapped[str]


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event about to be written.

    Attributes:
        id: The client's id of the command that brings it about, or one of ours.
        data: Ids and words of ours only; what somebody wrote is a note.
        cause: The event or work order that brought it about.
    """

    issue_id: UUID
    kind: EventKind
    actor: str
    at: datetime
    public: bool
    data: Mapping[str, Any]
    id: UUID = field(default_factory=new_id)
    undoes: UUID | None = None
    cause: UUID | None = None


@dataclass(eq=False)
class EventNotFound(Exception):
    """There is no such event: in the issue's history, or in the city's feed."""

    event_id: UUID


@dataclass(frozen=True, slots=True)
class EventView:
    """An event as its reader may see it.

    Attributes:
        actor: For staff as recorded; for the public only 'staff', 'resident' or 'system'.
        data: For the public only what is said of a status (`from` and `to`) and which issues took part.
        note: What somebody wrote with it; None where nothing, or nothing that the reader may see.
    """

    id: UUID
    issue_id: UUID
    kind: str  # an `EventKind`, or one of a newer version that serves beside this one
    actor: str
    at: datetime
    public: bool
    data: Mapping[str, Any]
    note: str | None
    note_public: bool
    cause: UUID | None
    undoes: UUID | None


_PUBLIC_DATA: Mapping[str, tuple[str, ...]] = {
    EventKind.STATUS: ("from", "to"),
    EventKind.MERGED: ("issues",),
    EventKind.MERGED_INTO: ("into",),
    EventKind.SPLIT: ("issues",),
    EventKind.LEFT: ("issues",),
    EventKind.UNDONE: ("kind",),
}

_APPEND = """
INSERT INTO event (city_id, id, issue_id, kind, actor, at, public, data, undoes, cause)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (city_id, id) DO NOTHING
"""


async def append_event(session: AsyncSession, city_id: int, event: NewEvent) -> bool:
    """Write an event; False where the city already has one of that id, and nothing is written.

    The caller holds the lock of the event's issue, so that within an issue the order of `seq` is that of commits.
    """
    connection = await driver_connection(session)
    data = Jsonb(dict(event.data))
    values = (event.issue_id, event.kind, event.actor, event.at, event.public, data, event.undoes, event.cause)
    cursor = await connection.execute(_APPEND, (city_id, event.id, *values))
    return cursor.rowcount == 1


async def append_note(session: AsyncSession, city_id: int, event_id: UUID, note: str, *, public: bool) -> None:
    """Write what somebody said with an event."""
    connection = await driver_connection(session)
    await connection.execute(
        "INSERT INTO event_note (city_id, event_id, public, text) VALUES (%s, %s, %s, %s)",
        (city_id, event_id, public, note),
    )


async def find_event(session: AsyncSession, city_id: int, event_id: UUID) -> EventView | None:
    """Find an event by its id, as staff see it; None where there is none."""
    row = (await session.execute(_events(city_id).where(Event.id == event_id))).one_or_none()
    return None if row is None else _view(row, staff=True)


@dataclass(frozen=True, slots=True)
class PublicNote:
    """What the city wrote to residents with an event.

    Attributes:
        status: What the issue came to with it; as it stood where it was a note alone.
    """

    event_id: UUID
    at: datetime
    status: Status
    text: str


async def list_public_notes(
    session: AsyncSession, city_id: int, issue_id: UUID, *, report_id: UUID
) -> tuple[PublicNote, ...]:
    """List what the city wrote to the author of a report about the issue that it is in, oldest first.

    A private issue's history is for staff, yet its authors may read what was written to them. Where the report came by
    a merge, what was written before was for others.
    """
    moved_in = [{"report": str(report_id), "to": str(issue_id)}]
    arrival = select(func.coalesce(func.max(Event.seq), 0)).where(
        Event.city_id == city_id, Event.issue_id == issue_id, Event.data["moves"].contains(moved_in)
    )
    query = _events(city_id).where(Event.issue_id == issue_id, EventNote.public, Event.seq > arrival.scalar_subquery())
    query = query.order_by(Event.seq)
    return tuple(PublicNote(row.id, row.at, Status(row.data["to"]), row.note) for row in await session.execute(query))


async def list_history(
    session: AsyncSession, city_id: int, issue_id: UUID, *, staff: bool, limit: int, cursor: str | None = None
) -> Page[EventView]:
    """List what happened to an issue, oldest first.

    The order is that of `seq`: whoever writes an event holds the issue's lock, so none can appear behind a cursor.
    Internal events and notes, actors and causes are for staff.

    Raises:
        IssueNotFound: the city has no such issue, or it is not for the public.
        InvalidCursor: the cursor is not from here.
    """
    await find_issue(session, city_id, issue_id, staff=staff)
    query = _events(city_id).where(Event.issue_id == issue_id).order_by(Event.seq).limit(limit + 1)
    if not staff:
        query = query.where(Event.public)
    if cursor is not None:
        (seq,) = read_cursor(cursor, "history", read_number)
        query = query.where(Event.seq > seq)
    rows = (await session.execute(query)).all()
    more = len(rows) > limit
    return Page(_views(rows[:limit], staff=staff), write_cursor("history", rows[limit - 1].seq) if more else None)


async def list_feed(
    session: AsyncSession, city_id: int, *, staff: bool, limit: int, cursor: str | None = None
) -> Page[EventView]:
    """List what happened in a city, in an order in which nothing is ever skipped.

    Transactions commit out of order, so the list stops before the oldest writer that still runs, in whatever database
    of the server; what it wrote comes when it has ended. The cursor of the last page is given too: asked again
    later, it goes on from there.

    Raises:
        InvalidCursor: the cursor is not from here.
    """
    found = await read_feed(session, city_id, staff=staff, limit=limit, cursor=cursor)
    return Page(tuple(event for event, _ in found), found[-1][1] if found else cursor)


async def read_feed(
    session: AsyncSession, city_id: int, *, staff: bool, limit: int, cursor: str | None
) -> list[tuple[EventView, str]]:
    """Read on in a city's feed, as `list_feed` does, with the cursor behind each event.

    Raises:
        InvalidCursor: the cursor is not from here.
    """
    query = _events(city_id).order_by(Event.xid, Event.seq).limit(limit)
    query = query.where(Event.xid < func.pg_snapshot_xmin(func.pg_current_snapshot()))
    if not staff:
        of_issue = and_(Issue.city_id == Event.city_id, Issue.id == Event.issue_id)
        query = query.join(Issue, of_issue).where(Event.public, ~Issue.private)
    if cursor is not None:
        xid, seq = read_cursor(cursor, "feed", read_number, read_number)
        after = tuple_(cast(literal(str(xid)), Xid8), literal(seq, BigInteger))
        query = query.where(tuple_(Event.xid, Event.seq) > after)
    rows = (await session.execute(query)).all()
    return [(_view(row, staff=staff), write_cursor("feed", row.xid, row.seq)) for row in rows]


async def end_of_feed(session: AsyncSession) -> str:
    """Get a cursor behind all that is in any city's feed now."""
    connection = await driver_connection(session)
    row = await (await connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text")).fetchone()
    assert row is not None  # noqa: S101 - a SELECT of a value gives one row
    return write_cursor("feed", int(row[0]), 0)


def _events(city_id: int) -> Select[Any]:
    with_note = and_(EventNote.city_id == Event.city_id, EventNote.event_id == Event.id)
    columns = (Event.id, Event.issue_id, Event.kind, Event.actor, Event.at, Event.public, Event.data)
    note = (EventNote.text.label("note"), func.coalesce(EventNote.public, False).label("note_public"))
    query = select(*columns, Event.cause, Event.undoes, *note, Event.seq, Event.xid).outerjoin(EventNote, with_note)
    return query.where(Event.city_id == city_id)


def _views(rows: Sequence[Row[Any]], *, staff: bool) -> tuple[EventView, ...]:
    return tuple(_view(row, staff=staff) for row in rows)


def _view(row: Row[Any], *, staff: bool) -> EventView:
    return EventView(
        id=row.id,
        issue_id=row.issue_id,
        kind=row.kind,
        actor=row.actor if staff else _public_actor(row.actor),
        at=row.at,
        public=row.public,
        data=row.data if staff else {key: row.data[key] for key in _PUBLIC_DATA.get(row.kind, ())},
        note=row.note if staff or row.note_public else None,
        note_public=row.note_public,
        cause=row.cause if staff else None,
        undoes=row.undoes if staff else None,
    )


def _public_actor(actor: str) -> str:
    # The id of a device would let anybody put together all that one person reported.
    kind = actor.partition(":")[0]
    return {"staff": "staff", "key": "staff", "system": "system"}.get(kind, "resident")
