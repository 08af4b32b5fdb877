"""Rows of a city stay with the city."""

import pytest
from sqlalchemy import make_url, text

from db.sessions import Database
from db.tenancy import PrivilegedRole, refuse_privileged_role


async def test_the_application_owns_nothing_and_may_not_write_through_a_view(session):
    owned = await session.scalar(
        text(
            "SELECT count(*) FROM pg_class WHERE pg_has_role('jalon_app', relowner, 'USAGE') AND relnamespace ="
            " 'public'::regnamespace"
        )
    )
    writable = await session.execute(
        text(
            """
            SELECT c.relname FROM pg_class c, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) AS change
            WHERE c.relkind IN ('v', 'm') AND c.relnamespace = 'public'::regnamespace
              AND has_table_privilege('jalon_app', c.oid, change)
            """
        )
    )

    assert owned == 0
    assert writable.all() == []


async def test_a_reused_connection_forgets_the_city_of_the_transaction_before(database):
    async with database.transaction(city_id=1) as session:
        assert await session.scalar(text("SELECT current_setting('jalon.city_id')")) == "1"
    async with database.transaction() as session:
        assert await session.scalar(text("SELECT count(*) FROM issue")) == 0


async def test_the_servers_login_is_accepted(session):
    await refuse_privileged_role(session)


async def test_the_owner_is_refused_even_behind_the_applications_role(owner_url):
    async with Database(owner_url, role=None) as database, database.transaction() as session:
        with pytest.raises(PrivilegedRole, match="owner"):
            await refuse_privileged_role(session)


async def test_a_superuser_is_refused(cluster, database_name):
    url = cluster.url("postgres", database_name)
    async with Database(url) as database, database.transaction() as session:
        with pytest.raises(PrivilegedRole, match="superuser"):
            await refuse_privileged_role(session)


async def test_a_role_that_bypasses_row_security_is_refused(cluster, database_name):
    with cluster.connect(database_name) as connection:
        connection.execute("CREATE ROLE passer LOGIN BYPASSRLS PASSWORD 'x' IN ROLE jalon_app")
        connection.execute(f'GRANT CONNECT ON DATABASE "{database_name}" TO passer')
    url = make_url(cluster.url("jalon_web", database_name)).set(username="passer", password="x")
    try:
        async with Database(url.render_as_string(hide_password=False)) as database, database.transaction() as session:
            with pytest.raises(PrivilegedRole, match="bypassrls"):
                await refuse_privileged_role(session)
    finally:
        with cluster.connect(database_name) as connection:
            connection.execute("DROP OWNED BY passer")
            connection.execute("DROP ROLE passer")
