"""Where a database stands is told as Alembic would tell it."""

from pathlib import Path

import psycopg
from alembic.script import ScriptDirectory

from db.dumps import libpq_url
from db.migrate import upgrade
from db.revisions import current_revision, newest_revision

_MIGRATIONS = Path(__file__).parents[2] / "db" / "migrations"


def test_the_last_of_the_numbered_files_is_the_only_head():
    assert ScriptDirectory(str(_MIGRATIONS)).get_heads() == [newest_revision()]


def test_an_empty_database_stands_at_none_and_a_migrated_one_at_the_newest(cluster, owner_url):
    cluster.create_database("nothing_yet")
    try:
        with cluster.connect("nothing_yet") as connection:
            assert current_revision(connection) is None
    finally:
        cluster.drop_database("nothing_yet")

    upgrade(owner_url)

    with psycopg.connect(libpq_url(owner_url)) as connection:
        assert current_revision(connection) == newest_revision()
