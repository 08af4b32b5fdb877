"""People of the small towns, and what they do, each in a transaction of its own."""

import asyncio
from datetime import date
from uuid import UUID

from sqlalchemy import text

from db.base import new_id
from db.sessions import Database
from issues.actors import Actor, Role
from issues.city import CityBook
from issues.dispatch import OrderChange, WorkOrderDraft, change_work_order, create_work_order
from issues.issue import read_issue
from issues.lifecycle import OrderStatus, Status
from issues.status import change_status
from issues.telling import tell
from push.channels import AddressKind, Platform
from push.devices import PushAddress, Registration, register_device
from tests.issues.towns import ESSAI, NOON, east_of, file, submission

AGENT = Actor(f"staff:{new_id()}", Role.AGENT)
CREW = Actor(f"staff:{new_id()}", Role.CREW, "equipe-1")
OTHER_CREW = Actor(f"staff:{new_id()}", Role.CREW, "equipe-est")
RESIDENT = Actor(f"device:{new_id()}", Role.RESIDENT, person_id=new_id())
MONDAY = date(2026, 11, 23)  # today
TUESDAY = date(2026, 11, 24)

AT_ONCE = 20
"""How many the fixture `crowd` lets talk to the database at a time."""


async def open_issue(database: Database, city: CityBook, at=ESSAI.middle, **changes):
    """File a report that opens an issue; answers with the issue."""
    receipt = await file(database, city, submission(at, **changes))
    assert receipt.created
    return receipt.issue


async def three_issues(database: Database, city: CityBook):
    """Open three issues, 200 m from one another."""
    return [await open_issue(database, city, east_of(ESSAI.middle, 200.0 * number)) for number in range(3)]


async def issue_now(database: Database, issue):
    """The issue as it stands now."""
    async with database.transaction(issue.city_id) as session:
        return await read_issue(session, issue.city_id, issue.id)


async def check_counts(owner: Database):
    """Every issue counts the reports that are in it and were not taken back; an empty one nobody began is closed.

    Answers with the issues that were not merged into others; those that were have no reports.
    """
    async with owner.transaction() as session:
        result = await session.execute(
            text(
                "SELECT i.id, i.status, i.report_count, i.merged_into, count(r.id) AS all_there,"
                " count(r.id) FILTER (WHERE r.withdrawn_at IS NULL) AS there"
                " FROM issue i LEFT JOIN report r ON r.city_id = i.city_id AND r.issue_id = i.id"
                " GROUP BY i.city_id, i.id"
            )
        )
        rows = result.all()
    assert [row for row in rows if row.report_count != row.there] == []
    assert [row for row in rows if row.merged_into is not None and row.all_there] == []
    issues = [row for row in rows if row.merged_into is None]
    assert [row for row in issues if row.report_count == 0 and row.status == "received"] == []
    return issues


async def bring(database: Database, issue, status: str, *, actor: Actor = AGENT, now=NOON, **more):
    """Change an issue's status."""
    async with database.transaction(issue.city_id) as session:
        return await change_status(session, issue.city_id, issue.id, Status(status), actor=actor, now=now, **more)


async def plan(
    database: Database, *issues, crew_code="equipe-1", planned_on=TUESDAY, actor=AGENT, today=MONDAY, now=NOON, **more
):
    """Plan a work order."""
    draft = WorkOrderDraft(tuple(issue.id for issue in issues), crew_code, planned_on, **more)
    async with database.transaction(issues[0].city_id) as session:
        planned = await create_work_order(session, issues[0].city_id, draft, actor=actor, today=today, now=now)
    return planned.order


async def change(
    database: Database,
    order,
    *,
    actor=CREW,
    version=None,
    status=None,
    command_id=None,
    today=MONDAY,
    now=NOON,
    **changes,
):
    """Change a work order, from the version given or the one at hand."""
    wish = OrderChange(status=None if status is None else OrderStatus(status), **changes)
    async with database.transaction(order.city_id) as session:
        return await change_work_order(
            session,
            order.city_id,
            order.id,
            wish,
            version=version or order.version,
            actor=actor,
            today=today,
            command_id=command_id,
            now=now,
        )


async def register_phone(database: Database, *, locale="fr-CA") -> tuple[UUID, UUID]:
    """Register a phone that takes pushes; answers with its id and its person's."""
    phone = Registration(
        id=new_id(),
        secret=str(new_id()),
        platform=Platform.ANDROID,
        locale=locale,
        push=PushAddress(AddressKind.TOKEN, str(new_id())),
    )
    async with database.transaction() as session:
        device = await register_device(session, phone, now=NOON)
    return device.id, device.person_id


async def notices(database: Database, city_id: int) -> list[str]:
    """The kinds of the notices written, in order."""
    async with database.transaction(city_id) as session:
        rows = await session.execute(
            text(
                "SELECT n.kind FROM notice n JOIN event e USING (city_id) WHERE e.id = n.event_id"
                " AND city_id = :city ORDER BY e.seq"
            ),
            {"city": city_id},
        )
        return list(rows.scalars())


async def jobs(database: Database) -> list[tuple[str, dict]]:
    """The jobs waiting, in order."""
    async with database.transaction() as session:
        rows = await session.execute(
            text("SELECT entrypoint, convert_from(payload, 'UTF8')::jsonb FROM pgqueuer ORDER BY id")
        )
        return [(kind, payload) for kind, payload in rows]


async def tell_everybody(database: Database, city_id: int) -> int:
    """Do the waiting jobs that tell; answers with how many deliveries they queued."""
    queued = 0
    for kind, payload in await jobs(database):
        if kind == "push.tell":
            queued += await tell_event(database, payload["city_id"], UUID(payload["event_id"]))
    return queued


async def tell_event(database: Database, city_id: int, event_id: UUID, *, now=NOON, **how) -> int:
    """Tell what an event has to tell, part by part; answers with how many deliveries were queued."""
    queued, more = 0, True
    while more:
        async with database.transaction(city_id) as session:
            told = await tell(session, city_id, event_id, now=now, **how)
        queued, more = queued + told.queued, told.more
    return queued


async def others_ended(database):
    """Wait for the transactions that run now, also those of tests in other databases: a feed stops before them."""
    end, oldest = "pg_snapshot_xmax(pg_current_snapshot())::text", "pg_snapshot_xmin(pg_current_snapshot())::text"
    async with database.transaction() as session:
        target = int(await session.scalar(text(f"SELECT {end}")))
        async with asyncio.timeout(60):
            while int(await session.scalar(text(f"SELECT {oldest} FROM pg_sleep(0.01)"))) < target:
                pass
