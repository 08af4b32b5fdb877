"""The PostgreSQL programs of this machine: where they are, and how to run them for a private cluster.

PostgreSQL refuses to run as root, so root runs it as the account `postgres` that the packages create.
"""

import os
import pwd
import re
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

SERVER_ACCOUNT = "postgres"
OLDEST_MAJOR = 15
INSTALL_LINE = "apt-get install -y postgresql-15-postgis-3"

# sockaddr_un holds 108 bytes with its final zero; PostgreSQL adds the file name to the folder.
_LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.65535")


class ClusterError(Exception):
    """The private cluster cannot be used; the message says what to do about it."""


class PostgresNotInstalled(ClusterError):
    """No PostgreSQL server of a usable version, or none with PostGIS, is on this machine."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail}. Install it as root: {INSTALL_LINE}")


class ClusterVersionChanged(ClusterError):
    """The data was written by a PostgreSQL major version that is no longer installed."""

    def __init__(self, folder: Path, *, written_by: str, installed: Sequence[int]) -> None:
        self.written_by = written_by
        self.installed = installed
        have = " and ".join(str(major) for major in installed)
        super().__init__(
            f"{folder} was written by PostgreSQL {written_by}, but this machine has {have}. "
            f"Install postgresql-{written_by}-postgis-3 beside it, run 'jalon db backup FILE', move {folder} away, "
            f"remove the old packages, and run 'jalon db restore FILE' with the new version."
        )


class DataDirUnreachable(ClusterError):
    """The account that runs the server cannot enter a folder on the way to the data."""

    def __init__(self, data_dir: Path, blocked_by: Path) -> None:
        self.blocked_by = blocked_by
        super().__init__(
            f"the user '{SERVER_ACCOUNT}' cannot enter {blocked_by}, so it cannot keep a database in {data_dir}. "
            "Set JALON_DATA_DIR to a folder outside it, for example /var/lib/jalon."
        )


def find_bin_dir(folder: Path) -> Path:
    """Find the programs that can run the cluster in `folder`, or the newest ones where it is not made yet.

    Raises:
        PostgresNotInstalled: there are none, or only versions older than `OLDEST_MAJOR`.
        ClusterVersionChanged: the cluster was written by a version that is not here.
    """
    installed = _installed_servers()
    version_file = folder / "PG_VERSION"
    if version_file.exists():
        written_by = version_file.read_text().strip()
        if not installed:
            raise PostgresNotInstalled("PostgreSQL is not installed")
        for major, bin_dir in installed.items():
            if str(major) == written_by:
                return bin_dir
        raise ClusterVersionChanged(folder, written_by=written_by, installed=sorted(installed))
    usable = [major for major in installed if major >= OLDEST_MAJOR]
    if not usable:
        raise PostgresNotInstalled(f"PostgreSQL {OLDEST_MAJOR} or newer is not installed")
    return installed[max(usable)]


def find_client_dir() -> Path:
    """Find the newest `psql`, `pg_dump` and `pg_restore`, which also serve older servers.

    Raises:
        PostgresNotInstalled: there are none.
    """
    installed = _installed_servers()
    if installed:
        return installed[max(installed)]
    psql = shutil.which("psql")
    if psql is None:
        raise PostgresNotInstalled("PostgreSQL's client programs are not installed")
    return Path(psql).resolve().parent


def run_as_server(command: Sequence[str | Path]) -> tuple[int, str]:
    """Run one of PostgreSQL's programs as the account that runs the server; answers its exit code and output."""
    account = server_account()
    # A file, not a pipe: a server started by pg_ctl keeps its outputs open for as long as it lives.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_server_environment(),
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else os.getgrouplist(account.pw_name, account.pw_gid),
            start_new_session=True,
            check=False,
        )
        output.seek(0)
        return done.returncode, output.read().decode(errors="replace").strip()


def server_account() -> pwd.struct_passwd | None:
    """The account to run the server as; None for the caller's own.

    Raises:
        PostgresNotInstalled: the caller is root and the packages' account is missing.
    """
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SERVER_ACCOUNT)
    except KeyError:
        raise PostgresNotInstalled(f"the user '{SERVER_ACCOUNT}' does not exist") from None


def give(path: Path, account: pwd.struct_passwd | None) -> None:
    """Make the server's account the owner of a file or folder."""
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def open_the_way(data_dir: Path, account: pwd.struct_passwd) -> None:
    """Let the server's account pass through the data folder (not read it).

    Raises:
        DataDirUnreachable: a folder above it is closed, which is not ours to change.
    """
    if not _may_enter(data_dir, account):
        data_dir.chmod(data_dir.stat().st_mode | stat.S_IXOTH | stat.S_IXGRP)
    for folder in data_dir.resolve().parents:
        if not _may_enter(folder, account):
            raise DataDirUnreachable(data_dir, folder)


def socket_folder(data_dir: Path, account: pwd.struct_passwd | None) -> Path:
    """Folder for the unix socket: in the data folder, or a short one where that path is too long for a socket."""
    folder = data_dir / "run"
    if len(os.fsencode(folder)) <= _LONGEST_SOCKET_FOLDER:
        return folder
    name = sha256(os.fsencode(data_dir)).hexdigest()[:12]
    # Not $TMPDIR, which may be as long. A folder that somebody else put there first is refused below.
    folder = Path("/tmp") / f"jalon-{os.geteuid()}-{name}"  # noqa: S108
    folder.mkdir(mode=0o755, exist_ok=True)
    owner = os.geteuid() if account is None else account.pw_uid
    if folder.is_symlink() or folder.stat().st_uid not in {owner, os.geteuid()}:
        raise ClusterError(f"{folder} belongs to somebody else; remove it")
    give(folder, account)
    return folder


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a loopback port at this moment."""
    with socket.socket() as probe:
        # As PostgreSQL does it: connections that have ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def postmaster_lines(folder: Path) -> list[str]:
    """Lines of the server's own lock file: pid, folder, start time, port, socket folder, ...; empty if none."""
    try:
        return (folder / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def running_pid(folder: Path) -> int | None:
    """Process id of the server that runs on a cluster's folder; None where none does.

    A file left by a killed server does not count, nor does another process that got its number since.
    """
    lines = postmaster_lines(folder)
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return pid if _is_server_of(pid, folder) else None


def server_settings(sockets: Path, port: int, *, durable: bool) -> str:
    """Text of the configuration file for a server with these folders and port; sized by the machine's memory."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    settings: dict[str, str | int] = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": str(sockets),
        "max_connections": 200,
        "shared_buffers": f"{min(max(memory_mb // 8, 64), 2048)}MB",
        "effective_cache_size": f"{max(memory_mb // 2, 256)}MB",
        "work_mem": "16MB",
        "maintenance_work_mem": "128MB",
        "max_wal_size": "2GB",
        "random_page_cost": "1.1",
        # Queries are short: compiling one takes longer than running it.
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "password_encryption": "scram-sha-256",
        "logging_collector": "on",
        "log_directory": "log",
        "log_filename": "postgresql-%a.log",
        "log_truncate_on_rotation": "on",
        "log_rotation_age": "1d",
        # A failed statement would carry residents' words and places into the log.
        "log_min_error_statement": "panic",
        "log_parameter_max_length_on_error": 0,
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in settings.items())


def _server_environment() -> dict[str, str]:
    """Ours without what would steer the server elsewhere (PGDATA, PGPORT, ...) or translate its messages."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C.UTF-8"}


def _quoted(value: str | int) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _installed_servers() -> dict[int, Path]:
    """Folders with a PostgreSQL server, by major version."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    on_path = shutil.which("postgres")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    found: dict[int, Path] = {}
    for folder in folders:
        if not all((folder / program).exists() for program in ("postgres", "initdb", "pg_ctl")):
            continue
        output = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
        version = re.search(r"PostgreSQL\) (\d+)", output.stdout)
        if version:
            found.setdefault(int(version[1]), folder)
    return found


def _is_server_of(pid: int, folder: Path) -> bool:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        # No /proc on this system (or the process has just ended, which the caller's next look shows).
        return not Path("/proc/self").exists()
    return os.fsencode(folder) in arguments


def _may_enter(folder: Path, account: pwd.struct_passwd) -> bool:
    status = folder.stat()
    if status.st_uid == account.pw_uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid in os.getgrouplist(account.pw_name, account.pw_gid):
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
