"""Edges: the map in process and PostGIS give one answer for every position, and everybody has an owner.

`make drill-edges` draws positions all over the shipped cities and on the edges of their districts, asks both, and
counts the differences. An edge is not a row of numbers that a computer can write down, so a position drawn on one
lies on it to the last digit or a hair to one side; both have to see the same side.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import shapely
from rich.console import Console
from rich.progress import track
from sqlalchemy.ext.asyncio import AsyncSession

from api.settings import default_data_dir
from bench.stage import SEED, empty_stage
from db.sessions import Database
from geo.atlas import CityMap
from geo.cities import load_atlas
from geo.districts import districts_of_points
from geo.layers import DistrictAnswer
from geo.points import LonLat

ACCURACY_M = 12.0
_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Faults:
    """What was found on some positions.

    Attributes:
        positions: How many were asked about.
        inside: How many of them lie in the city.
        in_gaps: How many of those belong to the nearest district, being in none.
        different: Those that the map and PostGIS answer differently.
        ownerless: Those inside that have not exactly one district of the responsible layer.
    """

    positions: int
    inside: int
    in_gaps: int
    different: Sequence[LonLat]
    ownerless: Sequence[LonLat]


def draw_anywhere(city: CityMap, count: int, draw: random.Random) -> list[LonLat]:
    """Draw positions evenly in the box around a city."""
    west, south, east, north = shapely.total_bounds(_polygons(city))
    return [LonLat(draw.uniform(west, east), draw.uniform(south, north)) for _ in range(count)]


def draw_on_edges(city: CityMap, count: int, draw: random.Random) -> list[LonLat]:
    """Draw positions on the edges of districts: on corners, and between two corners wherever."""
    rings = [shapely.get_coordinates(ring) for ring in shapely.get_rings(shapely.get_parts(_polygons(city)))]
    positions = []
    for _ in range(count):
        ring = draw.choice(rings)
        i = draw.randrange(len(ring) - 1)
        share = draw.choice((0.0, 0.5, draw.random()))
        lon, lat = ring[i] + share * (ring[i + 1] - ring[i])
        positions.append(LonLat(float(lon), float(lat)))
    return positions


async def find_faults(
    session: AsyncSession, city: CityMap, positions: Sequence[LonLat], *, accuracy_m: float, on: date
) -> Faults:
    """Ask the map and PostGIS about the same positions."""
    by_map = [city.districts_at(at, accuracy_m=accuracy_m, on=on) for at in positions]
    by_postgis = await districts_of_points(session, city.id, positions, accuracy_m=accuracy_m, on=on)
    inside = [(at, answers) for at, answers in zip(positions, by_map, strict=True) if city.contains(at)]
    own = [(at, [a for a in answers if a.layer == city.responsible_layer]) for at, answers in inside]
    return Faults(
        positions=len(positions),
        inside=len(inside),
        in_gaps=sum(any(answer.gap_m is not None for answer in answers) for _, answers in own),
        different=[
            at
            for at, ours, theirs in zip(positions, by_map, by_postgis, strict=True)
            if not is_same(ours, theirs, accuracy_m=accuracy_m)
        ],
        ownerless=[at for at, answers in own if len(answers) != 1],
    )


def is_same(ours: Sequence[DistrictAnswer], theirs: Sequence[DistrictAnswer], *, accuracy_m: float) -> bool:
    """Whether two answers say the same: the same districts, and the same metres as far as they are measured."""
    return len(ours) == len(theirs) and all(
        (a.layer, a.code, a.names, a.gap_m is None) == (b.layer, b.code, b.names, b.gap_m is None)
        and abs((a.gap_m or 0.0) - (b.gap_m or 0.0)) <= 0.01 + 0.001 * accuracy_m
        and _same_edge(a.edge_m, b.edge_m, accuracy_m)
        for a, b in zip(ours, theirs, strict=True)
    )


def _same_edge(a: float | None, b: float | None, accuracy_m: float) -> bool:
    """The same distance to the next district; where one sees none, the other sees it at the very limit."""
    tolerance_m = 0.01 + 0.001 * accuracy_m
    if a is None or b is None:
        seen_m = a if b is None else b
        return seen_m is None or abs(seen_m - accuracy_m) <= tolerance_m
    return abs(a - b) <= tolerance_m


def _polygons(city: CityMap) -> list[shapely.Geometry]:
    return [district.polygon for layer in city.layers for district in layer.districts]


async def _run(app_url: str, *, anywhere: int, on_edges: int, console: Console) -> int:
    draw, on, faults = random.Random(SEED), datetime.now(UTC).date(), 0
    async with Database(app_url) as database, database.transaction() as session:
        for city in (await load_atlas(session)).cities:
            drawn = {
                "anywhere": draw_anywhere(city, anywhere, draw),
                "on edges": draw_on_edges(city, on_edges, draw),
            }
            for where, positions in drawn.items():
                begun = time.monotonic()
                batches = [positions[i : i + _BATCH] for i in range(0, len(positions), _BATCH)]
                found = [
                    await find_faults(session, city, batch, accuracy_m=ACCURACY_M, on=on)
                    for batch in track(batches, f"{city.jurisdiction_id}, {where}", console=console, transient=True)
                ]
                different = [at for part in found for at in part.different]
                ownerless = [at for part in found for at in part.ownerless]
                faults += len(different) + len(ownerless)
                console.print(
                    f"{city.jurisdiction_id}, {where}: {len(positions)} positions,"
                    f" {sum(part.inside for part in found)} in the city, {sum(part.in_gaps for part in found)} in gaps:"
                    f" {len(different)} answered differently, {len(ownerless)} without exactly one owner"
                    f" ({time.monotonic() - begun:.0f} s)"
                )
                for at in [*different, *ownerless][:10]:
                    console.print(f"  {at.lon!r} {at.lat!r}")
    return faults


def main() -> None:
    """Run the drill as the command line says; ends with 1 where it found a fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="where the private database cluster lies")
    parser.add_argument("--anywhere", type=int, default=100_000, help="positions all over each city")
    parser.add_argument("--on-edges", type=int, default=10_000, help="positions on edges of its districts")
    options = parser.parse_args()
    default = default_data_dir(os.environ, is_root=os.geteuid() == 0) / "bench"
    console = Console()
    with empty_stage(options.data_dir or default) as stage:
        faults = asyncio.run(_run(stage.app_url, anywhere=options.anywhere, on_edges=options.on_edges, console=console))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
