"""The plans of searches by place, on fewer issues than `make bench-plans` has, but as the same role."""

import os
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from bench.plans import plans_of, tell_plans
from bench.rows import fill_issues
from bench.searches import look_at_plans
from bench.stage import CITY, SEED
from db.cluster import WEB
from db.sessions import Database

ISSUES = 30_000


@pytest.fixture(scope="module")
def filled_url(cluster, cities_template):
    """URL of a database with a city's history, whose plans are told."""
    name = f"test_plans_{os.getpid()}"
    cluster.create_database(name, template=cities_template)
    with cluster.connect(name) as connection:
        fill_issues(connection, CITY, ISSUES, seed=SEED, now=datetime.now(UTC), progress=lambda *_: None)
        tell_plans(connection, name)
    yield cluster.url(WEB, name)
    cluster.drop_database(name)


async def test_every_search_by_place_reads_its_index(filled_url):
    async with Database(filled_url) as database:
        searches = await look_at_plans(database, CITY, datetime.now(UTC))

    assert {found.expected.name: found.faults for found in searches if found.faults} == {}


async def test_a_search_on_the_table_itself_is_caught(filled_url):
    """Under row-level security the table's own index is out of reach for places; that is what the view is for."""

    async def search(session):
        await session.execute(
            text(
                "SELECT id FROM issue WHERE city_id = 1 AND service_code = 'nid-de-poule' AND merged_into IS NULL"
                " AND status IN ('received', 'acknowledged', 'scheduled', 'in_progress')"
                " AND ST_DWithin(place, ST_Point(-73.5809, 45.5247, 4326)::geography, 25.0)"
            )
        )

    async with Database(filled_url) as database:
        [plan] = await plans_of(database, 1, search)

    assert "ix_issue_open_place" not in {step.index for step in plan.steps}
