"""New issues are told to those who subscribed to the place: found in the feed of events, after the report was filed.

Filing a report is not made slower by it. The feed is read from where it was read to, in an order in which no late
commit is skipped (see `issues.events.list_feed`).
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Xid8
from db.connections import driver_connection
from issues.event_kinds import EventKind
from issues.issue import read_issue
from issues.lifecycle import NoticeKind
from issues.status import notice_params
from issues.telling import give_notice

_READER = "openings"
_EVENTS_AT_ONCE = 500


class FeedReader(Base):
    """How far somebody has read a city's events."""

    __tablename__ = "feed_reader"

    city_id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    xid: Mapped[int] = mapped_column(Xid8)
    seq: Mapped[int] = mapped_column(BigInteger)


async def notice_openings(session: AsyncSession, city_id: int, *, most: int = _EVENTS_AT_ONCE) -> bool:
    """Write the notices of issues that were opened since the last time, where anybody subscribed to anything.

    Joins the caller's transaction. What happened before the first time is told to nobody.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        most: So many events are read.

    Returns:
        Whether there may be more to read.
    """
    events = await _read_on(session, city_id, most=most)
    opened = [(event_id, issue_id, at) for event_id, issue_id, kind, at in events if kind == EventKind.OPENED]
    if opened and await _anybody_listens(session, city_id):
        for event_id, issue_id, at in opened:
            await _give_notice(session, city_id, event_id, issue_id, at=at)
    return len(events) == most


async def _read_on(session: AsyncSession, city_id: int, *, most: int) -> list[tuple[UUID, UUID, str, datetime]]:
    connection = await driver_connection(session)
    # Two workers read one after the other. The first of all begins at the end.
    cursor = await connection.execute(
        """
        INSERT INTO feed_reader (city_id, name, xid, seq)
        SELECT %(city)s, %(name)s, pg_snapshot_xmin(pg_current_snapshot()), 0
        ON CONFLICT (city_id, name) DO UPDATE SET name = excluded.name RETURNING xid::text, seq
        """,
        {"city": city_id, "name": _READER},
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - an upsert without a condition always gives its row
    cursor = await connection.execute(
        """
        SELECT id, issue_id, kind, at, xid::text, seq FROM event
        WHERE city_id = %(city)s AND (xid, seq) > (%(xid)s::text::xid8, %(seq)s)
          AND xid < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xid, seq LIMIT %(most)s
        """,
        {"city": city_id, "xid": row[0], "seq": row[1], "most": most},
    )
    events = await cursor.fetchall()
    if events:
        await connection.execute(
            "UPDATE feed_reader SET xid = %s::text::xid8, seq = %s WHERE city_id = %s AND name = %s",
            (events[-1][4], events[-1][5], city_id, _READER),
        )
    return [(event_id, issue_id, kind, at) for event_id, issue_id, kind, at, _xid, _seq in events]


async def _anybody_listens(session: AsyncSession, city_id: int) -> bool:
    connection = await driver_connection(session)
    found = await connection.execute("SELECT FROM subscription WHERE city_id = %s LIMIT 1", (city_id,))
    return await found.fetchone() is not None


async def _give_notice(session: AsyncSession, city_id: int, event_id: UUID, issue_id: UUID, *, at: datetime) -> None:
    issue = await read_issue(session, city_id, issue_id)
    if issue is None or issue.private or issue.merged_into is not None or issue.report_count == 0:
        return
    params = await notice_params(session, issue)
    await give_notice(session, city_id, event_id, issue_id, kind=NoticeKind.OPENED, params=params, at=at)
