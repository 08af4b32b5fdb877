"""`jalon city reroute` and `jalon city pause`: what a change of pack or a snowstorm means for issues that are open."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from api.cli.output import AsJson, say, show_json, show_table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from db.sessions import Database
    from issues.city import CityBook
    from issues.rerouting import Rerouting

_T = TypeVar("_T")

_Jurisdiction = Annotated[
    str, typer.Argument(metavar="JURISDICTION", help="The city's name on the wire, such as laval.ca.")
]


def reroute(
    jurisdiction: _Jurisdiction,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give open issues to whom the pack says they belong on the day they were received; list what changes."""
    from issues.rerouting import reroute as reroute_batch

    async def work(database: "Database") -> "list[Rerouting]":
        changes: list[Rerouting] = []
        city, last, more = await _city(database, jurisdiction), None, True
        while more:
            async with database.transaction(city.id) as session:
                batch = await reroute_batch(session, city, after=last, dry_run=dry_run, now=datetime.now(UTC))
            changes += batch.changes
            last, more = batch.last, batch.last is not None
        return changes

    changes = _reached(work, as_owner=False)
    rows = [_shown(change) for change in changes]
    if as_json:
        show_json({"dry_run": dry_run, "changes": rows})
        return
    names = ["number", "service", "from", "to"]
    show_table(names, [[row[name] for name in names] for row in rows], empty="Nobody changes.")
    moved = sum(bool(change.to) for change in changes)
    say(f"{moved} open issues {'would change' if dry_run else 'changed'}")


def _shown(change: "Rerouting") -> dict[str, str]:
    issue, to = change.issue, change.to
    after = "stays: nobody offers this there"
    if to:
        after = _place(to["district_code"], to["department_code"], to["crew_code"])
    before = _place(issue.district_code, issue.department_code, issue.crew_code)
    return {"number": issue.number, "service": issue.service_code, "from": before, "to": after}


def _place(district: str | None, department: str, crew: str | None) -> str:
    return f"{district or '-'}: {department}{f' ({crew})' if crew else ''}"


def pause(
    jurisdiction: _Jurisdiction,
    begins: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")],
    ends: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day.")],
    reason: Annotated[str, typer.Option(help="In a word, such as: storm.")],
    services: Annotated[str, typer.Option(help="Codes of services, separated by spaces; left out, all.")] = "",
) -> None:
    """Have the clocks of deadlines stand still on some days, also those of issues that are open."""
    from api.cli.refusals import CommandRefused
    from issues.deadlines import Pause
    from issues.rescheduling import declare_pause, move_deadlines

    declared = Pause(begins.date(), ends.date(), frozenset(services.split()))
    if declared.ends < declared.begins:
        raise CommandRefused("the pause ends before it begins")

    async def work(database: "Database") -> int:
        async with database.transaction() as session:
            now = datetime.now(UTC)
            city = await _city_in(session, jurisdiction)
            unknown = sorted(declared.service_codes - city.catalogue.services.keys())
            if unknown:
                raise CommandRefused(f"{jurisdiction} has no service {unknown[0]}")
            await declare_pause(session, city, declared, reason=reason, now=now)
            city = await _city_in(session, jurisdiction)
            return await move_deadlines(
                session, city, begins=declared.begins, service_codes=declared.service_codes, now=now
            )

    say(f"{jurisdiction}: {_reached(work, as_owner=True)} open issues have a later deadline")


async def _city(database: "Database", jurisdiction: str) -> "CityBook":
    async with database.transaction() as session:
        return await _city_in(session, jurisdiction)


async def _city_in(session: "AsyncSession", jurisdiction: str) -> "CityBook":
    from api.cli.refusals import CommandRefused
    from issues.city import load_cities

    city = (await load_cities(session)).by_jurisdiction(jurisdiction)
    if city is None:
        raise CommandRefused(f"no city {jurisdiction} is loaded; jalon city list names those that are")
    return city


def _reached(work: "Callable[[Database], Awaitable[_T]]", *, as_owner: bool) -> "_T":
    from api.cli import reach
    from api.settings import Settings

    with reach.reached_database(Settings()) as reached:
        return asyncio.run((reach.as_owner if as_owner else reach.as_app)(reached, work))
