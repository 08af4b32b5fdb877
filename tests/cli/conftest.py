"""`jalon` in this process, as its entry point runs it."""

from __future__ import annotations

import os
import signal
import sys

import psycopg
import pytest

from api.cli import run_command_line
from api.settings import unknown_variables
from db.dumps import libpq_url
from tests.cli.running import Outcome

_CITY = """
INSERT INTO city (jurisdiction_id, names, timezone, locale, outline, settings, pack_sha256, version, loaded_at)
VALUES ('essai.ca', '{"fr": "Essai"}', 'America/Toronto', 'fr-CA',
        ST_GeomFromText('MULTIPOLYGON(((-73 45, -72 45, -72 46, -73 45)))', 4326), '{}', '', 1, now())
"""


@pytest.fixture
def command(monkeypatch, capfd):
    """Runs `jalon` in this process, as the entry point does."""
    for variable in ("JALON_DATABASE_URL", "JALON_OWNER_DATABASE_URL", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["jalon", *arguments])
        with pytest.raises(SystemExit) as end:
            run_command_line()
        said = capfd.readouterr()
        return Outcome(int(end.value.code or 0), said.out, said.err)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def jalon(command, monkeypatch, app_url, owner_url, tmp_path):
    """Runs `jalon` on the test's database."""
    for stray in unknown_variables(os.environ):
        monkeypatch.delenv(stray)
    monkeypatch.setenv("JALON_DATABASE_URL", app_url)
    monkeypatch.setenv("JALON_OWNER_DATABASE_URL", owner_url)
    monkeypatch.setenv("JALON_DATA_DIR", str(tmp_path))
    return command


@pytest.fixture
def city(owner_url):
    """A city of the test's database, without anything in it."""
    with psycopg.connect(libpq_url(owner_url)) as connection:
        connection.execute(_CITY)
    return "essai.ca"


@pytest.fixture
def bare_database(cluster, database_name):
    """Name of a database without a table."""
    name = f"{database_name}_bare"
    cluster.create_database(name)
    yield name
    cluster.drop_database(name)
