"""Where a database stands is told as Alembic would tell it."""

from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from db.dumps import libpq_url
from db.migrate import upgrade
from db.revisions import current_revision, newest_revision

_MIGRATIONS = Path(__file__).parents[2] / "db" / "migrations"
_SUBSCRIPTION = """
INSERT INTO subscription (city_id, id, person_id, district, kinds, services, created_at)
VALUES (1, gen_random_uuid(), gen_random_uuid(), %s, %s, '{}', now())
"""


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


def test_subscriptions_speak_of_no_alerts_once_these_are_taken_back(owner_url):
    config = Config(attributes={"url": owner_url, "tables": None})
    config.set_main_option("script_location", str(_MIGRATIONS))
    with psycopg.connect(libpq_url(owner_url)) as connection:
        for subscription in ((None, ["alert"]), ("quartiers:est", ["alert"]), ("quartiers:est", ["alert", "opened"])):
            connection.execute(_SUBSCRIPTION, subscription)

    command.downgrade(config, "0028")

    with psycopg.connect(libpq_url(owner_url)) as connection:
        assert connection.execute("SELECT kinds FROM subscription").fetchall() == [(["opened"],)]
