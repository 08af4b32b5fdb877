"""`jalon staff`: who works for a city, and the tokens by which they are known."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from api.cli.output import AsJson, hint, say, show_json, show_table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

app = typer.Typer(help="Who works for a city.", no_args_is_help=True)

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
    from api.cli.reach import in_city
    from issues.actors import Role
    from issues.staff import NewStaff, add_staff

    async def work(session: "AsyncSession", city_id: int) -> NewStaff:
        return await add_staff(session, city_id, name=name, role=Role(role), crew_code=crew, now=datetime.now(UTC))

    added = in_city(city, work)
    if as_json:
        show_json({"id": added.staff.id, "name": name, "role": role, "crew": crew, "token": added.secret})
        return
    hint(f"{name} is {role} with the id {added.staff.id}. The token is kept as a hash only, so keep it now:")
    say(added.secret)


@app.command("list")
def list_all(city: City = None, as_json: AsJson = False) -> None:
    """List a city's staff, those who left included."""
    from dataclasses import asdict

    from api.cli.reach import in_city
    from issues.staff import list_staff

    staff = in_city(city, list_staff)
    if as_json:
        show_json([asdict(person) for person in staff])
        return
    rows = [(person.id, person.name, person.role, person.crew_code, person.revoked_at) for person in staff]
    show_table(["id", "name", "role", "crew", "left"], rows, empty="Nobody yet: jalon staff add")


@app.command()
def revoke(staff_id: Annotated[UUID, typer.Argument(metavar="ID")], city: City = None) -> None:
    """Take somebody off the staff; their tokens end at once, and what they did stays theirs."""
    from api.cli.reach import in_city
    from issues.staff import revoke_staff

    async def work(session: "AsyncSession", city_id: int) -> None:
        await revoke_staff(session, city_id, staff_id, now=datetime.now(UTC))

    in_city(city, work)
    say(f"{staff_id} is no longer known")
