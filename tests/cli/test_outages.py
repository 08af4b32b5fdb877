"""What server and worker make of a database that stops, takes no writes, or is replaced under them: they go on."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from db import migrate
from db.cluster import Cluster, revive, running_cluster
from db.dumps import back_up, libpq_url, restore
from db.postgres import run_as_server
from db.sessions import Database
from tests.cli.running import a_report, environment_of, jalon, serving, wait_until
from tests.issues.towns import open_town


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="jalon-test-"))
    folder.chmod(0o755)  # the server runs under an account of its own
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def own_cluster(folder: Path) -> Iterator[Cluster]:
    """A server of these tests' own, which they may stop, with a town in its database."""
    with running_cluster(folder, durable=False) as cluster:
        migrate.upgrade(cluster.owner_url)
        asyncio.run(_open_town(cluster))
        yield cluster


async def _open_town(cluster: Cluster) -> None:
    async with Database(cluster.owner_url, role=None) as owner, Database(cluster.app_url) as database:
        await open_town(owner, database)


@pytest.fixture
def environment(own_cluster, tmp_path):
    # Errors only: nobody reads what the processes say while they run.
    return environment_of(own_cluster.app_url, tmp_path) | {"JALON_LOG_LEVEL": "error"}


@pytest.fixture
def worker(environment, own_cluster):
    """Runs a worker, and afterwards sees it alive and doing jobs: by itself, with no restart."""
    with jalon(environment, "work") as process:
        wait_until(lambda: does_jobs(own_cluster))
        yield process
        wait_until(lambda: process.poll() is not None or does_jobs(own_cluster))
        assert process.poll() is None, process.stderr and process.stderr.read()
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture
def api(environment, worker) -> Iterator[httpx.Client]:
    """A server whose process is the same one at the end."""
    with serving(environment) as (process, client):
        yield client
        assert process.poll() is None
        process.terminate()
        process.communicate(timeout=60)


def does_jobs(cluster: Cluster) -> bool:
    """Enqueue a job; tell whether one like it has been done since this was asked first."""
    with psycopg.connect(libpq_url(cluster.owner_url), autocommit=True) as connection:
        done = "SELECT count(*) FROM pgqueuer_log WHERE entrypoint = 'jobs.prune' AND status = 'successful'"
        if connection.execute(done).fetchone() != (0,):
            connection.execute("DELETE FROM pgqueuer_log")
            return True
        connection.execute(
            "INSERT INTO pgqueuer (priority, status, entrypoint, payload, dedupe_key)"
            " VALUES (0, 'queued', 'jobs.prune', '{}', 'test') ON CONFLICT DO NOTHING"
        )
    return False


def assert_away(api: httpx.Client, report) -> None:
    answer = api.post("/v1/reports", json=report)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert api.get("/healthz").status_code == 200


def assert_it_returns_by_itself(api: httpx.Client, report) -> None:
    """The same report again and again: 503 until it is filed, once."""
    answers: list[int] = []

    def filed():
        answers.append(api.post("/v1/reports", json=report).status_code)
        return answers[-1] == 201

    wait_until(filed)
    assert set(answers[:-1]) <= {503}
    assert api.post("/v1/reports", json=report).status_code == 200
    wait_until(is_ready(api))
    assert api.get("/healthz").status_code == 200


def is_ready(api: httpx.Client, wanted: int = 200) -> Callable[[], bool]:
    return lambda: api.get("/readyz").status_code == wanted


def test_a_postgresql_that_was_killed_is_waited_for(api, own_cluster, folder):
    assert api.post("/v1/reports", json=a_report()).status_code == 201
    run_as_server([own_cluster.bin_dir / "pg_ctl", "stop", "-D", own_cluster.folder, "-m", "immediate", "-w"])
    report = a_report()
    for _ in range(3):
        assert_away(api, report)
    wait_until(is_ready(api, 503))

    revive(folder)

    assert_it_returns_by_itself(api, report)


def test_a_primary_that_was_demoted_is_waited_for(api, own_cluster):
    with own_cluster.connect() as admin:
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        admin.execute("SELECT pg_reload_conf()")
    wait_until(is_ready(api, 503))
    report = a_report()
    for _ in range(3):
        assert_away(api, report)

    with own_cluster.connect() as admin:
        admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
        admin.execute("SELECT pg_reload_conf()")

    assert_it_returns_by_itself(api, report)


def test_a_backup_put_back_under_server_and_worker_is_worked_on(api, own_cluster, tmp_path):
    before = a_report()
    assert api.post("/v1/reports", json=before).status_code == 201
    back_up(own_cluster.owner_url, tmp_path / "backup")
    later = a_report()
    assert api.post("/v1/reports", json=later).status_code == 201

    restore(own_cluster.owner_url, tmp_path / "backup", force=True)

    assert_it_returns_by_itself(api, later)
    assert api.post("/v1/reports", json=before).status_code == 200
