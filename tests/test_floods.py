"""Many people see one hole at the same moment, and two server processes must open one issue for it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest_asyncio
from sqlalchemy import text

from bench.crash_check import Receipt
from bench.phones import Line, Phone
from bench.servers import Server, jalon_environment, running
from geo.cells import cells_touched
from geo.points import LonLat, offset
from issues.match import LARGEST_RADIUS_M

PEOPLE = 60
SERVICE = "nid-de-poule"
PARK = LonLat(-73.5690, 45.5270)  # parc La Fontaine
MARKET = LonLat(-73.6148, 45.5362)  # marché Jean-Talon


@pytest_asyncio.fixture
async def lines(cities, app_url: str, tmp_path: Path) -> AsyncIterator[list[Line]]:
    """A way to each of two server processes."""
    environment = jalon_environment(app_url, tmp_path / "data")
    servers = [Server(environment, tmp_path / f"serve-{number}.log") for number in (1, 2)]
    limits = httpx.Limits(max_connections=2 * PEOPLE)
    with running(servers):
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            yield [Line([server.url], client) for server in servers]


def cell_of(at: LonLat) -> list[int]:
    return cells_touched(at, radius_m=0.0, width_m=LARGEST_RADIUS_M)


def either_side_of_a_border(start: LonLat) -> tuple[LonLat, LonLat]:
    """Two positions, a metre apart, in different cells of the grid that is locked."""
    pairs = (
        (offset(start, east_m=metre, north_m=0), offset(start, east_m=metre + 1, north_m=0))
        for metre in range(2 * int(LARGEST_RADIUS_M))
    )
    return next(pair for pair in pairs if cell_of(pair[0]) != cell_of(pair[1]))


async def registered(lines: Sequence[Line], count: int) -> list[Phone]:
    phones = [Phone() for _ in range(count)]
    await asyncio.gather(*(phone.register(lines[0]) for phone in phones))
    return phones


async def flood(lines: Sequence[Line], phones: Sequence[Phone], places: Sequence[LonLat]) -> list[Receipt]:
    """Everybody reports at once: at each place half through one server, half through the other."""
    return await asyncio.gather(
        *(
            phone.report(lines[number % 2], SERVICE, places[number // 2 % len(places)])
            for number, phone in enumerate(phones)
        )
    )


async def test_two_simultaneous_floods_open_one_issue_each(lines, owner):
    phones = await registered(lines, 2 * PEOPLE)

    in_park, at_border = await asyncio.gather(
        flood(lines, phones[:PEOPLE], [PARK]),
        flood(lines, phones[PEOPLE:], either_side_of_a_border(MARKET)),
    )

    told = [Counter(receipt.issue_id for receipt in receipts) for receipts in (in_park, at_border)]
    assert [list(issues.values()) for issues in told] == [[PEOPLE], [PEOPLE]]
    async with owner.transaction() as session:
        reports = await session.execute(text("SELECT issue_id, count(*) FROM report GROUP BY issue_id"))
        counted = await session.execute(text("SELECT id, report_count FROM issue"))
        assert dict(reports.all()) == told[0] | told[1] == dict(counted.all())
    assert len({receipt.number for receipt in in_park + at_border}) == 2 * PEOPLE
