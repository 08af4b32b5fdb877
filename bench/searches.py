"""Every search by place or district that the server makes, and the indexes it must read: `make bench-plans`."""

import argparse
import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from api.settings import default_data_dir
from bench.plans import Plan, Search, plans_of, tell_plans
from bench.servers import leave_on_sigterm
from bench.stage import CITY, filled_stage
from db.base import new_id
from db.credentials import hash_secret, new_secret
from db.sessions import Database
from geo.geocode import find_places
from geo.map_layers import pack_layers
from geo.points import LonLat
from geo.tiling import tile_at
from issues.browse import BoundingBox, IssueFilter, list_issues
from issues.cells import DEEPEST as CELLS_TO
from issues.cells import count_changes
from issues.city import CityBook, load_cities
from issues.hotspots import find_hotspots
from issues.lifecycle import OPEN
from issues.near import find_near
from issues.open_data import ISSUES, Wanted, list_features
from issues.pairs import PairState
from issues.review import list_pairs
from issues.submission import Submission
from issues.submit import submit_report
from issues.tiles import issue_layer

_HERE = LonLat(-73.5809, 45.5247)  # avenue du Mont-Royal, with house numbers
_SERVICE = "nid-de-poule"
_SCREEN = BoundingBox(-73.585, 45.522, -73.577, 45.527)  # what a phone shows: 600 m
_WHOLE_CITY = BoundingBox(-74.0, 45.4, -73.4, 45.72)
# A page of 50 may take so many: a walk back along the key through a twentieth of a million issues.
_MOST_ROWS = 50_000
# The list is ordered by id, newest first: where much of the city is asked for, walking back along the key finds the
# first page soonest.
_NEWEST_FIRST = "pk_issue"


@dataclass(frozen=True, slots=True)
class Expected:
    """A search and what it must read.

    Attributes:
        name: What is searched.
        indexes: It must read one of these; which one depends on how much of the city is asked for.
        search: Runs it.
    """

    name: str
    indexes: Sequence[str]
    search: Search


@dataclass(frozen=True, slots=True)
class Found:
    """A search as it was run."""

    expected: Expected
    plans: Sequence[Plan]

    @property
    def indexes(self) -> list[str]:
        """Indexes read, in the order of first use."""
        return list(dict.fromkeys(step.index for plan in self.plans for step in plan.steps if step.index))

    @property
    def faults(self) -> list[str]:
        """What is wrong with it."""
        faults = [f"walks through {table}" for plan in self.plans for table in plan.walked]
        if self.rows > _MOST_ROWS:
            faults.append(f"reads {self.rows:,} rows")
        if not set(self.indexes) & set(self.expected.indexes):
            faults.append(f"reads none of {', '.join(self.expected.indexes)}")
        return faults

    @property
    def rows(self) -> int:
        """Rows read, all statements together."""
        return sum(step.rows for plan in self.plans for step in plan.steps)

    @property
    def took_ms(self) -> float:
        """Time in the database, all statements together."""
        return sum(plan.took_ms for plan in self.plans)


def expected_searches(city: CityBook, now: datetime) -> list[Expected]:
    """List the searches, each with its parameters."""

    def listed(wanted: IssueFilter) -> Search:
        async def search(session: AsyncSession) -> None:
            await list_issues(session, city.id, wanted, staff=False, limit=50)

        return search

    async def report(session: AsyncSession) -> None:
        await submit_report(session, _submission(now), city=city, now=now)

    async def near(session: AsyncSession) -> None:
        await find_near(session, city=city, service_code=_SERVICE, at=_HERE, accuracy_m=8, now=now)

    def hot(box: BoundingBox | None) -> Search:
        async def search(session: AsyncSession) -> None:
            await find_hotspots(session, city, reach_m=50.0, least=3, bbox=box, limit=50)

        return search

    async def queue(session: AsyncSession) -> None:
        await list_pairs(session, city.id, PairState.PENDING, limit=50)

    def typed(words: str) -> Search:
        async def search(session: AsyncSession) -> None:
            assert await find_places(session, [city.id], words)

        return search

    borough = city.map.districts_at(_HERE, accuracy_m=0, on=now.date())
    codes = [f"{district.layer}:{district.code}" for district in borough]
    recently = now - timedelta(hours=1)
    box, key, open_place = "ix_issue_map", _NEWEST_FIRST, "ix_issue_open_place"
    return [
        Expected("neighbours of a report", [open_place], report),
        Expected("issues near a place", [open_place], near),
        Expected("issues on a phone's screen", [box], listed(IssueFilter(bbox=_SCREEN))),
        Expected(
            "open issues on a screen", [box, "ix_issue_status"], listed(IssueFilter(bbox=_SCREEN, statuses=tuple(OPEN)))
        ),
        Expected(
            "one service on a screen",
            [box, "ix_issue_status"],
            listed(IssueFilter(bbox=_SCREEN, service_codes=(_SERVICE,))),
        ),
        Expected("issues in the whole city", [key], listed(IssueFilter(bbox=_WHOLE_CITY))),
        *(
            Expected(f"issues of {code}", ["ix_issue_districts", key], listed(IssueFilter(districts=(code,))))
            for code in codes
        ),
        Expected(
            "issues changed in the last hour",
            ["ix_issue_city_id_updated_at", key],
            listed(IssueFilter(updated_after=recently)),
        ),
        Expected("open issues", ["ix_issue_status", key], listed(IssueFilter(statuses=tuple(OPEN)))),
        Expected("issues of one service", ["ix_issue_status", key], listed(IssueFilter(service_codes=(_SERVICE,)))),
        Expected("hot spots on a screen", [box], hot(_SCREEN)),
        Expected("hot spots of the whole city", [open_place, "ix_issue_status"], hot(None)),
        Expected("pairs to be decided", ["ix_issue_pair_state"], queue),
        Expected("an address from its words", ["ix_street_name_city_id_words"], typed("4477 st-dneis")),
        Expected("a crossing from its words", ["ix_street_city_id_line"], typed("Rachel et Brreri")),
    ]


def searches_of_the_map(city: CityBook, now: datetime) -> list[Expected]:
    """List what makes the tiles of the map; the cells are counted first."""

    async def counted(session: AsyncSession) -> None:
        await submit_report(session, _submission(now), city=city, now=now)
        await count_changes(session, city.id)

    def issues_of(zoom: int) -> Search:
        async def search(session: AsyncSession) -> None:
            assert await issue_layer(session, city.id, tile_at(_HERE.lon, _HERE.lat, zoom))

        return search

    async def pack_tile(session: AsyncSession) -> None:
        assert await pack_layers(session, city.id, tile_at(_HERE.lon, _HERE.lat, 15), on=now.date())

    async def features(session: AsyncSession) -> None:
        assert (await list_features(session, city.id, ISSUES, Wanted(_SCREEN), limit=100, cursor=None)).items

    return [
        Expected("the cells of what changed", ["ix_issue_map"], counted),
        *(Expected(f"a tile of zoom {zoom}", ["pk_issue_cell"], issues_of(zoom)) for zoom in (10, CELLS_TO)),
        *(Expected(f"a tile of zoom {zoom}", ["ix_issue_map"], issues_of(zoom)) for zoom in (CELLS_TO + 2, 18)),
        Expected("open data on a screen", ["ix_issue_map"], features),
        Expected("districts and streets of a tile", ["ix_street_city_id_line"], pack_tile),
    ]


def _submission(now: datetime) -> Submission:
    return Submission(
        id=new_id(),
        sender=f"device:{new_id()}",
        person_id=new_id(),
        tracking_hash=hash_secret(new_secret()),
        service_code=_SERVICE,
        at=_HERE,
        accuracy_m=8.0,
        location_source="gps",
        address_string=None,
        description=None,
        attributes={},
        photo_ids=(),
        captured_at=now,
        channel="app",
    )


async def look_at_plans(database: Database, jurisdiction_id: str, now: datetime) -> list[Found]:
    """Run every search in a city and read its plans; the database tells them (`tell_plans`)."""
    async with database.transaction() as session:
        cities = await load_cities(session)
    city = cities.by_jurisdiction(jurisdiction_id)
    assert city is not None
    searches = [*expected_searches(city, now), *searches_of_the_map(city, now)]
    return [Found(expected, await plans_of(database, city.id, expected.search)) for expected in searches]


async def _look(url: str) -> list[Found]:
    async with Database(url) as database:
        return await look_at_plans(database, CITY, datetime.now(UTC))


def main() -> None:
    """Print the indexes of each search; exits with 1 where one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="where the database is kept between runs")
    parser.add_argument("--issues", type=int, default=1_000_000)
    options = parser.parse_args()
    default = default_data_dir(os.environ, is_root=os.geteuid() == 0) / "bench"
    console = Console()
    leave_on_sigterm()

    def say(step: str, done: int, of: int) -> None:
        console.print(f"{step} {done} of {of}")

    with filled_stage(options.data_dir or default, options.issues, say) as stage:
        with stage.cluster.connect() as connection:
            tell_plans(connection, stage.database)
        searches = asyncio.run(_look(stage.app_url))
    table = Table("search", "indexes", "rows", "ms", "wrong", title=f"Plans as jalon_app, {options.issues:,} issues")
    for found in searches:
        table.add_row(
            found.expected.name,
            ", ".join(found.indexes),
            f"{found.rows:,}",
            f"{found.took_ms:.2f}",
            "; ".join(found.faults) or "-",
        )
    console.print(table)
    wrong = [found.expected.name for found in searches if found.faults]
    print(json.dumps({"bench": "plans", "issues": options.issues, "searches": len(searches), "wrong": wrong}))
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
