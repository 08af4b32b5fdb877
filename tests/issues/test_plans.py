"""No list reads a whole table, however big it has become.

By default the tables are as small as they can be for PostgreSQL to care; JALON_PLAN_ROWS=1000000 makes them a city's.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from issues.actors import Actor, Role
from issues.audience import find_audience
from issues.browse import BoundingBox, IssueFilter, find_issue, list_issues
from issues.events import list_feed, list_history
from issues.follows import follow, forget_follows
from issues.lifecycle import OPEN, Status
from issues.work_orders import crew_has_issue, find_work_order, list_work_orders
from tests.issues.people import AGENT, CREW, TUESDAY
from tests.issues.towns import NEXT_DAY, NOON, open_town

ROWS = int(os.environ.get("JALON_PLAN_ROWS", "30000"))
START = datetime(2024, 1, 1, tzinfo=UTC)

# Ids that sort by the time of opening, as version 7 does. One issue in ten is open, one service is rare.
ISSUES = """
INSERT INTO issue (city_id, id, number, service_code, status, place, accuracy_m, layer, district_code, districts,
                   department_code, near_boundary, private, report_count, opened_at, last_report_at, updated_at)
SELECT :city, CAST('01' || lpad(to_hex(n), 10, '0') || '7' || substr(md5(n::text), 1, 3) || 'b' ||
                   substr(md5(n::text), 4, 15) AS uuid), n,
       CASE WHEN n % 10007 = 3 THEN 'piste'
            ELSE (ARRAY['nid-de-poule', 'chaussee', 'trottoir', 'lampadaire', 'graffiti', 'bruit'])[1 + n % 6] END,
       CASE WHEN n % 10 = 0 THEN (ARRAY['received', 'acknowledged', 'scheduled', 'in_progress'])[1 + n / 10 % 4]
            WHEN n % 997 = 1 THEN 'transferred' WHEN n % 3 = 0 THEN 'resolved' ELSE 'closed' END,
       ST_Point(-73.6 + 0.1 * random(), 45.5 + 0.1 * random(), 4326)::geography, 8, 'arrondissements', 'd' || n % 19,
       ARRAY['arrondissements:d' || n % 19, 'quartiers:q' || n % 911], 'voirie', false, n % 6 = 5, 1, at, at, at
FROM (SELECT n, CAST(:start AS timestamptz) + n * interval '1 minute' AS at FROM generate_series(1, :rows) AS n) AS made
"""
REPORTS = """
INSERT INTO report (city_id, id, number, issue_id, service_code, person_id, channel, location_source, received_at,
                    near_boundary)
SELECT city_id, id, number, id, service_code, id, 'app', 'gps', opened_at, false FROM issue
"""
EVENTS = """
INSERT INTO event (city_id, id, issue_id, kind, actor, at, public, data)
SELECT city_id, gen_random_uuid(), id, 'report.opened', 'anonymous', opened_at, true, '{}' FROM issue
"""
FOLLOWS = "INSERT INTO follow SELECT city_id, id, gen_random_uuid(), true, opened_at FROM issue"
ORDERS = """
INSERT INTO work_order (city_id, id, crew_code, planned_on, tour_position, status, version, place, created_by,
                        created_at, updated_at)
SELECT city_id, id, CASE report_count % 2 WHEN 0 THEN 'equipe-1' ELSE 'equipe-est' END,
       CAST(:day AS date) - CAST(number AS integer) / 20, CAST(number AS integer) % 20, 'done', 1, place, 'system',
       opened_at, opened_at
FROM issue
"""
ORDER_ISSUES = "INSERT INTO work_order_issue SELECT city_id, id, id FROM issue"
TABLES = ("issue", "report", "event", "follow", "work_order", "work_order_issue")


@pytest.fixture
async def city(owner, database):
    """A town with a long history."""
    town = await open_town(owner, database)
    async with owner.transaction() as session:
        for statement in (ISSUES, REPORTS, EVENTS, FOLLOWS, ORDERS, ORDER_ISSUES):
            values = {"city": town.id, "rows": ROWS, "start": START, "day": TUESDAY}
            wanted = {name: value for name, value in values.items() if f":{name}" in statement}
            await session.execute(text(statement), wanted)
        for table in TABLES:
            await session.execute(text(f"ANALYZE {table}"))
    return town


def nodes(plan: dict) -> Iterator[dict]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


class Watched:
    """A transaction whose statements are kept, so that their plans can be asked for."""

    def __init__(self, database, city_id):
        self.database, self.city_id, self.statements = database, city_id, []

    async def of(self, call):
        """Make a call; answers with the tables that its statements read as a whole."""
        engine = self.database.engine.sync_engine
        async with self.database.transaction(self.city_id) as session:
            event.listen(engine, "before_cursor_execute", self._keep)
            try:
                await call(session)
            finally:
                event.remove(engine, "before_cursor_execute", self._keep)
            assert self.statements
            connection = await session.connection()
            read = []
            for statement, parameters in self.statements:
                answer = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
                (plan,) = answer.scalar_one()
                read += [node["Relation Name"] for node in nodes(plan["Plan"]) if node["Node Type"] == "Seq Scan"]
            return [table for table in read if table in TABLES]

    def _keep(self, _connection, _cursor, statement, parameters, _context, _many):
        self.statements.append((statement, parameters))


CORNER = BoundingBox(-73.5501, 45.5500, -73.5500, 45.5501)
FILTERS = {
    "everything": IssueFilter(),
    "a street corner": IssueFilter(bbox=CORNER),
    "the whole city": IssueFilter(bbox=BoundingBox(-73.6, 45.5, -73.5, 45.6)),
    "across the antimeridian": IssueFilter(bbox=BoundingBox(179, 45.5, -179, 45.6)),
    "open": IssueFilter(statuses=tuple(OPEN)),
    "a rare status": IssueFilter(statuses=(Status.TRANSFERRED,)),
    "a service": IssueFilter(service_codes=("trottoir",)),
    "a rare service": IssueFilter(service_codes=("piste",)),
    "no such service": IssueFilter(service_codes=("neige",)),
    "a rare service in a status": IssueFilter(service_codes=("piste",), statuses=(Status.RECEIVED,)),
    "a borough": IssueFilter(districts=("arrondissements:d3",)),
    "open in a neighbourhood": IssueFilter(districts=("quartiers:q7",), statuses=tuple(OPEN)),
    "changed lately": IssueFilter(updated_after=START + timedelta(minutes=ROWS - 5)),
    "changed ever": IssueFilter(updated_after=START),
    "all at once": IssueFilter(CORNER, tuple(OPEN), ("trottoir",), ("arrondissements:d3",), START),
}


async def test_no_query_reads_a_whole_table(database, city):
    async with database.transaction(city.id) as session:
        some = (await session.execute(text("SELECT id FROM issue WHERE number = '4242'"))).scalar_one()

    calls = {
        **{
            f"issues: {name}, {staff=}": lambda s, wanted=wanted, staff=staff: list_issues(
                s, city.id, wanted, staff=staff, limit=50
            )
            for name, wanted in FILTERS.items()
            for staff in (False, True)
        },
        "one issue": lambda s: find_issue(s, city.id, some, staff=True),
        "history": lambda s: list_history(s, city.id, some, staff=False, limit=50),
        "feed": lambda s: list_feed(s, city.id, staff=True, limit=50),
        "audience": lambda s: find_audience(s, city.id, some, as_of=NEXT_DAY),
        "follow": lambda s: follow(s, city.id, some, some, now=NOON),
        "forget": lambda s: forget_follows(s, city.id, some),
        "orders of a crew's day": lambda s: list_work_orders(s, city.id, actor=CREW, planned_on=TUESDAY, limit=50),
        "orders of a crew": lambda s: list_work_orders(s, city.id, actor=CREW, limit=50),
        "orders of a day": lambda s: list_work_orders(s, city.id, actor=AGENT, planned_on=TUESDAY, limit=50),
        "orders": lambda s: list_work_orders(s, city.id, actor=AGENT, limit=50),
        "one order": lambda s: find_work_order(s, city.id, some, actor=Actor("staff:x", Role.AGENT)),
        "a crew's issue": lambda s: crew_has_issue(s, city.id, "equipe-1", some),
    }
    read = {name: await Watched(database, city.id).of(call) for name, call in calls.items()}

    assert {name: tables for name, tables in read.items() if tables} == {}
