"""Whose rows a transaction sees: one city, or none.

Row-level security lets the role ``jalon_app`` see the rows of the city that its transaction names, and no rows
where it names none. Every query names its city as well: the policies are the net, not the plan.
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection

APP_ROLE = "jalon_app"
# Reads the views of the schema `open`, and nothing else.
OPEN_ROLE = "jalon_open"

# What a policy compares a row's city with. On a reused connection an unset name reads as '', hence NULLIF.
CURRENT_CITY = "NULLIF(current_setting('jalon.city_id', true), '')::integer"

# Tables that are no city's, each with the reason why no policy guards it.
UNGUARDED = {
    "city": "public reference data: which cities there are, and their outlines",
    "credential": "found by the hash of a secret before the city is known; holds no personal data",
    "report_home": "finds the city of a report and orders simultaneous copies before the city is known",
    "device": "a phone belongs to a person, not to a city; holds no name or contact",
    "preference": "a person hears of things in whatever city, as they once wished; holds no name or contact",
    "photo": "arrives before its report, hence before its city is known; reached only by id and uploader",
    "upload": "becomes a photo, hence no city's either; reached only by id and uploader",
    "photo_claim": "leads from a photo to the city of its report; ids only",
    "signing_key": "this installation's own, made by a migration",
    "rate_count": "photos are counted before their city is known; holds hashes that end with their hour or day",
    "usual_time": "told to everybody, and read by servers for all cities at once; counts and quantiles only",
    "alembic_version": "the migration the database stands at",
    "spatial_ref_sys": "coordinate systems, installed by PostGIS",
}
# Tables of the job queue: rows hold a city's id and ids of rows, nothing else.
UNGUARDED_PREFIX = "pgqueuer"


class Access(StrEnum):
    """What the application's role may do with a table."""

    REFERENCE = "reference"  # a city pack's rows: anybody reads, only `jalon city load` (the owner) writes
    TENANT = "tenant"  # rows of one city: read and written in a transaction that names the city
    APPEND_ONLY = "append_only"  # as tenant, and never changed or removed
    GLOBAL = "global"  # one of UNGUARDED


@dataclass(eq=False)
class PrivilegedRole(Exception):
    """The server would work as a role that row-level security does not hold."""

    role: str
    why: str


def guard_table(table: str, access: Access) -> list[str]:
    """Build the statements that enable row-level security on a new table and grant its use; for migrations."""
    guard = [f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"]
    own_city = f"city_id = {CURRENT_CITY}"
    match access:
        case Access.REFERENCE:
            return [
                *guard,
                f"CREATE POLICY read_all ON {table} FOR SELECT TO {APP_ROLE} USING (true)",
                f"GRANT SELECT ON {table} TO {APP_ROLE}",
            ]
        case Access.TENANT:
            return [
                *guard,
                f"CREATE POLICY own_city ON {table} TO {APP_ROLE} USING ({own_city}) WITH CHECK ({own_city})",
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP_ROLE}",
            ]
        case Access.APPEND_ONLY:
            return [
                *guard,
                f"CREATE POLICY own_city ON {table} TO {APP_ROLE} USING ({own_city}) WITH CHECK ({own_city})",
                f"GRANT SELECT, INSERT ON {table} TO {APP_ROLE}",
            ]
        case Access.GLOBAL:
            return [f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {APP_ROLE}"]


async def enter_city(session: AsyncSession, city_id: int) -> None:
    """Name the city whose rows the rest of this transaction sees.

    ``SET LOCAL`` takes no bind parameter, and Citus passes on only this form; the number is formatted as an
    integer here and nowhere else.
    """
    connection = await driver_connection(session)
    await connection.execute(b"SET LOCAL jalon.city_id = %d" % city_id)


async def read_open_data_only(session: AsyncSession) -> None:
    """Let the rest of this transaction read the open data of the city that it names, and nothing else."""
    connection = await driver_connection(session)
    await connection.execute(f"SET TRANSACTION READ ONLY; SET LOCAL ROLE {OPEN_ROLE}".encode())


async def refuse_privileged_role(session: AsyncSession) -> None:
    """Refuse to work as a role that sees every city's rows.

    Both the role that logged in and the role in force count: ``RESET ROLE`` leads back to the former.

    Raises:
        PrivilegedRole: a superuser, a role with BYPASSRLS, or an owner of the tables.
    """
    rows = await session.execute(
        text(
            """
            SELECT r.rolname AS role, CASE
                WHEN r.rolsuper THEN 'superuser'
                WHEN r.rolbypassrls THEN 'bypassrls'
                WHEN EXISTS (
                    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relkind IN ('r', 'p') AND n.nspname = current_schema()
                      AND c.relname IN ('issue', 'report', 'event')
                      AND pg_has_role(r.oid, c.relowner, 'USAGE')
                ) THEN 'owner'
            END AS why
            FROM pg_roles r WHERE r.rolname IN (current_user, session_user) ORDER BY r.rolname
            """
        )
    )
    for role, why in rows:
        if why is not None:
            raise PrivilegedRole(role, why)
