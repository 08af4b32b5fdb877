"""A real PostGIS for the tests: one private server a run, one database a test, cloned from a migrated template."""

import asyncio
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import hypothesis
import pytest
import pytest_asyncio
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from api.garbage import leave_out_what_is_loaded
from db import migrate
from db.cluster import OWNER, WEB, Cluster, running_cluster
from db.sessions import Database
from issues.city import Cities, load_cities
from issues.packs.check import check_pack
from issues.packs.load import load_pack
from media.decoders import Decoders

_PACKS = Path(__file__).parent.parent / "cities"
_DATA_DIR = "JALON_TEST_DATA_DIR"
_ROOM_BYTES = 4 << 30
_names = count()

# How long an example takes says something about the machine only. Continuous integration tries the same examples each
# time, so that what fails there has to do with what changed; everybody else's runs go on looking.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any machine")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the server's folder and that of all other files once, before xdist starts workers that share them."""
    if _DATA_DIR not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="jalon-test-", dir=_memory()))
        for each in (folder, folder / "server", folder / "files"):
            each.mkdir(exist_ok=True)
            each.chmod(0o755)  # the server runs under an account of its own
        os.environ |= {_DATA_DIR: str(folder / "server"), "TMPDIR": str(folder / "files")}
        tempfile.tempdir = None  # look at TMPDIR again
        config.add_cleanup(lambda: shutil.rmtree(folder))


def pytest_collection_finish() -> None:
    """Leave thousands of tests and all that they import out of garbage collection, once they are there."""
    leave_out_what_is_loaded()


def _memory() -> Path | None:
    """Find a folder that is held in memory, if it has room: each test's database is a thousand files to make."""
    memory = Path("/dev/shm")
    is_roomy = memory.is_mount() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM_BYTES
    return memory if is_roomy else None


@pytest.fixture(autouse=True)
def _log_settings() -> Iterator[None]:
    """Commands that a test runs in this process set up the log of the whole process; no test after it writes there."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The server, without fsync; several workers share it."""
    with running_cluster(Path(os.environ[_DATA_DIR]), durable=False) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """Name of a migrated, empty database that tests clone."""
    return _make_once(cluster, "template_empty", migrate.upgrade)


@pytest.fixture(scope="session")
def cities_template(cluster: Cluster) -> str:
    """Name of a database that holds the packs in `cities/` and nothing else, for tests to clone."""
    return _make_once(cluster, "template_cities", _load_packs)


@pytest.fixture(scope="session")
def decoders() -> Iterator[Decoders]:
    """The processes that photos are decoded in, started once."""
    decoders = Decoders(at_once=2)
    yield decoders
    decoders.close()


@pytest.fixture
def database_name(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """Name of a database of this test's own: with the packs where the test asks for `cities`, else empty."""
    template: str = request.getfixturevalue("cities_template" if "cities" in request.fixturenames else "template")
    name = f"test_{os.getpid()}_{next(_names)}"
    cluster.create_database(name, template=template)
    yield name
    cluster.drop_database(name)


@pytest.fixture
def app_url(cluster: Cluster, database_name: str) -> str:
    """URL of the test's database for the login that serves."""
    return cluster.url(WEB, database_name)


@pytest.fixture
def owner_url(cluster: Cluster, database_name: str) -> str:
    """URL of the test's database for the owner of the tables."""
    return cluster.url(OWNER, database_name)


@pytest_asyncio.fixture
async def database(app_url: str) -> AsyncIterator[Database]:
    """The test's database as the server sees it (role jalon_app)."""
    async with Database(app_url) as database:
        yield database


@pytest_asyncio.fixture
async def owner(owner_url: str) -> AsyncIterator[Database]:
    """The test's database as its owner sees it: for loading packs and looking behind the policies."""
    async with Database(owner_url, role=None) as database:
        yield database


@pytest_asyncio.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    """A transaction that has named no city."""
    async with database.transaction() as session:
        yield session


@pytest_asyncio.fixture
async def cities(database: Database) -> Cities:
    """Montréal and Laval as their packs describe them, loaded into the test's database."""
    async with database.transaction() as session:
        return await load_cities(session)


def _load_packs(url: str) -> None:
    migrate.upgrade(url)
    asyncio.run(_load_each_pack(url))


async def _load_each_pack(url: str) -> None:
    async with Database(url, role=None) as owner:
        for folder in (_PACKS / "montreal", _PACKS / "laval"):
            pack = check_pack(folder).pack
            assert pack is not None
            async with owner.transaction() as session:
                await load_pack(session, pack, now=datetime.now(UTC))


def _make_once(cluster: Cluster, name: str, fill: Callable[[str], None]) -> str:
    with (Path(os.environ[_DATA_DIR]) / f"{name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with cluster.connect() as connection:
            there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if there is None:
            draft = f"{name}_draft"
            cluster.create_database(draft)
            fill(cluster.url(OWNER, draft))
            with cluster.connect() as connection:
                connection.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')
    return name
