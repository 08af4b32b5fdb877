"""What finding and scoring a report's candidates costs as a city's history grows: `make bench-matching`.

For each number of issues (one in ten open, most along the streets) the same is asked from where open issues are: by the
code that takes reports, in a transaction with row-level security, scores included; and, in turn with it, the bare
search of the same index for the same services by the owner of the tables. Both go through the same driver, from each
place twice; the second time counts.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from api.settings import default_data_dir
from bench.plans import plans_of, tell_plans
from bench.servers import leave_on_sigterm
from bench.stage import CITY, SEED, Stage, stage_of_issues
from db.connections import driver_connection
from db.dumps import libpq_url
from db.sessions import Database
from geo.points import LonLat, offset
from issues.catalogue import ServiceEntry
from issues.city import CityBook, load_cities
from issues.issue import OPEN_SQL
from issues.match import rank_candidates
from issues.neighbours import ask_neighbours, read_candidates

SIZES = (10_000, 100_000, 1_000_000, 3_000_000)
_TABLES = ("issue", "report", "report_personal")
_PLACES = 400
_ACCURACY_M = 8.0
_JITTER_M = 8.0  # people stand a few metres off
_AIM = 2.0
_WIDTH = 120

# OFFSET keeps one search for each service, the best plan there is: together they lose that column of the index.
_BARE = f"""
SELECT near.id FROM unnest(ARRAY[{{codes}}]) AS service(code)
CROSS JOIN LATERAL (
    SELECT id FROM issue
    WHERE city_id = %(city_id)s::integer AND service_code = service.code AND {OPEN_SQL}
      AND ST_DWithin(place, ST_Point(%(lon)s::float8, %(lat)s::float8, 4326)::geography, %(radius_m)s::float8)
    OFFSET 0
) AS near
"""
_SOMEWHERE = f"""
SELECT service_code, ST_X(place::geometry), ST_Y(place::geometry) FROM issue
WHERE NOT private AND {OPEN_SQL} ORDER BY md5(id::text || %s) LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Size:
    """What one size of history showed: medians in microseconds of all places, and the plan.

    Attributes:
        candidates: Found from a place, on average.
        bare_us: The bare search of the index.
        search_us: Ours: view, limits, distances.
        score_us: Scoring and ranking what it found.
        ratio: Of search and scores together to the bare search.
        indexes: What the plan reads.
    """

    issues: int
    candidates: float
    bare_us: float
    search_us: float
    score_us: float
    ratio: float
    indexes: Sequence[str]

    @property
    def whole_us(self) -> float:
        """Search and scores together."""
        return self.search_us + self.score_us


@dataclass(frozen=True, slots=True)
class _Question:
    """A report to come: of a service, from a place."""

    service: ServiceEntry
    at: LonLat


def _questions(stage: Stage, city: CityBook, count: int) -> list[_Question]:
    """Draw places where open issues are: so each finds one at least, and what is crowded is reported more."""
    draw = random.Random(SEED)
    with stage.cluster.connect(stage.database) as connection:
        found = connection.execute(_SOMEWHERE, (str(SEED), count)).fetchall()
    return [
        _Question(
            city.catalogue.services[code],
            offset(LonLat(lon, lat), east_m=draw.gauss(0, _JITTER_M), north_m=draw.gauss(0, _JITTER_M)),
        )
        for code, lon, lat in found
    ]


async def _ask(session: AsyncSession, city: CityBook, question: _Question, now: datetime) -> tuple[float, float, int]:
    """Find and score as a report does; answers with the seconds of both, and how many candidates there were."""
    connection, service = await driver_connection(session), question.service
    begun = time.perf_counter()
    cursor = await ask_neighbours(
        connection, city.id, service_codes=service.neighbours, at=question.at, policy=service.policy, now=now
    )
    candidates = await read_candidates(cursor)
    found = time.perf_counter()
    rank_candidates(candidates, service_code=service.code, accuracy_m=_ACCURACY_M, policy=service.policy, now=now)
    return found - begun, time.perf_counter() - found, len(candidates)


async def _ask_bare(connection: psycopg.AsyncConnection, city_id: int, question: _Question) -> float:
    codes = {f"service_{n}": code for n, code in enumerate(question.service.neighbours)}
    query = _BARE.format(codes=", ".join(f"%({name})s::text" for name in codes))
    values = {
        **codes,
        "city_id": city_id,
        "lon": question.at.lon,
        "lat": question.at.lat,
        "radius_m": question.service.policy.radius_m,
    }
    begun = time.perf_counter()
    await (await connection.execute(query, values, prepare=True)).fetchall()
    return time.perf_counter() - begun


async def measure(stage: Stage, issues: int) -> Size:
    """Measure in a database with a history of so many issues."""
    now = datetime.now(UTC)
    async with Database(stage.app_url) as database:
        async with database.transaction() as session:
            city = (await load_cities(session)).by_jurisdiction(CITY)
        assert city is not None
        questions = _questions(stage, city, _PLACES)
        bare, ours = [], []
        async with (
            database.transaction(city.id) as session,
            await psycopg.AsyncConnection.connect(libpq_url(stage.owner_url)) as owner,
        ):
            await owner.execute("SET plan_cache_mode = force_generic_plan")  # planned once: its best
            for number, question in enumerate([*questions, *questions]):
                # Who asks first finds less in memory.
                if number % 2:
                    ours.append(await _ask(session, city, question, now))
                bare.append(await _ask_bare(owner, city.id, question))
                if not number % 2:
                    ours.append(await _ask(session, city, question, now))
    # The first time around warms caches and has plans made.
    bare, ours = bare[len(questions) :], ours[len(questions) :]
    whole = statistics.median(search + score for search, score, _ in ours)
    return Size(
        issues=issues,
        candidates=round(statistics.mean(count for *_, count in ours), 2),
        bare_us=round(1e6 * statistics.median(bare), 1),
        search_us=round(1e6 * statistics.median(search for search, *_ in ours), 1),
        score_us=round(1e6 * statistics.median(score for _, score, _ in ours), 1),
        ratio=round(whole / statistics.median(bare), 2),
        indexes=await _indexes(stage, city, questions[0], now),
    )


async def _indexes(stage: Stage, city: CityBook, question: _Question, now: datetime) -> Sequence[str]:
    """Have the database tell the plan of our search; after the measuring, for telling takes time."""
    with stage.cluster.connect() as connection:
        tell_plans(connection, stage.database)

    async def search(session: AsyncSession) -> None:
        await _ask(session, city, question, now)

    async with Database(stage.app_url) as database:
        plans = await plans_of(database, city.id, search)
    walked = [f"walks through {table}" for plan in plans for table in plan.walked]
    return [*walked, *dict.fromkeys(step.index for plan in plans for step in plan.steps if step.index)]


def show(sizes: Sequence[Size], console: Console) -> None:
    """Print a row for each size."""
    table = Table(title=f"Candidates of a report, microseconds, medians of {_PLACES} places")
    for heading in ("issues", "candidates", "bare index", "search", "scores", "together", "of bare", "plan reads"):
        table.add_column(heading, justify="left" if heading == "plan reads" else "right")
    for size in sizes:
        times = (size.bare_us, size.search_us, size.score_us, size.whole_us)
        row = (f"{size.issues:,}", f"{size.candidates:.2f}", *(f"{us:.0f}" for us in times), f"{size.ratio:.2f}")
        table.add_row(*row, ", ".join(size.indexes))
    console.print(table)
    growth = sizes[-1].whole_us / sizes[0].whole_us
    console.print(f"from {sizes[0].issues:,} to {sizes[-1].issues:,} issues it grows {growth:.2f} times;", end=" ")
    console.print(f"at most {max(size.ratio for size in sizes):.2f} of the bare search (aim: {_AIM} at most)")


def main() -> None:
    """Run the benchmark as the command line says; a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="where the private database cluster lies")
    parser.add_argument("--issues", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    default = default_data_dir(os.environ, is_root=os.geteuid() == 0) / "bench"
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    leave_on_sigterm()
    sizes = []
    for issues in options.issues:
        with stage_of_issues(options.data_dir or default, issues, _TABLES) as stage:
            console.print(f"{issues:,} issues are there")
            sizes.append(asyncio.run(measure(stage, issues)))
    show(sizes, console)
    print(json.dumps({"bench": "matching", "sizes": [asdict(size) for size in sizes], "aim": _AIM}))


if __name__ == "__main__":
    main()
