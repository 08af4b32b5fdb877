"""`jalon media`: what is stored of photos."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from api.cli.output import AsJson, say, show_json, show_table

if TYPE_CHECKING:
    from db.sessions import Database
    from media.verify import Finding

app = typer.Typer(help="What is stored of photos.", no_args_is_help=True)


@dataclass(slots=True)
class _Report:
    photos: int = 0
    objects: int = 0
    read_bytes: int = 0
    findings: list["Finding"] = field(default_factory=list)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Read all that photos name and compare it with its SHA-256; list what is missing, different, or named by nobody.

    Ends with 1 where something is missing or different. Orphans are no loss: the worker deletes them.
    """
    from rich.console import Console

    from api.cli.reach import as_app, reached_database
    from api.demo.progress import step
    from api.settings import Settings, mask_url
    from media.verify import Fault

    settings = Settings()
    with (
        reached_database(settings) as reached,
        step(Console(stderr=True), f"Reading {mask_url(settings.photos_url)}") as advance,
    ):
        report = asyncio.run(as_app(reached, lambda database: _verify(database, settings.photos_url, advance)))
    by_fault = {fault: [each for each in report.findings if each.fault is fault] for fault in Fault}
    if as_json:
        counted: dict[str, Any] = asdict(report)
        del counted["findings"]
        show_json(counted | {fault.value: [asdict(each) for each in found] for fault, found in by_fault.items()})
    else:
        rows = [(each.fault.value, each.key, each.photo_id) for each in report.findings]
        show_table(["what", "key", "photo"], rows, empty="All of it is there, and as it was received or made.")
        counts = ", ".join(f"{len(found)} {fault}" for fault, found in by_fault.items())
        say(f"{report.photos} photos, {report.objects} objects, {report.read_bytes / 1e6:.1f} MB: {counts}")
    if by_fault[Fault.MISSING] or by_fault[Fault.DIFFERENT]:
        raise typer.Exit(1)


async def _verify(database: "Database", storage_url: str, advance: Callable[[int, int], None]) -> _Report:
    from datetime import UTC, datetime

    from media import verify as checking
    from media.store import open_store

    report = _Report()
    total = await checking.count_photos(database)
    async for part in checking.verify(database, open_store(storage_url), now=datetime.now(UTC)):
        report.photos += part.photos
        report.objects += part.objects
        report.read_bytes += part.read_bytes
        report.findings.extend(part.findings)
        advance(report.photos, max(total, report.photos))
    return report
