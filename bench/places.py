"""Addresses from positions and positions from addresses, on the data of the packs: `make bench-places`.

A thousand of Montréal's addresses and a thousand of Laval's crossings are typed with one error or abbreviation each,
by a fixed seed, and looked for in both cities at once. A hit is a first answer at the right number of the right
street, or within 60 m of the crossing. Numbers are never mistyped: another number is another address.
"""

import argparse
import asyncio
import csv
import gzip
import json
import os
import random
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from api.settings import default_data_dir
from bench.mistyped import type_badly
from bench.servers import leave_on_sigterm
from bench.stage import PACKS, SEED, empty_stage, load_city
from db.sessions import Database
from geo.geocode import FoundAs, FoundPlace, find_places
from geo.points import LonLat, distance_m
from geo.street_map import StreetMap, write_address
from geo.street_words import read_street
from issues.city import load_cities

_CROSSING_M: Final = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """A place, what is typed for it, and what tells that the right one was found."""

    typed: str
    at: LonLat
    is_hit: Callable[[FoundPlace], bool]


@dataclass(frozen=True, slots=True)
class Tally:
    """How a kind of question was answered."""

    name: str
    hits: int
    took_ms: Sequence[float]
    missed: Sequence[str]

    @property
    def rate(self) -> float:
        """Share of the questions answered rightly, by the first answer."""
        return self.hits / len(self.took_ms)

    @property
    def p95_ms(self) -> float:
        """Nineteen in twenty were answered within."""
        return statistics.quantiles(self.took_ms, n=20)[-1]


def address_cases(folder: Path, number: int, chance: random.Random) -> list[Case]:
    """Draw addresses of a pack, and type each badly."""
    with gzip.open(folder / "adresses.csv.gz", "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))

    def case(row: dict[str, str]) -> Case:
        [street] = type_badly([row["street"]], chance)
        right = _same_street(row["street"], row["number"])
        return Case(f"{row['number']} {street}", LonLat(float(row["lon"]), float(row["lat"])), right)

    return [case(row) for row in chance.sample(rows, min(number, len(rows)))]


def crossing_cases(folder: Path, number: int, chance: random.Random) -> list[Case]:
    """Draw crossings of a pack, points that lines of two names share, as often as needed, and type each badly."""
    with gzip.open(folder / "rues.geojson.gz", "rt", encoding="utf-8") as file:
        pieces = json.load(file)["features"]
    names_at: dict[tuple[float, float], set[str]] = defaultdict(set)
    for piece in pieces:
        for lon, lat in piece["geometry"]["coordinates"]:
            names_at[lon, lat].add(piece["properties"]["name"])
    meetings: dict[tuple[str, str], list[LonLat]] = defaultdict(list)
    for (lon, lat), names in sorted(names_at.items()):
        for one, other in combinations(sorted(names), 2):
            meetings[one, other].append(LonLat(lon, lat))
    pairs = sorted(meetings)

    def case(pair: tuple[str, str]) -> Case:
        one, other = type_badly(chance.sample(pair, 2), chance)
        points = meetings[pair]
        joint = chance.choice((" et ", " / ", " & ", " coin "))

        def is_hit(found: FoundPlace) -> bool:
            return any(distance_m(found.at, point) <= _CROSSING_M for point in points)

        return Case(f"{one}{joint}{other}", points[0], is_hit)

    return [case(chance.choice(pairs)) for _ in range(number)]


def _same_street(street: str, number: str) -> Callable[[FoundPlace], bool]:
    written = write_address(number, street)
    words = read_street(street)

    def is_hit(found: FoundPlace) -> bool:
        found_number, _, found_street = found.address.partition(", ")
        return found.address == written or (found_number == number and read_street(found_street) == words)

    return is_hit


async def ask_forward(session: AsyncSession, name: str, city_ids: Sequence[int], cases: Sequence[Case]) -> Tally:
    """Look for what was typed."""

    async def ask(case: Case) -> bool:
        found = await find_places(session, city_ids, case.typed)
        return bool(found) and case.is_hit(found[0])

    return await _tally(name, cases, ask)


async def ask_reverse(name: str, streets: StreetMap, cases: Sequence[Case]) -> Tally:
    """Ask for the address at each position."""

    async def ask(case: Case) -> bool:
        address = streets.address_at(case.at)
        return address is not None and case.is_hit(FoundPlace(0, case.at, 0.0, address, 1.0, FoundAs.ADDRESS))

    return await _tally(name, cases, ask)


async def _tally(name: str, cases: Sequence[Case], ask: Callable[[Case], Awaitable[bool]]) -> Tally:
    took_ms, missed = [], []
    for case in cases:
        begun = time.perf_counter()
        hit = await ask(case)
        took_ms.append((time.perf_counter() - begun) * 1000.0)
        if not hit:
            missed.append(case.typed)
    return Tally(name, len(cases) - len(missed), took_ms, missed)


async def measure(url: str, number: int) -> list[Tally]:
    """Ask for everything, as the role that serves."""
    chance = random.Random(SEED)
    addresses = address_cases(PACKS / "montreal", number, chance)
    crossings = crossing_cases(PACKS / "laval", number, chance)
    async with Database(url) as database, database.transaction() as session:
        cities = await load_cities(session)
        montreal = cities.by_jurisdiction("montreal.ca")
        assert montreal is not None
        return [
            await ask_reverse("reverse: Montréal's addresses", montreal.streets, addresses),
            await ask_forward(session, "forward: Montréal's addresses", sorted(cities.books), addresses),
            await ask_forward(session, "forward: Laval's crossings", sorted(cities.books), crossings),
        ]


def main() -> None:
    """Print how often the first answer is right, and how long it takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="where the database is kept between runs")
    parser.add_argument("--places", type=int, default=1000, help="how many of each kind")
    parser.add_argument("--missed", action="store_true", help="list what was not found")
    options = parser.parse_args()
    default = default_data_dir(os.environ, is_root=os.geteuid() == 0) / "bench"
    console = Console()
    leave_on_sigterm()
    with empty_stage(options.data_dir or default) as stage:
        load_city(stage.owner_url, "laval")
        tallies = asyncio.run(measure(stage.app_url, options.places))
    table = Table("question", "asked", "first hit", "median ms", "p95 ms", title="Places, both packs loaded")
    for tally in tallies:
        asked, median_ms = len(tally.took_ms), statistics.median(tally.took_ms)
        table.add_row(tally.name, str(asked), f"{tally.rate:.1%}", f"{median_ms:.3f}", f"{tally.p95_ms:.3f}")
    console.print(table)
    if options.missed:
        for tally in tallies:
            console.print(tally.name, *tally.missed, sep="\n  ")
    figures: dict[str, Any] = {
        tally.name: {"first_hit": round(tally.rate, 4), "p95_ms": round(tally.p95_ms, 3)} for tally in tallies
    }
    print(json.dumps({"bench": "places", **figures}, ensure_ascii=False))


if __name__ == "__main__":
    main()
