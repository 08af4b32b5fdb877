"""`jalon db`: reaching the database, migrating it, keeping copies of it."""

import signal
import subprocess
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import hint, say

if TYPE_CHECKING:
    from api.cli.reach import Reached

app = typer.Typer(help="The database.", no_args_is_help=True)

_IS_OWNER = """
    SELECT session_user, coalesce(
        (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('alembic_version')),
        has_schema_privilege(current_schema(), 'CREATE')
    )
"""


class Login(StrEnum):
    """The two logins."""

    OWNER = "owner"
    WEB = "web"


As = Annotated[
    Login, typer.Option("--as", help="owner sees and may do everything; web is the server's login, held by its role.")
]


@app.command()
def url(
    login: As = Login.OWNER,
    tcp: Annotated[bool, typer.Option(help="Through the loopback port, not the unix socket.")] = False,
) -> None:
    """Print the database's URL, with its password. The private cluster answers while some jalon command runs."""
    from api.cli.reach import reached_database
    from api.settings import Settings
    from db.cluster import OWNER, WEB
    from db.dumps import libpq_url

    with reached_database(Settings()) as reached:
        there = _url(reached, login)
        if tcp and reached.cluster is not None:
            there = reached.cluster.url(OWNER if login is Login.OWNER else WEB, tcp=True)
        say(libpq_url(there))


@app.command(context_settings={"ignore_unknown_options": True})
def psql(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[ARGUMENTS OF PSQL]")] = None,
    login: As = Login.OWNER,
) -> None:
    """Open psql on the database; what follows `--` is for psql."""
    from api.cli.reach import reached_database
    from api.settings import Settings
    from db.dumps import client_environment
    from db.postgres import find_client_dir

    with reached_database(Settings()) as reached:
        # Ctrl-C is psql's: it ends a query there, not this command.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            done = subprocess.run(
                [find_client_dir() / "psql", *(arguments or [])],
                env=client_environment(_url(reached, login)),
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                check=False,
            )
        finally:
            signal.signal(signal.SIGINT, before)
    raise typer.Exit(done.returncode)


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema, as the owner of the tables."""
    from api.cli.reach import bring_up_to_date, reached_database
    from api.settings import Settings

    with reached_database(Settings()) as reached:
        changed = bring_up_to_date(reached.owner_url, before=lambda: hint("Migrating ..."))
    say("The database is now at the newest migration" if changed else "Nothing to do")


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to; it holds personal data.")],
    force: Annotated[bool, typer.Option("--force", help="Replace an older file.")] = False,
) -> None:
    """Write all that the database holds to a file only you can read (pg_dump's custom format). Photos are apart."""
    from rich.console import Console

    from api.cli.reach import reached_database
    from api.cli.refusals import CommandRefused
    from api.demo.progress import step
    from api.settings import Settings
    from db.dumps import back_up

    if file.exists() and not force:
        raise CommandRefused(f"{file} is there already; --force replaces it.")
    with reached_database(Settings()) as reached:
        _refuse_who_owns_nothing(reached)
        with step(Console(stderr=True), f"Writing {file}"):
            try:
                back_up(reached.owner_url, file)
            except OSError as error:
                raise CommandRefused(f"{file} cannot be written ({error.strerror}).") from error
    say(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file of jalon db backup.")],
    force: Annotated[bool, typer.Option("--force", help="Replace what the database holds.")] = False,
) -> None:
    """Put a backup back, in one transaction: the database then holds it, or what it held before."""
    from rich.console import Console

    from api.cli.reach import reached_database
    from api.demo.progress import step
    from api.settings import Settings
    from db import dumps

    with reached_database(Settings()) as reached:
        _refuse_who_owns_nothing(reached)
        with step(Console(stderr=True), f"Restoring {file}"):
            dumps.restore(reached.owner_url, file, force=force)
    say(f"{file} is restored")


@app.command()
def check() -> None:
    """Compare the tables that the code declares with those that the migrations make (for developers)."""
    from alembic.util.exc import AutogenerateDiffsDetected

    from api.schema import all_tables
    from db import migrate as migrations
    from db.cluster import running_cluster

    with tempfile.TemporaryDirectory(prefix="jalon-check-") as folder:
        Path(folder).chmod(0o755)  # the server runs under an account of its own
        with running_cluster(Path(folder), durable=False) as cluster:
            migrations.upgrade(cluster.owner_url)
            try:
                migrations.check(cluster.owner_url, all_tables())
            except AutogenerateDiffsDetected as difference:
                hint(str(difference))
                raise typer.Exit(1) from None
    say("The migrations make the tables that the code declares")


def _refuse_who_owns_nothing(reached: "Reached") -> None:
    """Go on only as the owner of the tables, or of a database without any: others see a part of the rows."""
    if reached.owner_url != reached.app_url:
        return
    import psycopg

    from api.cli.refusals import CommandRefused
    from db.dumps import libpq_url

    with psycopg.connect(libpq_url(reached.owner_url)) as connection:
        login, is_owner = connection.execute(_IS_OWNER).fetchone() or ("this login", False)
    if not is_owner:
        raise CommandRefused(f"{login} does not own the tables. JALON_OWNER_DATABASE_URL names the owner.")


def _url(reached: "Reached", login: Login) -> str:
    return reached.owner_url if login is Login.OWNER else reached.app_url
