"""How PostgreSQL answers what is near: with the index, and with a plan it keeps."""

import pytest
from sqlalchemy import text

from db.connections import driver_connection
from issues.match import Joins, MatchPolicy
from issues.neighbours import ask_neighbours, read_candidates
from tests.issues.towns import ESSAI, NOON

# Every tenth issue is open; four services, of which one is private. Spread evenly over the town (the R2 sequence), so
# that every run counts the same near its middle.
ISSUES = """
INSERT INTO issue (city_id, id, number, service_code, status, place, accuracy_m, districts, department_code,
                   near_boundary, private, report_count, opened_at, last_report_at, updated_at)
SELECT :city_id, gen_random_uuid(), n::text, (ARRAY['nid-de-poule', 'chaussee', 'trottoir', 'bruit'])[1 + n / 10 % 4],
       CASE WHEN n % 10 = 0 THEN 'received' ELSE 'resolved' END,
       ST_Point(:west + n * 0.7548776662 % 1 * :side, :south + n * 0.5698402910 % 1 * :side, 4326)::geography, 8, '{}',
       'voirie', false, n / 10 % 4 = 3, 1 + n % 3, :now, :now, :now
FROM generate_series(1, 30000) AS n
"""
# The same question without any index: by the table, as the owner sees it.
NEAR = """
SELECT id, report_count FROM issue
WHERE service_code = ANY (:codes) AND status = 'received' AND NOT private
  AND ST_Distance(place, ST_Point(:lon, :lat, 4326)::geography) <= :radius_m
"""
POLICY = MatchPolicy(radius_m=400.0, window_days=60, join_threshold=0.6, joins=Joins.AUTOMATIC)
CODES = ("nid-de-poule", "chaussee")


@pytest.fixture
async def crowded(owner, city):
    async with owner.transaction() as session:
        await session.execute(
            text(ISSUES),
            {"city_id": city.id, "west": ESSAI.west, "south": ESSAI.south, "side": ESSAI.side, "now": NOON},
        )
        await session.execute(text("ANALYZE issue"))
    return city


async def ask(session, city, codes=CODES):
    connection = await driver_connection(session)
    return await ask_neighbours(connection, city.id, service_codes=codes, at=ESSAI.middle, policy=POLICY, now=NOON)


async def test_finds_what_a_search_without_an_index_finds(owner, database, crowded):
    async with database.transaction(city_id=crowded.id) as session:
        found = {
            (candidate.issue_id, candidate.reports) for candidate in await read_candidates(await ask(session, crowded))
        }
    async with owner.transaction() as session:
        middle = ESSAI.middle
        values = {"codes": list(CODES), "lon": middle.lon, "lat": middle.lat, "radius_m": POLICY.radius_m}
        expected = {tuple(row) for row in await session.execute(text(NEAR), values)}

    assert len(expected) > 5
    assert found == expected


async def test_the_search_under_row_level_security_reads_the_index_of_open_issues(database, crowded):
    async with database.transaction(city_id=crowded.id) as session:
        assert await session.scalar(text("SELECT current_user")) == "jalon_app"
        connection = await driver_connection(session)
        for _ in range(6):  # after the fifth time PostgreSQL settles for one plan
            await ask(session, crowded)
        prepared = await connection.execute(
            "SELECT name, generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%issue_map%'"
        )
        [(name, generic_plans, custom_plans)] = await prepared.fetchall()
        here = ESSAI.middle
        explained = await connection.execute(
            f"EXPLAIN EXECUTE {name}('{CODES[0]}', '{CODES[1]}', {here.lon}, {here.lat}, {crowded.id},"
            f" {POLICY.radius_m}, '{NOON:%Y-%m-%d}')".encode()
        )
        plan = "\n".join(line for (line,) in await explained.fetchall())

    assert (generic_plans, custom_plans) == (1, 5)
    assert "Index Scan using ix_issue_open_place on issue" in plan
    condition = next(line for line in plan.splitlines() if "Index Cond" in line)
    for column in ("city_id =", "service_code =", "place &&"):
        assert column in condition


async def test_a_crowded_square_costs_a_limited_number_of_scores(owner, database, city):
    async with owner.transaction() as session:
        at_one_spot = {"city_id": city.id, "west": ESSAI.middle.lon, "south": ESSAI.middle.lat, "side": 0.0}
        await session.execute(text(ISSUES), at_one_spot | {"now": NOON})

    async with database.transaction(city_id=city.id) as session:
        found = await read_candidates(await ask(session, city))

    assert len(found) == 40


async def test_another_citys_issues_are_never_neighbours(database, crowded):
    async with database.transaction(city_id=crowded.id + 1) as session:
        assert await read_candidates(await ask(session, crowded)) == []
