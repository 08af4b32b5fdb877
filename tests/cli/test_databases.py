"""The database at the command line: migrated when asked, with the roles that it takes, backed up and restored."""

import psycopg
import pytest

from api.cli.reach import Reached, check_fit_to_serve
from api.cli.refusals import CommandRefused
from db.cluster import OWNER, SUPERUSER, WEB
from db.dumps import libpq_url
from db.tenancy import PrivilegedRole
from tests.cli.running import Outcome


def test_migrations_run_once(command, monkeypatch, cluster, bare_database):
    monkeypatch.setenv("JALON_DATABASE_URL", cluster.url(OWNER, bare_database))

    first, second = command("db", "migrate"), command("db", "migrate")

    assert first == Outcome(0, "The database is now at the newest migration\n", "Migrating ...\n")
    assert second == Outcome(0, "Nothing to do\n", "")


def test_a_database_of_ones_own_is_not_migrated_unasked(command, monkeypatch, cluster, bare_database):
    monkeypatch.setenv("JALON_DATABASE_URL", cluster.url(WEB, bare_database))

    refused = command("serve")

    assert refused.code == 1
    assert "stands at migration none" in refused.err
    assert "jalon db migrate" in refused.err


@pytest.mark.parametrize(("role", "why"), [(SUPERUSER, "superuser"), (OWNER, "owner")])
async def test_neither_server_nor_worker_starts_with_a_role_that_sees_all_cities(cluster, database_name, role, why):
    reached = Reached(cluster.url(role, database_name), "", None)

    with pytest.raises(PrivilegedRole) as refusal:
        await check_fit_to_serve(reached)

    assert (refusal.value.role, refusal.value.why) == (role, why)


@pytest.mark.parametrize("process", ["serve", "work"])
def test_the_refusal_of_a_role_is_one_line_that_says_what_to_do(command, monkeypatch, owner_url, process):
    monkeypatch.setenv("JALON_DATABASE_URL", owner_url)

    refused = command(process)

    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert "jalon_owner owns the tables" in refused.err
    assert "JALON_DATABASE_URL" in refused.err


async def test_a_login_that_may_not_take_the_servers_role_is_told_how(cluster, database_name):
    with cluster.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS stranger")
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
        connection.execute(f"GRANT CONNECT ON DATABASE {database_name} TO stranger")
    there = cluster.url(WEB, database_name).replace(f"{WEB}:{cluster.passwords[WEB]}", "stranger:stranger")

    with pytest.raises(CommandRefused, match="GRANT jalon_app TO stranger"):
        await check_fit_to_serve(Reached(there, "", None))


async def test_a_database_that_is_behind_is_refused(owner, app_url):
    async with owner.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")

    with pytest.raises(CommandRefused, match="0000"):
        await check_fit_to_serve(Reached(app_url, "", None))


def test_the_url_and_psql_reach_the_database(jalon, app_url, owner_url):
    assert jalon("db", "url").out == libpq_url(owner_url) + "\n"
    assert jalon("db", "url", "--as", "web").out == libpq_url(app_url) + "\n"

    asked = jalon("db", "psql", "--as", "web", "--", "-qtAc", "SELECT session_user")
    assert asked == Outcome(0, "jalon_web\n", "")
    assert jalon("db", "psql", "--", "-c", "SELECT nothing").code == 1


def test_a_backup_is_restored_only_where_nothing_is_or_by_force(jalon, city, owner_url, tmp_path):
    backup = str(tmp_path / "backup")
    assert jalon("db", "backup", backup).code == 0
    again = jalon("db", "backup", backup)
    assert (again.code, again.out, "--force" in again.err) == (1, "", True)
    nowhere = jalon("db", "backup", str(tmp_path / "nowhere" / "backup"))
    assert (nowhere.code, "cannot be written (No such file or directory)" in nowhere.err) == (1, True)
    with psycopg.connect(libpq_url(owner_url)) as connection:
        connection.execute("DELETE FROM city")

    refused = jalon("db", "restore", backup)
    assert (refused.code, "--force" in refused.err) == (1, True)
    assert jalon("city", "list").out == ""

    assert jalon("db", "restore", backup, "--force").code == 0
    assert jalon("city", "list").out.startswith(f"{city}\tEssai\t")


def test_the_servers_login_is_refused_a_backup_and_a_restore(
    command, monkeypatch, cluster, bare_database, app_url, tmp_path
):
    backup = tmp_path / "backup"
    backup.touch()

    for url in (app_url, cluster.url(WEB, bare_database)):
        monkeypatch.setenv("JALON_DATABASE_URL", url)
        for refused in (
            command("db", "backup", str(backup), "--force"),
            command("db", "restore", str(backup), "--force"),
        ):
            told = "jalon: jalon_web does not own the tables. JALON_OWNER_DATABASE_URL names the owner.\n"
            assert refused == Outcome(1, "", told)


def test_an_owner_who_is_the_only_login_makes_a_backup_and_restores_it(
    command, monkeypatch, cluster, bare_database, owner_url, tmp_path
):
    backup = str(tmp_path / "backup")

    monkeypatch.setenv("JALON_DATABASE_URL", owner_url)
    assert command("db", "backup", backup).code == 0
    monkeypatch.setenv("JALON_DATABASE_URL", cluster.url(OWNER, bare_database))
    assert command("db", "restore", backup).code == 0
