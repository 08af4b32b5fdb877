"""`jalon` commands as processes, and waiting for what they do."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from db.base import new_id
from tests.issues.towns import ESSAI

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120
_JALON = "import sys; from api.cli import main; sys.argv[0] = 'jalon'; main()"


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def environment_of(database_url: str, data_dir: Path) -> dict[str, str]:
    """The environment of a process that works on a database."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JALON_", "DATABASE_URL"))}
    return inherited | {"JALON_DATABASE_URL": database_url, "JALON_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT)}


@contextmanager
def jalon(environment, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A running command; killed with all it started if the test leaves it running."""
    with subprocess.Popen(
        [sys.executable, "-c", _JALON, *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def serving(environment, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A server that is ready, and a client for it."""
    port = free_port()
    with (
        jalon(environment, "serve", "--port", str(port), *arguments) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Connection": "close"}) as client,
    ):
        wait_until(lambda: process.poll() is not None or answers(client, "/readyz"))
        assert process.poll() is None, process.stderr and process.stderr.read()
        yield process, client


def a_report() -> dict[str, Any]:
    """A report of a pothole in the town of the tests."""
    return {
        "id": str(new_id()),
        "service_code": "nid-de-poule",
        "lat": ESSAI.middle.lat,
        "long": ESSAI.middle.lon,
        "accuracy_m": 8,
        "location_source": "gps",
    }


def answers(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


def children_of(pid: int) -> list[int]:
    """Process ids of the servers that a server started (not of multiprocessing's own helper)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended may stay listed until somebody asks for its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition) -> None:
    """Look until a condition that another process brings about holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
