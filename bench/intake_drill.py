"""`make drill-intake`: phones on bad lines work off their outboxes while everything they talk to is killed.

Every phone has its own wrong clock and a hundred things to send, in random order: photos before or after their
reports, corrections before what they correct. Three of ten connections break at any byte. The judge in
`bench.intake_check` compares what the phones were told with what is there.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from sqlalchemy.ext.asyncio import AsyncSession

from bench.intake_check import Promises, find_faults
from bench.intake_evidence import read_kept
from bench.intake_phone import DrillPhone, Network
from bench.outbox import Kind, PhotoHeld, World, draw_outbox
from bench.phones import Phone
from bench.photos import draw_photo
from bench.sabotage import Progress, Sabotage
from bench.servers import Child, Server, jalon_environment, leave_on_sigterm, running
from bench.settling import settle
from bench.stage import CITY, Stage, empty_stage
from db.sessions import Database
from geo.points import LonLat, offset
from media.store import open_store
from media.sweep import Swept, sweep

# Le Plateau-Mont-Royal and Rosemont: spots farther from one another than reports join, but not than they are moved.
_CORNER = LonLat(-73.606, 45.527)
_STEP_M = 150.0
_COLUMNS = 20
_REPORTS_PER_SPOT = 3
_PICTURE_BYTES = 60_000
# A killed server's uploads are free for others after twice as long.
_UPLOAD_STALL_S = 1.5
_FAILED = '"event": "request_failed"'
# Clocks of files and of this process may differ by a moment.
_SWEEP_AFTER = -timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard the drill is.

    Attributes:
        phones: How many.
        items: How many things each has to send.
        at_once: How many phones are online at the same time.
        kills: How many times API or worker is killed.
        stops: How many times PostgreSQL is stopped without warning.
        seed: Draws outboxes, lines and kills. (What the machine does meanwhile is never the same twice.)
        bad_lines: Whether connections break and calls are repeated.
        hurry: After the load, let the jobs of dead workers begin again at once instead of after half a minute.
    """

    phones: int
    items: int
    at_once: int
    kills: int
    stops: int
    seed: int
    bad_lines: bool = True
    hurry: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a drill, before anybody judges it.

    Attributes:
        promises: What each phone was told.
        network: What came over the lines.
        broken: What was killed and stopped.
        ended: Processes that ended by themselves, and why.
        swept: What the sweep found after it.
        load_s: For how long the phones sent.
        photos: The folder that photos are stored in.
    """

    promises: Sequence[Promises]
    network: Network
    broken: Sequence[str]
    ended: Sequence[str]
    swept: Swept
    load_s: float
    photos: Path


async def run_drill(
    stage: Stage,
    folder: Path,
    plan: Plan,
    *,
    say: Callable[[str], None] = lambda _: None,
    tell: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Have phones send while everything breaks, let it settle, and sweep the store.

    Args:
        stage: A database with Montréal and without reports, on a cluster that may be stopped if the plan says so.
        folder: For photos and logs.
        plan: How hard it is.
        say: Told of each step.
        tell: Told how many items are done.

    Raises:
        StillWaiting: work was left over long after the last kill.
    """
    data = folder / "data"
    environment = jalon_environment(stage.app_url, data, upload_stall_s=str(_UPLOAD_STALL_S), log_level="warning")
    servers = [Server(environment, folder / f"serve-{number}.log") for number in (1, 2)]
    workers = [Child(["work"], environment, folder / f"work-{number}.log") for number in (1, 2)]
    network = Network([server.port for server in servers], CITY, is_bad=plan.bad_lines)
    promises = draw_promises(plan)
    children = [*servers, *workers]
    sabotage = Sabotage(children, stage.cluster, stage.cluster.folder.parent, random.Random(plan.seed), say)
    async with Database(stage.owner_url, role=None) as judge:
        with running(children):
            say("the phones come online")
            began = time.monotonic()
            async with sabotage.keeping_up():
                await _load(promises, network, sabotage, plan, Progress(plan.phones * plan.items, tell))
                load_s = time.monotonic() - began
                say("all is sent; waiting for what is still to do")
                await settle(judge, hurry=plan.hurry)
    swept = await sweep_all(stage, data / "photos")
    return Outcome(promises, network, sabotage.done, sabotage.ended, swept, load_s, data / "photos")


async def judge_outcome(
    stage: Stage, outcome: Outcome, *, damage: Callable[[AsyncSession], Awaitable[None]] | None = None
) -> list[str]:
    """Find everything that is wrong: what the judge finds, and answers that nobody should get.

    Args:
        stage: Where it was played.
        outcome: What became of it.
        damage: Spoils the rows beforehand, to see whether the judge sees it; they are whole again afterwards.
    """
    async with Database(stage.owner_url, role=None) as owner, owner.transaction() as session:
        if damage is not None:
            await damage(session)
        kept = await read_kept(session, outcome.photos)
        await session.rollback()
    return [*find_faults(outcome.promises, kept), *outcome.network.wrong, *outcome.ended]


async def sweep_all(stage: Stage, photos: Path) -> Swept:
    """Sweep the store as the worker does, but whatever the age of what nobody names; nobody may be sending."""
    async with Database(stage.app_url) as database:
        return await sweep(database, open_store(photos.as_uri()), now=datetime.now(UTC), orphan_after=_SWEEP_AFTER)


def draw_promises(plan: Plan) -> list[Promises]:
    """Draw all phones with their outboxes; nothing is promised to them yet."""
    world = _world(plan)
    now = datetime.now(UTC)
    promises = []
    for number in range(plan.phones):
        seed = f"{plan.seed}-{number}"
        items = draw_outbox(random.Random(seed), world, items=plan.items, now=now)
        photos = {item.id: PhotoHeld.of(item) for item in items if item.kind is Kind.PHOTO}
        promises.append(Promises(Phone().id, seed, {item.id: item for item in items}, photos))
    return promises


def _world(plan: Plan) -> World:
    spots = max(1, plan.phones * plan.items // (4 * _REPORTS_PER_SPOT))
    return World(
        spots=[
            offset(_CORNER, east_m=_STEP_M * (spot % _COLUMNS), north_m=_STEP_M * (spot // _COLUMNS % _COLUMNS))
            for spot in range(spots)
        ],
        jpegs=[draw_photo(640, 480, at_most_bytes=_PICTURE_BYTES, seed=number) for number in range(4)],
    )


async def _load(
    promises: Sequence[Promises], network: Network, sabotage: Sabotage, plan: Plan, progress: Progress
) -> None:
    """Have all phones work off their outboxes, so many at once, until the last one is done."""
    online = asyncio.Semaphore(plan.at_once)

    async def work_off(told: Promises) -> None:
        async with online:
            phone = Phone(id=told.phone_id)
            await DrillPhone(phone, told, network, random.Random(f"{told.seed}-way"), done=progress.add).work_off()

    async with asyncio.TaskGroup() as tasks:
        breaking = tasks.create_task(sabotage.work(progress, kills=plan.kills, stops=plan.stops))
        await asyncio.gather(*(work_off(told) for told in promises))
        progress.end()
        await breaking


def summarise(plan: Plan, outcome: Outcome, faults: Sequence[str]) -> Mapping[str, Any]:
    """Count, as plain values for a line of JSON."""
    items = [item for told in outcome.promises for item in told.items.values()]
    accepted = {item_id for told in outcome.promises for item_id in told.accepted}
    return {
        "drill": "intake",
        **asdict(plan),
        "broken": Counter(deed.split(" for ")[0] for deed in outcome.broken),
        "accepted": Counter(item.kind.value for item in items if item.id in accepted),
        "refused": Counter(why for told in outcome.promises for why in told.refused.values()),
        "network": outcome.network.counts,
        "statuses": outcome.network.statuses,
        "swept_objects": outcome.swept.deleted,
        "load_s": round(outcome.load_s, 1),
        "items_per_s": round(len(items) / outcome.load_s, 1),
        "faults": len(faults),
    }


def logged_failures(folder: Path) -> list[str]:
    """Read from the servers' logs which requests failed, with the id that their answers have, and why."""
    events = [
        json.loads(line) for log in folder.glob("*.log") for line in log.read_text().splitlines() if _FAILED in line
    ]
    return [f"request {event['request_id']} failed:\n{event['exception']}" for event in events]


def main() -> None:
    """Run the drill as the command line says; exits with 1 where anything was lost, doubled or wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phones", type=int, default=200)
    parser.add_argument("--items", type=int, default=100, help="of each phone")
    parser.add_argument("--at-once", type=int, default=16, help="phones that are online at the same time")
    parser.add_argument("--kills", type=int, default=30, help="of API and worker")
    parser.add_argument("--stops", type=int, default=5, help="of PostgreSQL")
    parser.add_argument("--seed", type=int, default=1)
    plan = Plan(**vars(parser.parse_args()))
    console = Console()
    leave_on_sigterm()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jalon-drill-")))
        folder.chmod(0o755)  # the database server runs under an account of its own
        stage = stack.enter_context(empty_stage(folder))
        console.print(f"Montréal is loaded; seed {plan.seed}")
        bar = Bar(TextColumn("sent"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console)
        with bar:
            sent = bar.add_task("sent", total=plan.phones * plan.items)
            outcome = asyncio.run(
                run_drill(stage, folder, plan, say=console.print, tell=lambda done: bar.update(sent, completed=done))
            )
        faults = asyncio.run(judge_outcome(stage, outcome))
        failures = logged_failures(folder) if faults else []
    for failure in failures:
        console.print(failure, highlight=False, markup=False)
    for fault in faults:
        console.print(fault, style="red", highlight=False, markup=False)
    print(json.dumps(summarise(plan, outcome, faults)))
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
