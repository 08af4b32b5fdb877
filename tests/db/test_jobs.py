"""Jobs exist if and only if their transaction committed, and are done whatever dies."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from pgqueuer.adapters.persistence.queries import Queries
from sqlalchemy import text

from db.connections import driver_connection
from db.job_driver import JobDriver
from db.jobs import Job, JobTable, Retries, enqueue, job_stats, retry_dead_jobs, run_worker
from db.sessions import Database

_ROOT = Path(__file__).parents[2]
_ENDLESS_WORKER = """
import asyncio, sys
from db.jobs import JobTable, run_worker
from db.sessions import Database

async def never_finish(job):
    print("started", flush=True)
    await asyncio.Event().wait()

async def work():
    table = JobTable()
    table.handle("count", never_finish)
    async with Database(sys.argv[1]) as database:
        await run_worker(database, table, stop=asyncio.Event(), heartbeat_timeout_s=1)

asyncio.run(work())
"""


class Recorder:
    """A handler that notes the jobs it gets, fails as often as told, and stops the worker after some calls."""

    def __init__(self, *, stop_after: int, failures: int = 0) -> None:
        self.jobs: list[Job] = []
        self.stop = asyncio.Event()
        self._stop_after = stop_after
        self._failures = failures

    async def __call__(self, job: Job) -> None:
        self.jobs.append(job)
        if len(self.jobs) == self._stop_after:
            self.stop.set()
        if len(self.jobs) <= self._failures:
            raise ConnectionError("the provider does not answer")


async def work(database, recorder, *, tries=8, **options):
    table = JobTable()
    table.handle("count", recorder, Retries(tries=tries, first_delay_s=0.01))
    async with asyncio.timeout(30):
        await run_worker(database, table, stop=recorder.stop, **options)


async def test_a_job_is_done_with_its_payload(database):
    recorder = Recorder(stop_after=1)
    async with database.transaction() as session:
        await enqueue(session, "count", {"city_id": 7, "issue_id": "x"})

    await work(database, recorder)

    assert [(job.kind, job.payload, job.attempt) for job in recorder.jobs] == [
        ("count", {"city_id": 7, "issue_id": "x"}, 1)
    ]
    assert await states(database) == {}


async def test_a_job_goes_with_the_transaction_that_is_rolled_back(database):
    async def fail_after_enqueueing():
        async with database.transaction() as session:
            await enqueue(session, "count", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_enqueueing()

    assert await states(database) == {}


async def test_a_job_is_not_seen_before_its_transaction_commits(database):
    async with database.transaction() as session:
        await enqueue(session, "count", {})
        assert await states(database) == {}

    assert await states(database) == {"count": {"waiting": 1}}


async def test_enqueueing_tells_nobody(database, cluster, database_name):
    """A NOTIFY would take a lock that is common to the whole database, in every report's transaction."""
    with cluster.connect(database_name) as listener:
        listener.execute("LISTEN ch_pgqueuer")
        async with database.transaction() as session:
            await enqueue(session, "count", {})
        listener.execute("SELECT pg_notify('ch_pgqueuer', 'end')")

        assert [heard.payload for heard in listener.notifies(stop_after=1)] == ["end"]


async def test_a_second_job_with_the_same_key_is_left_out_while_the_first_waits(database):
    recorder = Recorder(stop_after=1)
    for _ in range(2):
        async with database.transaction() as session:
            await enqueue(session, "count", {}, dedupe_key="tiles")
    await work(database, recorder)

    async with database.transaction() as session:
        await enqueue(session, "count", {}, dedupe_key="tiles")

    assert len(recorder.jobs) == 1
    assert await states(database) == {"count": {"waiting": 1}}


async def test_a_job_for_later_is_not_done_now(database):
    recorder = Recorder(stop_after=1)
    async with database.transaction() as session:
        await enqueue(session, "count", {"when": "later"}, run_after=timedelta(hours=1))
        await enqueue(session, "count", {"when": "now"})

    await work(database, recorder)

    assert [job.payload["when"] for job in recorder.jobs] == ["now"]
    assert await states(database) == {"count": {"scheduled": 1}}


async def test_a_failed_job_is_tried_again(database):
    recorder = Recorder(stop_after=3, failures=2)
    async with database.transaction() as session:
        await enqueue(session, "count", {})

    await work(database, recorder)

    assert [job.attempt for job in recorder.jobs] == [1, 2, 3]
    assert await states(database) == {}


async def test_after_its_last_try_a_job_is_dead_with_its_error_and_can_be_revived(database):
    recorder = Recorder(stop_after=2, failures=2)
    async with database.transaction() as session:
        await enqueue(session, "count", {"issue_id": "x"})

    await work(database, recorder, tries=2)

    async with database.transaction() as session:
        [dead] = (await job_stats(session)).dead
        assert (dead.payload, dead.tries) == ({"issue_id": "x"}, 2)
        assert dead.error == "ConnectionError: the provider does not answer"
        assert await retry_dead_jobs(session, [dead.id, -1]) == 1
    revived = Recorder(stop_after=1)
    await work(database, revived)
    assert [job.attempt for job in revived.jobs] == [1]
    assert await states(database) == {}


async def test_the_job_of_a_killed_worker_is_done_by_another(database, app_url):
    async with database.transaction() as session:
        await enqueue(session, "count", {"city_id": 7})
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _ENDLESS_WORKER, app_url, cwd=_ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert victim.stdout is not None
    assert await victim.stdout.readline() == b"started\n"
    victim.kill()
    await victim.communicate()
    assert await states(database) == {"count": {"running": 1}}

    recorder = Recorder(stop_after=1)
    await work(database, recorder, heartbeat_timeout_s=1)

    assert [job.payload for job in recorder.jobs] == [{"city_id": 7}]
    assert await states(database) == {}


async def test_a_job_that_runs_long_keeps_its_worker(database):
    """The heartbeat keeps a second worker from a job that takes longer than the timeout."""
    started, done = asyncio.Event(), asyncio.Event()
    taken: list[str] = []

    def handler(name):
        async def handle(_job):
            taken.append(name)
            started.set()
            await done.wait()

        table = JobTable()
        table.handle("count", handle)
        return table

    async with database.transaction() as session:
        await enqueue(session, "count", {})
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as workers, asyncio.timeout(30):
        for name in ("first", "second"):
            workers.create_task(run_worker(database, handler(name), stop=stop, heartbeat_timeout_s=2))
        await started.wait()
        beats = {await heartbeat(database)}
        while len(beats) < 4:  # a second lies between two of them
            beats.add(await heartbeat(database))
        done.set()
        stop.set()

    assert len(taken) == 1


async def test_a_worker_told_to_stop_finishes_what_it_has_begun(database):
    begun, may_end = asyncio.Event(), asyncio.Event()
    finished = []

    async def handle(job):
        begun.set()
        await may_end.wait()
        finished.append(job.id)

    table, stop = JobTable(), asyncio.Event()
    table.handle("count", handle)
    async with database.transaction() as session:
        await enqueue(session, "count", {})

    async with asyncio.TaskGroup() as tasks, asyncio.timeout(30):
        tasks.create_task(run_worker(database, table, stop=stop))
        await begun.wait()
        stop.set()
        may_end.set()

    assert len(finished) == 1
    assert await states(database) == {}


async def test_a_job_that_outlasts_the_grace_goes_back_to_the_queue(database):
    begun, stop = asyncio.Event(), asyncio.Event()

    async def handle(_job):
        begun.set()
        await asyncio.Event().wait()

    table = JobTable()
    table.handle("count", handle)
    async with database.transaction() as session:
        await enqueue(session, "count", {})

    async with asyncio.TaskGroup() as tasks, asyncio.timeout(30):
        tasks.create_task(run_worker(database, table, stop=stop, grace_s=0))
        await begun.wait()
        stop.set()

    assert await states(database) == {"count": {"waiting": 1}}


async def test_a_worker_survives_that_its_connection_is_cut(database, cluster, database_name, app_url):
    recorder = Recorder(stop_after=2)
    async with database.transaction() as session:
        await enqueue(session, "count", {"n": 1})

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work(database, recorder, heartbeat_timeout_s=1))
        async with asyncio.timeout(30):
            while not recorder.jobs:
                await states(database)
        with cluster.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database_name,)
            )
        async with Database(app_url) as later, later.transaction() as session:
            await enqueue(session, "count", {"n": 2})

    assert {job.payload["n"] for job in recorder.jobs} == {1, 2}


async def test_a_periodic_job_comes_by_the_clock(database):
    recorder = Recorder(stop_after=2)
    table = JobTable()
    table.every("* * * * * *", "tick", recorder)

    async with asyncio.timeout(30):
        await run_worker(database, table, stop=recorder.stop)

    assert [(job.kind, job.payload) for job in recorder.jobs] == [("tick", {})] * 2


def test_a_kind_has_one_handler():
    table = JobTable()
    table.handle("count", Recorder(stop_after=1))

    with pytest.raises(ValueError, match="count"):
        table.every("* * * * *", "count", Recorder(stop_after=1))


async def test_history_is_pruned_but_for_that_of_dead_jobs(database):
    for recorder in (Recorder(stop_after=1, failures=1), Recorder(stop_after=1)):
        async with database.transaction() as session:
            await enqueue(session, "count", {})
        await work(database, recorder, tries=1)
    async with database.transaction() as session:
        await session.execute(text("UPDATE pgqueuer_log SET created = created - interval '8 days'"))
        await enqueue(session, "jobs.prune", {})

    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(30):
        tasks.create_task(run_worker(database, JobTable(), stop=stop))
        while "successful" in await logged(database):
            continue
        stop.set()

    assert await logged(database) == {"picked", "failed"}
    async with database.transaction() as session:
        assert [dead.error for dead in (await job_stats(session)).dead] == [
            "ConnectionError: the provider does not answer"
        ]


async def test_the_schema_is_the_one_that_pgqueuer_asks_for(owner):
    async with owner.transaction() as session:
        plan = await Queries(JobDriver(await driver_connection(session))).plan_upgrade()

    assert plan.statements == ()


async def test_a_job_is_the_row_that_pgqueuer_itself_would_make(database):
    columns = "priority, entrypoint, payload, execute_after - created AS delay, dedupe_key, headers, status, attempts"
    async with database.transaction() as session:
        await enqueue(session, "count", {"n": 1}, run_after=timedelta(minutes=1), dedupe_key="ours")
        await Queries(JobDriver(await driver_connection(session))).enqueue(
            "count", b'{"n": 1}', execute_after=timedelta(minutes=1), dedupe_key="theirs", headers={}
        )
        rows = (await session.execute(text(f"SELECT {columns} FROM pgqueuer ORDER BY id"))).mappings().all()

    ours, theirs = ({**row, "dedupe_key": None} for row in rows)
    assert ours == theirs


async def states(database):
    """How many jobs are in which state, by kind; without our own."""
    found: dict[str, dict[str, int]] = {}
    async with database.transaction() as session:
        for count in (await job_stats(session)).counts:
            found.setdefault(count.kind, {})[count.state] = count.count
    return {kind: counts for kind, counts in found.items() if kind != "jobs.prune"}


async def heartbeat(database):
    async with database.transaction() as session:
        return (await session.execute(text("SELECT max(heartbeat) FROM pgqueuer"))).scalar_one()


async def logged(database):
    """States in the history of the jobs of the test."""
    async with database.transaction() as session:
        return set(
            await session.scalars(text("SELECT DISTINCT status::text FROM pgqueuer_log WHERE entrypoint = 'count'"))
        )
