"""`make drill-push`: many changes, many followers, processes killed, a provider that fails, a push host that hangs.

An agent changes issues and writes notes about them through two servers, while two workers push to the followers. All
the while one of the four after another is killed (SIGKILL). The provider refuses so many messages; one push host takes
messages and does not answer. In the end every notice to every follower must be delivered or accounted for.
"""

import argparse
import asyncio
import itertools
import json
import random
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen
from uuid import UUID

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console
from sqlalchemy import select, text

from api.demo.fcm_standin import Push, running_standin
from bench.crash import SERVICE, Killer, Stage, places
from bench.drill import hire_agent
from bench.phones import Line, report_body
from bench.servers import Child, Server, jalon_environment, leave_on_sigterm, running
from bench.settling import settle
from bench.stage import CITY, empty_stage
from db.base import new_id
from db.sessions import Database
from geo.cities import City
from push.channels import AddressKind
from push.encryption import public_point, to_base64url
from push.redrive import redrive

_AGENTS = 8
_CHANGES_OF_AN_ISSUE = 20
_HANGING_EVERY = 50  # one follower in so many has a browser at the host that hangs
_FORGET_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard the drill is.

    Attributes:
        changes: How many changes of status and notes there are in all.
        followers: How many follow each issue.
        kills: How many processes are killed.
        pause_s: Time between kills, on average.
        failing: Which share of the messages the provider refuses.
        hurry: After the load, do not wait for leases to end and tries to come due, but let them.
    """

    changes: int
    followers: int
    kills: int
    pause_s: float
    failing: float
    seed: int = 1
    hurry: bool = False


@dataclass(slots=True)
class Evidence:
    """What was owed, and what became of it.

    Attributes:
        owed: Pairs of an event and a follower's address; the host that hangs apart.
        states: Of each such pair, the state that the outbox ended with.
        taken: How often the provider took a message: by address, event and collapse key.
        notes: Events that nothing overtakes.
        in_flight: Sends that were in flight when their worker was killed, kill by kill.
        redriven: Dead letters, refused by the provider so often in a row, that were given another life in the end.
        hanging: How the pushes to the host that hangs ended.
    """

    owed: set[tuple[UUID, str]] = field(default_factory=set)
    states: dict[tuple[UUID, str], str] = field(default_factory=dict)
    taken: Counter[tuple[str, UUID, str | None]] = field(default_factory=Counter)
    notes: set[UUID] = field(default_factory=set)
    in_flight: list[int] = field(default_factory=list)
    redriven: int = 0
    hanging: Counter[str] = field(default_factory=Counter)

    @property
    def second_sends(self) -> int:
        """How many messages the provider took again."""
        return sum(count - 1 for count in self._times().values())

    @property
    def unrecorded(self) -> int:
        """How many it took that newer news overtook before anybody knew: their worker was killed before its record."""
        times = self._times()
        return sum(state == "superseded" and pair in times for pair, state in self.states.items())

    def find_faults(self) -> list[str]:
        """Name what was lost, doubled or sent unasked; none where all holds."""
        times = self._times()
        faults = [f"{address} never heard of {event}" for event, address in self.owed - self.states.keys()]
        for (event, address), state in self.states.items():
            if state not in ({"sent"} if event in self.notes else {"sent", "superseded"}):
                faults.append(f"{address} of {event} ended as {state}")
            elif state == "sent" and (event, address) not in times:
                faults.append(f"{address} of {event} ended as sent, and was never taken")
        faults += [f"{address} was told of {event}, unasked" for event, address in times.keys() - self.owed]
        faults += [
            f"{address} of {event} went out under {key}" for address, event, key in self.taken if key != str(event)
        ]
        in_flight = sum(self.in_flight)
        if self.second_sends + self.unrecorded > in_flight:
            faults.append(f"{self.second_sends} second sends, but {in_flight} in flight when their worker was killed")
        return sorted(faults)

    def _times(self) -> Mapping[tuple[UUID, str], int]:
        times: Counter[tuple[UUID, str]] = Counter()
        for (address, event, _), count in self.taken.items():
            times[event, address] += count
        return times


@contextmanager
def hanging_host() -> Iterator[tuple[str, threading.Event]]:
    """Run a push host that answers nothing until the event is set, and then takes everything."""
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            released.wait()
            self.send_response(201)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/push", released
    finally:
        released.set()
        server.shutdown()
        thread.join()
        server.server_close()


async def run_drill(stage: Stage, plan: Plan, evidence: Evidence) -> None:
    """Play the drill and gather what became of everything; what the provider takes is counted by `counting`."""
    _fail(stage.fcm_url, plan.failing)
    with hanging_host() as (hanging_url, released):
        environment = jalon_environment(
            stage.app_url,
            stage.folder / "data",
            fcm_url=stage.fcm_url,
            fcm_credentials=str(stage.fcm_credentials),
            webpush_contact="mailto:drill@example.org",
            webpush_private="1",
        )
        servers = [Server(environment, stage.folder / f"serve-{number}.log") for number in (1, 2)]
        workers = [Child(["work"], environment, stage.folder / f"work-{number}.log") for number in (1, 2)]
        with running([*servers, *workers]):
            async with httpx.AsyncClient(timeout=20) as client, Database(stage.owner_url, role=None) as judge:
                line = Line([server.url for server in servers], client)
                issues = await _open_issues(line, stage.agent_secret, max(1, plan.changes // _CHANGES_OF_AN_ISSUE))
                await _let_follow(judge, issues, plan.followers, hanging_url)
                killer = Killer(judge, random.Random(plan.seed), stage.say)
                stage.say(f"{len(issues)} issues with {plan.followers} followers each; changes begin")
                async with asyncio.TaskGroup() as tasks:
                    forgetting = tasks.create_task(_forget_attempts(client, stage.fcm_url))
                    killing = tasks.create_task(
                        killer.kill_in_turn([*servers, *workers], kills=plan.kills, pause_s=plan.pause_s)
                    )
                    evidence.notes |= await _change_all(line, stage.agent_secret, issues, plan.changes)
                    stage.say("changes are over")
                    await killing
                    stage.say(f"{evidence.taken.total()} pushes taken so far; waiting for what is still to do")
                    released.set()
                    await settle(judge, killer.dead_leases, hurry=plan.hurry, tries_come_due=True)
                    stage.say(f"{evidence.taken.total()} pushes taken; the provider is mended")
                    await client.delete(f"{stage.fcm_url}/faults")
                    evidence.redriven = await _redrive(stage)
                    await settle(judge, killer.dead_leases, hurry=plan.hurry, tries_come_due=True)
                    forgetting.cancel()
                evidence.in_flight += [len(kill.in_flight) for kill in killer.kills]
                await _judge(judge, evidence)


def counting(evidence: Evidence) -> Callable[[Push], None]:
    """Make what the provider's stand-in is to call with each message that it takes."""

    def count(push: Push) -> None:
        evidence.taken[push.address, UUID(push.data["event_id"]), push.collapse_key] += 1

    return count


def _fail(fcm_url: str, share: float) -> None:
    if share:
        fault = json.dumps({"code": "UNAVAILABLE", "count": None, "share": share}).encode()
        with urlopen(Request(f"{fcm_url}/faults", data=fault, method="POST"), timeout=10):
            pass


async def _open_issues(line: Line, agent_secret: str, count: int) -> list[UUID]:
    """Have the agent report problems, so that nobody hears of them but who follows."""
    bodies = [report_body(new_id(), SERVICE, at) for at in itertools.islice(places(), count)]
    receipts = [await line.send("POST", "/v1/reports", agent_secret, json=body) for body in bodies]
    return [UUID(receipt["issue"]["id"]) for receipt in receipts]


async def _let_follow(judge: Database, issues: Sequence[UUID], followers: int, hanging_url: str) -> None:
    """Register phones, one in so many a browser at the host that hangs, and have each follow an issue."""
    key = to_base64url(public_point(ec.generate_private_key(ec.SECP256R1()).public_key()))
    hangs = {"hanging": hanging_url, "key": key, "auth": to_base64url(bytes(16)), "every": _HANGING_EVERY}
    async with judge.transaction() as session:
        await session.execute(text(_PHONES), {**hangs, "issues": list(issues), "followers": followers})
        await session.execute(text(_FOLLOWS), {"issues": list(issues), "followers": followers})


_PHONES = """
INSERT INTO device (id, person_id, platform, locale, push_kind, push_address, push_p256dh, push_auth, refreshed_at,
                    created_at)
SELECT md5(issue || ' device ' || n)::uuid, md5(issue || ' person ' || n)::uuid,
       CASE WHEN hangs THEN 'web' ELSE (ARRAY['android', 'ios'])[1 + n % 2] END, 'fr-CA',
       CASE WHEN hangs THEN 'webpush' ELSE 'fid' END,
       CASE WHEN hangs THEN :hanging || '/' || issue || '-' || n ELSE 'drill-' || issue || '-' || n END,
       CASE WHEN hangs THEN :key END, CASE WHEN hangs THEN :auth END, now(), now()
FROM unnest(CAST(:issues AS uuid[])) WITH ORDINALITY AS issue (issue, number),
     generate_series(1, CAST(:followers AS integer)) AS n,
     LATERAL (SELECT (number * :followers + n) % :every = 0 AS hangs) AS host
"""
_FOLLOWS = """
INSERT INTO follow (city_id, issue_id, person_id, following, at)
SELECT issue.city_id, issue.id, md5(issue.id || ' person ' || n)::uuid, true, now()
FROM issue, generate_series(1, CAST(:followers AS integer)) AS n WHERE issue.id = ANY(CAST(:issues AS uuid[]))
"""


async def _change_all(line: Line, agent_secret: str, issues: Sequence[UUID], changes: int) -> set[UUID]:
    """Change the issues in turn, each change followed by a note; get the events of the notes."""
    notes: set[UUID] = set()
    wanted = iter(range(changes))
    turns: dict[UUID, asyncio.Lock] = {issue_id: asyncio.Lock() for issue_id in issues}

    async def work() -> None:
        for number in wanted:
            issue_id = issues[number % len(issues)]
            step = number // len(issues)
            async with turns[issue_id]:  # a change that waits for its answer is not overtaken by the next
                status = ("acknowledged", "scheduled")[step // 2 % 2]
                body: dict[str, Any] = {"id": str(new_id()), "status": status}
                if step % 2:
                    notes.add(UUID(body["id"]))
                    body |= {"note": "Une équipe est passée.", "public": True}
                await line.send("POST", f"/v1/issues/{issue_id}/status", agent_secret, json=body)

    async with asyncio.TaskGroup() as agents:
        for _ in range(_AGENTS):
            agents.create_task(work())
    return notes


async def _forget_attempts(client: httpx.AsyncClient, fcm_url: str) -> None:
    """Have the stand-in forget what came: it is counted as it comes."""
    while True:
        await asyncio.sleep(_FORGET_EVERY_S)
        await client.delete(f"{fcm_url}/messages")


async def _redrive(stage: Stage) -> int:
    """Do as an operator once the provider is well again: of 100 000 that fail three times in ten, some always do."""
    async with Database(stage.app_url) as database:
        async with database.transaction() as session:
            city_ids = (await session.scalars(select(City.id))).all()
        count = 0
        for city_id in city_ids:
            async with database.transaction(city_id) as session:
                count += await redrive(
                    session, city_id, kinds=[AddressKind.FID], younger_than=timedelta(days=1), now=datetime.now(UTC)
                )
        return count


async def _judge(judge: Database, evidence: Evidence) -> None:
    async with judge.transaction() as session:
        owed = await session.execute(text(_OWED))
        evidence.owed |= {(event_id, address) for event_id, address in owed}
        ended = (await session.execute(text(_ENDED))).all()
    evidence.states |= {(event, address): state for event, address, kind, state in ended if kind == "fid"}
    evidence.hanging += Counter(state for _, _, kind, state in ended if kind == "webpush")


# Every notice, to everybody who followed its issue by a phone of the provider's.
_OWED = """
SELECT notice.event_id, push_address FROM notice
JOIN follow ON follow.city_id = notice.city_id AND follow.issue_id = notice.issue_id
JOIN device ON device.person_id = follow.person_id AND push_kind = 'fid'
"""
_ENDED = """
SELECT event_id, push_address, push_kind, state FROM delivery
JOIN notification ON notification.city_id = delivery.city_id AND notification.id = notification_id
JOIN device ON device.id = device_id
"""


def main() -> None:
    """Run the drill as the command line says; exits with 1 where anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--followers", type=int, default=20)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between kills, on average")
    parser.add_argument("--failing", type=float, default=0.3)
    options = parser.parse_args()
    console, evidence = Console(log_path=False), Evidence()
    leave_on_sigterm()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jalon-drill-")))
        folder.chmod(0o755)  # the database server runs under an account of its own
        database = stack.enter_context(empty_stage(folder))
        fcm_url = stack.enter_context(running_standin(folder / "fcm.json", on_push=counting(evidence)))
        secret = asyncio.run(hire_agent(database.app_url, CITY))
        stage = Stage(database.app_url, database.owner_url, folder, fcm_url, folder / "fcm.json", secret, console.log)
        plan = Plan(options.changes, options.followers, options.kills, options.pause, options.failing)
        asyncio.run(run_drill(stage, plan, evidence))
    faults = evidence.find_faults()
    for fault in faults[:50]:
        console.print(f"[red]{fault}[/red]")
    print(json.dumps(summarise(evidence, faults)))
    if faults:
        raise SystemExit(1)


def summarise(evidence: Evidence, faults: Sequence[str]) -> dict[str, object]:
    """Count, as plain values for a line of JSON."""
    return {
        "drill": "push",
        "kills": len(evidence.in_flight),
        "owed": len(evidence.owed),
        "ended": Counter(evidence.states.values()),
        "taken": evidence.taken.total(),
        "sends_in_flight_at_kills": sum(evidence.in_flight),
        "second_sends": evidence.second_sends,
        "taken_and_unrecorded": evidence.unrecorded,
        "redriven": evidence.redriven,
        "at_the_host_that_hangs": evidence.hanging,
        "faults": len(faults),
    }


if __name__ == "__main__":
    main()
