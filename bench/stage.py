"""Databases to measure in: Montréal from its pack, with a history, on a private cluster that writes durably."""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from bench.rows import Progress, fill_issues
from db import migrate
from db.cluster import OWNER, WEB, Cluster, running_cluster
from db.sessions import Database
from issues.limits import Limits
from issues.packs.check import check_pack
from issues.packs.load import load_pack

CITY = "montreal.ca"
SEED = 20_261_122
PACKS = Path(__file__).parent.parent / "cities"
_TEMPLATE = "bench_rows"
_NO_LIMIT = 1_000_000
_LIFT_LIMITS = "UPDATE city SET settings = jsonb_set(settings, '{limits}', CAST(:limits AS jsonb))"


@dataclass(frozen=True, slots=True)
class Stage:
    """A database of one's own on a running cluster."""

    cluster: Cluster
    database: str

    @property
    def app_url(self) -> str:
        """For the login that serves."""
        return self.cluster.url(WEB, self.database)

    @property
    def owner_url(self) -> str:
        """For the owner of the tables."""
        return self.cluster.url(OWNER, self.database)


@contextmanager
def empty_stage(data_dir: Path) -> Iterator[Stage]:
    """Give a database with Montréal loaded and not one report; dropped at the end."""
    with running_cluster(data_dir) as cluster:
        stage = Stage(cluster, "bench_empty")
        cluster.drop_database(stage.database)
        cluster.create_database(stage.database)
        load_city(stage.owner_url)
        asyncio.run(_lift_limits_of(stage))
        try:
            yield stage
        finally:
            cluster.drop_database(stage.database)


@contextmanager
def stage_of_issues(data_dir: Path, issues: int, tables: Sequence[str]) -> Iterator[Stage]:
    """Give a database with a history of so many issues in some of its tables; dropped at the end."""
    now = datetime.now(UTC)
    with empty_stage(data_dir) as stage:
        with stage.cluster.connect(stage.database) as connection:
            fill_issues(connection, CITY, issues, seed=SEED, now=now, progress=lambda *_: None, tables=tables)
        yield stage


@contextmanager
def filled_stage(data_dir: Path, issues: int, progress: Progress) -> Iterator[Stage]:
    """Give a database with a million issues (or as many as asked for); dropped at the end.

    It is a copy of one that stays in the cluster for the next run, until pack, tables, generator or week have changed:
    open issues must not grow old.
    """
    with running_cluster(data_dir) as cluster:
        template = _filled_template(cluster, issues, progress)
        stage = Stage(cluster, "bench_run")
        progress("copy", 0, 1)
        cluster.drop_database(stage.database)
        cluster.create_database(stage.database, template=template)
        with cluster.connect(stage.database) as connection:
            connection.execute("CHECKPOINT")
        asyncio.run(_lift_limits_of(stage))
        progress("copy", 1, 1)
        try:
            yield stage
        finally:
            cluster.drop_database(stage.database)


def load_city(owner_url: str, city: str = "montreal") -> None:
    """Migrate a database and load a city's pack."""
    migrate.upgrade(owner_url)
    asyncio.run(_load(owner_url, city))


async def lift_limits(owner: Database) -> None:
    """Let every city take as much as comes: all simulated phones share an address. For servers started after it."""
    async with owner.transaction() as session:
        await session.execute(
            text(_LIFT_LIMITS), {"limits": json.dumps({each.name: _NO_LIMIT for each in fields(Limits)})}
        )


async def _lift_limits_of(stage: Stage) -> None:
    async with Database(stage.owner_url, role=None) as owner:
        await lift_limits(owner)


async def _load(owner_url: str, city: str) -> None:
    pack = check_pack(PACKS / city).pack
    assert pack is not None
    async with Database(owner_url, role=None) as database, database.transaction() as session:
        await load_pack(session, pack, now=datetime.now(UTC))


def _filled_template(cluster: Cluster, issues: int, progress: Progress) -> str:
    now = datetime.now(UTC)
    name = f"{_TEMPLATE}_{issues}_{_fingerprint(now)}"
    with cluster.connect() as connection:
        kept = [row[0] for row in connection.execute("SELECT datname FROM pg_database WHERE datname ~ '^bench_rows_'")]
    if name in kept:
        return name
    for old in kept:
        cluster.drop_database(old)
    draft = f"{_TEMPLATE}_draft"
    cluster.create_database(draft)
    load_city(cluster.url(OWNER, draft))
    with cluster.connect(draft) as connection:
        fill_issues(connection, CITY, issues, seed=SEED, now=now, progress=progress)
    with cluster.connect() as connection:
        connection.execute(f"ALTER DATABASE {draft} RENAME TO {name}")
    return name


def _fingerprint(now: datetime) -> str:
    year, week, _ = now.isocalendar()
    parts = [f"{year}-{week}".encode()]
    sources = [Path(__file__).with_name("rows.py"), *sorted((PACKS / "montreal").glob("*.*"))]
    sources += sorted((Path(migrate.__file__).parent / "migrations" / "versions").glob("*.py"))
    parts += [hashlib.sha256(source.read_bytes()).digest() for source in sources]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]
