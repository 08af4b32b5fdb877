"""Reports that go from one issue to another together, and come back: the rows behind merge, split, leave and undo."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from geo.points import LonLat
from issues.commands import CommandIdUsed
from issues.events import NewEvent, append_event, append_note, find_event
from issues.issue import Issue, IssueMerged, IssueNotFound, IssueView, lock_issues, read_issue
from issues.moving import lock_cells
from issues.telling import tell_authors


@dataclass(frozen=True, slots=True)
class Move:
    """A report's way from one issue to another, as the event that moved it lists it.

    Attributes:
        match: As stored: why it had joined the issue that it left; None where nothing had matched it.
    """

    report_id: UUID
    from_id: UUID
    to_id: UUID
    match: Mapping[str, Any] | None

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Move":
        """Read a move as `to_json` wrote it."""
        return cls(UUID(stored["report"]), UUID(stored["from"]), UUID(stored["to"]), stored["match"])

    def to_json(self) -> dict[str, Any]:
        """Write a move for an event."""
        ways = {"report": str(self.report_id), "from": str(self.from_id), "to": str(self.to_id)}
        return {**ways, "match": self.match}


@dataclass(frozen=True, slots=True)
class OrderMove:
    """A work order that was for one issue and is for another now; `added` is false where it was for both."""

    order_id: UUID
    from_id: UUID
    to_id: UUID
    added: bool

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "OrderMove":
        """Read one as `to_json` wrote it."""
        return cls(UUID(stored["order"]), UUID(stored["from"]), UUID(stored["to"]), stored["added"])

    def to_json(self) -> dict[str, Any]:
        """Write it for an event."""
        ways = {"order": str(self.order_id), "from": str(self.from_id), "to": str(self.to_id)}
        return {**ways, "added": self.added}


@dataclass(frozen=True, slots=True)
class Stayed:
    """A report that an undo could not put back, and the issue that it is in."""

    report_id: UUID
    issue_id: UUID


@dataclass(frozen=True, slots=True)
class Regrouping:
    """What a merge, a split or an undo came to.

    Attributes:
        event_id: Of what was written; None where there was nothing to do.
        issue: The one that was acted on, as it stands now.
        others: All others that took part, in the order of their ids: those emptied, opened, or back again.
        stayed: Reports that an undo left where they are.
    """

    event_id: UUID | None
    issue: IssueView
    others: tuple[IssueView, ...] = ()
    stayed: tuple[Stayed, ...] = ()


async def read_regrouping(session: AsyncSession, city_id: int, issue_id: UUID, event_id: UUID | None) -> Regrouping:
    """Read what came of a command whose event has the id; one without an event found nothing to do."""
    event = None if event_id is None else await find_event(session, city_id, event_id)
    issue = await read_issue(session, city_id, issue_id)
    if issue is None:
        raise IssueNotFound(issue_id)
    if event is None:
        return Regrouping(None, issue)
    others = [await read_issue(session, city_id, UUID(other)) for other in event.data["issues"]]
    stayed = tuple(Stayed(UUID(each["report"]), UUID(each["issue"])) for each in event.data.get("stayed", ()))
    return Regrouping(event.id, issue, tuple(other for other in others if other is not None), stayed)


async def hold_issues(
    session: AsyncSession, city_id: int, issue_ids: Collection[UUID], *places: LonLat
) -> dict[UUID, IssueView]:
    """Lock issues and the cells around them in the order of everybody: cells, then issues by id.

    No report comes to an issue that is held, and none leaves it.

    Args:
        session: Open transaction of the city that holds no lock of these kinds.
        city_id: The city.
        issue_ids: The issues.
        places: Others whose cells are locked too, for issues that will be opened there.

    Returns:
        Them by id.

    Raises:
        IssueNotFound: the city lacks one of them.
    """
    while True:
        seen = [await read_issue(session, city_id, issue_id) for issue_id in sorted(issue_ids)]
        around = [issue.at for issue in seen if issue is not None]
        async with session.begin_nested() as attempt:
            await lock_cells(session, city_id, *places, *around)
            held = await lock_issues(session, city_id, issue_ids)
            if missing := sorted(set(issue_ids) - held.keys()):
                raise IssueNotFound(missing[0])
            if around == [held[issue_id].at for issue_id in sorted(issue_ids)]:
                return held
            # One was put right to another place since it was read: other cells are needed, and these are let go.
            await attempt.rollback()


def check_unmerged(issues: Collection[IssueView]) -> None:
    """Refuse issues whose reports are in another one.

    Raises:
        IssueMerged: one of them was merged.
    """
    for issue in issues:
        if issue.merged_into is not None:
            raise IssueMerged(issue.id, issue.merged_into)


_MOVES = """
SELECT id AS report_id, issue_id AS from_id, %(to)s::uuid AS to_id, match FROM report
WHERE city_id = %(city)s AND issue_id = %(from)s AND (%(reports)s::uuid[] IS NULL OR id = ANY(%(reports)s::uuid[]))
ORDER BY id
"""


async def list_moves(
    session: AsyncSession, city_id: int, from_id: UUID, to_id: UUID, *, report_ids: Collection[UUID] | None = None
) -> list[Move]:
    """List the moves that take reports of a held issue to another: all of them, also those taken back, or some."""
    connection = await driver_connection(session)
    reports = None if report_ids is None else list(report_ids)
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_MOVES, {"city": city_id, "from": from_id, "to": to_id, "reports": reports})
    return [Move(**row) for row in await cursor.fetchall()]


async def move_reports(session: AsyncSession, city_id: int, moves: Sequence[Move], *, now: datetime) -> None:
    """Take reports of held issues to others; who waits to be told something of either hears it first."""
    await _assign(session, city_id, [(move.report_id, move.to_id, None) for move in moves], now=now)


async def move_back(session: AsyncSession, city_id: int, moves: Sequence[Move], *, now: datetime) -> None:
    """Take reports of held issues back to where they were, each with its match; otherwise as `move_reports`."""
    await _assign(session, city_id, [(move.report_id, move.from_id, move.match) for move in moves], now=now)


_ASSIGN = """
UPDATE report SET issue_id = moved.issue, match = moved.match
FROM jsonb_to_recordset(%s) AS moved(report uuid, issue uuid, match jsonb)
WHERE report.city_id = %s AND report.id = moved.report
"""
_LEFT = "SELECT DISTINCT issue_id FROM report WHERE city_id = %s AND id = ANY(%s::uuid[]) ORDER BY issue_id"


async def _assign(
    session: AsyncSession,
    city_id: int,
    moved: Sequence[tuple[UUID, UUID, Mapping[str, Any] | None]],
    *,
    now: datetime,
) -> None:
    connection = await driver_connection(session)
    cursor = await connection.execute(_LEFT, (city_id, [report_id for report_id, *_ in moved]))
    touched = {row[0] for row in await cursor.fetchall()} | {to_id for _, to_id, _ in moved}
    await tell_authors(session, city_id, touched, now=now)
    rows = [{"report": str(report_id), "issue": str(to_id), "match": match} for report_id, to_id, match in moved]
    await connection.execute(_ASSIGN, (Jsonb(rows), city_id))


async def set_survivor(session: AsyncSession, issue: IssueView, survivor_id: UUID | None, *, now: datetime) -> None:
    """Note which issue has the reports of a held one now; None where it has reports of its own again."""
    key = (Issue.city_id == issue.city_id, Issue.id == issue.id)
    values = {"merged_into": survivor_id, "updated_at": max(issue.updated_at, now)}
    await session.execute(update(Issue).where(*key).values(values))


_TAKE_ORDERS = """
WITH taken AS (
    DELETE FROM work_order_issue WHERE city_id = %(city)s AND issue_id = %(from)s RETURNING work_order_id
), added AS (
    INSERT INTO work_order_issue (city_id, work_order_id, issue_id)
    SELECT %(city)s, work_order_id, %(to)s FROM taken ON CONFLICT DO NOTHING RETURNING work_order_id
), changed AS (
    UPDATE work_order SET updated_at = greatest(updated_at, %(now)s)
    WHERE city_id = %(city)s AND id IN (SELECT work_order_id FROM taken)
)
SELECT work_order_id, work_order_id IN (SELECT work_order_id FROM added) FROM taken ORDER BY work_order_id
"""


async def take_orders(
    session: AsyncSession, city_id: int, from_id: UUID, to_id: UUID, *, now: datetime
) -> list[OrderMove]:
    """Have the work orders for one held issue be for another, which has its reports."""
    connection = await driver_connection(session)
    values = {"city": city_id, "from": from_id, "to": to_id, "now": now}
    rows = await (await connection.execute(_TAKE_ORDERS, values)).fetchall()
    return [OrderMove(order_id, from_id, to_id, added) for order_id, added in rows]


_RETURN_ORDER = """
WITH taken AS (
    DELETE FROM work_order_issue
    WHERE city_id = %(city)s AND work_order_id = %(order)s AND issue_id = %(to)s AND %(added)s
)
INSERT INTO work_order_issue (city_id, work_order_id, issue_id)
SELECT %(city)s, %(order)s, %(from)s
WHERE EXISTS (SELECT FROM work_order_issue
              WHERE city_id = %(city)s AND work_order_id = %(order)s AND issue_id = %(to)s)
ON CONFLICT DO NOTHING
"""


async def return_orders(session: AsyncSession, city_id: int, moved: Sequence[OrderMove]) -> None:
    """Have work orders be for the issue again that they were taken from; those that went on elsewhere stay there."""
    connection = await driver_connection(session)
    for move in moved:
        ways = {"order": move.order_id, "from": move.from_id, "to": move.to_id}
        await connection.execute(_RETURN_ORDER, {"city": city_id, "added": move.added, **ways})


async def record(session: AsyncSession, city_id: int, event: NewEvent, *, note: str | None = None) -> None:
    """Write the event of a command, and what staff say to each other with it.

    Raises:
        CommandIdUsed: an event has that id.
    """
    if not await append_event(session, city_id, event):
        raise CommandIdUsed(event.id)
    if note is not None:
        await append_note(session, city_id, event.id, note, public=False)
