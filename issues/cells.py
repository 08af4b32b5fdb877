"""How many issues lie where, counted beforehand for maps of whole cities.

A map tile of zoom 0 to 14 shows its issues in 32 by 32 cells. The cells of all these zooms are rows that no report
writes: about once a second the worker takes what has happened since it last looked, counts the cells of zoom 14 that
this touched anew, and adds those above them up from four each. Counting anew is right however often it is done, so
a pass need not stop at the oldest writer that still runs, as a feed must: it takes all it sees, and the next
pass begins at that writer, whose events it then sees.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ForeignKey, SmallInteger, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Xid8, new_id
from db.connections import driver_connection
from issues.issue import OPEN_SQL, PUBLIC_SQL

DEEPEST: Final = 14  # the last zoom of tiles that show cells
CELL_BITS: Final = 5  # 32 cells from one side of a tile to the other
# With more issues changed since the last pass, counting all anew is quicker.
_MANY: Final = 20_000


class IssueCell(Base):
    """How many public issues lie in a cell, and how many of them are open; no row where there are none.

    `z` is the zoom of the tiles that show the cell; `x` and `y` count cells of that zoom from the west and the north
    of the web map.
    """

    __tablename__ = "issue_cell"

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    z: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    x: Mapped[int] = mapped_column(primary_key=True)
    y: Mapped[int] = mapped_column(primary_key=True)
    issue_count: Mapped[int]
    open_count: Mapped[int]


class IssueCellLeft(Base):
    """A cell of zoom 14 that an issue was moved out of, until counted anew: the issue says only where it is now."""

    __tablename__ = "issue_cell_left"

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    x: Mapped[int]
    y: Mapped[int]


class IssueCellCursor(Base):
    """Up to where a city's cells count what happened: all of any transaction before this one.

    Unlogged: numbers of transactions are this server's own. After a crash, and in a restored backup, the row is
    missing, and the next pass counts everything.
    """

    __tablename__ = "issue_cell_cursor"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012 - as SQLAlchemy says

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    counted_to: Mapped[int] = mapped_column(Xid8)


_ACROSS: Final = 1 << (DEEPEST + CELL_BITS)
# The cell of zoom 14 that a place lies in. Beyond the edges of the web map it is none that there is.
_X: Final = f"floor((ST_X(place::geometry) + 180) / 360 * {_ACROSS})::integer"
_Y: Final = f"floor((0.5 - asinh(tan(radians(ST_Y(place::geometry)))) / (2 * pi())) * {_ACROSS})::integer"
_COUNTS: Final = f"count(*)::integer AS issue_count, (count(*) FILTER (WHERE {OPEN_SQL}))::integer AS open_count"

# One at a time in each city. That an older cursor may be read while another pass commits does no harm: see above.
_BEGIN: Final = """
SELECT pg_try_advisory_xact_lock(hashtextextended('jalon issue cells', %(city)s)),
       (SELECT CASE WHEN counted_to <= pg_snapshot_xmin(pg_current_snapshot()) THEN counted_to::text END
        FROM issue_cell_cursor WHERE city_id = %(city)s)
"""
_CHANGED: Final = f"""
SELECT pg_snapshot_xmin(pg_current_snapshot())::text,
       ARRAY(SELECT DISTINCT issue_id FROM event WHERE city_id = %(city)s AND xid >= %(since)s::xid8 LIMIT {_MANY + 1})
"""  # noqa: S608 - made of constants
_SET_CURSOR: Final = """
INSERT INTO issue_cell_cursor (city_id, counted_to) VALUES (%(city)s, %(until)s::xid8)
ON CONFLICT (city_id) DO UPDATE SET counted_to = excluded.counted_to
"""
_FORGET_LEFT: Final = "DELETE FROM issue_cell_left WHERE city_id = %(city)s AND xid < %(until)s::xid8"

# What changes the counts of cells, given those counted anew; answers with the cells whose counts were not so before.
_WRITE: Final = """
written AS (
    INSERT INTO issue_cell (city_id, z, x, y, issue_count, open_count)
    SELECT %(city)s, %(z)s, x, y, issue_count, open_count FROM counted WHERE issue_count > 0
    ON CONFLICT (city_id, z, x, y) DO UPDATE SET issue_count = excluded.issue_count, open_count = excluded.open_count
    WHERE (issue_cell.issue_count, issue_cell.open_count) <> (excluded.issue_count, excluded.open_count)
    RETURNING x, y
), emptied AS (
    DELETE FROM issue_cell USING counted
    WHERE city_id = %(city)s AND z = %(z)s AND issue_cell.x = counted.x AND issue_cell.y = counted.y
      AND counted.issue_count = 0
    RETURNING issue_cell.x, issue_cell.y
)
SELECT x, y FROM written UNION ALL SELECT x, y FROM emptied
"""
# It reads the view, for only there may the map's index be used under row-level security. The box is a little larger
# than the cell; which cell a place lies in is decided by its numbers.
_COUNT_TOUCHED: Final = f"""
WITH touched AS (
    SELECT {_X} AS x, {_Y} AS y FROM issue WHERE city_id = %(city)s AND id = ANY(%(issues)s::uuid[])
    UNION
    SELECT x, y FROM issue_cell_left WHERE city_id = %(city)s
), box AS (
    SELECT x, y, x * 360.0::float8 / {_ACROSS} - 180 AS west,
           degrees(atan(sinh(pi() * (1 - 2 * (y + 1) / {_ACROSS}::float8)))) AS south,
           degrees(atan(sinh(pi() * (1 - 2 * y / {_ACROSS}::float8)))) AS north
    FROM touched WHERE x BETWEEN 0 AND {_ACROSS - 1} AND y BETWEEN 0 AND {_ACROSS - 1}
), counted AS MATERIALIZED (
    SELECT box.x, box.y, found.* FROM box CROSS JOIN LATERAL (
        SELECT {_COUNTS} FROM issue_map
        WHERE city_id = %(city)s::integer AND place::geometry && ST_Expand(
                  ST_MakeEnvelope(box.west, box.south, box.west + 360.0::float8 / {_ACROSS}, box.north, 4326), 1e-6)
          AND {_X} = box.x AND {_Y} = box.y AND {PUBLIC_SQL}
    ) AS found
), {_WRITE}
"""  # noqa: S608 - made of constants
# OFFSET 0 keeps the columns apart, each looked up by its index. Where the table was just filled and there are no
# statistics yet, PostgreSQL would else look through all cells of a zoom for each one above them.
_ADD_UP: Final = f"""
WITH touched AS (
    SELECT DISTINCT x >> 1 AS x, y >> 1 AS y FROM unnest(%(xs)s::integer[], %(ys)s::integer[]) AS below (x, y)
), counted AS MATERIALIZED (
    SELECT touched.x, touched.y, found.* FROM touched CROSS JOIN LATERAL (
        SELECT coalesce(sum(issue_count), 0)::integer AS issue_count,
               coalesce(sum(open_count), 0)::integer AS open_count
        FROM (VALUES (2 * touched.x), (2 * touched.x + 1)) AS half (x) CROSS JOIN LATERAL (
            SELECT issue_count, open_count FROM issue_cell
            WHERE city_id = %(city)s AND z = %(z)s + 1 AND x = half.x AND y BETWEEN 2 * touched.y AND 2 * touched.y + 1
            OFFSET 0
        ) AS cell
    ) AS found
), {_WRITE}
"""  # noqa: S608 - made of constants

_CLEAR: Final = "DELETE FROM issue_cell WHERE city_id = %(city)s"
_COUNT_ALL: Final = f"""
INSERT INTO issue_cell (city_id, z, x, y, issue_count, open_count)
SELECT %(city)s, {DEEPEST}, x, y, issue_count, open_count FROM (
    SELECT {_X} AS x, {_Y} AS y, {_COUNTS} FROM issue WHERE city_id = %(city)s AND {PUBLIC_SQL} GROUP BY 1, 2
) AS counted
WHERE x BETWEEN 0 AND {_ACROSS - 1} AND y BETWEEN 0 AND {_ACROSS - 1} ORDER BY x, y
"""  # noqa: S608 - made of constants
_ADD_ALL_UP: Final = """
INSERT INTO issue_cell (city_id, z, x, y, issue_count, open_count)
SELECT city_id, z - 1, x >> 1, y >> 1, sum(issue_count), sum(open_count) FROM issue_cell
WHERE city_id = %(city)s AND z = %(z)s GROUP BY 1, 2, 3, 4 ORDER BY 3, 4
"""

_LEAVE: Final = f"""
INSERT INTO issue_cell_left (city_id, id, x, y)
SELECT city_id, %(id)s, {_X}, {_Y} FROM issue WHERE city_id = %(city)s AND id = %(issue)s
"""  # noqa: S608 - made of constants


async def leave_cell(session: AsyncSession, city_id: int, issue_id: UUID) -> None:
    """Note the cell of an issue that is about to be moved, which is then to be counted anew."""
    connection = await driver_connection(session)
    await connection.execute(_LEAVE, {"city": city_id, "issue": issue_id, "id": new_id()})


async def count_changes(session: AsyncSession, city_id: int) -> int:
    """Bring a city's cells up to date with all that has been committed; the caller commits.

    Everything is counted anew where nothing was counted yet, where a backup was restored, and after so many changes
    that it is quicker. While another transaction is at it, nothing is done.

    Returns:
        How many cells have other counts now.
    """
    connection = await driver_connection(session)
    mine, since = await _one(connection, _BEGIN, {"city": city_id})
    if not mine:
        return 0
    if since is None:
        return await count_all(session, city_id)
    until, issues = await _one(connection, _CHANGED, {"city": city_id, "since": since})
    if len(issues) > _MANY:
        return await count_all(session, city_id)
    if not issues:
        return 0
    changed = await _count_touched(connection, city_id, issues)
    await connection.execute(_SET_CURSOR, {"city": city_id, "until": until})
    await connection.execute(_FORGET_LEFT, {"city": city_id, "until": until})
    return changed


async def count_all(session: AsyncSession, city_id: int) -> int:
    """Count all cells of a city anew; readers see the old ones until the caller commits.

    Returns:
        How many cells there are now.
    """
    connection = await driver_connection(session)
    city = {"city": city_id}
    # Before anything is counted: what commits from here on is counted again by the next pass.
    (until,) = await _one(connection, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text", {})
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('jalon issue cells', %(city)s))", city)
    await connection.execute(_CLEAR, city)
    cells = (await connection.execute(_COUNT_ALL, city)).rowcount
    for z in range(DEEPEST, 0, -1):
        cells += (await connection.execute(_ADD_ALL_UP, {"city": city_id, "z": z})).rowcount
    await connection.execute(_SET_CURSOR, {"city": city_id, "until": until})
    await connection.execute(_FORGET_LEFT, {"city": city_id, "until": until})
    return cells


async def _count_touched(connection: Any, city_id: int, issues: Sequence[UUID]) -> int:
    """Count the cells of issues anew, then those above them, as far up as anything changes."""
    cursor = await connection.execute(_COUNT_TOUCHED, {"city": city_id, "z": DEEPEST, "issues": issues})
    changed = await cursor.fetchall()
    total = len(changed)
    for z in range(DEEPEST - 1, -1, -1):
        if not changed:
            break
        xs, ys = [x for x, _ in changed], [y for _, y in changed]
        cursor = await connection.execute(_ADD_UP, {"city": city_id, "z": z, "xs": xs, "ys": ys})
        changed = await cursor.fetchall()
        total += len(changed)
    return total


async def _one(connection: Any, query: str, values: dict[str, Any]) -> Any:
    return await (await connection.execute(query, values)).fetchone()
