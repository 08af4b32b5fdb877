"""The plans of the outbox's queries on many rows, as the server's own role gets them."""

import os
from uuid import UUID

import pytest
from sqlalchemy import text

from bench.plans import plans_of, tell_plans
from db.cluster import WEB
from db.sessions import Database
from push.channels import Outcome, SendResult
from push.outbox import lease_deliveries, record_results
from push.queueing import Recipient, queue_notifications
from tests.push.people import CITY, NOON

BATCH = 100
DATABASE = f"test_push_plans_{os.getpid()}"
# The batch with its notifications and devices, and past the 500 of one phone that come first. The 5,000 that are on
# their way must not be read.
MOST_ROWS = 20 * BATCH
SENT = SendResult(Outcome.SENT)

# Of a city's 200,000 deliveries most are done. 30,000 are due, one or two for each phone; 500 of one phone come before
# them, and 5,000 are on their way. All of these began in this minute: statistics know nothing of them.
FILL = """
INSERT INTO device (id, person_id, platform, locale, push_kind, push_address, refreshed_at, created_at)
SELECT md5('device' || n)::uuid, md5('person' || n)::uuid, 'android', 'fr-CA', 'fid', 'phone-' || n, %(now)s, %(now)s
FROM generate_series(1, 20000) AS n;

INSERT INTO notification (city_id, id, event_id, person_id, kind, params, created_at, expires_at)
SELECT 1, md5('notification' || n)::uuid, md5('event' || n)::uuid, md5('person' || n %% 20000 + 1)::uuid, 'resolved',
       '{}', %(now)s, %(now)s::timestamptz + interval '1 day'
FROM generate_series(1, 200000) AS n;

INSERT INTO delivery (city_id, id, notification_id, device_id, state, attempts, due_at, lease)
SELECT 1, md5('delivery' || n)::uuid, md5('notification' || n)::uuid,
       CASE WHEN n <= 500 THEN md5('device1') ELSE md5('device' || n %% 20000 + 1) END::uuid,
       'sent', 0,
       %(now)s::timestamptz - interval '1 hour' + n * interval '1 millisecond', NULL
FROM generate_series(1, 195000) AS n;

ANALYZE device, notification, delivery;

UPDATE delivery SET state = 'queued'
FROM generate_series(1, 195000) AS n WHERE id = md5('delivery' || n)::uuid AND (n <= 500 OR n > 165000);

INSERT INTO delivery (city_id, id, notification_id, device_id, state, attempts, due_at, lease)
SELECT 1, md5('delivery' || n)::uuid, md5('notification' || n)::uuid, md5('device' || n %% 20000 + 1)::uuid, 'queued',
       1, %(now)s::timestamptz + interval '50 seconds', md5('lease')::uuid
FROM generate_series(195001, 200000) AS n;

INSERT INTO notification (city_id, id, event_id, person_id, kind, params, created_at, expires_at)
SELECT 1, md5('told' || n)::uuid, %(everybodys)s, md5('person' || n)::uuid, 'resolved', '{}', %(now)s, %(now)s
FROM generate_series(1, 20000) AS n;
"""
EVERYBODYS = UUID(int=7)  # an event that all are being told of, in this hour: statistics know nothing of it


@pytest.fixture(scope="module", params=["nothing queued before", "never looked at"])
def filled_url(cluster, template, request):
    """URL of a database with a full outbox that statistics do not know, whose plans are told."""
    name = DATABASE
    cluster.create_database(name, template=template)
    with cluster.connect(name) as connection:
        for statement in FILL.split(";\n")[:-1]:
            connection.execute(statement, {"now": NOON, "everybodys": EVERYBODYS})
        if request.param == "never looked at":
            connection.execute(
                "DELETE FROM pg_statistic WHERE starelid IN ('delivery'::regclass, 'notification'::regclass)"
            )
        tell_plans(connection, name)
    yield cluster.url(WEB, name)
    cluster.drop_database(name)


async def take(session):
    lease = await lease_deliveries(session, CITY, now=NOON, limit=BATCH, window_s=0, lease_s=60)
    assert len(lease.deliveries) == BATCH


async def test_leasing_reads_its_batch_and_little_else(filled_url):
    async with Database(filled_url) as database:
        [plan] = [plan for plan in await plans_of(database, CITY, take) if "delivery" in plan.statement]

    assert plan.walked == []
    assert {"ix_delivery_due", "ix_delivery_device"} <= {step.index for step in plan.steps}
    assert sum(step.rows for step in plan.steps) <= MOST_ROWS


async def test_recording_reads_its_batch_and_nothing_else_that_waits(filled_url):
    async def take_and_record(session):
        lease = await lease_deliveries(session, CITY, now=NOON, limit=BATCH, window_s=0, lease_s=60)
        assert await record_results(session, CITY, lease, [SENT] * BATCH, now=NOON) == BATCH

    async with Database(filled_url) as database:
        plans = await plans_of(database, CITY, take_and_record)
    [plan] = [plan for plan in plans if "ending.state" in plan.statement]

    assert plan.walked == []
    assert sum(step.rows for step in plan.steps) <= BATCH


def test_a_look_at_one_device_cannot_take_the_index_of_all_that_is_due(cluster, filled_url):
    """Not even where it has no other: whatever the planner makes of a young outbox."""
    look = "EXPLAIN SELECT FROM delivery WHERE city_id = 1 AND device_id = %s AND state = 'queued' AND due_at > now()"
    with cluster.connect(DATABASE) as connection, connection.transaction(force_rollback=True):
        connection.execute("DROP INDEX ix_delivery_device")
        plan = connection.execute(look, (EVERYBODYS,)).fetchall()

    assert not any("ix_delivery_due" in line for (line,) in plan)


async def test_telling_some_reads_little_of_what_others_were_told(filled_url):
    async def tell(session):
        persons = (await session.scalars(text("SELECT person_id FROM device ORDER BY id LIMIT 100"))).all()
        async with session.begin_nested() as attempt:
            queued = await queue_notifications(
                session, CITY, event_id=EVERYBODYS, kind="resolved", params={}, happened_at=NOON, now=NOON,
                recipients=[Recipient(person, {}) for person in persons],
            )  # fmt: skip
            await attempt.rollback()  # to be queued in the next run as in this one
        assert queued == 100

    async with Database(filled_url) as database:
        [plan] = [plan for plan in await plans_of(database, CITY, tell) if "INTO delivery" in plan.statement]

    assert plan.walked == []
    assert sum(step.rows for step in plan.steps) <= 2000


async def test_the_plan_of_an_outbox_that_was_empty_is_not_kept_for_a_full_one(database):
    async with database.transaction(CITY) as session:
        for _ in range(12):
            await lease_deliveries(session, CITY, now=NOON, limit=BATCH, window_s=0, lease_s=60)
        kept = (await session.scalars(text("SELECT statement FROM pg_prepared_statements"))).all()

    assert [statement for statement in kept if "WITH due" in statement] == []
