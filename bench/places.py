"""Addresses from positions, positions from addresses, and districts, on the data of the packs: `make bench-places`.

A thousand of Montréal's addresses, a thousand of Québec's numbers (told by civic ranges) and a thousand of Laval's
crossings are typed with one error or abbreviation each, by a fixed seed, and looked for in the three cities at once;
then their positions are asked for their street. `bench.asked_places` says what a hit is. Addresses of positions are
timed among all numbers of Québec's ranges, and districts in three layers, of which the third is the second again.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from api.settings import default_data_dir
from bench.asked_places import Case, address_cases, crossing_cases, numbers_of, range_cases, read_ranges
from bench.load import Exchange, Measured, Target, send_all
from bench.servers import Server, jalon_environment, leave_on_sigterm, running
from bench.stage import CITY, PACKS, SEED, empty_stage, load_city
from bench.where import ACCURACY_M, draw_positions
from db.sessions import Database
from geo.atlas import CityMap
from geo.geocode import find_places
from geo.layers import LayerMap
from geo.points import LonLat
from geo.ranges import place_ranges
from geo.street_map import StreetMap
from issues.city import Cities, load_cities

_QUEBEC: Final = "ville.quebec.qc.ca"
_LAVAL: Final = "laval.ca"
_POSITIONS: Final = 20_000
_CLIENTS: Final = 8
_SECONDS: Final = 5.0
_MOST_A_SECOND: Final = 10_000
_WHERE: Final = "GET /v1/where?lat={lat:.6f}&long={lon:.6f}&accuracy_m=15 HTTP/1.1\r\nHost: localhost\r\n\r\n"


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


async def ask_forward(session: AsyncSession, name: str, city_ids: Sequence[int], cases: Sequence[Case]) -> Tally:
    """Look for what was typed."""

    async def ask(case: Case) -> bool:
        found = await find_places(session, city_ids, case.typed)
        return bool(found) and case.is_hit(found[0])

    return await _tally(f"forward: {name}", cases, ask)


async def ask_reverse(name: str, streets: StreetMap, cases: Sequence[Case]) -> Tally:
    """Ask for the street at each position."""

    async def ask(case: Case) -> bool:
        address = streets.address_at(case.at)
        return address is not None and case.is_there(address)

    return await _tally(f"reverse: {name}", cases, ask)


async def _tally(name: str, cases: Sequence[Case], ask: Callable[[Case], Awaitable[bool]]) -> Tally:
    took_ms, missed = [], []
    for case in cases:
        begun = time.perf_counter()
        hit = await ask(case)
        took_ms.append((time.perf_counter() - begun) * 1000.0)
        if not hit:
            missed.append(case.typed)
    return Tally(name, len(cases) - len(missed), took_ms, missed)


async def measure(url: str, number: int) -> tuple[list[Tally], dict[str, float]]:
    """Ask for everything, as the role that serves; answers with what was found, and with figures by name."""
    chance = random.Random(SEED)
    drawn = {
        CITY: ("Montréal's addresses", address_cases(PACKS / "montreal", number, chance)),
        _QUEBEC: ("Québec's ranges", range_cases(PACKS / "quebec", number, chance)),
        _LAVAL: ("Laval's crossings", crossing_cases(PACKS / "laval", number, chance)),
    }
    async with Database(url) as database, database.transaction() as session:
        cities = await load_cities(session)
        tallies = [await ask_reverse(name, _book(cities, city).streets, cases) for city, (name, cases) in drawn.items()]
        tallies += [await ask_forward(session, name, sorted(cities.books), cases) for name, cases in drawn.values()]
    return tallies, _reverse_figures(_book(cities, _QUEBEC).map) | _where_figures(_book(cities, CITY).map)


def _book(cities: Cities, jurisdiction_id: str) -> Any:
    book = cities.by_jurisdiction(jurisdiction_id)
    assert book is not None
    return book


def _reverse_figures(city: CityMap) -> dict[str, float]:
    """Time addresses of positions among every number of a city's ranges, each at a place of its own."""
    places = [(str(civic), name, at) for name, civic, at in _all_numbers()]
    streets = StreetMap(
        city.middle,
        addresses=[(number, name) for number, name, _ in places],
        address_places=np.array([(at.lon, at.lat) for *_, at in places]),
    )
    positions = [at for *_, at in random.Random(SEED).sample(places, _POSITIONS)]
    return {"addresses": len(places), "reverse_ms": _each_ms(positions, streets.address_at)}


def _all_numbers() -> list[tuple[str, int, LonLat]]:
    """Every number, where its neighbour among those that a load places is."""
    ranges = read_ranges(PACKS / "quebec")
    placed: dict[int, list[tuple[int, LonLat]]] = {}
    for nth, civic, at in place_ranges([numbers for _, numbers in ranges]):
        placed.setdefault(nth, []).append((civic, at))
    chance = random.Random(SEED)
    return [
        (name, civic, _aside(min(placed[nth], key=lambda known: abs(known[0] - civic))[1], chance))
        for nth, (name, numbers) in enumerate(ranges)
        for civic in numbers_of(numbers)
    ]


def _aside(at: LonLat, chance: random.Random) -> LonLat:
    return LonLat(at.lon + chance.uniform(-5e-5, 5e-5), at.lat + chance.uniform(-5e-5, 5e-5))


def _where_figures(city: CityMap) -> dict[str, float]:
    """Time districts of positions, in process; of the processor's time, the median of five passes."""
    again = city.layers[-1]
    layers = [*city.layers, LayerMap("again", again.districts, names=again.names)]
    whole = shapely.union_all([district.polygon for district in city.layers[0].districts])
    three = CityMap(city.profile, outline=whole, layers=layers, responsible_layer=city.responsible_layer)
    today = datetime.now(UTC).date()
    positions = draw_positions(city, _POSITIONS)

    def ask(at: LonLat) -> object:
        return three.districts_at(at, accuracy_m=ACCURACY_M, on=today)

    _each_ms(positions, ask)  # cuts the cells
    return {"where_us": 1000.0 * statistics.median(_each_ms(positions, ask) for _ in range(5)), "layers": len(layers)}


def _each_ms(positions: Sequence[LonLat], ask: Callable[[LonLat], object]) -> float:
    begun = time.process_time()
    for at in positions:
        ask(at)
    return 1000.0 * (time.process_time() - begun) / len(positions)


def over_http(url: str, data_dir: Path, city: CityMap) -> Measured:
    """Ask one server process where positions are, by eight clients; they share the machine with it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    server = Server(jalon_environment(url, data_dir), data_dir / "server.log")
    asked: deque[Exchange] = deque(
        [[_WHERE.format(lat=at.lat, lon=at.lon).encode()]]
        for at in draw_positions(city, int(_SECONDS * _MOST_A_SECOND))
    )
    with running([server]):
        target = Target("127.0.0.1", [server.port])
        send_all(target, deque(asked.popleft() for _ in range(200)), clients=_CLIENTS)
        return send_all(target, asked, clients=_CLIENTS, seconds=_SECONDS)


async def _montreal(url: str) -> CityMap:
    async with Database(url) as database, database.transaction() as session:
        city: CityMap = _book(await load_cities(session), CITY).map
        return city


def main() -> None:
    """Print how often the first answer is right, and how long it takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="where the database is kept between runs")
    parser.add_argument("--places", type=int, default=1000, help="how many of each kind")
    parser.add_argument("--missed", action="store_true", help="list what was not found")
    options = parser.parse_args()
    data_dir = options.data_dir or default_data_dir(os.environ, is_root=os.geteuid() == 0) / "bench"
    console = Console()
    leave_on_sigterm()
    with empty_stage(data_dir) as stage:
        for city in ("laval", "quebec"):
            load_city(stage.owner_url, city)
        tallies, figures = asyncio.run(measure(stage.app_url, options.places))
        answered = over_http(stage.app_url, data_dir / "places", asyncio.run(_montreal(stage.app_url)))
    table = Table("question", "asked", "first hit", "median ms", "p95 ms", title="Places, the three packs loaded")
    for tally in tallies:
        asked, median_ms = len(tally.took_ms), statistics.median(tally.took_ms)
        table.add_row(tally.name, str(asked), f"{tally.rate:.1%}", f"{median_ms:.3f}", f"{tally.p95_ms:.3f}")
    console.print(table)
    if options.missed:
        for tally in tallies:
            console.print(tally.name, *tally.missed, sep="\n  ")
    figures |= {"http_where_per_s": answered.per_second, "http_where_p95_ms": answered.percentile_ms(0.95)}
    console.print(
        f"reverse among {figures['addresses']:,.0f} addresses: {figures['reverse_ms']:.4f} ms\n"
        f"where in {figures['layers']:.0f} layers, in process: {figures['where_us']:.1f} us\n"
        f"GET /v1/where: {answered.per_second:.0f}/s, p95 {answered.percentile_ms(0.95):.2f} ms; "
        + ", ".join(f"{count} with {status}" for status, count in sorted(answered.statuses.items()))
    )
    found: dict[str, Any] = {
        tally.name: {"first_hit": round(tally.rate, 4), "p95_ms": round(tally.p95_ms, 3)} for tally in tallies
    }
    told = {name: round(figure, 4) for name, figure in figures.items()}
    print(json.dumps({"bench": "places", **found, **told}, ensure_ascii=False))


if __name__ == "__main__":
    main()
