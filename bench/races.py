"""Sixty people see one problem at the same moment, fifty times over: `make drill-races`.

Two server processes take the reports of each round at once: all of one position, or of two positions a metre apart on
either side of a border between the cells that are locked; all of one service, or half of its sibling. Each round has to
open one issue, and no more.
"""

import argparse
import json
import math
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from bench.load import Exchange, Target, send_all
from bench.phones import Phone
from bench.requests import registration_request, report_request
from bench.servers import Server, jalon_environment, leave_on_sigterm, running
from bench.stage import Stage, empty_stage
from db.base import new_id
from geo.cells import cells_touched
from geo.points import LonLat, offset
from issues.match import LARGEST_RADIUS_M

PEOPLE = 60
_ROUNDS = 50
_AIM_P99_MS = 1500.0
_SERVICE, _SIBLING = "nid-de-poule", "chaussee-endommagee"
_SOUTH_WEST = LonLat(-73.62, 45.53)  # of the streets that the pack knows best
_APART_M = 450.0  # each round has a neighbourhood of its own
_ROUNDS_IN_A_ROW = 10


@dataclass(frozen=True, slots=True)
class Race:
    """One problem that many people report at once, from these places, as one of these services, in turn."""

    name: str
    places: Sequence[LonLat]
    services: Sequence[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a race.

    Attributes:
        statuses: How many answers had which HTTP status.
        issues: How many issues there are for it.
        counted: How many reports these issues count.
        latencies_s: Of each report, as its sender sees it.
    """

    race: Race
    statuses: Counter[int]
    issues: int
    counted: int
    latencies_s: Sequence[float]

    @property
    def fault(self) -> str | None:
        """What is wrong with it; None where nothing is."""
        sent = len(self.latencies_s)
        if self.statuses != {201: sent}:
            return f"answered {dict(self.statuses)}"
        if (self.issues, self.counted) != (1, sent):
            return f"{self.issues} issues count {self.counted} of {sent} reports"
        return None


def races_around(start: LonLat) -> list[Race]:
    """All kinds of races, each at places within a few hundred metres to the east of a position."""
    border = either_side_of_a_border(start)
    return [
        Race("one place", (start,), (_SERVICE,)),
        Race("a border", border, (_SERVICE,)),
        Race("siblings", (start,), (_SERVICE, _SIBLING)),
        Race("siblings at a border", (border[0], border[1], border[1], border[0]), (_SERVICE, _SIBLING)),
    ]


def either_side_of_a_border(start: LonLat) -> tuple[LonLat, LonLat]:
    """Find two positions, a metre apart, in different cells of the grid that is locked."""
    pairs = (
        (offset(start, east_m=metre, north_m=0), offset(start, east_m=metre + 1, north_m=0))
        for metre in range(2 * math.ceil(LARGEST_RADIUS_M))
    )
    return next(pair for pair in pairs if _cell_of(pair[0]) != _cell_of(pair[1]))


def _cell_of(at: LonLat) -> list[int]:
    return cells_touched(at, radius_m=0.0, width_m=LARGEST_RADIUS_M)


def register(target: Target, people: int) -> list[Phone]:
    """Make phones known to the servers."""
    phones = [Phone() for _ in range(people)]
    registrations: deque[Exchange] = deque([registration_request(phone)] for phone in phones)
    send_all(target, registrations, clients=8)
    return phones


def run_race(target: Target, connection: psycopg.Connection, phones: Sequence[Phone], race: Race) -> Outcome:
    """Have every phone report the problem at the same moment, in turn through each server."""
    reports = dict(zip((new_id() for _ in phones), zip(cycle(race.places), cycle(race.services)), strict=False))
    flood: deque[Exchange] = deque(
        [report_request(phone, id_, service, at)]
        for phone, (id_, (at, service)) in zip(phones, reports.items(), strict=True)
    )
    measured = send_all(target, flood, clients=len(phones))
    issues, counted = _issues_of(connection, list(reports))
    return Outcome(race, measured.statuses, issues, counted, measured.latencies_s)


def _issues_of(connection: psycopg.Connection, report_ids: Sequence[UUID]) -> tuple[int, int]:
    row = connection.execute(
        """
        SELECT count(*), coalesce(sum(report_count), 0)::integer FROM issue
        WHERE (city_id, id) IN (SELECT city_id, issue_id FROM report WHERE id = ANY(%s))
        """,
        (list(report_ids),),
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _races() -> Iterator[Race]:
    """Races of all kinds in turn, without end, each in a neighbourhood of its own."""
    for number, kind in enumerate(cycle(range(len(races_around(_SOUTH_WEST))))):
        row, column = divmod(number, _ROUNDS_IN_A_ROW)
        yield races_around(offset(_SOUTH_WEST, east_m=column * _APART_M, north_m=row * _APART_M))[kind]


def run_drill(stage: Stage, folder: Path, *, rounds: int, say: Callable[[str], None]) -> list[Outcome]:
    """Run the races one after the other, through two servers of their own."""
    environment = jalon_environment(stage.app_url, folder / "data")
    servers = [Server(environment, folder / f"serve-{number}.log") for number in (1, 2)]
    outcomes = []
    with running(servers), stage.cluster.connect(stage.database) as connection:
        target = Target("127.0.0.1", [server.port for server in servers])
        phones = register(target, PEOPLE)
        for number, race in enumerate(islice(_races(), rounds), start=1):
            outcomes.append(run_race(target, connection, phones, race))
            say(f"round {number} of {rounds}, {race.name}: {outcomes[-1].fault or 'one issue'}")
    return outcomes


def percentile_ms(outcomes: Sequence[Outcome], share: float) -> float:
    """Latency that this share of all reports did not exceed (nearest rank), in milliseconds."""
    latencies = sorted(latency for outcome in outcomes for latency in outcome.latencies_s)
    return latencies[max(1, math.ceil(share * len(latencies))) - 1] * 1000


def show(outcomes: Sequence[Outcome], console: Console) -> None:
    """Print a row for each kind of race, and one for all."""
    table = Table(title=f"{PEOPLE} reports at once through two servers")
    for heading in ("race", "rounds", "with one issue", "p50 ms", "p95", "p99"):
        table.add_column(heading, justify="left" if heading == "race" else "right")
    names = dict.fromkeys(outcome.race.name for outcome in outcomes)
    kinds = {name: [outcome for outcome in outcomes if outcome.race.name == name] for name in names}
    for name, same in {**kinds, "all": list(outcomes)}.items():
        right = sum(outcome.fault is None for outcome in same)
        latencies = (f"{percentile_ms(same, share):.0f}" for share in (0.50, 0.95, 0.99))
        table.add_row(name, str(len(same)), str(right), *latencies)
    console.print(table)
    console.print(f"p99 {percentile_ms(outcomes, 0.99):.0f} ms (aim: under {_AIM_P99_MS:.0f})")


def main() -> None:
    """Run the drill as the command line says; exits with 1 where a round did not open one issue."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    options = parser.parse_args()
    console = Console()
    leave_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="jalon-races-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the database server runs under an account of its own
        with empty_stage(folder / "database") as stage:
            outcomes = run_drill(stage, folder, rounds=options.rounds, say=console.print)
    show(outcomes, console)
    faults = [outcome.fault for outcome in outcomes if outcome.fault is not None]
    summary = {
        "drill": "races",
        "rounds": len(outcomes),
        "people": PEOPLE,
        **{f"p{round(share * 100)}_ms": round(percentile_ms(outcomes, share), 1) for share in (0.50, 0.95, 0.99)},
        "aim_p99_ms": _AIM_P99_MS,
        "faults": len(faults),
    }
    print(json.dumps(summary))
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
