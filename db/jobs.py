"""Work that is done after the transaction that asked for it: queued in PostgreSQL, by pgqueuer.

A job is enqueued in the caller's transaction, so that it exists if and only if what it is about was committed. It
may run more than once (its worker was killed, its answer was lost), and handlers make sure that this does not
matter. Rows of the queue belong to no city: a payload holds a city's id and ids of its rows, nothing else.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from pgqueuer import PgQueuer
from pgqueuer import models as pgqueuer_models
from pgqueuer.adapters.persistence import schema_ddl
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.executors import DatabaseRetryEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.schema.declaration import target
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from db.job_driver import JobDriver
from db.sessions import Database, DatabaseUnavailable
from db.tenancy import APP_ROLE

_log = logging.getLogger(__name__)

# What `Queries.enqueue` of pgqueuer does for one job, at half the time: that takes arrays, composes its text anew
# each time, and begins the job's history here, in the path of every report, where ours begins with its worker.
_ENQUEUE = """
INSERT INTO pgqueuer (priority, entrypoint, payload, execute_after, dedupe_key, headers, status)
VALUES (0, %s, %s, now() + %s, %s, '{}', 'queued')
ON CONFLICT (dedupe_key) WHERE status IN ('queued', 'picked') AND dedupe_key IS NOT NULL DO NOTHING
"""
_POLL_S = 1.0
_RECONNECT_S = 1.0
_PRUNE = "jobs.prune"
_KEEP_HISTORY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as its handler gets it."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    attempt: int  # 1 at the first; runs after a killed worker are not counted


Handler = Callable[[Job], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a failing job is tried, and how long it waits in between (doubled each time)."""

    tries: int = 8
    first_delay_s: float = 1.0
    longest_delay_s: float = 300.0


_RETRIES = Retries()


@dataclass(slots=True)
class JobTable:
    """Which handler does which kind of job, and which kinds come by the clock; filled once, in `api`."""

    handlers: dict[str, tuple[Handler, Retries]] = field(default_factory=dict)
    schedules: dict[str, str] = field(default_factory=dict)

    def handle(self, kind: str, handler: Handler, retries: Retries = _RETRIES) -> None:
        """Name the handler for a kind of job.

        A handler that raises is tried again; after the last try the job is dead: kept, with its error, until
        somebody runs it again. Holding no transaction over network or image work is the handler's part.
        """
        if kind in self.handlers:
            raise ValueError(f"two handlers for {kind}")
        self.handlers[kind] = handler, retries

    def every(self, cron: str, kind: str, handler: Handler, retries: Retries = _RETRIES) -> None:
        """Name the handler for a kind of job that is enqueued by the clock, in UTC, once for all workers.

        Args:
            cron: Five fields (minute first), or six with seconds last.
            kind: Kind of the job, which comes with an empty payload.
            handler: As for `handle`. While one such job waits or runs, no second one is enqueued.
            retries: As for `handle`.
        """
        self.handle(kind, handler, retries)
        self.schedules[kind] = cron


@dataclass(frozen=True, slots=True)
class JobCount:
    """How many jobs of a kind are in a state, and since when the oldest one was enqueued."""

    kind: str
    state: str  # waiting, scheduled (not yet due), running, dead
    count: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class DeadJob:
    """A job that failed for the last time."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    tries: int
    died_at: datetime
    error: str | None


@dataclass(frozen=True, slots=True)
class JobStats:
    """The state of the queue."""

    counts: Sequence[JobCount]
    dead: Sequence[DeadJob]  # the latest 100

    @property
    def oldest_waiting_s(self) -> float | None:
        """Seconds since the oldest job that is due was enqueued; None where none waits."""
        return max((count.oldest_s for count in self.counts if count.state == "waiting"), default=None)


async def enqueue(
    session: AsyncSession,
    kind: str,
    payload: Mapping[str, Any],
    *,
    run_after: timedelta | None = None,
    dedupe_key: str | None = None,
) -> None:
    """Enqueue a job in the caller's transaction: it runs once that has committed, within about a second.

    Args:
        session: The transaction that the job belongs to; committed by the caller.
        kind: Which handler does it.
        payload: The city's id and ids of rows; goes through JSON. No personal data: queue rows are no city's.
        run_after: Not before this much later.
        dedupe_key: While a job with this key waits or runs, no second one is enqueued. Two transactions with the
            same key wait for each other, so it is not for the path of a report.
    """
    connection = await driver_connection(session)
    await connection.execute(_ENQUEUE, (kind, json.dumps(payload).encode(), run_after or timedelta(), dedupe_key))


async def run_worker(
    database: Database,
    table: JobTable,
    *,
    stop: asyncio.Event,
    concurrency: int = 10,
    heartbeat_timeout_s: float = 30.0,
    grace_s: float = 20.0,
) -> None:
    """Do jobs until `stop` is set; survives a restart of the database.

    Args:
        database: It gives one connection for the queue; handlers use their own transactions.
        table: The handlers and schedules.
        stop: Take no more jobs; those running have `grace_s` to finish, then are interrupted and requeued.
        concurrency: Jobs at the same time in this process, at least 2.
        heartbeat_timeout_s: A job whose worker gave no sign for so long is done by another one.
        grace_s: See `stop`.
    """
    jobs = JobTable(dict(table.handlers), dict(table.schedules))
    jobs.every("17 * * * *", _PRUNE, partial(_prune, database))
    pace = _Pace(max(concurrency, 2), timedelta(seconds=heartbeat_timeout_s), grace_s)
    while not stop.is_set():
        try:
            await _work_on_one_connection(database, jobs, stop, pace)
        except DatabaseUnavailable as error:
            _log.warning("the job queue lost its database; trying again", exc_info=error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RECONNECT_S)


async def job_stats(session: AsyncSession) -> JobStats:
    """Count the jobs by kind and state, and list the dead ones, latest first."""
    counts = await session.execute(
        text(
            """
            SELECT entrypoint AS kind,
                   CASE WHEN status = 'failed' THEN 'dead' WHEN status = 'picked' THEN 'running'
                        WHEN execute_after > now() THEN 'scheduled' ELSE 'waiting' END AS state,
                   count(*) AS count,
                   extract(epoch FROM now() - min(created))::float AS oldest_s
            FROM pgqueuer GROUP BY 1, 2 ORDER BY 1, 2
            """
        )
    )
    dead = await session.execute(
        text(
            """
            SELECT id, entrypoint AS kind, payload, attempts + 1 AS tries, updated AS died_at, error
            FROM pgqueuer LEFT JOIN LATERAL (
                SELECT concat_ws(': ', traceback ->> 'exception_type', traceback ->> 'exception_message') AS error
                FROM pgqueuer_log WHERE job_id = pgqueuer.id AND traceback IS NOT NULL
                ORDER BY created DESC, id DESC LIMIT 1
            ) AS last ON true
            WHERE status = 'failed' ORDER BY updated DESC, id DESC LIMIT 100
            """
        )
    )
    return JobStats(
        counts=[JobCount(**row) for row in counts.mappings()],
        dead=[DeadJob(**{**row, "payload": json.loads(row["payload"])}) for row in dead.mappings()],
    )


async def count_waiting(session: AsyncSession, kind: str, *, at_most: int) -> int:
    """Count the jobs of a kind that nobody has begun, without counting further than asked for."""
    waiting = await session.scalars(
        text(
            """
            SELECT count(*) FROM (
                SELECT FROM pgqueuer WHERE entrypoint = :kind AND status = 'queued' LIMIT :at_most
            ) AS waiting
            """
        ),
        {"kind": kind, "at_most": at_most},
    )
    return int(waiting.one())


async def retry_dead_jobs(session: AsyncSession, ids: Sequence[int]) -> int:
    """Give dead jobs all their tries again; answers how many of the ids were dead."""
    requeued = await session.execute(
        text(
            """
            UPDATE pgqueuer SET status = 'queued', execute_after = now(), updated = now(), attempts = 0
            WHERE id = ANY(:ids) AND status = 'failed' RETURNING id
            """
        ),
        {"ids": list(ids)},
    )
    return len(requeued.all())


def job_schema() -> list[str]:
    """Build the statements that create the queue, for a migration; run as the owner of the tables.

    They are those of the installed pgqueuer. Another version of it needs a migration with what its
    `Queries.plan_upgrade` then names.
    """
    settings = _settings()
    schema = target(settings)
    statements = [schema_ddl.render_enum(entry, settings) for entry in schema.enums]
    statements += [schema_ddl.render_table(entry, settings) for entry in schema.tables]
    statements += [schema_ddl.render_index(entry, settings) for entry in schema.indexes]
    statements += [schema_ddl.render_function(entry, settings) for entry in schema.functions]
    statements += [schema_ddl.render_trigger(entry, settings) for entry in schema.triggers]
    # Its NOTIFY would take, in every transaction that enqueues, a lock common to the whole database.
    statements += [f"ALTER TABLE {entry.table} DISABLE TRIGGER {entry.name}" for entry in schema.triggers]
    for table in schema.tables:
        statements.append(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table.name} TO {APP_ROLE}")
        statements.append(f"GRANT USAGE ON SEQUENCE {table.name}_id_seq TO {APP_ROLE}")
    vacuum = QueryBuilderEnvironment(settings).build_optimize_autovacuum_query()
    return statements + [statement for statement in vacuum.split(";") if statement.strip()]


def job_schema_removal() -> list[str]:
    """Build the statements that undo `job_schema`; the jobs go with it."""
    return schema_ddl.render_uninstall(_settings()).splitlines()


@dataclass(frozen=True, slots=True)
class _Pace:
    concurrency: int
    heartbeat_timeout: timedelta
    grace_s: float


class _Executor(DatabaseRetryEntrypointExecutor):
    """Puts an interrupted job back; pgqueuer itself would count it as cancelled and drop it."""

    def __init__(
        self, parameters: EntrypointExecutorParameters, *, retries: Retries, running: set[asyncio.Task[Any]]
    ) -> None:
        super().__init__(
            parameters,
            max_attempts=retries.tries - 1,
            initial_delay=timedelta(seconds=retries.first_delay_s),
            max_delay=timedelta(seconds=retries.longest_delay_s),
        )
        self._running = running

    async def execute(self, job: pgqueuer_models.Job, context: pgqueuer_models.Context) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._running.add(task)
        try:
            await super().execute(job, context)
        except asyncio.CancelledError:
            task.uncancel()
            raise RetryRequested(reason="the worker was stopped") from None
        finally:
            self._running.discard(task)


async def _work_on_one_connection(database: Database, table: JobTable, stop: asyncio.Event, pace: _Pace) -> None:
    async with database.connection() as connection:
        driver = JobDriver(connection)
        queuer = PgQueuer(driver, Channel(_settings().channel), queries=_queries(driver))
        running: set[asyncio.Task[Any]] = set()
        _register(queuer, table, running)
        stopping = asyncio.create_task(_stop_gently(stop, queuer, running, pace.grace_s))
        try:
            await queuer.run(
                dequeue_timeout=timedelta(seconds=_POLL_S),
                batch_size=pace.concurrency // 2,
                max_concurrent_tasks=pace.concurrency,
                heartbeat_timeout=pace.heartbeat_timeout,
            )
        finally:
            stopping.cancel()


async def _stop_gently(stop: asyncio.Event, queuer: PgQueuer, running: set[asyncio.Task[Any]], grace_s: float) -> None:
    await stop.wait()
    queuer.shutdown.set()
    await asyncio.sleep(grace_s)
    for task in running:
        task.cancel()


def _register(queuer: PgQueuer, table: JobTable, running: set[asyncio.Task[Any]]) -> None:
    for kind, (handler, retries) in table.handlers.items():
        executor = partial(_Executor, retries=retries, running=running)
        queuer.entrypoint(kind, accepts_context=False, on_failure="hold", executor_factory=executor)(
            partial(_handle, handler)
        )
    for kind, cron in table.schedules.items():
        queuer.schedule(kind, cron, accepts_context=False)(partial(_enqueue_scheduled, queuer))


async def _handle(handler: Handler, job: pgqueuer_models.Job) -> None:
    payload = json.loads(job.payload or b"{}")
    await handler(Job(job.id, job.entrypoint, payload, job.attempts + 1))


async def _enqueue_scheduled(queuer: PgQueuer, schedule: pgqueuer_models.Schedule) -> None:
    kind = str(schedule.entrypoint)
    await queuer.qm.queries.enqueue(kind, b"{}", dedupe_key=f"every:{kind}", on_conflict="skip")


async def _prune(database: Database, _job: Job) -> None:
    """Forget the history of jobs that are done; that of dead ones is kept with them."""
    async with database.transaction() as session:
        for statement in (
            """
            DELETE FROM pgqueuer_log WHERE created < now() - :kept
            AND NOT EXISTS (SELECT FROM pgqueuer WHERE pgqueuer.id = job_id AND status = 'failed')
            """,
            "DELETE FROM pgqueuer_statistics WHERE created < now() - :kept",
        ):
            await session.execute(text(statement), {"kept": _KEEP_HISTORY})


def _queries(driver: JobDriver) -> Queries:
    settings = _settings()
    return Queries(
        driver, QueryBuilderEnvironment(settings), QueryQueueBuilder(settings), QuerySchedulerBuilder(settings)
    )


@cache
def _settings() -> DBSettings:
    # All given: it would take any other from variables of the environment named FUNCTION, TRIGGER or CHANNEL.
    return DBSettings(
        prefix="",
        db_schema=None,
        channel=Channel("ch_pgqueuer"),
        function="fn_pgqueuer_changed",
        statistics_table="pgqueuer_statistics",
        queue_status_type="pgqueuer_status",
        queue_table="pgqueuer",
        queue_table_log="pgqueuer_log",
        trigger="tg_pgqueuer_changed",
        schedules_table="pgqueuer_schedules",
        durability=Durability.durable,
        widen_id=True,
    )
