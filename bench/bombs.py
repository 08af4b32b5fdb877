"""What hostile and heavy photos cost those who file reports meanwhile: `make bench-bombs`.

Eight people file reports without a pause, in turn alone and while somebody sends a hundred files of 30 kB that claim to
be 60 000 pixels wide and high, and a hundred true photos that are as heavy to decode as any may be. Their latency in
both is from the same servers, rounds apart by seconds. Two server processes and a worker, which decodes as many photos
at once as there are processors.
"""

import argparse
import io
import json
import multiprocessing
import os
import random
import statistics
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

from api.settings import default_data_dir
from bench.intake import BOX
from bench.load import Exchange, Measured, Target, send_all
from bench.phones import Phone
from bench.photos import draw_photo
from bench.processes import pss_mb, tree
from bench.requests import Senders, photo_request, registration_request
from bench.servers import Child, Server, jalon_environment, leave_on_sigterm, running
from bench.stage import CITY, SEED, Stage, empty_stage

CLIENTS = 8
_PHONES = 200
_BOMB_SIDE = 60_000
_BOMB_BYTES = 30_000
_HEAVY_SIDE = 7_700  # 59 megapixels, just within the limit: 180 MB of pixels
_CAMERA = (4032, 3024)
_MOST_PER_SECOND = 2000
_WARM_UP_S = 3
_DRAIN_S = 1200.0
_AIM = 2.0
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Attack:
    """The files that are sent: bombs, and photos that are heavy to decode; so many of each."""

    bomb: bytes
    heavy: Sequence[bytes]
    copies: int

    def requests(self, phone: Phone) -> deque[Exchange]:
        """Write the requests, both kinds mixed."""
        exchanges: deque[Exchange] = deque()
        for number in range(self.copies):
            exchanges.append([photo_request(phone, self.bomb, "image/png")])
            exchanges.append([photo_request(phone, self.heavy[number % len(self.heavy)], "image/png")])
        return exchanges


def draw_attack(copies: int) -> Attack:
    """Draw the files."""
    flat = io.BytesIO()
    Image.new("RGB", (_HEAVY_SIDE, _HEAVY_SIDE), (90, 120, 90)).save(flat, "PNG", compress_level=6)
    camera = draw_photo(*_CAMERA, at_most_bytes=3_000_000, seed=SEED)
    return Attack(claim_to_be_huge(_BOMB_SIDE, body_bytes=_BOMB_BYTES), [flat.getvalue(), camera], copies)


def claim_to_be_huge(side: int, *, body_bytes: int) -> bytes:
    """Make a PNG whose head claims so many pixels each way, and which packs as many zeros as fit."""
    packed = zlib.compress(b"\0" * body_bytes * 1000, 9)[:body_bytes]
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@dataclass(frozen=True, slots=True)
class Pair:
    """One round: reports alone, and under attack."""

    quiet: Measured
    attacked: Measured
    statuses: Counter[int]  # of the files
    drain_s: float  # until the worker had made the heavy photos safe, after the reports

    @property
    def ratio(self) -> float:
        """By how much the 99th percentile is longer under attack."""
        return self.attacked.percentile_ms(0.99) / self.quiet.percentile_ms(0.99)


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that runs while it is measured."""

    stage: Stage
    servers: Sequence[Server]
    worker: Child
    senders: Senders
    attack: Attack

    @property
    def target(self) -> Target:
        """Where to send."""
        return Target("127.0.0.1", [server.port for server in self.servers])

    def file_reports(self, seconds: float) -> Measured:
        """Have eight people file reports for a while.

        Raises:
            RuntimeError: one was refused.
        """
        exchanges = self.senders.reports(int(_MOST_PER_SECOND * seconds))
        measured = send_all(self.target, exchanges, clients=CLIENTS, seconds=seconds)
        if set(measured.statuses) != {201}:
            raise RuntimeError(f"reports answered, by status: {measured.statuses}")
        return measured

    def measure(self, seconds: float) -> Pair:
        """File reports alone, then under attack, and wait until all photos are made safe."""
        quiet = self.file_reports(seconds)
        with self._attacking() as statuses:
            attacked = self.file_reports(seconds)
            counted: Counter[int] = statuses.recv()
        began = time.monotonic()
        self._drain()
        return Pair(quiet, attacked, counted, time.monotonic() - began)

    def memory_mb(self) -> float:
        """Memory of both servers (PSS)."""
        return sum(pss_mb(pid) for server in self.servers for pid in tree(server.pid))

    @contextmanager
    def _attacking(self) -> Iterator[Connection]:
        """Send the files from a process of its own, four at a time; its statuses come through the connection."""
        ours, theirs = multiprocessing.Pipe(duplex=False)
        exchanges = self.attack.requests(self.senders.phones[0])
        attacker = multiprocessing.get_context("fork").Process(target=_attack, args=(self.target, exchanges, theirs))
        attacker.start()
        try:
            yield ours
        finally:
            attacker.join()

    def _drain(self) -> None:
        deadline = time.monotonic() + _DRAIN_S
        with self.stage.cluster.connect(self.stage.database) as connection:
            while connection.execute("SELECT FROM photo WHERE state = 'pending' LIMIT 1").fetchone() is not None:
                if time.monotonic() > deadline:
                    raise RuntimeError("photos still wait")
                time.sleep(0.25)
            states: dict[str, int] = dict(
                connection.execute("SELECT state, count(*) FROM photo GROUP BY state").fetchall()
            )
        if set(states) != {"ready"}:
            raise RuntimeError(f"photos, by state: {states}")


def _attack(target: Target, exchanges: deque[Exchange], statuses: Connection) -> None:
    statuses.send(send_all(target, exchanges, clients=4).statuses)


@contextmanager
def running_bench(data_dir: Path, copies: int, say: Callable[[str], None]) -> Iterator[Bench]:
    """Start everything, with caches warm."""
    say("drawing photos")
    attack = draw_attack(copies)
    with empty_stage(data_dir) as stage, tempfile.TemporaryDirectory(prefix="photos-", dir=data_dir) as name:
        folder = Path(name)
        environment = jalon_environment(stage.app_url, folder)
        servers = [Server(environment, folder / f"serve-{number}.log") for number in (1, 2)]
        worker = Child(["work"], environment, folder / "work.log")
        senders = Senders([Phone() for _ in range(_PHONES)], _services(stage), BOX, random.Random(SEED))
        bench = Bench(stage, servers, worker, senders, attack)
        with running([*servers, worker]):
            send_all(bench.target, deque([registration_request(phone)] for phone in senders.phones), clients=8)
            say("warming up")
            bench.file_reports(_WARM_UP_S)
            yield bench


def _services(stage: Stage) -> list[str]:
    with stage.cluster.connect(stage.database) as connection:
        found = connection.execute(
            "SELECT code FROM service JOIN city ON city.id = city_id WHERE jurisdiction_id = %s AND offered"
            " AND NOT attributes @> '[{\"required\": true}]' ORDER BY position",
            (CITY,),
        )
        return [code for (code,) in found]


def summarise(pairs: Sequence[Pair], *, grew_mb: float) -> dict[str, object]:
    """Take the medians of the rounds, as plain values for a line of JSON."""
    parts = {"quiet": [pair.quiet for pair in pairs], "attacked": [pair.attacked for pair in pairs]}
    rows = {
        name: {
            "per_second": round(statistics.median(one.per_second for one in measured), 1),
            **{
                f"p{round(share * 100)}_ms": round(statistics.median(one.percentile_ms(share) for one in measured), 1)
                for share in (0.50, 0.95, 0.99)
            },
        }
        for name, measured in parts.items()
    }
    return {
        "bench": "bombs",
        "rounds": len(pairs),
        "clients": CLIENTS,
        "processors": os.cpu_count(),
        **rows,
        "files_by_status": dict(sum((pair.statuses for pair in pairs), Counter[int]())),
        "drain_s": round(statistics.median(pair.drain_s for pair in pairs), 1),
        "servers_grew_mb": round(grew_mb, 1),
        "p99_ratio": round(statistics.median(pair.ratio for pair in pairs), 2),
        "aim": _AIM,
    }


def show(pairs: Sequence[Pair], summary: dict[str, object], console: Console) -> None:
    """Print the rounds as a table, and the ratio."""
    table = Table(title=f"Reports of {CLIENTS} clients, alone and while bombs and heavy photos come")
    for heading in ("round", "what", "per s", "p50 ms", "p95", "p99", "ratio of p99"):
        table.add_column(heading, justify="right")
    for number, pair in enumerate(pairs, start=1):
        for words, one, ratio in (("alone", pair.quiet, ""), ("attacked", pair.attacked, f"{pair.ratio:.2f}")):
            latencies = (f"{one.percentile_ms(share):.1f}" for share in (0.50, 0.95, 0.99))
            table.add_row(str(number), words, f"{one.per_second:.0f}", *latencies, ratio)
    console.print(table)
    console.print(f"files answered, by status: {summary['files_by_status']}")
    console.print(f"the servers grew by {summary['servers_grew_mb']} MB")
    console.print(f"p99 under attack {summary['p99_ratio']} of that alone (aim: {_AIM} at most)")


def main() -> None:
    """Run the benchmark as the command line says; a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="where the database is kept")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10, help="how long each measurement takes")
    parser.add_argument("--copies", type=int, default=100, help="of either kind of file in each round")
    options = parser.parse_args()
    default = default_data_dir(os.environ, is_root=os.geteuid() == 0) / "bench"
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    leave_on_sigterm()
    with running_bench(options.data_dir or default, options.copies, console.print) as bench:
        before_mb, pairs = bench.memory_mb(), []
        for number in range(1, options.rounds + 1):
            pairs.append(bench.measure(options.seconds))
            console.print(f"round {number} of {options.rounds}: ratio {pairs[-1].ratio:.2f}")
        summary = summarise(pairs, grew_mb=bench.memory_mb() - before_mb)
    show(pairs, summary, console)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
