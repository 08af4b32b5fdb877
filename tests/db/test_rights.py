"""What the application's role may do, table by table, and that it never reaches from one city into another."""

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from db.connections import driver_connection
from db.tenancy import APP_ROLE, OPEN_ROLE, UNGUARDED, UNGUARDED_PREFIX, read_open_data_only

MONTREAL, LAVAL = 1, 2

READ = "SELECT"
ADD = "SELECT, INSERT"
CHANGE = "SELECT, INSERT, UPDATE"
ADD_AND_FORGET = "SELECT, INSERT, DELETE"
ALL = "SELECT, INSERT, UPDATE, DELETE"

# Every table and view of ours, with all that the server's role may do there. A new table gets a line here, with no
# more than the code needs. DELETE is for what may be forgotten: wishes, devices, what a person said, jobs, orphans.
RIGHTS = {
    # a city pack's
    **dict.fromkeys(("city", "layer", "district", "neighbour", "owned_thing"), READ),
    **dict.fromkeys(("street", "address", "street_name", "place_name"), READ),
    **dict.fromkeys(("service", "department", "crew", "route", "base_map"), READ),
    "pause": CHANGE,
    "alembic_version": READ,
    "signing_key": READ,
    "usual_time": ALL,
    # a city's
    "issue_map": READ,
    "issue": CHANGE,
    "report": CHANGE,
    "report_personal": ALL,
    "report_photo": CHANGE,
    "report_correction": ADD_AND_FORGET,
    "event": ADD,
    "event_note": ALL,
    "command": ADD,
    "follow": ALL,
    "work_order": CHANGE,
    "work_order_issue": ADD_AND_FORGET,
    "work_order_photo": CHANGE,
    "staff": CHANGE,
    "staff_person": ALL,
    "issue_pair": ALL,
    "issue_cell": ALL,
    "issue_cell_left": ADD_AND_FORGET,
    "issue_cell_cursor": CHANGE,
    "notice": CHANGE,
    "notification": CHANGE,
    "delivery": CHANGE,
    "push_outcome": CHANGE,
    "subscription": ALL,
    "alert": CHANGE,
    "topic": ADD,
    "topic_member": ALL,
    "webhook": ALL,
    "email_address": ALL,
    "feedback": CHANGE,
    "subscription_map": READ,
    "feed_reader": CHANGE,
    # no city's
    "credential": ADD_AND_FORGET,
    "report_home": ADD,
    "device": ALL,
    "photo": ALL,
    "upload": ALL,
    "photo_claim": ADD,
    "rate_count": ALL,
    "preference": ALL,
    # the queue's
    **dict.fromkeys(("pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics"), ALL),
}

_OURS = """
    n.nspname = 'public' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""
_GRANTED = f"""
    SELECT c.relname, string_agg(kind, ', ' ORDER BY at)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
         unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
             WITH ORDINALITY AS rights(kind, at)
    WHERE {_OURS} AND c.relkind IN ('r', 'p', 'v', 'm')
      AND CASE WHEN kind IN ('DELETE', 'TRUNCATE', 'TRIGGER') THEN has_table_privilege(:role, c.oid, kind)
               ELSE has_any_column_privilege(:role, c.oid, kind) END
    GROUP BY c.relname
"""
_TABLES = f"""
    SELECT c.relname, c.relrowsecurity,
           (SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
            WHERE i.indrelid = c.oid AND i.indisprimary)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS} AND c.relkind IN ('r', 'p')
"""
_POLICIES = "SELECT tablename, permissive, roles, cmd, qual, with_check FROM pg_policies WHERE schemaname = 'public'"
_OWN_CITY = "(city_id = (NULLIF(current_setting('jalon.city_id'::text, true), ''::text))::integer)"

# A value for each type of column.
_VALUES = {
    "integer": "{city}",
    "xid8": "'{city}'",
    "bigint": "{city}",
    "smallint": "{city}",
    "text": "'of city {city}'",
    "uuid": "gen_random_uuid()",
    "boolean": "false",
    "double precision": "0",
    "date": "DATE '2026-11-23'",
    "timestamp with time zone": "now()",
    "interval": "INTERVAL '1 day'",
    "bytea": "decode('00', 'hex')",
    "jsonb": "'{{}}'",
    "text[]": "'{{}}'",
    "geography(Point,4326)": "'POINT(-73.6 45.5)'",
    "geography(LineString,4326)": "'LINESTRING(-73.6 45.5, -73.5 45.5)'",
    "geography(MultiPolygon,4326)": "'MULTIPOLYGON(((-73 45, -72 45, -72 46, -73 45)))'",
    "geometry(Geometry,4326)": "'SRID=4326;POINT(-73.6 45.5)'",
    "geometry(Polygon,4326)": "'SRID=4326;POLYGON((-73 45, -72 45, -72 46, -73 45))'",
    "geometry(Point,4326)": "'SRID=4326;POINT(-73.6 45.5)'",
    "geometry(LineString,4326)": "'SRID=4326;LINESTRING(-73.6 45.5, -73.5 45.5)'",
    "geometry(MultiLineString,4326)": "'SRID=4326;MULTILINESTRING((-73.6 45.5, -73.5 45.5))'",
    "geometry(MultiPolygon,4326)": "'SRID=4326;MULTIPOLYGON(((-73 45, -72 45, -72 46, -73 45)))'",
}
_NEEDED_COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
      AND a.attidentity = '' AND (a.attnotnull AND NOT a.atthasdef OR a.attname = 'city_id')
"""
_CHECKS = """
    SELECT conrelid::regclass::text, conname FROM pg_constraint
    WHERE contype = 'c' AND connamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = conrelid AND d.deptype = 'e')
"""


def is_unguarded(table: str) -> bool:
    return table in UNGUARDED or table.startswith(UNGUARDED_PREFIX)


VIEWS = ("issue_map", "subscription_map")
# What a city tells everybody: read by all, written by the city.
TOLD_TABLES = ("pause",)
TENANT_TABLES = sorted(
    table for table, rights in RIGHTS.items() if not is_unguarded(table) and rights != READ and table not in TOLD_TABLES
)
PACK_TABLES = sorted(
    table for table, rights in RIGHTS.items() if not is_unguarded(table) and rights == READ and table not in VIEWS
)


async def test_every_table_is_guarded_or_on_the_short_list_with_its_reason(session):
    tables = (await session.execute(text(_TABLES))).all()

    guarded = [tuple(row) for row in tables if not is_unguarded(row[0])]
    assert guarded == [(table, True, "city_id") for table, _, _ in guarded]
    assert {table for table, _, _ in guarded} == {*TENANT_TABLES, *PACK_TABLES, *TOLD_TABLES}


async def test_every_policy_names_the_city_of_the_transaction(session):
    policies = [tuple(row) for row in await session.execute(text(_POLICIES))]

    written = (*TENANT_TABLES, *TOLD_TABLES)
    of_cities = [(table, "PERMISSIVE", [APP_ROLE], "ALL", _OWN_CITY, _OWN_CITY) for table in written]
    of_packs = [(table, "PERMISSIVE", [APP_ROLE], "SELECT", "true", None) for table in (*PACK_TABLES, *TOLD_TABLES)]
    assert sorted(policies) == sorted([*of_cities, *of_packs])


@pytest.mark.parametrize("role", [APP_ROLE, "jalon_web"])
async def test_the_role_may_do_what_is_stated_and_nothing_else(session, role):
    granted = dict((await session.execute(text(_GRANTED), {"role": role})).all())

    assert granted == RIGHTS


async def test_the_role_of_open_data_reads_its_views_and_nothing_else(session):
    granted = (await session.execute(text(_GRANTED), {"role": OPEN_ROLE})).all()
    views = _GRANTED.replace("n.nspname = 'public'", "n.nspname = 'open'")
    open_views = (await session.execute(text(views), {"role": OPEN_ROLE})).all()

    assert granted == []
    assert open_views == [("districts", READ), ("issues", READ), ("streets", READ)]


async def test_a_transaction_of_open_data_reaches_no_table(database):
    async with database.transaction(MONTREAL) as session:
        await read_open_data_only(session)
        connection = await driver_connection(session)
        for statement in ("SELECT FROM report", "SELECT FROM city", "CREATE TEMP TABLE mine (n integer)"):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
                async with connection.transaction():
                    await connection.execute(statement)
        assert (await (await connection.execute("SELECT count(*) FROM open.issues")).fetchone()) == (0,)


@pytest.fixture
def two_cities(cluster, database_name):
    """One row of each city in every table that has cities; answers the statement that adds another one."""
    statements = {}
    with cluster.connect(database_name) as connection:
        # What is tested are the policies: rows need not make sense.
        connection.execute("SET session_replication_role = replica")
        for table, name in connection.execute(_CHECKS).fetchall():
            connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
        for table in (*TENANT_TABLES, *PACK_TABLES, *TOLD_TABLES):
            columns = connection.execute(_NEEDED_COLUMNS, (table,)).fetchall()
            names = ", ".join(f'"{name}"' for name, _ in columns)
            values = ", ".join(_VALUES[kind] for _, kind in columns)
            statements[table] = f"INSERT INTO {table} ({names}) VALUES ({values})"
            for city_id in (MONTREAL, LAVAL):
                connection.execute(statements[table].format(city=city_id))
    return statements


async def cities_in(connection, table):
    cursor = await connection.execute(sql.SQL("SELECT city_id FROM {}").format(sql.Identifier(table)))
    return sorted(row[0] for row in await cursor.fetchall())


async def rows_changed(connection, statement):
    """How many rows a statement changes; None where it is refused."""
    try:
        async with connection.transaction():
            return (await connection.execute(statement)).rowcount
    except psycopg.errors.InsufficientPrivilege:
        return None


async def test_a_transaction_sees_and_writes_no_row_of_another_city(database, two_cities):
    async with database.transaction(LAVAL) as session:
        connection = await driver_connection(session)
        for table in TENANT_TABLES:
            assert await cities_in(connection, table) == [LAVAL], table
            assert await rows_changed(connection, two_cities[table].format(city=MONTREAL)) is None, table
            # To another city, and of another city.
            assert await rows_changed(connection, f"UPDATE {table} SET city_id = {MONTREAL}") is None, table
            for change in ("UPDATE {} SET city_id = city_id", "DELETE FROM {}"):
                touched = await rows_changed(connection, f"{change.format(table)} WHERE city_id = {MONTREAL}")
                assert touched in (0, None), table


async def test_without_a_city_no_row_is_seen_or_written(database, two_cities):
    async with database.transaction() as session:
        connection = await driver_connection(session)
        for table in TENANT_TABLES:
            assert await cities_in(connection, table) == [], table
            assert await rows_changed(connection, two_cities[table].format(city=LAVAL)) is None, table


async def test_a_citys_own_rows_can_be_written(database, two_cities):
    """The statements of this module fail for the policies, not by themselves."""
    async with database.transaction(LAVAL) as session:
        connection = await driver_connection(session)
        assert await rows_changed(connection, two_cities["command"].format(city=LAVAL)) == 1
        assert await rows_changed(connection, "UPDATE staff SET city_id = city_id") == 1


async def test_packs_are_read_by_all_and_written_by_nobody(database, two_cities):
    async with database.transaction(LAVAL) as session:
        connection = await driver_connection(session)
        for table in PACK_TABLES:
            assert await cities_in(connection, table) == [MONTREAL, LAVAL], table
            assert await rows_changed(connection, two_cities[table].format(city=LAVAL)) is None, table
            assert await rows_changed(connection, f"UPDATE {table} SET city_id = city_id") is None, table
            assert await rows_changed(connection, f"DELETE FROM {table}") is None, table


async def test_what_a_city_tells_is_read_by_all_and_written_by_itself(database, two_cities):
    async with database.transaction(LAVAL) as session:
        connection = await driver_connection(session)
        for table in TOLD_TABLES:
            assert await cities_in(connection, table) == [MONTREAL, LAVAL], table
            assert await rows_changed(connection, two_cities[table].format(city=MONTREAL)) is None, table
            assert await rows_changed(connection, f"UPDATE {table} SET city_id = city_id") == 1, table


@pytest.mark.parametrize("view", VIEWS)
async def test_a_view_for_searching_shows_the_city_of_the_transaction_only(database, two_cities, view):
    async with database.transaction(LAVAL) as session:
        assert await cities_in(await driver_connection(session), view) == [LAVAL]
    async with database.transaction() as session:
        assert await cities_in(await driver_connection(session), view) == []
