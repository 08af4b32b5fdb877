"""Backups: a database's content in PostgreSQL's custom format, and back."""

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg
from sqlalchemy import make_url

from db.postgres import find_client_dir
from db.private_files import private_file

# Made by whoever made the database, before it is restored into: the owner of the tables may not.
_NOT_OURS = (" EXTENSION ", "COMMENT - EXTENSION", "TABLE DATA public spatial_ref_sys")
_TABLES = """
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname = current_schema()
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
"""


class DumpFailed(Exception):
    """PostgreSQL's program refused; carries what it said. Nothing was changed."""


class DatabaseNotEmpty(Exception):
    """The database to restore into has tables."""


def back_up(url: str, file: Path) -> None:
    """Write a database's content to a file that only the caller can read.

    The file appears, or replaces an older one, only once it is whole and on disk.

    Args:
        url: URL of the owner of the tables (row-level security would hide rows from others).
        file: Where to; holds personal data.

    Raises:
        DumpFailed: what `pg_dump` said.
    """
    with private_file(file) as output:
        # Unlogged tables hold what a restored database does better without.
        options = ["--format=custom", "--no-unlogged-table-data"]
        _run([find_client_dir() / "pg_dump", *options], url, stdout=output.fileno())


def restore(url: str, file: Path, *, force: bool = False) -> None:
    """Put a backup's content into a database, in one transaction.

    Args:
        url: URL of the owner of the tables; the database exists, with its extensions.
        file: A backup.
        force: Replace what the database holds (everything that its owner owns there).

    Raises:
        DatabaseNotEmpty: there are tables, and `force` was not said.
        DumpFailed: what `pg_restore` or `psql` said; the database is as it was.
    """
    with psycopg.connect(libpq_url(url)) as connection:
        tables = connection.execute(_TABLES).fetchone()
    if tables != (0,) and not force:
        raise DatabaseNotEmpty
    listing = _run([find_client_dir() / "pg_restore", "--list", str(file)], url)
    ours = [line for line in listing.splitlines() if not any(mark in line for mark in _NOT_OURS)]
    with tempfile.NamedTemporaryFile("w", suffix=".list") as contents:
        contents.write("\n".join(ours))
        contents.flush()
        _replay(url, file, contents.name)


def _replay(url: str, file: Path, contents: str) -> None:
    """Feed the backup's statements to psql; a backup that breaks off takes the whole transaction with it."""
    clients = find_client_dir()
    script: list[str | Path] = [clients / "pg_restore", "--no-owner", f"--use-list={contents}", "--file=-", file]
    into: list[str | Path] = [
        clients / "psql",
        "--no-psqlrc",
        "--quiet",
        "--single-transaction",
        "--set=ON_ERROR_STOP=1",
    ]
    into += ["--command=SET lock_timeout = '5s'", "--command=DROP OWNED BY CURRENT_USER CASCADE", "--file=-"]
    with (
        tempfile.TemporaryFile() as reader_said,
        tempfile.TemporaryFile() as writer_said,
        subprocess.Popen(script, stdout=subprocess.PIPE, stderr=reader_said) as reader,
        subprocess.Popen(
            into, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=writer_said, env=client_environment(url)
        ) as writer,
    ):
        assert reader.stdout is not None  # noqa: S101 - pipes, as asked
        assert writer.stdin is not None  # noqa: S101
        failing = writer_said
        with suppress(BrokenPipeError):  # psql stops reading at its first error, which its exit code then tells
            shutil.copyfileobj(reader.stdout, writer.stdin)
            if reader.wait() != 0:
                # It commits at the end of its input, so it must not see one.
                writer.kill()
                failing = reader_said
        # Where nobody reads on, pg_restore would wait for ever.
        reader.stdout.close()
        with suppress(BrokenPipeError):
            writer.stdin.close()
        if writer.wait() != 0:
            failing.seek(0)
            raise DumpFailed(failing.read().decode(errors="replace").strip())


def _run(command: list[str | Path], url: str, *, stdout: int = subprocess.PIPE) -> str:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=client_environment(url),
        check=False,
    )
    if done.returncode != 0:
        raise DumpFailed(done.stderr.decode(errors="replace").strip())
    return (done.stdout or b"").decode()


def libpq_url(url: str) -> str:
    """The URL as PostgreSQL's own library reads it, without SQLAlchemy's driver."""
    there = make_url(url)
    # SQLAlchemy leaves spaces as they are, which libpq refuses, and writes those of the query as +, which it keeps.
    address = there.set(drivername="postgresql", query={}).render_as_string(hide_password=False).replace(" ", "%20")
    return f"{address}?{urlencode(there.query, doseq=True, quote_via=quote, safe='')}" if there.query else address


def client_environment(url: str) -> dict[str, str]:
    """Environment that makes `psql` and its like connect to a URL; on a command line others could read it."""
    there = make_url(url)
    given = {
        "PGHOST": there.query.get("host") or there.host,
        "PGPORT": there.query.get("port") or (str(there.port) if there.port else None),
        "PGUSER": there.username,
        "PGPASSWORD": there.password,
        "PGDATABASE": there.database,
        "PGSSLMODE": there.query.get("sslmode"),
        "PGSSLROOTCERT": there.query.get("sslrootcert"),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {name: str(value) for name, value in given.items() if value}
