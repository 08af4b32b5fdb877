"""The crash drill: processes are killed at random moments while residents report and the city answers.

Phones send reports and photos through two servers, an agent acknowledges each issue, and two workers make photos safe
and push. All the while one of the four after another is killed (SIGKILL) and started again, as systemd would. In the
end the judge in `bench.crash_check` compares what everybody was told with what is there.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
from sqlalchemy import text

from bench.crash_check import Evidence, Kill, Push, Receipt, StoredReport
from bench.phones import Line, Phone, Refused
from bench.photos import draw_photo
from bench.servers import Child, Server, jalon_environment, running
from bench.settling import settle
from db.base import new_id
from db.sessions import Database
from geo.points import LonLat, offset

SERVICE = "nid-de-poule"
# Le Plateau-Mont-Royal and Rosemont: 60 by 50 places, too far from one another for reports to join.
_CORNER = LonLat(-73.606, 45.527)
_STEP_M = 80.0
_COLUMNS, _ROWS = 60, 50
_BESIDE_M = 4.0
# A send that a live worker had in flight is recorded by then; one of a killed worker is still on lease.
_OWN_SENDS_END_S = 1.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the drill plays: an empty database with Montréal loaded, and a provider's stand-in.

    Attributes:
        app_url: The database as the servers log in.
        owner_url: The database as the judge reads it, behind the policies.
        folder: For photos and logs.
        fcm_url: Where the provider's stand-in listens.
        fcm_credentials: The key file that signs in at it.
        agent_secret: Of an agent of Montréal.
        say: Told of each step.
    """

    app_url: str
    owner_url: str
    folder: Path
    fcm_url: str
    fcm_credentials: Path
    agent_secret: str
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard the drill is.

    Attributes:
        kills: How many processes are killed, each of the four before any a second time.
        pause_s: Time between kills, on average; each is at a random moment.
        stories_at_once: How many pairs of residents are reporting at any time.
        seed: Chooses whom to kill and when. (What the machine does meanwhile is never the same twice.)
        hurry: After the load, let the leases of dead workers end at once instead of after their minute.
    """

    kills: int
    pause_s: float
    stories_at_once: int
    seed: int
    hurry: bool = False


async def run_drill(
    stage: Stage, plan: Plan, *, before_judging: Callable[[Database], Awaitable[None]] | None = None
) -> Evidence:
    """Kill processes under load, let everything settle, and gather the evidence.

    Args:
        stage: Where it plays.
        plan: How hard it is.
        before_judging: May damage what is there (as the owner of the tables), to see whether the judge sees it.

    Raises:
        ExceptionGroup: somebody got a final answer that does not belong in the story (`Refused`).
        StillWaiting: work was left over long after the last kill.
    """
    environment = _environment(stage)
    servers = [Server(environment, stage.folder / f"serve-{number}.log") for number in (1, 2)]
    workers = [Child(["work"], environment, stage.folder / f"work-{number}.log") for number in (1, 2)]
    with running([*servers, *workers]):
        async with httpx.AsyncClient(timeout=20) as client, Database(stage.owner_url, role=None) as judge:
            killer = Killer(judge, random.Random(plan.seed), stage.say)
            line = Line([server.url for server in servers], client)
            stage.say("reporting begins")
            promises = await _load(stage, line, killer, [*servers, *workers], plan)
            stage.say("reporting is over; waiting for what is still to do")
            await settle(judge, killer.dead_leases, hurry=plan.hurry)
            if before_judging is not None:
                await before_judging(judge)
            stage.say("looking at what is there")
            return await _gather_evidence(stage, line, promises, killer.kills)


async def _load(stage: Stage, line: Line, killer: "Killer", children: Sequence[Child], plan: Plan) -> "_Promises":
    """Have stories told until the last kill; whoever breaks one ends the drill."""
    teller = _Storyteller(line, stage.agent_secret)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(plan.stories_at_once):
            tasks.create_task(teller.tell_stories())
        await killer.kill_in_turn(children, kills=plan.kills, pause_s=plan.pause_s)
        teller.enough = True
    return teller.promises


def _environment(stage: Stage) -> dict[str, str]:
    return jalon_environment(
        stage.app_url, stage.folder / "data", fcm_url=stage.fcm_url, fcm_credentials=str(stage.fcm_credentials)
    )


def places() -> Iterator[LonLat]:
    """Places of Montréal, too far from one another for reports to join."""
    for column, row in itertools.product(range(_COLUMNS), range(_ROWS)):
        yield offset(_CORNER, east_m=column * _STEP_M, north_m=row * _STEP_M)


@dataclass(slots=True)
class _Promises:
    """What everybody was told while the drill ran."""

    receipts: list[Receipt] = field(default_factory=list)
    photo_owners: dict[UUID, Phone] = field(default_factory=dict)
    owed: set[tuple[str, UUID]] = field(default_factory=set)


class _Storyteller:
    """Residents and an agent, over and over: a report with a photo, a neighbour's that joins it, an answer to both."""

    def __init__(self, line: Line, agent_secret: str) -> None:
        self.promises = _Promises()
        self.enough = False
        self._line = line
        self._agent_secret = agent_secret
        self._places = places()
        self._photo = draw_photo(800, 600, at_most_bytes=120_000, seed=1)

    async def tell_stories(self) -> None:
        """Tell stories until it is enough; at least one."""
        await self._tell_story(next(self._places))
        while not self.enough:
            await self._tell_story(next(self._places))

    async def _tell_story(self, at: LonLat) -> None:
        first, second = Phone(), Phone()
        await asyncio.gather(first.register(self._line), second.register(self._line))
        photo_id = await first.send_photo(self._line, self._photo)
        self.promises.photo_owners[photo_id] = first
        opened = await first.report(self._line, SERVICE, at, [photo_id])
        joined = await second.report(self._line, SERVICE, offset(at, east_m=_BESIDE_M, north_m=0))
        self.promises.receipts += [opened, joined]
        if joined.issue_id != opened.issue_id:
            raise Refused(f"report {joined.number} did not join {opened.number} from {_BESIDE_M} m away")
        command_id = new_id()
        body = {"id": str(command_id), "status": "acknowledged"}
        await self._line.send("POST", f"/v1/issues/{opened.issue_id}/status", self._agent_secret, json=body)
        self.promises.owed |= {(phone.address, command_id) for phone in (first, second)}


class Killer:
    """Kills one process after another and starts it again at once; notes what it was sending."""

    def __init__(self, judge: Database, rng: random.Random, say: Callable[[str], None]) -> None:
        self.kills: list[Kill] = []
        self.dead_leases: set[UUID] = set()
        self._judge = judge
        self._say = say
        self._rng = rng

    async def kill_in_turn(self, children: Sequence[Child], *, kills: int, pause_s: float) -> None:
        """Kill so many, each child before any a second time, with pauses of so many seconds on average."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for child in itertools.islice(self._turns(children), kills):
                await asyncio.sleep(self._rng.uniform(0.2, 1.8) * pause_s)
                child.check_alive()
                child.kill()
                after_s = time.monotonic() - began
                leased = {} if isinstance(child, Server) else await _leased_sends(self._judge)
                child.start()
                self._say(f"killed {child.log.stem} after {after_s:.1f} s")
                tasks.create_task(self._note(child, after_s, leased))

    def _turns(self, children: Sequence[Child]) -> Iterator[Child]:
        while True:
            yield from self._rng.sample(children, len(children))

    async def _note(self, child: Child, after_s: float, leased: "dict[_Leased, _Send]") -> None:
        """Leave out what the other worker was sending, which is recorded by now, and what was held by one long dead."""
        if leased:
            await asyncio.sleep(_OWN_SENDS_END_S)
            still = await _leased_sends(self._judge)
            leased = {
                (delivery_id, lease): send
                for (delivery_id, lease), send in leased.items()
                if (delivery_id, lease) in still and lease not in self.dead_leases
            }
        self.kills.append(Kill(child.log.stem, round(after_s, 2), set(leased.values())))
        self.dead_leases |= {lease for _, lease in leased}


_Leased = tuple[UUID, UUID]  # a delivery and its lease
_Send = tuple[str, UUID]  # an address and the event it is told of


async def _leased_sends(judge: Database) -> dict[_Leased, _Send]:
    async with judge.transaction() as session:
        rows = await session.execute(
            text(
                """
                SELECT delivery.id, lease, push_address, event_id
                FROM delivery JOIN notification ON notification.id = notification_id
                JOIN device ON device.id = device_id
                WHERE state = 'queued' AND lease IS NOT NULL
                """
            )
        )
        return {(delivery_id, lease): (address, event_id) for delivery_id, lease, address, event_id in rows}


async def _gather_evidence(stage: Stage, line: Line, promises: _Promises, kills: Sequence[Kill]) -> Evidence:
    shown = {
        photo_id for photo_id, owner in promises.photo_owners.items() if await _is_shown(line, photo_id, owner.secret)
    }
    messages = (await line.client.get(f"{stage.fcm_url}/messages")).raise_for_status().json()
    async with Database(stage.owner_url, role=None) as judge, judge.transaction() as session:
        reports = (await session.execute(text(_STORED))).all()
        counts = (await session.execute(text("SELECT id, report_count FROM issue"))).all()
    return Evidence(
        receipts=promises.receipts,
        stored={
            report_id: StoredReport(number, issue_id, shown.intersection(photo_ids), events)
            for report_id, number, issue_id, photo_ids, events in reports
        },
        report_counts={issue.id: issue.report_count for issue in counts},
        owed=promises.owed,
        pushes=[
            Push(message["address"], UUID(message["data"]["event_id"]), message["collapse_key"]) for message in messages
        ],
        kills=kills,
        requests_sent_again=line.retries,
    )


# A report has a photo only where the sender's claim to it stands.
_STORED = """
SELECT id, number, issue_id,
       ARRAY(SELECT photo_id FROM report_photo JOIN photo_claim USING (photo_id)
             JOIN photo ON photo.id = photo_id AND uploader = sender
             WHERE report_id = report.id AND target_id = report.id),
       (SELECT count(*) FROM event WHERE event.issue_id = report.issue_id AND data ->> 'report_id' = report.id::text)
FROM report
"""


async def _is_shown(line: Line, photo_id: UUID, secret: str) -> bool:
    url = f"{line.servers[0]}/v1/photos/{photo_id}/small"
    answer = await line.client.get(url, headers={"Authorization": f"Bearer {secret}"})
    return answer.status_code == 200 and answer.headers["Content-Type"] == "image/webp"
