"""Where is this? Microseconds in process beside PostGIS, on Montréal's real polygons: `make bench-where`.

Both sides answer for the same positions, drawn evenly in the city with a fixed seed, and take turns; each number is
the median of the rounds. PostGIS is asked as one would: an index on the polygons, a prepared statement, the role that
serves, over the unix socket, one position a query. Asked in bulk it saves the round trips; that is shown too. The map
is timed by its processor time, which is its elapsed time on a machine that does nothing else; PostGIS, which is two
processes, by elapsed time: run it on a quiet machine.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import shapely
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from api.settings import default_data_dir
from bench.stage import CITY, SEED, empty_stage
from db.connections import driver_connection
from db.sessions import Database
from geo.atlas import Atlas, CityMap
from geo.cities import load_atlas
from geo.districts import districts_of_points
from geo.points import LonLat

ACCURACY_M = 15.0
# Positions this near to another district are the dear ones: the distance has to be measured.
_BORDER_M = 100.0

_INSIDE_SQL = """
SELECT DISTINCT ON (layer) layer, code FROM district
WHERE city_id = %(city_id)s::integer AND ST_Covers(polygon, ST_Point(%(lon)s, %(lat)s, 4326))
  AND valid_from <= %(day)s AND (valid_to IS NULL OR %(day)s < valid_to)
ORDER BY layer, ST_Area(polygon), code
"""
# The box is there for the index: a degree is never shorter than 50 km where people live.
_INSIDE_AND_NEAR_SQL = """
WITH here AS MATERIALIZED (SELECT ST_Point(%(lon)s, %(lat)s, 4326) AS place)
SELECT DISTINCT ON (home.layer) home.layer, home.code, EXISTS (
    SELECT FROM district AS other, here
    WHERE other.city_id = %(city_id)s::integer AND other.layer = home.layer AND other.code <> home.code
      AND other.polygon && ST_Expand(here.place, %(accuracy_m)s / 50000.0)
      AND ST_DWithin(other.polygon::geography, here.place::geography, %(accuracy_m)s)
) AS near_boundary
FROM district AS home, here
WHERE home.city_id = %(city_id)s::integer AND ST_Covers(home.polygon, here.place)
  AND home.valid_from <= %(day)s AND (home.valid_to IS NULL OR %(day)s < home.valid_to)
ORDER BY home.layer, ST_Area(home.polygon), home.code
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured way of asking.

    Attributes:
        what: Which question, and of whom.
        microseconds: A position, the median of the rounds.
        layers: How many layers it answers.
    """

    what: str
    microseconds: float
    layers: int


def draw_positions(city: CityMap, count: int) -> list[LonLat]:
    """Draw positions evenly in a city."""
    draw = random.Random(SEED)
    west, south, east, north = shapely.total_bounds(
        [district.polygon for layer in city.layers for district in layer.districts]
    )
    positions: list[LonLat] = []
    while len(positions) < count:
        at = LonLat(draw.uniform(west, east), draw.uniform(south, north))
        if city.contains(at):
            positions.append(at)
    return positions


def near_borders(city: CityMap, positions: Sequence[LonLat], day: date) -> list[LonLat]:
    """Keep the positions that have another district close by, in any layer."""
    return [
        at
        for at in positions
        if any(answer.near_boundary for answer in city.districts_at(at, accuracy_m=_BORDER_M, on=day))
    ]


def in_process(atlas: Atlas, positions: Sequence[LonLat], day: date) -> list[Row]:
    """Time the map in process, whole and in its parts."""
    city = atlas.by_jurisdiction(CITY)
    assert city is not None
    ask = partial(city.districts_at, accuracy_m=ACCURACY_M, on=day)
    rows = [
        _timed("city of a position", 0, positions, atlas.city_at),
        _timed("all layers with near_boundary", len(city.layers), positions, ask),
    ]
    for layer in city.layers:
        what = f"layer {layer.code} ({len(layer.districts)} polygons)"
        rows += [_timed(what, 1, positions, partial(layer.district_at, accuracy_m=ACCURACY_M, on=day))]
    close = near_borders(city, positions, day)
    what = f"all layers, only positions within {_BORDER_M:.0f} m of a border"
    return [*rows, _timed(what, len(city.layers), close, ask)]


async def by_postgis(session: AsyncSession, city: CityMap, positions: Sequence[LonLat], day: date) -> list[Row]:
    """Time PostGIS on the same positions: one query each, and in bulk."""
    connection = await driver_connection(session)
    layers = len(city.layers)
    rows = []
    for what, query in (
        ("PostGIS, all layers without near_boundary", _INSIDE_SQL),
        ("PostGIS, all layers with near_boundary", _INSIDE_AND_NEAR_SQL),
    ):
        begun = time.perf_counter()
        for at in positions:
            values = {"city_id": city.id, "lon": at.lon, "lat": at.lat, "day": day, "accuracy_m": ACCURACY_M}
            await (await connection.execute(query, values, prepare=True)).fetchall()
        rows.append(Row(what, _each_us(begun, positions), layers))
    begun = time.perf_counter()
    await districts_of_points(session, city.id, positions, accuracy_m=ACCURACY_M, on=day)
    rows.append(Row("PostGIS in bulk, all layers with near_boundary", _each_us(begun, positions), layers))
    return rows


async def measure(database: Database, *, count: int, rounds: int) -> list[Row]:
    """Measure all ways of asking, in turns; the first pass over the map, which cuts its cells, apart."""
    day = datetime.now(UTC).date()
    async with database.transaction() as session:
        begun = time.perf_counter()
        atlas = await load_atlas(session)
        loading = Row("loading the atlas, once (microseconds in all)", 1e6 * (time.perf_counter() - begun), 0)
        city = atlas.by_jurisdiction(CITY)
        assert city is not None
        positions = draw_positions(city, count)
        ask = partial(city.districts_at, accuracy_m=ACCURACY_M, on=day)
        first = _timed("first time somebody asks there", len(city.layers), positions, ask)
        taken = [
            [*in_process(atlas, positions, day), *await by_postgis(session, city, positions[: count // 10], day)]
            for _ in range(rounds)
        ]
    medians = [
        Row(same[0].what, statistics.median(row.microseconds for row in same), same[0].layers)
        for same in zip(*taken, strict=True)
    ]
    return [*medians, first, loading]


def show(rows: Sequence[Row], console: Console) -> None:
    """Print a table; the ratio is to the map in process with everything on."""
    whole = next(row for row in rows if row.what == "all layers with near_boundary")
    table = Table(title=f"Where is this? Montréal, accuracy {ACCURACY_M:.0f} m")
    for heading in ("question", "us a position", "us a layer", "times the map in process"):
        table.add_column(heading, justify="left" if heading == "question" else "right")
    for row in rows:
        each = f"{row.microseconds / row.layers:.1f}" if row.layers else ""
        ratio = f"{row.microseconds / whole.microseconds:.1f}" if row.layers else ""
        table.add_row(row.what, f"{row.microseconds:.1f}", each, ratio)
    console.print(table)


def _timed(what: str, layers: int, positions: Sequence[LonLat], ask: Callable[[LonLat], object]) -> Row:
    begun = time.process_time()
    for at in positions:
        ask(at)
    return Row(what, 1e6 * (time.process_time() - begun) / len(positions), layers)


def _each_us(begun: float, positions: Sequence[LonLat]) -> float:
    return 1e6 * (time.perf_counter() - begun) / len(positions)


async def _run(app_url: str, *, count: int, rounds: int) -> list[Row]:
    async with Database(app_url) as database:
        return await measure(database, count=count, rounds=rounds)


def main() -> None:
    """Run the benchmark as the command line says; a table, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="where the private database cluster lies")
    parser.add_argument("--positions", type=int, default=20_000, help="PostGIS gets a tenth of them")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    default = default_data_dir(os.environ, is_root=os.geteuid() == 0) / "bench"
    with empty_stage(options.data_dir or default) as stage:
        rows = asyncio.run(_run(stage.app_url, count=options.positions, rounds=options.rounds))
    show(rows, Console())
    print(json.dumps({row.what: round(row.microseconds, 2) for row in rows}))


if __name__ == "__main__":
    main()
