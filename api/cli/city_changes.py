"""`jalon city reroute`, `pause`, `pauses` and `unpause`: what new packs and snowstorms mean for open issues."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer

from api.cli.output import AsJson, hint, say, show_json, show_table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from db.sessions import Database
    from issues.city import CityBook
    from issues.pauses import PauseView
    from issues.rerouting import Rerouting
    from issues.rescheduling import Rescheduled

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

    changes = _reached(work)
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
    *,
    begins: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day.")],
    ends: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day.")],
    reason: Annotated[str, typer.Option(help="Why, in French, such as: tempête de neige.")],
    reason_en: Annotated[str, typer.Option(help="Why, in English; left out, as in French.")] = "",
    services: Annotated[str, typer.Option(help="Codes of services, separated by spaces; left out, all.")] = "",
) -> None:
    """Have the clocks of deadlines stand still on some days, also those of issues that are open."""
    from api.cli.refusals import CommandRefused
    from db.base import new_id
    from issues.actors import SYSTEM
    from issues.deadlines import Pause
    from issues.rescheduling import declare_pause

    declared = Pause(begins.date(), ends.date(), frozenset(services.split()))
    if declared.ends < declared.begins:
        raise CommandRefused("the pause ends before it begins")

    async def work(session: "AsyncSession", city: "CityBook") -> "Rescheduled":
        unknown = sorted(declared.service_codes - city.catalogue.services.keys())
        if unknown:
            raise CommandRefused(f"{jurisdiction} has no service {unknown[0]}")
        reasons = {"fr": reason, "en": reason_en or reason}
        now = datetime.now(UTC)
        return await declare_pause(session, city, new_id(), declared, reasons=reasons, actor=SYSTEM.sender, now=now)

    done = _in_city(jurisdiction, work)
    say(f"{jurisdiction}: {done.moved} open issues have a later deadline")
    hint(f"To take it back: jalon city unpause {jurisdiction} {done.pause.id}")


def unpause(
    jurisdiction: _Jurisdiction,
    pause_id: Annotated[UUID, typer.Argument(metavar="ID", help="As jalon city pauses lists it.")],
) -> None:
    """Take a pause back as if it had never been, and the deadlines that it moved."""
    from api.cli.refusals import CommandRefused
    from issues.actors import SYSTEM
    from issues.pauses import PauseNotFound
    from issues.rescheduling import withdraw_pause

    async def work(session: "AsyncSession", city: "CityBook") -> "Rescheduled":
        try:
            return await withdraw_pause(session, city, pause_id, actor=SYSTEM.sender, now=datetime.now(UTC))
        except PauseNotFound as error:
            raise CommandRefused(f"{jurisdiction} has no pause {pause_id}; jalon city pauses lists them") from error

    say(f"{jurisdiction}: {_in_city(jurisdiction, work).moved} open issues have their earlier deadline again")


def pauses(jurisdiction: _Jurisdiction, as_json: AsJson = False) -> None:
    """List the days on which a city's clocks stand still, today and from now on."""
    from issues.pauses import list_pauses

    async def work(session: "AsyncSession", city: "CityBook") -> "Sequence[PauseView]":
        return await list_pauses(session, city.id, since=city.local_date(datetime.now(UTC)))

    rows = [
        {
            "id": str(each.id),
            "from": str(each.pause.begins),
            "to": str(each.pause.ends),
            "services": " ".join(sorted(each.pause.service_codes)) or "*",
            "reason": each.reasons["fr"],
        }
        for each in _in_city(jurisdiction, work)
    ]
    if as_json:
        show_json({"pauses": rows})
        return
    names = ["id", "from", "to", "services", "reason"]
    show_table(names, [[row[name] for name in names] for row in rows], empty="No pause from today on.")


def _in_city(jurisdiction: str, work: "Callable[[AsyncSession, CityBook], Awaitable[_T]]") -> "_T":
    """Do something in a city, as the server would, in one transaction."""

    async def enter(database: "Database") -> "_T":
        city = await _city(database, jurisdiction)
        async with database.transaction(city.id) as session:
            return await work(session, city)

    return _reached(enter)


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


def _reached(work: "Callable[[Database], Awaitable[_T]]") -> "_T":
    from api.cli import reach
    from api.settings import Settings

    with reach.reached_database(Settings()) as reached:
        return asyncio.run(reach.as_app(reached, work))
