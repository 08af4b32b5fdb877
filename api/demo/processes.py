"""The demo's server and worker: processes of their own, as in real life."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from api.settings import Settings

Process = subprocess.Popen[bytes]

_READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.1
_LOOK_PATIENCE_S = 5.0


class DemoFailed(Exception):
    """The demo cannot go on; the message says why."""


@contextmanager
def running(command: str, environment: Mapping[str, str]) -> Iterator[Process]:
    """Run one of our commands beside the block, and stop it gently after it.

    Args:
        command: `serve` or `work`.
        environment: What is set for it beside what this process inherited.
    """
    jalon = str(Path(sys.executable).with_name("jalon"))
    # The kernel stops a child if the demo is killed; a session of its own leaves Ctrl-C to the demo.
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", jalon, command], env=os.environ | environment, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            _stop(process)


def _stop(process: Process) -> None:
    process.terminate()
    try:
        process.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()


def wait_until_serving(settings: Settings, server: Process, jurisdiction_id: str) -> None:
    """Wait until the server is ready and has seen a city.

    Raises:
        DemoFailed: it ended, or was not ready in time.
    """
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise DemoFailed(f"the server ended; if port {settings.port} is taken, set JALON_PORT to another")
        if _answers(settings, "/readyz") and _answers(settings, f"/v1/services?jurisdiction_id={jurisdiction_id}"):
            return
        time.sleep(_LOOK_EVERY_S)
    raise DemoFailed(f"the server was not ready within {_READY_WITHIN_S:.0f} s")


def _answers(settings: Settings, path: str) -> bool:
    connection = HTTPConnection(local_host(settings), settings.port, timeout=_LOOK_PATIENCE_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def local_host(settings: Settings) -> str:
    """Get the address that the server is reached at from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared only
