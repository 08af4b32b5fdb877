"""A backup brings everything back, whole or not at all."""

import stat

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from db.cluster import OWNER, WEB
from db.dumps import DatabaseNotEmpty, DumpFailed, back_up, libpq_url, restore

_COUNT = "SELECT count(*) FROM kept"


@pytest.fixture
def full_database(owner_url):
    """A migrated database with one row."""
    _do(owner_url, "CREATE TABLE kept AS SELECT 1 AS id; GRANT SELECT ON kept TO jalon_app")
    return owner_url


@pytest.fixture
def empty_database(cluster, database_name):
    """A database with nothing but the extensions."""
    name = f"{database_name}_empty"
    cluster.create_database(name)
    yield name
    cluster.drop_database(name)


def test_a_restored_database_has_the_rows_the_policies_and_the_rights(
    full_database, empty_database, cluster, database_name, tmp_path
):
    back_up(full_database, tmp_path / "backup")
    restore(cluster.url(OWNER, empty_database), tmp_path / "backup")

    assert _ask(cluster.url(OWNER, empty_database), _COUNT) == 1
    assert _ask(cluster.url(WEB, empty_database), _COUNT) == 1
    policies = "SELECT count(*) FROM pg_policies"
    assert _ask(cluster.url(OWNER, empty_database), policies) == _ask(full_database, policies) != 0
    owned = "SELECT count(*) FROM pg_tables WHERE tableowner = 'jalon_owner'"
    assert _ask(cluster.url(OWNER, empty_database), owned) == _ask(full_database, owned) != 0


def test_a_backup_is_readable_by_its_owner_only(full_database, tmp_path):
    back_up(full_database, tmp_path / "backup")

    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o600


def test_a_database_that_holds_something_is_replaced_only_by_force(full_database, tmp_path):
    back_up(full_database, tmp_path / "backup")
    _do(full_database, "DELETE FROM kept; CREATE TABLE later (id int)")

    with pytest.raises(DatabaseNotEmpty):
        restore(full_database, tmp_path / "backup")
    assert _ask(full_database, _COUNT) == 0

    restore(full_database, tmp_path / "backup", force=True)
    assert _ask(full_database, _COUNT) == 1
    assert _ask(full_database, "SELECT to_regclass('later')") is None


def test_a_backup_that_breaks_off_leaves_the_database_as_it_was(full_database, tmp_path):
    backup = tmp_path / "backup"
    back_up(full_database, backup)
    _do(full_database, "INSERT INTO kept VALUES (2)")
    backup.write_bytes(backup.read_bytes()[:-2000])

    with pytest.raises(DumpFailed, match=r"\Apg_restore: error"):
        restore(full_database, backup, force=True)

    assert _ask(full_database, _COUNT) == 2


def test_a_restore_that_the_database_refuses_tells_why_and_ends(full_database, app_url, tmp_path):
    # More than a pipe holds: pg_restore is still writing when psql has gone.
    _do(full_database, "CREATE TABLE long AS SELECT repeat('x', 1000) FROM generate_series(1, 300)")
    back_up(full_database, tmp_path / "backup")

    with pytest.raises(DumpFailed, match=r"psql:.* permission denied for database \S+\Z"):
        restore(app_url, tmp_path / "backup", force=True)

    assert _ask(full_database, _COUNT) == 1


def test_a_failed_backup_leaves_the_older_one(full_database, tmp_path):
    backup = tmp_path / "backup"
    backup.write_text("older")

    with pytest.raises(DumpFailed, match="does not exist"):
        back_up(full_database.replace("/test_", "/missing_"), backup)

    assert backup.read_text() == "older"
    assert list(tmp_path.iterdir()) == [backup]


def test_the_library_of_postgresql_reads_a_url_as_it_was_meant():
    url = "postgresql+psycopg://owner:a+b c%40d@/jalon?host=%2Fsrv%2FMes+donn%C3%A9es+%2B&port=5433"

    read = conninfo_to_dict(libpq_url(url))

    assert read == {
        "user": "owner",
        "password": "a+b c@d",
        "dbname": "jalon",
        "host": "/srv/Mes données +",
        "port": "5433",
    }


def _ask(url, query):
    with psycopg.connect(libpq_url(url)) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def _do(url, statements):
    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute(statements)
