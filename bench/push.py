"""`make bench-push`: from a change of status to the provider, for everybody who follows one issue.

Two workers tell the followers and push to them through a stand-in of the provider in a process of its own, which
answers at once or after 50 ms; all three at nice 10, among sessions too, so that the server's turns come first, which
the real provider takes none of. Beside it, in the same run, a loop of `send_each` of the provider's own library sends
messages in batches of 500, in one process, and in two; it looks nobody up and records nothing. Meanwhile a server
answers reports, whose latency is compared with that of a quiet machine, once the first have been answered. Prints rates
and ratios; times on a busy machine say little.
"""

import argparse
import asyncio
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen
from uuid import UUID

import httpx
import psycopg
from rich.console import Console

from bench.crash import places
from bench.drill import hire_agent
from bench.phones import report_body
from bench.processes import cpu_s
from bench.servers import Child, Server, jalon_environment, leave_on_sigterm, running
from bench.stage import CITY, empty_stage
from db.base import new_id
from db.postgres import running_pid
from media.niceness import weigh_session

_WORKERS = 2
_NICENESS = 10
_LOOK_EVERY_S = 0.05
_WARM_UP_S = 3.0
_QUIET_S = 15.0
_PATIENCE_S = 1800.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# What firebase-admin itself does, as its documentation shows it; only sign-in and address are the stand-in's.
_THEIRS = """
import json, logging, sys, time, firebase_admin, requests
from firebase_admin import _http_client, credentials, messaging
from google.auth.transport.requests import Request
account, url, first, count = json.load(open(sys.argv[1])), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
certificate = credentials.Certificate(account)
app = firebase_admin.initialize_app(certificate, {"projectId": certificate.project_id})
service = messaging._get_messaging_service(app)
token = certificate.get_credential()
token.refresh(Request())
session = requests.Session()
session.headers["Authorization"] = f"Bearer {token.token}"
service._client = _http_client.JsonHttpClient(session=session)
# As the library has it for FCM's own host.
session.mount(url, requests.adapters.HTTPAdapter(100, 100, max_retries=_http_client.DEFAULT_RETRY_CONFIG))
logging.disable()  # it warns of each connection that its pool has no room for
service._fcm_url = f"{url}/v1/projects/{account['project_id']}/messages:send"
def message(n):
    return messaging.Message(
        fid=f"theirs-{n}", data={"event_id": "0"},
        notification=messaging.Notification(title="Nid-de-poule : problème réglé", body="Réglé."),
        android=messaging.AndroidConfig(collapse_key="0", priority="high"),
    )
began, spent = time.perf_counter(), time.process_time()
for start in range(first, first + count, 500):
    batch = messaging.send_each([message(n) for n in range(start, min(start + 500, first + count))])
    assert batch.failure_count == 0, [answer.exception for answer in batch.responses if answer.exception][:1]
print(time.perf_counter() - began, time.process_time() - spent)
"""


class StandIn:
    """The provider's stand-in in a process of its own."""

    def __init__(self, url: str) -> None:
        """Talk to the stand-in at a URL."""
        self._url = url

    def delay(self, seconds: float) -> None:
        """Answer each message so much later from now on, and forget what came."""
        self._call("DELETE", "/faults")
        self._call("DELETE", "/messages")
        if seconds:
            self._call("POST", "/faults", {"code": "DELAY", "count": None, "delay_s": seconds})

    def count(self) -> int:
        """How many messages it has taken."""
        return int(self._call("GET", "/count")["accepted"])

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self._url + path, data=data, method=method), timeout=60) as answer:
            content = answer.read()
        return json.loads(content) if content else None


@contextmanager
def running_provider(credentials: Path) -> Iterator[tuple[str, int]]:
    """Run the stand-in as a process; gives its URL once it listens, and its id."""
    process = subprocess.Popen(
        ["nice", "-n", str(_NICENESS), sys.executable, "-m", "api.demo.fcm_standin", "--credentials", str(credentials)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        weigh_session(_NICENESS, leader=process.pid)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


class Reports:
    """Somebody who reports all the time, and how long each answer takes; see `bench.reporter`."""

    def __init__(self, url: str, secret: str) -> None:
        """Report to a server as an agent."""
        self._url, self._secret = url, secret
        self._seconds: list[float] = []
        self._places_used = 0

    def __enter__(self) -> Self:
        """Begin."""
        command = [sys.executable, "-m", "bench.reporter", self._url, str(self._places_used)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(self._secret, file=self._process.stdin, flush=True)
        self._process.stdout.readline()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        printed, _nothing = self._process.communicate()
        self._seconds = json.loads(printed)
        self._places_used += len(self._seconds)

    def p99_ms(self) -> float:
        """The time that 99 of 100 answers took at most."""
        return statistics.quantiles(self._seconds, n=100)[98] * 1000


def follow_all(connection: psycopg.Connection, issue_id: str, followers: int) -> None:
    """Have so many people with a phone each follow an issue."""
    named = {"issue": issue_id, "followers": followers}
    connection.execute(
        """
        INSERT INTO device (id, person_id, platform, locale, push_kind, push_address, refreshed_at, created_at)
        SELECT md5('device' || n)::uuid, md5('person' || n)::uuid, 'android', 'fr-CA', 'fid', 'ours-' || n, now(), now()
        FROM generate_series(1, %(followers)s) AS n
        """,
        named,
    )
    connection.execute(
        """
        INSERT INTO follow (city_id, issue_id, person_id, following, at)
        SELECT city_id, id, md5('person' || n)::uuid, true, now()
        FROM issue, generate_series(1, %(followers)s) AS n WHERE id = %(issue)s
        """,
        named,
    )
    connection.execute("ANALYZE device, follow")


def measure_ours(stage: "_Bench", *, delay_s: float, followers: int, status: str, console: Console) -> dict[str, float]:
    """Change the issue's status and wait until the provider has a message for each follower."""
    stage.provider.delay(delay_s)
    memory: list[int] = []
    spent_s = stage.cpu_s()
    told_s: float | None = None
    with stage.reports:
        began = time.perf_counter()
        event_id = new_id()
        body = {"id": str(event_id), "status": status}
        headers = {"Authorization": f"Bearer {stage.secret}"}
        path = f"{stage.server.url}/v1/issues/{stage.issue_id}/status"
        httpx.post(path, headers=headers, json=body, timeout=60).raise_for_status()
        while (count := stage.provider.count()) < followers:
            if told_s is None and stage.told(event_id):
                told_s = time.perf_counter() - began
            memory.append(max(_memory_bytes(worker.pid) for worker in stage.workers))
            if time.perf_counter() - began > _PATIENCE_S:
                raise TimeoutError(f"{count} of {followers} after half an hour")
            time.sleep(_LOOK_EVERY_S)
        took_s = time.perf_counter() - began
    told_s = told_s or took_s
    spent_ms = {who: (seconds - spent_s[who]) / followers * 1000 for who, seconds in stage.cpu_s().items()}
    console.print("CPU ms a message: " + ", ".join(f"{who} {ms:.2f}" for who, ms in spent_ms.items()))
    console.print(f"ours at {delay_s * 1000:.0f} ms: {followers / took_s:.0f}/s, told in {told_s:.1f} s")
    return {
        "per_s": followers / took_s,
        "workers_cpu_ms": spent_ms["workers"],
        "fan_out_rows_per_s": followers / told_s,
        "api_p99_ms": stage.reports.p99_ms(),
        "memory_first_mb": memory[len(memory) // 10] / 1e6,
        "memory_last_mb": memory[-1] / 1e6,
    }


def measure_theirs(
    stage: "_Bench", *, delay_s: float, messages: int, processes: int, console: Console
) -> tuple[float, float]:
    """Send messages with the provider's own loop, as it comes, in one process or more.

    Returns:
        Messages a second, and the loops' processor time for one in milliseconds.
    """
    stage.provider.delay(delay_s)
    share = messages // processes
    arguments = [sys.executable, "-W", "ignore", "-c", _THEIRS, str(stage.credentials), stage.provider_url]
    commands = [["nice", "-n", "10", *arguments, str(n * share), str(share)] for n in range(processes)]
    loops = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    # Without the seconds that its import takes: ours has been running.
    took_s, spent_s = zip(*(map(float, loop.communicate()[0].split()) for loop in loops), strict=True)
    per_s = share * processes / max(took_s)
    spent_ms = sum(spent_s) / (share * processes) * 1000
    console.print(
        f"send_each at {delay_s * 1000:.0f} ms, processes: {processes}: {per_s:.0f}/s, CPU ms a message: {spent_ms:.2f}"
    )
    return per_s, spent_ms


class _Bench:
    """The processes and what they work on."""

    def __init__(self, stack: ExitStack, folder: Path, followers: int) -> None:
        database = stack.enter_context(empty_stage(folder))
        self._cluster = database.cluster
        self.credentials = folder / "fcm.json"
        self.provider_url, self.provider_pid = stack.enter_context(running_provider(self.credentials))
        self.provider = StandIn(self.provider_url)
        self.secret = asyncio.run(hire_agent(database.app_url, CITY))
        environment = jalon_environment(
            database.app_url, folder / "data", fcm_url=self.provider_url, fcm_credentials=str(self.credentials)
        )
        self.server = Server(environment, folder / "serve.log")
        self.workers = [Child(["work"], environment, folder / f"work-{n}.log", _NICENESS) for n in range(_WORKERS)]
        stack.enter_context(running([self.server, *self.workers]))
        self.judge = stack.enter_context(database.cluster.connect(database.database))
        headers = {"Authorization": f"Bearer {self.secret}"}
        self.reports = Reports(self.server.url, self.secret)
        body = report_body(new_id(), "trottoir", next(places()))
        answer = httpx.post(f"{self.server.url}/v1/reports", headers=headers, json=body, timeout=60).json()
        self.issue_id = answer["issue"]["id"]
        follow_all(self.judge, self.issue_id, followers)

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds so far, by who took them."""
        postmaster = running_pid(self._cluster.folder)
        assert postmaster is not None
        pids = {
            "workers": [worker.pid for worker in self.workers],
            "database": [postmaster],
            "stand-in": [self.provider_pid],
            "server": [self.server.pid],
        }
        return {who: cpu_s(some) for who, some in pids.items()}

    def told(self, event_id: UUID) -> bool:
        """Whether the fan-out of an event is over."""
        row = self.judge.execute("SELECT told_at IS NOT NULL FROM notice WHERE event_id = %s", (event_id,)).fetchone()
        return row == (True,)


def _memory_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--followers", type=int, default=100_000)
    parser.add_argument("--theirs", type=int, default=20_000, help="messages for the provider's own loop")
    parser.add_argument("--delays", type=int, nargs="+", default=[0, 50], help="of the provider's answers, in ms")
    options = parser.parse_args()
    console = Console(stderr=True)
    leave_on_sigterm()
    found: dict[str, Any] = {"bench": "push", "followers": options.followers}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jalon-bench-")))
        folder.chmod(0o755)  # the database server runs under an account of its own
        stage = _Bench(stack, folder, options.followers)
        # The first requests find nothing prepared: they say nothing about a quiet machine.
        for look_s in (_WARM_UP_S, _QUIET_S):
            with stage.reports:
                time.sleep(look_s)
        found["api_p99_quiet_ms"] = stage.reports.p99_ms()
        for delay_ms, status in zip(options.delays, itertools.cycle(("acknowledged", "scheduled")), strict=False):
            delay_s = delay_ms / 1000
            ours = measure_ours(stage, delay_s=delay_s, followers=options.followers, status=status, console=console)
            loops = {
                processes: measure_theirs(
                    stage, delay_s=delay_s, messages=options.theirs, processes=processes, console=console
                )
                for processes in (1, _WORKERS)
            }
            (one_per_s, cpu_ms), (two_per_s, _) = loops[1], loops[_WORKERS]
            ratios = {"send_each_per_s": one_per_s, "ratio": ours["per_s"] / one_per_s, "send_each_cpu_ms": cpu_ms}
            ratios |= {"two_send_each_per_s": two_per_s, "ratio_to_two": ours["per_s"] / two_per_s}
            ratios["api_p99_ratio"] = ours["api_p99_ms"] / found["api_p99_quiet_ms"]
            found[f"at_{delay_ms}_ms"] = {name: round(value, 2) for name, value in (ours | ratios).items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
