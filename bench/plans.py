"""How the database really runs the searches by place: `make bench-plans`.

Row-level security keeps PostgreSQL from using an index for what is not leakproof, and no PostGIS operator is. So the
plan of every such search is looked at, as the server's own role gets it: the real functions run, and PostgreSQL tells
of each statement, while it runs, which indexes it reads (auto_explain). Each runs often enough to get the plan that a
prepared statement keeps.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from db.sessions import Database

# PostgreSQL plans a prepared statement anew five times, then may keep one plan for any parameters; psycopg prepares
# a statement that it has seen five times.
_RUNS = 12
_EXPLAIN = {"log_min_duration": "0", "log_level": "notice", "log_format": "json", "log_analyze": "on"}
# Too small for an index to pay.
_SMALL = frozenset({"city", "layer", "district", "service", "department", "crew", "route", "neighbour", "credential"})

Search = Callable[[AsyncSession], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Step:
    """One table read in a plan.

    Attributes:
        table: The table.
        index: The index it was read by; None for a walk through the whole table.
        rows: How many rows it gave, those included that a filter then dropped.
    """

    table: str
    index: str | None
    rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How one statement was run.

    Attributes:
        statement: Its text.
        steps: The tables it read.
        took_ms: How long it took.
    """

    statement: str
    steps: Sequence[Step]
    took_ms: float

    @property
    def walked(self) -> list[str]:
        """Tables of any size that were read from one end to the other."""
        return [step.table for step in self.steps if step.index is None and step.table not in _SMALL]


def tell_plans(connection: psycopg.Connection, database: str) -> None:
    """Have PostgreSQL tell clients of a database the plan of each statement; new connections do. Superusers only."""
    name = sql.Identifier(database)
    connection.execute(sql.SQL("ALTER DATABASE {} SET session_preload_libraries = 'auto_explain'").format(name))
    for setting, value in _EXPLAIN.items():
        parts = name, sql.Identifier("auto_explain", setting), sql.Literal(value)
        connection.execute(sql.SQL("ALTER DATABASE {} SET {} = {}").format(*parts))


async def plans_of(database: Database, city_id: int, search: Search) -> list[Plan]:
    """Run a search until its plan stays, in the city, with the role of the server; get the last run's plans."""
    plans: list[Plan] = []
    async with _listening(database, plans):
        async with database.transaction(city_id) as session:
            for _ in range(_RUNS):
                await search(session)
        # A plan is told when its portal closes: with the next statement, or with the transaction. So the last run has
        # a transaction of its own, on the same connection.
        plans.clear()
        async with database.transaction(city_id) as session:
            await search(session)
    return plans


@asynccontextmanager
async def _listening(database: Database, plans: list[Plan]) -> AsyncIterator[None]:
    """Collect the plans that the connections of a database tell."""

    def note(diagnostic: psycopg.errors.Diagnostic) -> None:
        told = diagnostic.message_primary or ""
        if told.startswith("duration: "):
            plans.append(_read_plan(told))

    def listen(_: object, entry: Any, __: object) -> None:
        entry.driver_connection.add_notice_handler(note)

    def leave(_: object, entry: Any) -> None:
        entry.driver_connection.remove_notice_handler(note)

    pool = database.engine.sync_engine.pool
    event.listen(pool, "checkout", listen)
    event.listen(pool, "checkin", leave)
    try:
        yield
    finally:
        event.remove(pool, "checkout", listen)
        event.remove(pool, "checkin", leave)


def _read_plan(told: str) -> Plan:
    head, _, body = told.partition("plan:")
    plan = json.loads(body)
    took_ms = float(head.removeprefix("duration: ").split()[0])
    return Plan(plan["Query Text"], list(_steps(plan["Plan"], None)), took_ms)


def _steps(node: dict[str, Any], heap: str | None) -> Iterator[Step]:
    table = node.get("Relation Name", heap)
    if "Index Name" in node:
        yield Step(str(table), node["Index Name"], _rows(node))
    elif node["Node Type"] == "Seq Scan":
        yield Step(str(table), None, _rows(node))
    for child in node.get("Plans", ()):
        # Under a bitmap the index is named in one node and its table in the one above.
        yield from _steps(child, table)


def _rows(node: dict[str, Any]) -> int:
    return int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
