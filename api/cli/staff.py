"""`jalon staff`: who works for a city, and the tokens by which they are known."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer

from api.cli.output import AsJson, hint, say, show_json, show_table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

app = typer.Typer(help="Who works for a city.", no_args_is_help=True)

_T = TypeVar("_T")
City = Annotated[str | None, typer.Option("--city", help="The city, such as laval.ca; the only one if left out.")]


class StaffRole(StrEnum):
    """The roles that staff may have."""

    CREW = "crew"
    AGENT = "agent"
    MANAGER = "manager"
    ADMIN = "admin"


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Whom: a person, or a desk that shares a token.")],
    role: Annotated[StaffRole, typer.Option(help="crew, or agent < manager < admin.")],
    city: City = None,
    crew: Annotated[str | None, typer.Option(help="The crew's code, for the role crew.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add somebody to a city's staff and print their token, which is shown this once."""
    from issues.actors import Role
    from issues.staff import NewStaff, add_staff

    async def work(session: "AsyncSession", city_id: int) -> NewStaff:
        return await add_staff(session, city_id, name=name, role=Role(role), crew_code=crew, now=datetime.now(UTC))

    added = _in_city(city, work)
    if as_json:
        show_json({"id": added.staff.id, "name": name, "role": role, "crew": crew, "token": added.secret})
        return
    hint(f"{name} is {role} with the id {added.staff.id}. The token is kept as a hash only, so keep it now:")
    say(added.secret)


@app.command("list")
def list_all(city: City = None, as_json: AsJson = False) -> None:
    """List a city's staff, those who left included."""
    from dataclasses import asdict

    from issues.staff import list_staff

    staff = _in_city(city, list_staff)
    if as_json:
        show_json([asdict(person) for person in staff])
        return
    rows = [(person.id, person.name, person.role, person.crew_code, person.revoked_at) for person in staff]
    show_table(["id", "name", "role", "crew", "left"], rows, empty="Nobody yet: jalon staff add")


@app.command()
def revoke(staff_id: Annotated[UUID, typer.Argument(metavar="ID")], city: City = None) -> None:
    """Take somebody off the staff; their tokens end at once, and what they did stays theirs."""
    from issues.staff import revoke_staff

    async def work(session: "AsyncSession", city_id: int) -> None:
        await revoke_staff(session, city_id, staff_id, now=datetime.now(UTC))

    _in_city(city, work)
    say(f"{staff_id} is no longer known")


def _in_city(jurisdiction_id: str | None, work: Callable[["AsyncSession", int], Awaitable[_T]]) -> _T:
    from sqlalchemy import select

    from api.cli.reach import as_app, reached_database
    from api.cli.refusals import CommandRefused
    from api.settings import Settings
    from db.sessions import Database
    from db.tenancy import enter_city
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
