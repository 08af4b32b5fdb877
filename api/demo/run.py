"""The demo: a whole Jalon on one machine, with Montréal and Laval, its story told once, serving until stopped.

Everything real: a private PostGIS cluster, the server and the worker as processes of their own, Firebase's library.
Only Firebase itself is stood in for, unless credentials for it are given.
"""

import asyncio
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from api.demo.background import file_background
from api.demo.fcm_standin import describe_push, running_standin
from api.demo.progress import Advance, step
from api.demo.story import Stage, tell_story
from api.settings import Settings
from api.stopping import take_sigterm_as_interrupt
from db import migrate
from db.cluster import Cluster, revive, running_cluster
from db.private_files import write_private
from db.sessions import Database
from issues.actors import Actor, Role
from issues.city import CityBook, load_cities
from issues.packs.check import check_pack
from issues.packs.load import load_pack
from issues.staff import add_staff, list_staff
from media.store import open_store

_CITIES = Path(__file__).resolve().parents[2] / "cities"
_SAMPLES = _CITIES / "montreal" / "samples"
_HOME = "montreal.ca"
_CREW = "voirie-1"
_ROLES = (Role.AGENT, Role.CREW, Role.MANAGER, Role.ADMIN)
_READY_WITHIN_S = 60.0
_STOP_WITHIN_S = 30.0


class DemoFailed(Exception):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class _Push:
    """Where pushes go: the key file, FCM's base address, and the stand-in's address if it is one."""

    credentials: Path
    url: str
    standin_url: str | None


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
    try:
        with ExitStack() as stack:
            _be_the_only_one(settings, stack)
            handed_out.unlink(missing_ok=True)
            _run(settings, console, handed_out, stack)
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


def _run(settings: Settings, console: Console, handed_out: Path, stack: ExitStack) -> None:
    with step(console, "Starting PostgreSQL"):
        cluster = stack.enter_context(running_cluster(settings.data_dir))
    with step(console, "Bringing the database up to date"):
        migrate.upgrade(cluster.owner_url)
    push = stack.enter_context(_push(settings, console))
    processes = _start(settings, cluster, push, stack)  # they start while the city is filled
    city, tokens = asyncio.run(_fill(settings, cluster, console))
    with step(console, "Waiting for the server"):
        _wait_until_serving(settings, processes["server"])
    stage = Stage(
        base_url=_local_url(settings),
        jurisdiction_id=city.jurisdiction_id,
        timezone=city.timezone,
        agent_token=tokens[Role.AGENT],
        crew_token=tokens[Role.CREW],
        crew=_CREW,
        fcm_standin_url=push.standin_url,
        photos=_SAMPLES / "photos",
    )
    told = settings.data_dir / "demo-story-told"
    if not told.exists():
        asyncio.run(tell_story(stage, lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True)))
        told.touch()
    write_private(handed_out, json.dumps(_what_programs_need(stage, tokens), indent=2))
    stack.callback(handed_out.unlink, missing_ok=True)
    _say_where(console, stage, handed_out)
    _serve_until_stopped(processes, settings.data_dir, console)


async def _fill(settings: Settings, cluster: Cluster, console: Console) -> tuple[CityBook, dict[str, str]]:
    async with Database(cluster.owner_url, role=None) as owner:
        for name in ("montreal", "laval"):
            with step(console, f"Loading the city pack {name}") as advance:
                await _load(owner, _CITIES / name, advance)
    async with Database(cluster.app_url) as database:
        async with database.transaction() as session:
            city = (await load_cities(session)).by_jurisdiction(_HOME)
        if city is None:
            raise DemoFailed(f"{_HOME} is not there after loading it")
        tokens, agent = await _staff(database, city, settings.data_dir / "demo-tokens.json")
        with step(console, "Filing the reports of the last month") as advance:
            store = open_store(settings.photos_url)
            now = datetime.now(UTC)
            await file_background(database, store, city, _SAMPLES, agent=agent, now=now, advance=advance)
    return city, tokens


async def _load(owner: Database, folder: Path, advance: Advance) -> None:
    report = check_pack(folder)
    if report.pack is None:
        raise DemoFailed(f"the pack in {folder} has errors; jalon city check lists them")
    async with owner.transaction() as session:
        await load_pack(session, report.pack, now=datetime.now(UTC), progress=lambda _step, done, of: advance(done, of))


async def _staff(database: Database, city: CityBook, kept: Path) -> tuple[dict[str, str], Actor]:
    """Get the tokens of the demo's staff, one of each role, and the agent; the same at each start."""
    async with database.transaction(city.id) as session:
        there = await list_staff(session, city.id)
        tokens = _read(kept) if there else None
        if tokens is None:
            tokens = {}
            for role in _ROLES:
                crew = _CREW if role is Role.CREW else None
                added = await add_staff(
                    session, city.id, name=f"Demo {role}", role=role, crew_code=crew, now=datetime.now(UTC)
                )
                tokens[role.value] = added.secret
            there = await list_staff(session, city.id)
            write_private(kept, json.dumps(tokens, indent=2))
    agent = next(person for person in there if person.role is Role.AGENT)
    return tokens, agent.actor


@contextmanager
def _push(settings: Settings, console: Console) -> Iterator[_Push]:
    if settings.fcm_credentials is not None:
        yield _Push(settings.fcm_credentials, settings.fcm_url, None)
        return
    credentials = settings.data_dir / "demo-fcm.json"
    with running_standin(
        credentials,
        on_push=lambda push: console.print(
            f"push  {describe_push(push)}", highlight=False, markup=False, soft_wrap=True
        ),
    ) as url:
        yield _Push(credentials, url, url)


def _start(settings: Settings, cluster: Cluster, push: _Push, stack: ExitStack) -> dict[str, "subprocess.Popen[bytes]"]:
    """Start server and worker; the stack stops them gently."""
    environment = os.environ | {
        "JALON_DATABASE_URL": cluster.app_url,
        "JALON_DATA_DIR": str(settings.data_dir),
        "JALON_STORAGE_URL": settings.photos_url,
        "JALON_FCM_CREDENTIALS": str(push.credentials),
        "JALON_FCM_URL": push.url,
        "JALON_LOG_LEVEL": os.environ.get("JALON_LOG_LEVEL", "warning"),
    }
    jalon = str(Path(sys.executable).with_name("jalon"))
    processes = {}
    for name, command in (("server", "serve"), ("worker", "work")):
        # The kernel stops a child if the demo is killed; a session of its own leaves Ctrl-C to the demo.
        processes[name] = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", jalon, command], env=environment, start_new_session=True
        )
        stack.callback(_stop, processes[name])
    return processes


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_serving(settings: Settings, server: "subprocess.Popen[bytes]") -> None:
    """Wait until the server is ready and has seen the city.

    Raises:
        DemoFailed: it ended, or was not ready in time.
    """
    deadline = time.monotonic() + _READY_WITHIN_S
    with httpx.Client(base_url=_local_url(settings), timeout=5) as client:
        while time.monotonic() < deadline:
            if server.poll() is not None:
                raise DemoFailed(f"the server ended; if port {settings.port} is taken, set JALON_PORT to another")
            with suppress(httpx.TransportError):
                if client.get("/readyz").is_success and client.get(f"/v1/services?jurisdiction_id={_HOME}").is_success:
                    return
            time.sleep(0.1)
    raise DemoFailed(f"the server was not ready within {_READY_WITHIN_S:.0f} s")


def _local_url(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 - compared only
    return f"http://{host}:{settings.port}"


def _what_programs_need(stage: Stage, tokens: dict[str, str]) -> dict[str, Any]:
    return {
        "base_url": stage.base_url,
        "jurisdiction_id": stage.jurisdiction_id,
        "tokens": tokens,
        "crew": stage.crew,
        "fcm_standin_url": stage.fcm_standin_url,
    }


def _read(path: Path) -> dict[str, str] | None:
    try:
        content: dict[str, str] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return content


def _say_where(console: Console, stage: Stage, handed_out: Path) -> None:
    query = f"jurisdiction_id={stage.jurisdiction_id}"
    for what, where in (
        ("API, to try out", f"{stage.base_url}/docs"),
        ("Issues on a map", f"{stage.base_url}/v1/issues?{query}"),
        ("What is here", f"{stage.base_url}/v1/where?lat=45.5247&long=-73.5809"),
        ("Ready", f"{stage.base_url}/readyz"),
        ("Pushes that came", f"{stage.fcm_standin_url}/messages" if stage.fcm_standin_url else "at Firebase"),
        ("Tokens of the staff", str(handed_out)),
    ):
        console.print(f"  {what:20} {where}", highlight=False, markup=False, soft_wrap=True)
    console.print("Jalon is running; Ctrl-C stops it.", highlight=False)


def _serve_until_stopped(processes: dict[str, "subprocess.Popen[bytes]"], data_dir: Path, console: Console) -> None:
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
