"""Map tiles of a city with a long history, beside plain ST_AsMVT over the table of issues: `make bench-tiles`.

For each zoom the tile with the most issues is drawn in both ways, and up to a hundred others, drawn by a fixed seed, in
ours. Ours runs as the role that serves, behind row-level security; the plain one as the owner of the tables, with the
same index and no policy in its way. Times are those of a client on the same machine, the way there and back included.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from api.settings import default_data_dir
from bench.servers import leave_on_sigterm
from bench.stage import SEED, stage_of_issues
from db.sessions import Database
from geo.map_layers import pack_layers
from geo.tiling import Tile, tile_at
from issues.cells import count_all
from issues.tiles import issue_layer

ZOOMS: Final = range(8, 17)
_AIM_MS: Final = 3.0
_AIM_RATIO: Final = 100.0
_CITY_ID: Final = 1

# What anybody would write first.
_PLAIN: Final = text(
    """
    SELECT ST_AsMVT(shown, 'issues', 4096, 'at') FROM (
        SELECT id::text AS id, number, service_code, status,
               ST_AsMVTGeom(ST_Transform(place::geometry, 3857), ST_TileEnvelope(:z, :x, :y), 4096, 0) AS at
        FROM issue
        WHERE city_id = :city AND NOT private AND merged_into IS NULL
          AND place::geometry && ST_Transform(ST_TileEnvelope(:z, :x, :y), 4326)
    ) AS shown
    """
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What tiles of one zoom cost.

    Attributes:
        zoom: The zoom.
        busiest: How many issues the busiest tile has.
        plain_ms: The busiest tile, plainly; `plain_bytes` is how long it is.
        ours_ms: The same tile, ours; `ours_bytes` is how long it is.
        sample_ms: Every tile of the sample, the busiest included.
        pack_ms: Districts and streets of the sample, drawn for the first time; a server keeps them.
        pack_bytes: How long these are, on average.
    """

    zoom: int
    busiest: int
    plain_ms: float
    plain_bytes: int
    ours_ms: float
    ours_bytes: int
    sample_ms: Sequence[float]
    pack_ms: Sequence[float]
    pack_bytes: int

    @property
    def ratio(self) -> float:
        """How often ours is drawn while the other is drawn once."""
        return self.plain_ms / self.ours_ms


async def measure(app_url: str, owner_url: str, sample: int, today: date) -> tuple[float, list[Drawn]]:
    """Count the cells, then draw; answers with the seconds that counting took, and each zoom."""
    async with Database(app_url) as app, Database(owner_url, role=None) as owner:
        begun = time.perf_counter()
        async with app.transaction(_CITY_ID) as session:
            await count_all(session, _CITY_ID)
        counted_s = time.perf_counter() - begun
        async with owner.transaction() as session:
            await session.execute(text("ANALYZE issue_cell"))
            rows = await session.execute(text("SELECT ST_X(place::geometry), ST_Y(place::geometry) FROM issue"))
            places = [(lon, lat) for lon, lat in rows]
        zooms = []
        for zoom in ZOOMS:
            issues = Counter(tile_at(lon, lat, zoom) for lon, lat in places)
            zooms.append(await _draw_zoom(app, owner, zoom, issues, sample=sample, today=today))
        return counted_s, zooms


async def _draw_zoom(
    app: Database, owner: Database, zoom: int, issues: Counter[Tile], *, sample: int, today: date
) -> Drawn:
    [(busiest, most)] = issues.most_common(1)
    chance = random.Random(SEED)
    others = chance.sample(sorted(issues, key=lambda tile: (tile.x, tile.y)), min(sample, len(issues)))

    async def ours(session: AsyncSession, tile: Tile) -> int:
        return len(await issue_layer(session, _CITY_ID, tile))

    async def plainly(session: AsyncSession, tile: Tile) -> int:
        values = {"city": _CITY_ID, "z": tile.z, "x": tile.x, "y": tile.y}
        return len((await session.execute(_PLAIN, values)).scalar_one())

    async def of_pack(session: AsyncSession, tile: Tile) -> int:
        return sum(map(len, (await pack_layers(session, _CITY_ID, tile, on=today)).values()))

    async with owner.transaction() as session:
        # A moment's work is measured several times.
        plain_ms, plain_bytes = await _timed(session, plainly, busiest, times=1 if zoom < 13 else 5)
    async with app.transaction(_CITY_ID) as session:
        ours_ms, ours_bytes = await _timed(session, ours, busiest, times=9)
        each = [await _timed(session, ours, tile, times=3) for tile in (busiest, *others)]
        packs = [await _timed(session, of_pack, tile, times=1) for tile in (busiest, *others[: sample // 4])]
    return Drawn(
        zoom,
        most,
        plain_ms,
        plain_bytes,
        ours_ms,
        ours_bytes,
        [ms for ms, _ in each],
        [ms for ms, _ in packs],
        round(statistics.mean(length for _, length in packs)),
    )


async def _timed(
    session: AsyncSession, draw: Callable[[AsyncSession, Tile], Awaitable[int]], tile: Tile, *, times: int
) -> tuple[float, int]:
    """Draw a tile several times; answers with the median of the milliseconds and the length."""
    took, length = [], 0
    for _ in range(times):
        begun = time.perf_counter()
        length = await draw(session, tile)
        took.append((time.perf_counter() - begun) * 1000.0)
    return statistics.median(took), length


def main() -> None:
    """Print ms and bytes of a tile by zoom; exits with 1 where an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="where the database is made")
    parser.add_argument("--issues", type=int, default=1_000_000)
    parser.add_argument("--sample", type=int, default=100, help="tiles of each zoom")
    options = parser.parse_args()
    default = default_data_dir(os.environ, is_root=os.geteuid() == 0) / "bench"
    leave_on_sigterm()
    with stage_of_issues(options.data_dir or default, options.issues, ["issue"]) as stage:
        counted_s, zooms = asyncio.run(
            measure(stage.app_url, stage.owner_url, options.sample, datetime.now(UTC).date())
        )
    table = Table(
        *("zoom", "issues", "plain ms", "kB", "ours ms", "kB", "times", "median ms", "p95 ms", "pack ms", "kB"),
        title=f"Tiles, {options.issues:,} issues; all cells counted in {counted_s:.1f} s",
    )
    for drawn in zooms:
        p95_ms = statistics.quantiles([*drawn.sample_ms, *drawn.sample_ms], n=20)[-1]
        table.add_row(
            str(drawn.zoom),
            f"{drawn.busiest:,}",
            f"{drawn.plain_ms:.1f}",
            f"{drawn.plain_bytes / 1000:.1f}",
            f"{drawn.ours_ms:.2f}",
            f"{drawn.ours_bytes / 1000:.1f}",
            f"{drawn.ratio:.0f}",
            f"{statistics.median(drawn.sample_ms):.2f}",
            f"{p95_ms:.2f}",
            f"{statistics.median(drawn.pack_ms):.1f}",
            f"{drawn.pack_bytes / 1000:.1f}",
        )
    Console(width=120).print(table)
    at_10 = next(drawn for drawn in zooms if drawn.zoom == 10)
    slow = [drawn.zoom for drawn in zooms if statistics.median(drawn.sample_ms) > _AIM_MS]
    figures = {
        "bench": "tiles",
        "issues": options.issues,
        "times_at_zoom_10": round(at_10.ratio, 1),
        "counted_s": round(counted_s, 2),
        "median_ms": {drawn.zoom: round(statistics.median(drawn.sample_ms), 3) for drawn in zooms},
        "slower_than_aimed_at": slow,
    }
    print(json.dumps(figures))
    if slow or at_10.ratio < _AIM_RATIO:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
