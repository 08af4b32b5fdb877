"""A private PostgreSQL cluster with PostGIS, run for whoever names no database of their own.

Commands that need it share one server: each holds a shared lock on one file for as long as it runs, and the
last one out stops the server. Starting and stopping happen under a second, exclusive lock, so they never meet.
The server runs in a session of its own, so that no signal meant for a command reaches it; if every command was
killed, it keeps running and the next command adopts it.
"""

import fcntl
import json
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql

from db.postgres import (
    ClusterError,
    PostgresNotInstalled,
    find_bin_dir,
    free_port,
    give,
    is_free,
    open_the_way,
    postmaster_lines,
    run_as_server,
    running_pid,
    server_account,
    server_settings,
    socket_folder,
)
from db.private_files import write_private

SUPERUSER = "postgres"
OWNER = "jalon_owner"
WEB = "jalon_web"
APP = "jalon_app"
OPEN = "jalon_open"
DATABASE = "jalon"
EXTENSIONS = ("postgis", "btree_gist", "pg_trgm", "unaccent")

_START_TIMEOUT_S = 60
_START_ATTEMPTS = 3


class ClusterSecretsLost(ClusterError):
    """The database is there, but the file with its passwords is not."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is missing, and the database beside it cannot be opened without it. Restore both.")


class ClusterDidNotStart(ClusterError):
    """The server refused to start; carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running private cluster and how to reach it."""

    folder: Path
    bin_dir: Path
    sockets: Path
    port: int
    passwords: Mapping[str, str] = field(repr=False)

    @property
    def admin_url(self) -> str:
        """The superuser on the maintenance database, for creating roles and databases only."""
        return self.url(SUPERUSER, "postgres")

    @property
    def owner_url(self) -> str:
        """The role that owns the tables: migrations and city packs."""
        return self.url(OWNER)

    @property
    def app_url(self) -> str:
        """The role the server logs in as; it owns nothing and works as `jalon_app`."""
        return self.url(WEB)

    def url(self, role: str, database: str = DATABASE, *, tcp: bool = False) -> str:
        """SQLAlchemy URL, with its password, for a login role, over the unix socket or (`tcp`) the loopback port."""
        login = f"postgresql+psycopg://{role}:{quote(self.passwords[role], safe='')}"
        if tcp:
            return f"{login}@127.0.0.1:{self.port}/{database}"
        return f"{login}@/{database}?{urlencode({'host': self.sockets, 'port': self.port})}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Open an autocommit connection as the superuser."""
        return psycopg.connect(
            host=str(self.sockets),
            port=self.port,
            user=SUPERUSER,
            password=self.passwords[SUPERUSER],
            dbname=database,
            autocommit=True,
            connect_timeout=10,
        )

    def create_database(self, name: str, *, template: str | None = None) -> None:
        """Create a database owned by `jalon_owner`, with the extensions, or as a copy of another.

        Args:
            name: Name of the new database; it must not exist.
            template: Database to copy with all its rows (nobody may be connected to it).
        """
        create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}")
        with self.connect() as connection:
            connection.execute(create.format(*map(sql.Identifier, (name, OWNER, template or "template1"))))
            if template is not None:
                # Rights on a database belong to it, not to what is in it: a copy does not carry them.
                _let_in_only_jalon(connection, name)
                return
        self.prepare_database(name)

    def prepare_database(self, name: str) -> None:
        """Let only Jalon's roles into a database, and create the extensions it lacks; repeatable."""
        with self.connect(name) as connection, connection.transaction():
            _let_in_only_jalon(connection, name)
            there = {row[0] for row in connection.execute("SELECT extname FROM pg_extension")}
            for extension in EXTENSIONS:
                if extension not in there:
                    _create_extension(connection, extension)

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, closing whatever is connected to it."""
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        with self.connect() as connection:
            connection.execute(drop)


def _let_in_only_jalon(connection: psycopg.Connection, database: str) -> None:
    closed = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(database))
    opened = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), sql.Identifier(WEB))
    connection.execute(closed)
    connection.execute(opened)


def has_cluster(data_dir: Path) -> bool:
    """Whether the private cluster of a folder has been made."""
    return _Home(data_dir).folder.exists()


@contextmanager
def running_cluster(data_dir: Path, *, durable: bool = True) -> Iterator[Cluster]:
    """Share the private cluster in `data_dir`, starting (or first making) it if nobody has.

    Blocks while another command is starting or stopping it. Leaving the block stops the server if no other
    command uses it.

    Args:
        data_dir: Folder that holds the cluster (`postgres`) and its passwords; created if missing.
        durable: False for tests: no fsync. It takes effect only for the command that starts the server.

    Raises:
        PostgresNotInstalled: no usable server, or one without PostGIS.
        ClusterVersionChanged: the data is of a major version that is not installed.
        DataDirUnreachable: the server's account cannot enter the folder.
        ClusterSecretsLost: the passwords are gone.
        ClusterDidNotStart: anything else; carries the end of the server's log.
    """
    home = _Home(data_dir)
    home.prepare()
    with home.lock_file("users").open("a") as users:
        with home.starting_or_stopping():
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                cluster = home.start(durable=durable)
            except BaseException:
                # Also when told to stop in the middle of a start: nobody is left who would stop the server.
                home.stop_if_last(users.fileno())
                raise
        try:
            yield cluster
        finally:
            with home.starting_or_stopping():
                home.stop_if_last(users.fileno())


def revive(data_dir: Path, *, before: Callable[[], None] = lambda: None) -> None:
    """Start the server of a private cluster again if it ended while a command uses it; at the same address.

    Args:
        data_dir: As for `running_cluster`, in whose block the caller is.
        before: Called if it has ended, before it is started.

    Raises:
        ClusterDidNotStart: it does not start any more; carries the end of its log.
    """
    home = _Home(data_dir)
    if running_pid(home.folder) is not None:
        return
    before()
    with home.starting_or_stopping():
        home.start(durable=True)


class _Home:
    """The folder of one private cluster; starts and stops its server while the caller holds the start lock."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self.folder = self.data_dir / "postgres"
        self.run_folder = self.data_dir / "run"
        self.passwords_file = self.data_dir / "postgres.passwords.json"
        self.startup_log = self.run_folder / "startup.log"

    def lock_file(self, name: str) -> Path:
        return self.data_dir / f"postgres.{name}.lock"

    @contextmanager
    def starting_or_stopping(self) -> Iterator[None]:
        with self.lock_file("start").open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield

    def prepare(self) -> None:
        """Make the folders, reachable for the server's account."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        account = server_account()
        if account is not None:
            open_the_way(self.data_dir, account)
        self.run_folder.mkdir(exist_ok=True)
        give(self.run_folder, account)

    def start(self, *, durable: bool) -> Cluster:
        """Adopt the running server, or start one; make the cluster first if there is none."""
        bin_dir = find_bin_dir(self.folder)
        if not self.folder.exists():
            self._initialise(bin_dir, durable=durable)
        passwords = self._passwords()
        cluster = self._adopt(bin_dir, passwords) or self._launch(bin_dir, passwords, durable=durable)
        _create_roles(cluster)
        return cluster

    def stop_if_last(self, users_fd: int) -> None:
        """Stop the server unless others use it: it closes connections and rolls back what is not committed."""
        try:
            fcntl.flock(users_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if running_pid(self.folder) is None:
            return
        pg_ctl = find_bin_dir(self.folder) / "pg_ctl"
        run_as_server([pg_ctl, "stop", "-D", self.folder, "-m", "fast", "-w", "-t", str(_START_TIMEOUT_S)])

    def _initialise(self, bin_dir: Path, *, durable: bool) -> None:
        """Run initdb beside the final place and move it there whole, so that a kill leaves no half cluster."""
        account = server_account()
        passwords = {role: secrets.token_urlsafe(24) for role in (SUPERUSER, OWNER, WEB)}
        write_private(self.passwords_file, json.dumps(passwords))
        unfinished = self.data_dir / "postgres.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        give(unfinished, account)
        password_file = self.run_folder / "initdb.password"
        write_private(password_file, passwords[SUPERUSER])
        give(password_file, account)
        command: list[str | Path] = [bin_dir / "initdb", "-D", unfinished, "-U", SUPERUSER]
        command += [
            "--pwfile",
            password_file,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
        ]
        command += [] if durable else ["--no-sync"]
        code, output = run_as_server(command)
        password_file.unlink()
        if code != 0:
            raise ClusterDidNotStart(f"initdb failed: {output}")
        with (unfinished / "postgresql.conf").open("a") as configuration:
            configuration.write("include_if_exists 'jalon.conf'\n")
        unfinished.rename(self.folder)

    def _passwords(self) -> dict[str, str]:
        try:
            content = json.loads(self.passwords_file.read_text())
        except FileNotFoundError:
            raise ClusterSecretsLost(self.passwords_file) from None
        return {str(role): str(password) for role, password in content.items()}

    def _adopt(self, bin_dir: Path, passwords: dict[str, str]) -> Cluster | None:
        """The server that runs on this folder, once it answers; None where none runs (any more)."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while running_pid(self.folder) is not None:
            lines = postmaster_lines(self.folder)
            if len(lines) > 4 and lines[4]:
                cluster = Cluster(self.folder, bin_dir, Path(lines[4]), int(lines[3]), passwords)
                if _answers(cluster):
                    return cluster
            if time.monotonic() > deadline:
                raise ClusterDidNotStart(f"the PostgreSQL server in {self.folder} runs but does not answer")
            time.sleep(0.05)
        return None

    def _launch(self, bin_dir: Path, passwords: dict[str, str], *, durable: bool) -> Cluster:
        sockets = socket_folder(self.data_dir, server_account())
        # Left by a killed server; if its number belongs to another process now, the new one would refuse.
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        start: list[str | Path] = [bin_dir / "pg_ctl", "start", "-D", self.folder, "-l", self.startup_log]
        for attempt in range(_START_ATTEMPTS):
            # Another program took the port between our look and the server's, or the backends of a
            # killed server are still letting go of its shared memory.
            time.sleep(attempt)
            port = _port_before(self.folder) or free_port()
            (self.folder / "jalon.conf").write_text(server_settings(sockets, port, durable=durable))
            self.startup_log.unlink(missing_ok=True)
            code, output = run_as_server([*start, "-s", "-w", "-t", str(_START_TIMEOUT_S)])
            if code == 0:
                return Cluster(self.folder, bin_dir, sockets, port, passwords)
        log = self.startup_log.read_text(errors="replace")[-2000:] if self.startup_log.exists() else ""
        raise ClusterDidNotStart(f"PostgreSQL did not start in {self.folder}: {output}\n{log}".strip())


def _port_before(folder: Path) -> int | None:
    """The port that the cluster had, if it is free: whoever still uses its address then finds it again."""
    try:
        found = re.search(r"^port = '(\d+)'", (folder / "jalon.conf").read_text(), re.MULTILINE)
    except FileNotFoundError:
        return None
    if found is None or not is_free(int(found[1])):
        return None
    return int(found[1])


def _create_roles(cluster: Cluster) -> None:
    """Create roles and database; all of it may have been done before, wholly or (after a kill) in part."""
    login = sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD {}")
    with cluster.connect() as connection, connection.transaction():
        there = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role in {OWNER, WEB} - there:
            connection.execute(login.format(sql.Identifier(role), sql.Literal(cluster.passwords[role])))
        for role in [role for role in (APP, OPEN) if role not in there]:
            connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(WEB)))
        databases = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
    if DATABASE not in databases:
        cluster.create_database(DATABASE)
    else:
        cluster.prepare_database(DATABASE)


def _create_extension(connection: psycopg.Connection, name: str) -> None:
    try:
        connection.execute(sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(name)))
    except (psycopg.errors.UndefinedFile, psycopg.errors.FeatureNotSupported) as error:
        raise PostgresNotInstalled(f"PostgreSQL lacks the extension {name}") from error


def _answers(cluster: Cluster) -> bool:
    try:
        with cluster.connect():
            return True
    except psycopg.errors.InvalidPassword:
        raise
    except psycopg.OperationalError:
        return False
