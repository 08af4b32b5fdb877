"""How many reports a second Jalon takes in, beside what the database itself could: `make bench-intake`.

Two server processes and a worker, with everything on (devices' secrets, row-level security, matching, districts, jobs),
on a database with a million issues that writes durably; beside them, in turn and on the same processors, pgbench with
the same rows and none of that (intake.sql). Each round measures all of them; the table shows the medians of the rounds.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from api.settings import default_data_dir
from bench.bare import Box, bare_variables, measure_bare, prepare_bare
from bench.load import Exchange, Measured, Target, send_all
from bench.phones import Phone
from bench.photos import draw_photo
from bench.processes import cpu_s, pss_mb, tree
from bench.requests import Senders, registration_request
from bench.servers import Child, Server, jalon_environment, leave_on_sigterm, running
from bench.stage import CITY, SEED, Stage, filled_stage
from db.postgres import running_pid

CLIENTS = (1, 8, 16)
# Le Plateau-Mont-Royal, Rosemont and Villeray, well inside the city: the streets that the pack knows best.
BOX = Box(west=-73.62, south=45.53, east=-73.56, north=45.56)
_PHONES = 200
_PHOTO_BYTES = 3_000_000
_MOST_PER_SECOND = 4000  # requests prepared: reports, and (a tenth of it) reports with a photo
_WARM_UP_S = 3
_DRAIN_S = 600.0
_AIM = 0.35
_WIDTH = 120  # of the table, where nobody says how wide the terminal is


@dataclass(frozen=True, slots=True)
class Figures:
    """What one round showed.

    Attributes:
        per_second: Reports a second.
        ratio: Of that to what pgbench did in the same round.
        p50_ms: Latency, as the client sees it; with a photo, of both requests together.
        p95_ms: The same.
        p99_ms: The same.
        server_ms: Processor time of the server processes for a report.
        database_ms: Processor time of PostgreSQL for a report.
        client_ms: Processor time of the measuring client for a report; it shares the processors.
    """

    per_second: float
    ratio: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    server_ms: float
    database_ms: float
    client_ms: float


@dataclass(frozen=True, slots=True)
class BareFigures:
    """What pgbench showed: transactions a second, and PostgreSQL's processor time for one in milliseconds."""

    per_second: float
    database_ms: float


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that runs while it is measured."""

    stage: Stage
    servers: Sequence[Server]
    worker: Child
    senders: Senders
    variables: Mapping[str, str]
    photo: bytes

    @property
    def target(self) -> Target:
        """Where to send."""
        return Target("127.0.0.1", [server.port for server in self.servers])

    def measure(self, clients: int, seconds: float, *, with_photo: bool, bare_per_s: float) -> Figures:
        """Send reports for a while.

        Raises:
            RuntimeError: one was refused.
        """
        count = int(_MOST_PER_SECOND * seconds)
        senders = self.senders
        exchanges = senders.reports_with_photo(count // 10, self.photo) if with_photo else senders.reports(count)
        server_s, database_s = self._server_cpu_s(), self._database_cpu_s()
        measured = send_all(self.target, exchanges, clients=clients, seconds=seconds)
        _refuse_refusals(measured)
        reports = len(measured.latencies_s)
        return Figures(
            per_second=measured.per_second,
            ratio=measured.per_second / bare_per_s,
            p50_ms=measured.percentile_ms(0.50),
            p95_ms=measured.percentile_ms(0.95),
            p99_ms=measured.percentile_ms(0.99),
            server_ms=(self._server_cpu_s() - server_s) / reports * 1000,
            database_ms=(self._database_cpu_s() - database_s) / reports * 1000,
            client_ms=measured.client_cpu_s / reports * 1000,
        )

    def measure_bare(self, clients: int, seconds: int) -> BareFigures:
        """Have pgbench write the same rows for a while."""
        database_s = self._database_cpu_s()
        per_second = measure_bare(self.stage, self.variables, clients=clients, seconds=seconds)
        return BareFigures(per_second, (self._database_cpu_s() - database_s) / (per_second * seconds) * 1000)

    def drain(self) -> float:
        """Wait until the worker has made all photos safe; get how many it made a second, 0 where none waited."""
        began = time.monotonic()
        with self.stage.cluster.connect(self.stage.database) as connection:
            first = waiting = _pending(connection.execute("SELECT count(*) FROM photo WHERE state = 'pending'"))
            while waiting:
                if time.monotonic() - began > _DRAIN_S:
                    raise RuntimeError(f"{waiting} photos still wait")
                time.sleep(0.25)
                waiting = _pending(connection.execute("SELECT count(*) FROM photo WHERE state = 'pending'"))
        return first / (time.monotonic() - began) if first else 0.0

    def memory_mb(self) -> dict[str, float]:
        """Memory of each process and what it started (PSS)."""
        children = {"server 1": self.servers[0], "server 2": self.servers[1], "worker": self.worker}
        return {name: sum(map(pss_mb, tree(child.pid))) for name, child in children.items()}

    def _server_cpu_s(self) -> float:
        return cpu_s(server.pid for server in self.servers)

    def _database_cpu_s(self) -> float:
        postmaster = running_pid(self.stage.cluster.folder)
        assert postmaster is not None
        return cpu_s([postmaster])


@dataclass(frozen=True, slots=True)
class Round:
    """One round with one number of clients."""

    clients: int
    bare: BareFigures
    plain: Figures
    with_photo: Figures
    photos_per_s: float  # made safe after the photos had come


def run_rounds(bench: Bench, *, rounds: int, seconds: int, say: Callable[[str], None]) -> Iterator[Round]:
    """Measure, turn by turn, so that what changes on the machine meanwhile meets all alike."""
    for number in range(1, rounds + 1):
        for clients in CLIENTS:
            bare = bench.measure_bare(clients, seconds)
            plain = bench.measure(clients, seconds, with_photo=False, bare_per_s=bare.per_second)
            with_photo = bench.measure(clients, seconds, with_photo=True, bare_per_s=bare.per_second)
            photos_per_s = bench.drain()
            say(
                f"round {number} of {rounds}, {clients} clients: bare {bare.per_second:.0f}/s,"
                f" reports {plain.per_second:.0f}/s ({plain.ratio:.2f}), with a photo {with_photo.per_second:.0f}/s"
            )
            yield Round(clients, bare, plain, with_photo, photos_per_s)


@contextmanager
def running_bench(data_dir: Path, issues: int, say: Callable[[str], None]) -> Iterator[Bench]:
    """Start everything, with caches warm."""
    with (
        filled_stage(data_dir, issues, lambda step, done, of: say(f"{step} {done} of {of}")) as stage,
        tempfile.TemporaryDirectory(prefix="photos-", dir=data_dir) as folder,
    ):
        bench = _prepare(stage, Path(folder))
        with running([*bench.servers, bench.worker]):
            registrations: deque[Exchange] = deque([registration_request(phone)] for phone in bench.senders.phones)
            _refuse_refusals(send_all(bench.target, registrations, clients=8))
            say("warming up")
            bench.measure_bare(8, _WARM_UP_S)
            bench.measure(8, _WARM_UP_S, with_photo=False, bare_per_s=1)
            bench.measure(2, 1, with_photo=True, bare_per_s=1)
            bench.drain()
            yield bench


def _prepare(stage: Stage, folder: Path) -> Bench:
    prepare_bare(stage)
    with stage.cluster.connect(stage.database) as connection:
        variables = bare_variables(connection, CITY, BOX)
        services = connection.execute(
            "SELECT code FROM service WHERE city_id = %s AND offered AND NOT attributes @> '[{\"required\": true}]'"
            " ORDER BY position",
            (variables["city"],),
        ).fetchall()
    environment = jalon_environment(stage.app_url, folder)
    return Bench(
        stage=stage,
        servers=[Server(environment, folder / f"serve-{number}.log") for number in (1, 2)],
        worker=Child(["work"], environment, folder / "work.log"),
        senders=Senders(
            phones=[Phone() for _ in range(_PHONES)],
            services=[code for (code,) in services],
            box=BOX,
            rng=random.Random(SEED),
        ),
        variables=variables,
        photo=draw_photo(4032, 3024, at_most_bytes=_PHOTO_BYTES, seed=SEED),
    )


def _refuse_refusals(measured: Measured) -> None:
    refused = {status: count for status, count in measured.statuses.items() if status >= 300}
    if refused:
        raise RuntimeError(f"refused, by status: {refused}")


def _pending(cursor: psycopg.Cursor[tuple[int]]) -> int:
    row = cursor.fetchone()
    return 0 if row is None else row[0]


def summarise(rounds: Sequence[Round], memory_mb: Mapping[str, float], *, issues: int) -> dict[str, object]:
    """Take the medians of the rounds, as plain values for a line of JSON."""
    by_clients = {clients: [one for one in rounds if one.clients == clients] for clients in CLIENTS}
    return {
        "bench": "intake",
        "issues": issues,
        "rounds": len(rounds) // len(CLIENTS),
        "processors": os.cpu_count(),
        "clients": {
            clients: {
                "bare": _median([one.bare for one in same]),
                "plain": _median([one.plain for one in same]),
                "with_photo": _median([one.with_photo for one in same]),
                "photos_made_safe_per_second": round(statistics.median(one.photos_per_s for one in same), 2),
            }
            for clients, same in by_clients.items()
        },
        "memory_mb": {name: round(mb, 1) for name, mb in memory_mb.items()},
        "ratio_at_8": round(statistics.median(one.plain.ratio for one in by_clients[8]), 3),
        "aim_at_8": _AIM,
    }


def _median(figures: Sequence[Figures | BareFigures]) -> dict[str, float]:
    columns = [asdict(one) for one in figures]
    return {name: round(statistics.median(column[name] for column in columns), 3) for name in columns[0]}


def show(summary: Mapping[str, Any], console: Console) -> None:
    """Print the summary as a table."""
    table = Table(title=f"Reports taken in, {summary['issues']:,} issues, median of {summary['rounds']} rounds")
    for heading in (
        "clients",
        "what",
        "per s",
        "of bare",
        "p50 ms",
        "p95",
        "p99",
        "CPU ms: server",
        "database",
        "client",
    ):
        table.add_column(heading, justify="right")
    for clients, row in summary["clients"].items():
        bare = row["bare"]
        rate, cost = f"{bare['per_second']:.0f}", f"{bare['database_ms']:.2f}"
        table.add_row(str(clients), "bare (pgbench)", rate, "1", "", "", "", "", cost, "")
        for name, words in (("plain", "report"), ("with_photo", "photo and report")):
            one = row[name]
            latencies = (f"{one[latency]:.1f}" for latency in ("p50_ms", "p95_ms", "p99_ms"))
            costs = (f"{one[cost]:.2f}" for cost in ("server_ms", "database_ms", "client_ms"))
            table.add_row("", words, f"{one['per_second']:.0f}", f"{one['ratio']:.2f}", *latencies, *costs)
        table.add_row("", "photos made safe", f"{row['photos_made_safe_per_second']:.1f}", end_section=True)
    console.print(table)
    console.print("memory (PSS): " + ", ".join(f"{name} {mb:.0f} MB" for name, mb in summary["memory_mb"].items()))
    console.print(f"at 8 clients {summary['ratio_at_8']:.2f} of the bare limit (aim: {summary['aim_at_8']})")


def main() -> None:
    """Run the benchmark as the command line says; a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="where the database is kept between runs")
    parser.add_argument("--issues", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=6, help="how long each measurement takes")
    parser.add_argument("--quick", action="store_true", help="100,000 issues and one round")
    options = parser.parse_args()
    issues, rounds = (100_000, 1) if options.quick else (options.issues, options.rounds)
    default = default_data_dir(os.environ, is_root=os.geteuid() == 0) / "bench"
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    leave_on_sigterm()
    with running_bench(options.data_dir or default, issues, console.print) as bench:
        measured = list(run_rounds(bench, rounds=rounds, seconds=options.seconds, say=console.print))
        summary = summarise(measured, bench.memory_mb(), issues=issues)
    show(summary, console)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
