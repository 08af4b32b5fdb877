"""The private cluster is shared, survives its users' deaths, and refuses what it cannot run."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from db.cluster import APP, OPEN, OWNER, WEB, ClusterSecretsLost, revive, running_cluster
from db.dumps import libpq_url
from db.postgres import (
    ClusterVersionChanged,
    DataDirUnreachable,
    open_the_way,
    running_pid,
    server_settings,
    socket_folder,
)

_ROOT = Path(__file__).parents[2]
_USER = """
import signal, sys
from pathlib import Path
from db.cluster import running_cluster
signal.signal(signal.SIGINT, signal.default_int_handler)  # which whatever runs the tests may have had ignored
with running_cluster(Path(sys.argv[1]), durable=False) as cluster:
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    folder = _reachable_folder()
    yield folder
    shutil.rmtree(folder)


@contextmanager
def another_command(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the cluster until its input ends, as leader of a process group of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", _USER, str(data_dir)],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


def test_a_second_command_shares_the_server_and_the_last_one_out_stops_it(data_dir):
    with running_cluster(data_dir, durable=False) as first:
        server = running_pid(first.folder)
        with another_command(data_dir) as other:
            assert running_pid(first.folder) == server
            other.communicate("")
        assert running_pid(first.folder) == server

    assert running_pid(first.folder) is None


def test_the_first_command_may_leave_before_the_second(data_dir):
    with another_command(data_dir) as other, running_cluster(data_dir, durable=False) as cluster:
        other.communicate("")
        assert _answer(cluster.owner_url, "SELECT 1") == 1

    assert running_pid(cluster.folder) is None


def test_the_next_command_adopts_the_server_of_killed_ones(data_dir):
    with another_command(data_dir) as first, another_command(data_dir) as second:
        server = running_pid(data_dir / "postgres")
        first.kill()
        second.kill()

    with running_cluster(data_dir, durable=False) as cluster:
        assert running_pid(cluster.folder) == server
        assert _answer(cluster.owner_url, "SELECT 1") == 1
    assert running_pid(cluster.folder) is None


def test_a_signal_to_a_commands_whole_group_does_not_reach_the_server(data_dir):
    with running_cluster(data_dir, durable=False) as cluster, another_command(data_dir) as other:
        server = running_pid(cluster.folder)
        os.killpg(other.pid, signal.SIGINT)
        other.wait(timeout=30)

        assert running_pid(cluster.folder) == server
        assert _answer(cluster.owner_url, "SELECT 1") == 1


def test_a_killed_server_is_started_again_with_all_that_was_committed(data_dir):
    with running_cluster(data_dir, durable=False) as cluster:
        _execute(cluster.owner_url, "CREATE TABLE kept AS SELECT 1 AS id")
    with another_command(data_dir) as user:
        server = running_pid(data_dir / "postgres")
        assert server is not None
        os.kill(server, signal.SIGKILL)
        user.kill()

    with running_cluster(data_dir, durable=False) as cluster:
        assert running_pid(cluster.folder) != server
        assert _answer(cluster.owner_url, "SELECT count(*) FROM kept") == 1


def test_a_server_that_ended_under_its_users_is_started_again_where_they_look_for_it(data_dir):
    with running_cluster(data_dir, durable=False) as cluster:
        server = running_pid(cluster.folder)
        assert server is not None
        revive(data_dir)
        assert running_pid(cluster.folder) == server
        os.kill(server, signal.SIGKILL)
        while running_pid(cluster.folder) is not None:
            pass

        revive(data_dir)
        assert running_pid(cluster.folder) != server
        assert _answer(cluster.owner_url, "SELECT 1") == 1
        assert _answer(cluster.url(OWNER, tcp=True), "SELECT 1") == 1
    assert running_pid(cluster.folder) is None


def test_a_stale_file_with_the_number_of_another_process_does_not_stop_a_start(data_dir):
    with running_cluster(data_dir, durable=False) as cluster:
        pass
    stale = cluster.folder / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{cluster.folder}\n0\n{cluster.port}\n{cluster.sockets}\n127.0.0.1\n")

    with running_cluster(data_dir, durable=False) as cluster:
        assert _answer(cluster.owner_url, "SELECT 1") == 1


def test_data_of_another_major_version_is_refused_with_what_to_do(data_dir):
    with running_cluster(data_dir, durable=False) as cluster:
        pass
    version_file = cluster.folder / "PG_VERSION"
    version = version_file.read_text()
    version_file.write_text("14\n")
    try:
        with pytest.raises(ClusterVersionChanged) as refusal, running_cluster(data_dir):
            pass
    finally:
        version_file.write_text(version)

    assert refusal.value.written_by == "14"
    assert "jalon db backup" in str(refusal.value)
    assert "jalon db restore" in str(refusal.value)


def test_a_cluster_whose_passwords_are_gone_is_refused(data_dir):
    with running_cluster(data_dir, durable=False):
        pass
    passwords = data_dir / "postgres.passwords.json"
    aside = passwords.rename(data_dir / "aside")
    try:
        with pytest.raises(ClusterSecretsLost, match="passwords"), running_cluster(data_dir):
            pass
    finally:
        aside.rename(passwords)


def test_a_folder_that_the_servers_account_cannot_enter_is_named():
    with tempfile.TemporaryDirectory() as closed:
        data_dir = Path(closed) / "jalon"
        data_dir.mkdir(mode=0o755)

        with pytest.raises(DataDirUnreachable, match="JALON_DATA_DIR") as refusal:
            open_the_way(data_dir, pwd.getpwnam("daemon"))

        assert refusal.value.blocked_by == Path(closed)


def test_a_closed_data_folder_is_opened_for_passing_but_not_for_reading():
    with tempfile.TemporaryDirectory() as data_dir:
        open_the_way(Path(data_dir), pwd.getpwnam("daemon"))

        assert stat.S_IMODE(Path(data_dir).stat().st_mode) == 0o711


def test_a_data_folder_with_a_long_name_gets_a_short_folder_for_its_socket(data_dir):
    assert socket_folder(data_dir, None) == data_dir / "run"

    deep = data_dir / ("long" * 30)
    short = socket_folder(deep, None)
    try:
        assert len(str(short / ".s.PGSQL.65535")) <= 107
        assert socket_folder(deep, None) == short
    finally:
        short.rmdir()


def test_passwords_are_readable_by_their_owner_only(data_dir):
    with running_cluster(data_dir, durable=False):
        pass

    assert stat.S_IMODE((data_dir / "postgres.passwords.json").stat().st_mode) == 0o600
    assert not list(data_dir.glob("run/*password*"))


def test_a_wrong_password_is_refused_on_the_socket_and_on_the_port(cluster):
    for tcp in (False, True):
        url = cluster.url(WEB, tcp=tcp).replace(cluster.passwords[WEB], "guess")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(libpq_url(url))


def test_the_server_listens_on_the_loopback_only(cluster):
    assert _answer(cluster.url(OWNER, tcp=True), "SELECT 1") == 1
    assert _answer(cluster.admin_url, "SHOW listen_addresses") == "127.0.0.1"


def test_no_role_but_the_superuser_may_pass_row_security_or_make_roles(cluster):
    with cluster.connect() as connection:
        rows = connection.execute(
            "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE 'jalon%%'"
            " AND NOT (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb) ORDER BY 1"
        ).fetchall()

    assert rows == [(APP, False), (OPEN, False), (OWNER, True), (WEB, True)]


def test_a_copied_database_has_the_rows_of_its_template_and_lets_only_jalon_in(cluster):
    cluster.create_database("copied")
    cluster.drop_database("copy")
    try:
        _execute(cluster.url(OWNER, "copied"), "CREATE TABLE kept AS SELECT ST_Point(1, 2) AS place")
        cluster.create_database("copy", template="copied")

        assert _answer(cluster.url(OWNER, "copy"), "SELECT ST_X(place) FROM kept") == 1
        assert _answer(cluster.url(WEB, "copy"), "SELECT 1") == 1
        assert _answer(cluster.admin_url, "SELECT has_database_privilege('pg_monitor', 'copy', 'CONNECT')") is False
    finally:
        cluster.drop_database("copy")
        cluster.drop_database("copied")


def test_only_a_server_for_tests_forgoes_fsync():
    assert "fsync" not in server_settings(Path("/run"), 1, durable=True)
    assert "fsync = 'off'" in server_settings(Path("/run"), 1, durable=False)


def _reachable_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="jalon-test-"))
    folder.chmod(0o755)
    return folder


def _answer(url: str, query: str) -> object:
    with psycopg.connect(libpq_url(url)) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def _execute(url: str, statements: str) -> None:
    with psycopg.connect(libpq_url(url)) as connection:
        connection.execute(statements)
