"""Reaching the database that the settings name, or the private cluster where they name none."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.cli.refusals import CommandRefused
from api.settings import Settings
from db.cluster import Cluster, running_cluster
from db.dumps import libpq_url
from db.revisions import current_revision, newest_revision
from db.sessions import Database
from db.tenancy import APP_ROLE, OPEN_ROLE, enter_city, refuse_privileged_role

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Reached:
    """A database and the two logins it is used with."""

    app_url: str = field(repr=False)
    owner_url: str = field(repr=False)
    cluster: Cluster | None  # None where the settings name a database


@contextmanager
def reached_database(settings: Settings) -> Iterator[Reached]:
    """Reach the database; the private cluster runs at least as long as the block.

    Raises:
        ClusterError: the private cluster cannot run.
    """
    if settings.database_url is not None:
        app_url = settings.database_url.get_secret_value()
        owner = settings.owner_database_url
        yield Reached(app_url, app_url if owner is None else owner.get_secret_value(), None)
        return
    with running_cluster(settings.data_dir) as cluster:
        yield Reached(cluster.app_url, cluster.owner_url, cluster)


def bring_up_to_date(owner_url: str, *, before: Callable[[], None] = lambda: None) -> bool:
    """Run the migrations that a database lacks; answers whether there were any.

    Commands that start together do not get in each other's way: the second one waits for the first.

    Args:
        owner_url: The owner of the tables.
        before: Called if there is something to do, before it is done.
    """
    with psycopg.connect(libpq_url(owner_url), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtextextended('jalon migrations', 0))")
        if current_revision(connection) == newest_revision():
            return False
        from db import migrate

        before()
        migrate.upgrade(owner_url)
        return True


async def check_login(app_url: str) -> None:
    """Go on only if a login is a member of the server's role and that of open data, and of nothing more.

    Raises:
        PrivilegedRole: it would see the rows of every city.
        CommandRefused: it may not take the server's role.
        DatabaseUnavailable: the database does not answer.
    """
    # As the login itself: taking the role is what may fail.
    async with Database(app_url, role=None, pool_size=1) as database, database.transaction() as session:
        await refuse_privileged_role(session)
        query = (
            "SELECT session_user, (SELECT pg_has_role(session_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = :r)"
        )
        for role in (APP_ROLE, OPEN_ROLE):
            login, is_member = (await session.execute(text(query), {"r": role})).one()
            if is_member is None:
                raise CommandRefused(f"the database has no role {role}. As its administrator: CREATE ROLE {role};")
            if not is_member:
                raise CommandRefused(f"{login} may not work as {role}. GRANT {role} TO {login};")


async def check_fit_to_serve(reached: Reached) -> None:
    """Go on only if a server or worker may work on this database.

    Raises:
        PrivilegedRole: the login would see the rows of every city.
        CommandRefused: it may not take the server's role, or migrations are missing on a database that is not ours
            to change unasked.
        DatabaseUnavailable: it does not answer.
    """
    await check_login(reached.app_url)
    async with Database(reached.app_url, pool_size=1) as database, database.transaction() as session:
        there, newest = await applied_revision(session), newest_revision()
    if there != newest:
        raise CommandRefused(
            f"the database stands at migration {there or 'none'} and this version needs {newest}. "
            "Run: jalon db migrate (with JALON_OWNER_DATABASE_URL)"
        )


async def applied_revision(session: AsyncSession) -> str | None:
    """Read the migration a database stands at, as the server's role may; None where none was run."""
    if await session.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = await session.scalar(text("SELECT version_num FROM alembic_version"))
    return found


async def as_owner(reached: Reached, work: Callable[[Database], Awaitable[_T]]) -> _T:
    """Do something with the database as the owner of the tables."""
    async with Database(reached.owner_url, role=None, pool_size=1) as database:
        return await work(database)


def in_city(jurisdiction_id: str | None, work: Callable[[AsyncSession, int], Awaitable[_T]]) -> _T:
    """Do something in a city, as the server would, in one transaction; where one is loaded it need not be named.

    Raises:
        CommandRefused: it is not loaded, or several are and none was named.
    """
    from geo.cities import City

    async def in_transaction(database: Database) -> _T:
        async with database.transaction() as session:
            known = {
                row.jurisdiction_id: row.id for row in await session.execute(select(City.jurisdiction_id, City.id))
            }
            chosen = next(iter(known)) if jurisdiction_id is None and len(known) == 1 else jurisdiction_id
            if chosen not in known:
                raise CommandRefused(f"--city is one of: {', '.join(sorted(known)) or '(none is loaded)'}.")
            await enter_city(session, known[chosen])
            return await work(session, known[chosen])

    with reached_database(Settings()) as reached:
        return asyncio.run(as_app(reached, in_transaction))


async def as_app(reached: Reached, work: Callable[[Database], Awaitable[_T]]) -> _T:
    """Do something with the database as the server would."""
    async with Database(reached.app_url, pool_size=1) as database:
        return await work(database)


@contextmanager
def environment_for_processes(reached: Reached, *, several: bool) -> Iterator[None]:
    """Set what the processes of a server read from their environment; the owner's login is not among it."""
    os.environ["JALON_DATABASE_URL"] = reached.app_url
    os.environ.pop("JALON_OWNER_DATABASE_URL", None)
    if not several:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="jalon-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield
