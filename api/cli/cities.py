"""`jalon city`: making, checking, loading, trying and writing out city packs."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.city_init import init
from api.cli.output import AsJson, hint, say, show_json, show_table, write_file, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from api.cli.reach import Reached
    from db.sessions import Database
    from geo.base_map import BaseMapFile
    from issues.packs.check import PackReport
    from issues.packs.compare import PackDifference
    from issues.packs.load import LoadOutcome
    from issues.packs.pack import Pack
    from issues.packs.problems import Problem

app = typer.Typer(help="Cities: their packs, base maps, routing and pauses.", no_args_is_help=True)
app.command()(init)

Folder = Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The pack's folder.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@app.command()
def check(
    folder: Folder,
    as_json: AsJson = False,
    page: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="Also draw it, as one HTML file that needs no network.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do not write the map; a check changes nothing.")] = False,
) -> None:
    """Show all that is wrong with a pack, at once; ends with 1 if it cannot be loaded."""
    report = _checked(folder)
    if page is not None and not dry_run:
        from issues.packs.page import findings_page

        write_file(page, findings_page(folder.resolve().name, report.problems, report.places))
        hint(f"{page}: the map is written")
    if as_json:
        _show_check_as_json(report)
    else:
        show_problems(report.problems)
        say(f"{folder}: {'can be loaded' if report.pack else 'cannot be loaded'}")
    raise typer.Exit(0 if report.pack else 1)


@app.command()
def load(folder: Folder, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Load a pack, or bring its city up to date, in one transaction; says first what changes.

    The same pack again changes nothing.
    """
    from rich.console import Console

    pack = _loadable(folder, _checked(folder), as_json=as_json)
    if dry_run:
        difference, changed = _compared(pack), False
        if not as_json:
            _show_difference(difference)
    else:
        difference, changed = _loaded(
            pack, Console(stderr=True), show=lambda told: None if as_json else _show_difference(told)
        )
    if as_json:
        show_json(_difference_as_json(pack, difference) | {"loaded": changed})
        return
    done = "loaded" if changed else "nothing new" if difference.is_same else "not loaded: --dry-run"
    say(f"{pack.city.jurisdiction_id}: {done}")
    if changed and not difference.is_new:
        changes = f"jalon city reroute {pack.city.jurisdiction_id} --dry-run"
        hint(f"Open issues stay with whom they are; what would change: {changes}")


def _compared(pack: "Pack") -> "PackDifference":
    """Tell what loading a pack would change, without changing anything: no migration, no cluster that is not there."""
    import psycopg

    from api.cli.reach import as_owner, reached_database
    from api.cli.refusals import CommandRefused
    from api.settings import Settings
    from db.cluster import has_cluster
    from db.dumps import libpq_url
    from db.revisions import current_revision, newest_revision
    from issues.packs.compare import compare_with_nothing

    settings = Settings()
    if settings.database_url is None and not has_cluster(settings.data_dir):
        return asyncio.run(compare_with_nothing(pack))

    with reached_database(settings) as reached:
        with psycopg.connect(libpq_url(reached.owner_url)) as connection:
            there = current_revision(connection)
        if there is None:
            return asyncio.run(compare_with_nothing(pack))
        if there != newest_revision():
            raise CommandRefused(
                f"the database stands at migration {there}, and a dry run changes nothing. Run: jalon db migrate"
            )
        return asyncio.run(as_owner(reached, partial(_difference, pack)))


def _loaded(
    pack: "Pack", console: "Console", *, show: "Callable[[PackDifference], None]"
) -> "tuple[PackDifference, bool]":
    """Load a pack, once what it changes was shown; answers with that, and whether anything was written."""
    from api.cli.reach import as_owner, bring_up_to_date, reached_database
    from api.demo.progress import step
    from api.settings import Settings
    from db.sessions import Database
    from issues.packs.load import load_pack

    with reached_database(Settings()) as reached:
        if reached.cluster is not None:
            bring_up_to_date(reached.owner_url)
        difference = asyncio.run(as_owner(reached, partial(_difference, pack)))
        show(difference)
        with step(console, f"Loading {pack.city.jurisdiction_id}") as advance:

            async def write(database: Database) -> "LoadOutcome":
                async with database.transaction() as session:
                    return await load_pack(
                        session, pack, now=datetime.now(UTC), progress=lambda _step, done, of: advance(done, of)
                    )

            outcome = asyncio.run(as_owner(reached, write))
        if outcome.changed:
            _draw(reached, outcome.city_id, console)
        return difference, outcome.changed


def _draw(reached: "Reached", city_id: int, console: "Console") -> "BaseMapFile":
    """Draw a city's base map, in a transaction of its own: the city is served meanwhile."""
    from api.cli.reach import as_owner
    from api.demo.progress import step
    from geo.base_map import make_base_map

    with step(console, "Drawing the base map") as advance:

        async def draw(database: "Database") -> "BaseMapFile":
            async with database.transaction() as session:
                return await make_base_map(session, city_id, on=datetime.now(UTC).date(), progress=advance)

        return asyncio.run(as_owner(reached, draw))


@app.command("basemap")
def draw_base_map(
    jurisdiction: Annotated[str, typer.Argument(metavar="JURISDICTION", help="Such as laval.ca.")],
) -> None:
    """Draw a city's base map anew, as of today; loading a pack that changed does so too."""
    from rich.console import Console

    from api.cli.reach import as_app, reached_database
    from api.cli.refusals import CommandRefused
    from api.settings import Settings
    from db.sessions import Database
    from issues.city import load_cities

    async def find(database: Database) -> int:
        async with database.transaction() as session:
            city = (await load_cities(session)).by_jurisdiction(jurisdiction)
        if city is None:
            raise CommandRefused(f"no city {jurisdiction} is loaded; jalon city list names those that are")
        return city.id

    with reached_database(Settings()) as reached:
        drawn = _draw(reached, asyncio.run(as_app(reached, find)), Console(stderr=True))
    say(f"{jurisdiction}: {drawn.length} bytes")


async def _difference(pack: "Pack", database: "Database") -> "PackDifference":
    from issues.packs.compare import compare_pack

    async with database.transaction() as session:
        return await compare_pack(session, pack)


@app.command("test")
def try_points_of(
    folder: Folder,
    as_json: AsJson = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="As without it: a test changes nothing.")] = False,  # noqa: ARG001
) -> None:
    """Try a pack's own sample points (points.csv): is the owner found who is expected? Ends with 1 if not."""
    from issues.packs.points import read_points, try_points
    from issues.packs.problems import Findings

    pack = _loadable(folder, _checked(folder), as_json=as_json)
    findings = Findings()
    points = read_points(folder, findings)
    if findings.fatal:
        if as_json:
            show_json({"problems": problems_as_json(findings.problems)})
        else:
            show_problems(findings.problems)
        raise typer.Exit(1)
    verdicts = try_points(pack, points, on=datetime.now(UTC).date())
    wrong = [verdict for verdict in verdicts if not verdict.holds]
    if as_json:
        told = [
            {"line": v.line, "holds": v.holds, "expected": list(v.expected), "found": list(v.found)} for v in verdicts
        ]
        show_json({"points": len(verdicts), "wrong": len(wrong), "verdicts": told})
    else:
        rows = [
            (v.line, v.point.service, f"{v.point.lat}, {v.point.long}", " ".join(v.expected), " ".join(v.found))
            for v in wrong
        ]
        show_table(["line", "service", "place", "expected", "found"], rows, empty="All points have their owners.")
        say(f"{folder}: {len(verdicts) - len(wrong)} of {len(verdicts)} points as expected")
    raise typer.Exit(1 if wrong else 0)


@app.command()
def export(
    folder: Folder,
    target: Annotated[Path, typer.Argument(metavar="TO", help="A folder that is not there yet, or is empty.")],
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write a pack out as it would be loaded: repaired, in WGS 84, as GeoJSON and CSV."""
    from rich.console import Console

    from api.cli.refusals import CommandRefused
    from api.demo.progress import step
    from issues.packs.export import export_pack

    pack = _loadable(folder, _checked(folder), as_json=as_json)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise CommandRefused(f"{target} is there and not empty.")
    with step(Console(stderr=True), f"{'Preparing' if dry_run else 'Writing'} {target}"):
        files = export_pack(folder, pack)
        if not dry_run:
            with writing(target):
                target.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                write_file(target / name, content)
    if as_json:
        show_json({"written": not dry_run, "files": {name: len(content) for name, content in files.items()}})
        return
    show_table(["file", "bytes"], [(name, len(content)) for name, content in files.items()], empty="")


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
    from rich.console import Console

    from api.demo.progress import step
    from issues.packs.check import check_pack

    with step(Console(stderr=True), f"Checking {folder}"):
        return check_pack(folder)


def _loadable(folder: Path, report: "PackReport", *, as_json: bool) -> "Pack":
    """Go on with a pack only if it can be loaded; otherwise says why not and ends with 1."""
    if report.pack is None:
        if as_json:
            _show_check_as_json(report)
        else:
            show_problems(report.problems)
        hint(f"{folder}: cannot be loaded")
        raise typer.Exit(1)
    return report.pack


def _show_check_as_json(report: "PackReport") -> None:
    show_json({"loadable": report.pack is not None, "problems": problems_as_json(report.problems)})


def show_problems(problems: "Sequence[Problem]") -> None:
    """Print all that was found."""
    show_table(["", "file", "where", "what"], [_row(each) for each in problems], empty="Nothing is wrong.")


def problems_as_json(problems: "Sequence[Problem]") -> list[dict[str, Any]]:
    """All that was found, for programs: also where it is (longitude, latitude)."""
    return [{"severity": p.severity, "file": p.file, "where": p.where, "what": p.what, "at": p.at} for p in problems]


def _row(problem: "Problem") -> tuple[str, ...]:
    return problem.severity, problem.file, problem.where, problem.what


def _show_difference(difference: "PackDifference") -> None:
    rows = [
        (change.what, change.before, change.after, *map(_few, (change.added, change.removed, change.changed)))
        for change in difference.changes
        if change.is_one
    ]
    show_table(["", "now", "then", "new", "gone", "changed"], rows, empty="Nothing changes.")


def _few(words: "Sequence[str]") -> str:
    return ", ".join(words[:5]) + (f" and {len(words) - 5} more" if len(words) > 5 else "")


def _difference_as_json(pack: "Pack", difference: "PackDifference") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "jurisdiction_id": pack.city.jurisdiction_id,
        "new": difference.is_new,
        "same": difference.is_same,
        "changes": [asdict(change) for change in difference.changes],
    }
