"""`jalon serve` and `jalon work` as processes: how they start, stop, and are killed."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import psycopg
import pytest
from uvicorn.config import STARTUP_FAILURE

from bench.servers import Child, running
from db.dumps import libpq_url
from db.postgres import running_pid
from db.sessions import Database
from tests.cli.running import (
    PATIENCE_S,
    ROOT,
    a_report,
    children_of,
    environment_of,
    is_alive,
    jalon,
    serving,
    wait_until,
)
from tests.issues.towns import ESSAI, open_town


@pytest.fixture
def environment(app_url, tmp_path):
    """The environment of a process that serves the test's database."""
    return environment_of(app_url, tmp_path)


@pytest.fixture
def town(owner_url, app_url):
    """A town in the test's database that takes as many reports of one address as come."""
    town = replace(ESSAI, settings=ESSAI.settings | {"limits": {"address_reports_per_hour": 1_000_000}})

    async def build():
        async with Database(owner_url, role=None) as owner, Database(app_url) as database:
            await open_town(owner, database, town)

    asyncio.run(build())


def status_of(client: httpx.Client, report) -> int:
    """File a report over a connection of its own."""
    return httpx.post(client.base_url.join("/v1/reports"), json=report, timeout=PATIENCE_S).status_code


@contextmanager
def load_on(client: httpx.Client) -> Iterator[list[Future[set[int]]]]:
    """In the block, three phones file reports one after the other; how they were answered is known after it."""
    relieved = threading.Event()

    def file_reports():
        return {status_of(client, a_report()) for _ in iter(relieved.is_set, True)}

    with ThreadPoolExecutor() as senders:
        try:
            yield [senders.submit(file_reports) for _ in range(3)]
        finally:
            relieved.set()


@contextmanager
def held_up(client: httpx.Client, holder: psycopg.Connection) -> Iterator[Future[int]]:
    """In the block, a report waits inside the server: its id is claimed by a transaction that has not ended."""
    report = a_report()
    holder.execute("INSERT INTO report_home VALUES (%s, 1, '', '', '')", (report["id"],))
    waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE transactionid = pg_current_xact_id()::xid AND NOT granted)"
    with ThreadPoolExecutor() as sender:
        try:
            answer = sender.submit(status_of, client, report)
            wait_until(lambda: answer.done() or holder.execute(waits).fetchone() == (True,))
            yield answer
        finally:
            holder.rollback()


def refuses_connections(client: httpx.Client) -> bool:
    """Whether nobody listens any more; to be let in and then left alone is an error.

    Who comes between a server's last look at its door and the closing of it, microseconds later, is not let in: the
    kernel has made the connection and resets it.
    """
    try:
        client.get("/healthz")
    except (httpx.ConnectError, httpx.ReadError):
        return True
    return False


def test_a_server_leaves_on_sigterm_and_says_so_in_json(environment):
    with serving(environment) as (process, client):
        assert client.get("/healthz").json() == {"alive": True}
        process.terminate()
        _, log = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    assert {json.loads(line)["level"] for line in log.splitlines()} == {"info"}
    assert "Finished server process" in log


@pytest.mark.usefixtures("town")
def test_told_to_stop_under_load_a_server_is_unready_first_and_finishes_what_it_has(environment, owner_url):
    environment["JALON_NOTICE_S"] = "3"
    with (
        serving(environment, "--workers", "2") as (process, client),
        psycopg.connect(libpq_url(owner_url)) as holder,
        held_up(client, holder) as slow,
    ):
        with load_on(client) as answers:
            process.terminate()
            wait_until(lambda: client.get("/readyz").status_code == 503)
            assert client.get("/healthz").status_code == 200
        assert [answer.result() for answer in answers] == [{201}] * 3
        wait_until(lambda: refuses_connections(client))
        assert not slow.done()
        holder.rollback()
        assert slow.result(PATIENCE_S) == 201
        process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0


def test_several_processes_share_the_port_and_are_counted_together(environment):
    with serving(environment, "--workers", "2") as (process, client):
        for _ in range(40):
            client.get("/v1/where", params={"lat": 1, "long": 1})
        numbers = client.get("/metrics").text
        children = children_of(process.pid)
        process.terminate()
        process.communicate(timeout=PATIENCE_S)

    counted = [
        line for line in numbers.splitlines() if line.startswith("jalon_http_requests_total") and "where" in line
    ]
    assert sum(float(line.split()[-1]) for line in counted) == 40
    assert len(children) == 2
    assert process.returncode == 0


def test_several_processes_that_cannot_start_end_the_server_at_once_as_one_does():
    run = "run_server(Config('api.app:nowhere', port=0, workers=2, timeout_worker_healthcheck=60))"
    serve = f"from uvicorn import Config; from api.processes import run_server; {run}"
    command = [sys.executable, "-c", serve]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=40, check=False)

    assert ended.returncode == STARTUP_FAILURE, ended.stderr


def test_the_processes_of_a_killed_server_free_its_port(environment):
    with serving(environment, "--workers", "2") as (process, client):
        children = children_of(process.pid)
        process.kill()
        process.wait()
        wait_until(lambda: not any(is_alive(child) for child in children))
        port = client.base_url.port

    assert port is not None
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_the_owners_login_stays_out_of_the_processes_that_face_the_world(environment, owner_url):
    environment["JALON_OWNER_DATABASE_URL"] = owner_url
    with serving(environment, "--workers", "2") as (process, _):
        for child in children_of(process.pid):
            assert b"JALON_OWNER_DATABASE_URL" not in Path(f"/proc/{child}/environ").read_bytes()


def test_a_worker_does_jobs_and_leaves_on_sigterm(environment, owner_url):
    with psycopg.connect(libpq_url(owner_url), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO pgqueuer (priority, status, entrypoint, payload) VALUES (0, 'queued', 'jobs.prune', '{}')"
        )
        with jalon(environment, "work") as process:
            done = "SELECT count(*) FROM pgqueuer_log WHERE entrypoint = 'jobs.prune' AND status = 'successful'"
            wait_until(lambda: process.poll() is not None or connection.execute(done).fetchone() != (0,))
            assert process.poll() is None, process.stderr and process.stderr.read()
            process.terminate()
            _, log = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0
    assert "worker_stopped" in log


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel does not weigh sessions")
def test_a_worker_that_is_started_nice_is_so_among_sessions_too(environment, tmp_path):
    worker = Child(["work"], environment, tmp_path / "work.log", niceness=10)
    with running([worker]):
        wait_until(lambda: worker.has_ended or "worker_started" in worker.last_words)
        niceness = Path(f"/proc/{worker.pid}/autogroup").read_text().split()[-1]

    assert niceness == "10"


def test_a_worker_told_to_stop_under_load_leaves_no_job_in_the_middle(environment, owner_url):
    with psycopg.connect(libpq_url(owner_url), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO pgqueuer (priority, status, entrypoint, payload)"
            " SELECT 0, 'queued', 'jobs.prune', '{}' FROM generate_series(1, 2000)"
        )
        left = "SELECT count(*) FROM pgqueuer"
        with jalon(environment, "work") as process:
            wait_until(lambda: process.poll() is not None or connection.execute(left).fetchone() != (2000,))
            process.terminate()
            process.communicate(timeout=PATIENCE_S)
        states = connection.execute("SELECT DISTINCT status::text FROM pgqueuer").fetchall()

    assert process.returncode == 0
    assert states in ([], [("queued",)])


def test_server_and_worker_share_the_private_cluster_which_ends_with_them(environment):
    folder = Path(tempfile.mkdtemp(prefix="jalon-test-"))
    folder.chmod(0o755)  # the server runs under an account of its own
    del environment["JALON_DATABASE_URL"]
    environment["JALON_DATA_DIR"] = str(folder)
    try:
        # Both find an empty folder at the same time, and both would migrate.
        with jalon(environment, "work") as worker, serving(environment) as (server, client):
            assert client.get("/readyz").json()["ready"] is True
            server.terminate()
            server.communicate(timeout=PATIENCE_S)
            assert running_pid(folder / "postgres") is not None
            assert worker.poll() is None
            worker.terminate()
            worker.communicate(timeout=PATIENCE_S)

        assert (server.returncode, worker.returncode) == (0, 0)
        assert running_pid(folder / "postgres") is None
    finally:
        shutil.rmtree(folder)
