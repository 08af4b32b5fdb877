"""The script for an operator's own PostgreSQL makes what Jalon needs, and shows nobody a password."""

import subprocess
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from db.dumps import client_environment, libpq_url
from db.postgres import find_client_dir

_SCRIPT = Path(__file__).parents[2] / "deploy" / "postgresql.sql"
_PASSWORDS = {"trial_owner": "owner's \\ password", "trial_web": "web: password"}


@pytest.fixture
def script(cluster, tmp_path):
    """The script, under other names: the cluster of the tests has the usual ones. What it makes is removed again."""
    script = tmp_path / "postgresql.sql"
    script.write_text(_SCRIPT.read_text().replace("jalon", "trial"))
    yield script
    cluster.drop_database("trial")
    with cluster.connect() as connection:
        connection.execute("DROP ROLE IF EXISTS trial_owner, trial_web, trial_app, trial_open")


def test_it_makes_two_logins_and_a_database_without_showing_a_password(cluster, script):
    typed = "".join(f"{password}\n" * 2 for password in _PASSWORDS.values())
    command = [str(find_client_dir() / "psql"), "-X", "-v", "ON_ERROR_STOP=1", "-f", str(script)]
    done = subprocess.run(
        command,
        input=typed,
        env=client_environment(cluster.admin_url),
        capture_output=True,
        text=True,
        start_new_session=True,  # without a terminal, which psql would ask otherwise
        check=False,
    )

    assert done.returncode == 0, done.stderr
    for login, password in _PASSWORDS.items():
        assert password not in " ".join(command) + done.stdout + done.stderr
        url = make_url(cluster.admin_url).set(username=login, password=password, database="trial")
        with psycopg.connect(libpq_url(url.render_as_string(hide_password=False))) as connection:
            there = connection.execute("SELECT pg_has_role(session_user, 'trial_app', 'MEMBER'), postgis_lib_version()")
            assert there.fetchone()[0] is (login == "trial_web")


def test_the_script_holds_no_password_of_its_own():
    assert "PASSWORD" not in _SCRIPT.read_text()
    assert "-v owner" not in _SCRIPT.read_text()
