"""`jalon city`: checking and loading city packs."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import AsJson, hint, say, show_json, show_table

if TYPE_CHECKING:
    from issues.packs.check import PackReport
    from issues.packs.load import LoadOutcome
    from issues.packs.pack import Pack

app = typer.Typer(help="City packs: check, load, list.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The pack's folder.")]


@app.command()
def check(folder: Folder, as_json: AsJson = False) -> None:
    """Show all that is wrong with a pack, at once; ends with 1 if it cannot be loaded."""
    report = _checked(folder)
    if as_json:
        from dataclasses import asdict

        show_json({"loadable": report.pack is not None, "problems": [asdict(problem) for problem in report.problems]})
    else:
        _show_problems(report)
        say(f"{folder}: {'can be loaded' if report.pack else 'cannot be loaded'}")
    raise typer.Exit(0 if report.pack else 1)


@app.command()
def load(folder: Folder) -> None:
    """Load a pack, or bring its city up to date, in one transaction; the same pack again changes nothing."""
    from rich.console import Console

    from api.cli.reach import as_owner, bring_up_to_date, reached_database
    from api.demo.progress import step
    from api.settings import Settings
    from db.sessions import Database
    from issues.packs.load import load_pack

    console = Console(stderr=True)
    with step(console, f"Checking {folder}"):
        report = _checked(folder)
    if report.pack is None:
        _show_problems(report)
        hint(f"{folder}: cannot be loaded")
        raise typer.Exit(1)
    pack: Pack = report.pack
    with reached_database(Settings()) as reached:
        if reached.cluster is not None:
            bring_up_to_date(reached.owner_url)
        with step(console, f"Loading {pack.city.jurisdiction_id}") as advance:

            async def write(database: Database) -> "LoadOutcome":
                async with database.transaction() as session:
                    return await load_pack(
                        session, pack, now=datetime.now(UTC), progress=lambda _step, done, of: advance(done, of)
                    )

            outcome = asyncio.run(as_owner(reached, write))
    say(f"{pack.city.jurisdiction_id}: {'loaded' if outcome.changed else 'nothing new'}")


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List the cities that are loaded."""
    from sqlalchemy import RowMapping, select

    from api.cli.reach import as_app, reached_database
    from api.settings import Settings
    from db.sessions import Database
    from geo.cities import City

    async def read(database: Database) -> list[RowMapping]:
        columns = (City.jurisdiction_id, City.names, City.timezone, City.version, City.loaded_at)
        async with database.transaction() as session:
            return list((await session.execute(select(*columns).order_by(City.jurisdiction_id))).mappings())

    with reached_database(Settings()) as reached:
        cities = asyncio.run(as_app(reached, read))
    if as_json:
        show_json([dict(city) for city in cities])
        return
    rows = [
        (city["jurisdiction_id"], city["names"].get("fr"), city["timezone"], city["version"], city["loaded_at"])
        for city in cities
    ]
    show_table(["city", "name", "time zone", "version", "loaded"], rows, empty="None yet: jalon city load DIR")


def _checked(folder: Path) -> "PackReport":
    from issues.packs.check import check_pack

    return check_pack(folder)


def _show_problems(report: "PackReport") -> None:
    rows = [(problem.severity, problem.file, problem.where, problem.what) for problem in report.problems]
    show_table(["", "file", "where", "what"], rows, empty="Nothing is wrong.")
