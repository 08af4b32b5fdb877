"""The demo: a whole Jalon on one machine, with Montréal and Laval, its story told once, serving until stopped.

Everything real: a private PostGIS cluster, the server and the worker as processes of their own, Firebase's library.
Only Firebase itself is stood in for, unless credentials for it are given.
"""

import asyncio
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console

from api.demo.place import CREW, HOME, PACKS, SAMPLES, TIMEZONE
from api.demo.processes import DemoFailed, Process, local_host, running, wait_until_serving
from api.demo.progress import step
from api.settings import Settings
from api.stopping import said_at_once, take_sigterm_as_interrupt
from db.cluster import DATABASE, Cluster, revive, running_cluster
from db.private_files import write_private
from db.revisions import current_revision, newest_revision


@dataclass(frozen=True, slots=True)
class _Push:
    """Where pushes go: the key file, FCM's base address, and the stand-in's address if it is one."""

    credentials: Path
    url: str
    standin_url: str | None

    @property
    def environment(self) -> dict[str, str]:
        """What tells the worker."""
        return {"JALON_FCM_CREDENTIALS": str(self.credentials), "JALON_FCM_URL": self.url}


def run_demo(settings: Settings, console: Console) -> None:
    """Set up, fill, start, tell the story if it has not been told in this data folder, and serve until stopped.

    A second run finds its data and starts in seconds. `demo.json` in the data folder, for programs that play with
    the demo, is there while it serves and tells addresses and tokens.

    Raises:
        DemoFailed: a process did not start, or something ended that should not have.
        StoryBroke: the story did not go as told.
    """
    take_sigterm_as_interrupt()
    handed_out = settings.data_dir / "demo.json"

    @cache  # once, whoever notices first
    def say_stopping() -> None:
        # Past the console: a handler may come while that is in the middle of another line, and mix the two.
        os.write(console.file.fileno(), b"\nStopping ...\n" if console.is_terminal else b"Stopping ...\n")

    try:
        with ExitStack() as stack:
            _be_the_only_one(settings, stack)
            handed_out.unlink(missing_ok=True)
            try:
                _run(settings, console, handed_out, stack, say_stopping)
            except KeyboardInterrupt:
                say_stopping()
                raise
    except KeyboardInterrupt:
        console.print("Stopped; the data is kept.")


def _be_the_only_one(settings: Settings, stack: ExitStack) -> None:
    """Hold the data folder, and see that the port is free.

    Raises:
        DemoFailed: another demo has the one, or some program the other.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    lock = stack.enter_context((settings.data_dir / "demo.lock").open("a"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DemoFailed(f"a demo is running in {settings.data_dir}; set JALON_DATA_DIR to another folder") from error
    try:
        socket.create_server((settings.host, settings.port)).close()
    except OSError as error:
        raise DemoFailed(f"port {settings.port} is taken; set JALON_PORT to another") from error


def _run(
    settings: Settings, console: Console, handed_out: Path, stack: ExitStack, say_stopping: Callable[[], None]
) -> None:
    with step(console, "Starting PostgreSQL"):
        cluster = stack.enter_context(running_cluster(settings.data_dir))
    with step(console, "Bringing the database up to date"):
        _migrate(cluster)
    # A process loads for longer than anything else takes here once the data is there: each starts as soon as it
    # can, and what only a first run needs is loaded by a first run.
    environment = _environment(settings, cluster)
    server = stack.enter_context(running("serve", environment))
    push = stack.enter_context(_push(settings, console))
    worker = stack.enter_context(running("work", environment | push.environment))
    told, tokens = settings.data_dir / "demo-story-told", settings.data_dir / "demo-tokens.json"
    if not (told.exists() and tokens.exists() and _are_loaded(cluster)):
        from api.demo.filling import fill

        asyncio.run(said_at_once(fill(cluster, settings, console, tokens=tokens), say_stopping))
    with step(console, "Waiting for the server"):
        wait_until_serving(settings, server, HOME)
    programs = _what_programs_need(settings, push, json.loads(tokens.read_text()))
    if not told.exists():
        _tell_story(programs, console)
        told.touch()
    write_private(handed_out, json.dumps(programs, indent=2))
    stack.callback(handed_out.unlink, missing_ok=True)
    _say_where(console, programs, handed_out)
    _serve_until_stopped({"server": server, "worker": worker}, settings.data_dir, console)


def _migrate(cluster: Cluster) -> None:
    with cluster.connect(DATABASE) as connection:
        stands_at = current_revision(connection)
    if stands_at != newest_revision():
        from db.migrate import upgrade

        upgrade(cluster.owner_url)


def _are_loaded(cluster: Cluster) -> bool:
    """Whether the cities stand in the database as their packs say."""
    from issues.packs.fingerprint import is_loaded

    with cluster.connect(DATABASE) as connection:
        return all(is_loaded(connection, folder) for folder in PACKS)


def _environment(settings: Settings, cluster: Cluster) -> dict[str, str]:
    """Get what server and worker are told."""
    return {
        "JALON_DATABASE_URL": cluster.app_url,
        "JALON_DATA_DIR": str(settings.data_dir),
        "JALON_STORAGE_URL": settings.photos_url,
        "JALON_LOG_LEVEL": os.environ.get("JALON_LOG_LEVEL", "warning"),
    }


@contextmanager
def _push(settings: Settings, console: Console) -> Iterator[_Push]:
    if settings.fcm_credentials is not None:
        yield _Push(settings.fcm_credentials, settings.fcm_url, None)
        return
    from api.demo.fcm_standin import describe_push, running_standin

    credentials = settings.data_dir / "demo-fcm.json"
    with running_standin(
        credentials,
        on_push=lambda push: console.print(
            f"push  {describe_push(push)}", highlight=False, markup=False, soft_wrap=True
        ),
    ) as url:
        yield _Push(credentials, url, url)


def _what_programs_need(settings: Settings, push: _Push, tokens: dict[str, str]) -> dict[str, Any]:
    host = local_host(settings)
    return {
        "base_url": f"http://{f'[{host}]' if ':' in host else host}:{settings.port}",
        "jurisdiction_id": HOME,
        "tokens": tokens,
        "crew": CREW,
        "fcm_standin_url": push.standin_url,
    }


def _tell_story(programs: Mapping[str, Any], console: Console) -> None:
    from api.demo.story import Stage, tell_story

    stage = Stage(
        base_url=programs["base_url"],
        jurisdiction_id=HOME,
        timezone=TIMEZONE,
        agent_token=programs["tokens"]["agent"],
        crew_token=programs["tokens"]["crew"],
        crew=CREW,
        fcm_standin_url=programs["fcm_standin_url"],
        photos=SAMPLES / "photos",
    )
    asyncio.run(tell_story(stage, lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True)))


def _say_where(console: Console, programs: Mapping[str, Any], handed_out: Path) -> None:
    base_url, standin_url = programs["base_url"], programs["fcm_standin_url"]
    for what, where in (
        ("API, to try out", f"{base_url}/docs"),
        ("Issues as GeoJSON", f"{base_url}/v1/issues?jurisdiction_id={HOME}"),
        ("A map of a place", f"{base_url}/v1/minimap.svg?lat=45.5247&long=-73.5809"),
        ("Who answers there", f"{base_url}/v1/where?lat=45.5247&long=-73.5809&service_code=nid-de-poule"),
        ("Ready", f"{base_url}/readyz"),
        ("Pushes that came", f"{standin_url}/messages" if standin_url else "at Firebase"),
        ("Tokens of the staff", str(handed_out)),
    ):
        console.print(f"  {what:20} {where}", highlight=False, markup=False, soft_wrap=True)
    console.print("Jalon is running; Ctrl-C stops it.", highlight=False)


def _serve_until_stopped(processes: Mapping[str, Process], data_dir: Path, console: Console) -> None:
    """Wait until somebody stops the demo (KeyboardInterrupt); start PostgreSQL again if it ended by itself.

    Raises:
        DemoFailed: the server or the worker ended by itself.
        ClusterError: PostgreSQL ended and does not start any more.
    """
    while True:
        revive(data_dir, before=lambda: console.print("PostgreSQL has ended; starting it again.", highlight=False))
        for name, process in processes.items():
            if process.poll() is not None:
                raise DemoFailed(f"the {name} ended with status {process.returncode}")
        time.sleep(0.5)
