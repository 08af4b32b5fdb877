"""`jalon export`: a city's public issues as a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.output import say, writing

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Ends with .gpkg, .geojson, .csv or .fgb.")],
    *,
    city: Annotated[str | None, typer.Option(help="The city, where several are loaded.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an older file.")] = False,
) -> None:
    """Write a city's public issues to a file: no personal data, nothing of private services."""
    from rich.console import Console

    from api.cli.reach import in_city
    from api.cli.refusals import CommandRefused
    from api.demo.progress import step
    from issues.exports import ExportFormat, write_issues
    from issues.open_data import ISSUES, read_all

    endings = [each.value for each in ExportFormat]
    if (ending := file.suffix.lower().removeprefix(".")) not in endings:
        raise CommandRefused(f"{file} should end with .{', .'.join(endings)}.")
    if file.exists() and not force:
        raise CommandRefused(f"{file} is there already; --force replaces it.")

    async def read(session: "AsyncSession", city_id: int) -> list[tuple[Any, ...]]:
        return [row async for row in read_all(session, city_id, ISSUES)]

    console = Console(stderr=True)
    with step(console, "Reading issues"):
        rows = in_city(city, read)
    with step(console, f"Writing {file}"):
        draft = file.with_name(f".{file.name}")
        with writing(file):
            draft.unlink(missing_ok=True)  # or GDAL would add a layer to what is there
            draft.touch()  # or say so, as GDAL does not
            draft.unlink()
            write_issues(draft, ExportFormat(ending), ISSUES, rows)
            draft.replace(file)
    say(f"{file}: {len(rows)} issues")
