"""Jalon's own processes as children: started as an operator starts them, killed as nobody should."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

_READY_S = 60.0
_STOP_S = 30.0
# The command as the package declares it, run by this interpreter, installed or not.
_JALON = "import sys; from api.cli import main; sys.argv[0] = 'jalon'; main()"


class DidNotStart(Exception):
    """A process ended, or did not answer in time; carries the end of its log."""


@dataclass(slots=True)
class Child:
    """One `jalon` command, in a session of its own, as a service has one."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    niceness: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """Process id; the process has been started."""
        return self._running().pid

    def start(self) -> None:
        """Start it, with its output going to the end of its log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["nice", "-n", str(self.niceness), sys.executable, "-c", _JALON, *self.arguments],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill it and whatever it started, with SIGKILL, and wait until it is gone."""
        process = self._running()
        # The group outlives its leader as long as a child of it lives, so its number is not used again.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def ask_to_stop(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._running().terminate()

    def wait_until_stopped(self) -> None:
        """Wait until it has ended, and kill it if that takes half a minute."""
        process = self._running()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def has_ended(self) -> bool:
        """Whether it ended after it was started last."""
        return self._running().poll() is not None

    @property
    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]

    def check_alive(self) -> None:
        """Raise DidNotStart if the process has ended by itself."""
        if self.has_ended:
            raise DidNotStart(f"jalon {' '.join(self.arguments)} ended:\n{self.last_words}")

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process


class Server(Child):
    """`jalon serve` on a loopback port."""

    def __init__(self, environment: Mapping[str, str], log: Path, *, workers: int = 1) -> None:
        """Prepare a server on a port that is free now; its children share the port."""
        self.port = _free_port()
        super().__init__(
            ["serve", "--host", "127.0.0.1", "--port", str(self.port), "--workers", str(workers)], environment, log
        )

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        """Wait for `/readyz`.

        Raises:
            DidNotStart: it ended, or took a minute.
        """
        deadline = time.monotonic() + _READY_S
        while not _answers(f"{self.url}/readyz"):
            self.check_alive()
            if time.monotonic() > deadline:
                raise DidNotStart(f"no answer from {self.url}:\n{self.last_words}")
            time.sleep(0.05)


def jalon_environment(database_url: str, data_dir: Path, **settings: str) -> dict[str, str]:
    """Build the environment of processes on a database: ours without its settings of Jalon, and with these.

    Args:
        database_url: As the login that serves.
        data_dir: Where photos go.
        settings: By the lower-case name after ``JALON_``.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JALON_", "DATABASE_URL"))}
    own = {"JALON_DATABASE_URL": database_url, "JALON_DATA_DIR": str(data_dir)}
    own |= {f"JALON_{name.upper()}": value for name, value in settings.items()}
    own["PYTHONPATH"] = str(Path(__file__).parent.parent)
    if inherited.pop("PYTHONDONTWRITEBYTECODE", None):
        # Where compiled modules may not lie beside their sources, processes that start again and again read them here.
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        own["PYTHONPYCACHEPREFIX"] = str(Path(cache) / "jalon" / "bytecode")
    return inherited | own


def leave_on_sigterm() -> None:
    """Have this process leave by its blocks when it is told to end, so that no child outlives it."""

    def leave(_number: int, _frame: object) -> None:
        sys.exit(1)

    signal.signal(signal.SIGTERM, leave)


@contextmanager
def running(children: Sequence[Child]) -> Iterator[None]:
    """Start children, wait for those that serve, and stop them all at the end."""
    started: list[Child] = []
    try:
        for child in children:
            child.start()
            started.append(child)
        for child in children:
            if isinstance(child, Server):
                child.wait_until_ready()
        yield
    finally:
        for child in started:
            child.ask_to_stop()
        for child in started:
            child.wait_until_stopped()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False
