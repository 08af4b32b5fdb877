"""The demo as somebody sees it who has just typed `make demo`."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from db.postgres import running_pid

_WITHIN_S = 120


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="jalon-demo-") as folder:
        Path(folder).chmod(0o755)  # the database's server runs under an account of its own
        yield Path(folder)


@pytest.fixture
def demo(folder):
    """Starts the demo in the folder; it is stopped at the end of the test if it has not been."""
    started = []

    def start():
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        environment = os.environ | {"JALON_DATA_DIR": str(folder), "JALON_PORT": str(port)}
        environment.pop("JALON_TEST_DATA_DIR", None)
        process = subprocess.Popen(
            [Path(sys.executable).with_name("jalon"), "demo"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=_WITHIN_S)


def until_handed_out(process, folder):
    deadline = time.monotonic() + _WITHIN_S
    while not (folder / "demo.json").exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return json.loads((folder / "demo.json").read_text())


def kill_postgresql(folder, base_url):
    """Kill the private cluster's server; answers whether the API was ready again in time, by itself."""
    server = running_pid(folder / "postgres")
    assert server is not None
    os.kill(server, signal.SIGKILL)
    deadline = time.monotonic() + _WITHIN_S
    while time.monotonic() < deadline:
        if (
            running_pid(folder / "postgres") not in {server, None}
            and httpx.get(f"{base_url}/readyz", timeout=30).is_success
        ):
            return True
        time.sleep(0.1)
    return False


def stop(process):
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=_WITHIN_S)
    return said


def test_stopped_in_the_middle_it_goes_on_tells_the_story_once_and_keeps_its_city(demo, folder):
    broken_off = demo()
    for line in broken_off.stdout:
        if line.startswith("Loading the city pack laval"):
            break
    said = stop(broken_off)

    first = demo()
    handed_out = until_handed_out(first, folder)
    mode = (folder / "demo.json").stat().st_mode & 0o777
    agent = {"Authorization": f"Bearer {handed_out['tokens']['agent']}"}
    before = httpx.get(f"{handed_out['base_url']}/v1/issues?limit=1000", headers=agent).json()["features"]
    laval = httpx.get(f"{handed_out['base_url']}/v1/issues?jurisdiction_id=laval.ca&limit=1000").json()["features"]
    story = stop(first)

    second = demo()
    again = until_handed_out(second, folder)
    after = httpx.get(f"{again['base_url']}/v1/issues?limit=1000", headers=agent).json()["features"]
    revived = kill_postgresql(folder, again["base_url"])
    short = stop(second)

    assert (said.count("Stopping ..."), said.count("Stopped")) == (1, 1)
    assert mode == 0o600
    assert set(handed_out) == {"base_url", "jurisdiction_id", "tokens", "crew", "fcm_standin_url"}
    assert set(handed_out["tokens"]) == {"agent", "crew", "manager", "admin"}
    assert "Ben reported it from 6 m away: joined" in story
    assert "Each phone got each of the three pushes exactly once" in story
    assert story.count("\npush ") == 6
    assert len(before) > 100
    assert len(laval) > 20
    assert [issue["id"] for issue in after] == [issue["id"] for issue in before]
    assert "Anna" not in short
    assert revived
    assert "PostgreSQL has ended; starting it again." in short
    assert (broken_off.returncode, first.returncode, second.returncode) == (0, 0, 0)
    assert not (folder / "demo.json").exists()
