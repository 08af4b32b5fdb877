"""The worker asks another geocoder for the addresses that the city does not know; what fails holds nobody up."""

import asyncio
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from api.address_lookup import LOOK_UP, address_jobs
from api.other_geocoders import OtherGeocoder
from api.settings import Settings
from api.worker import run_until
from db.jobs import Job
from tests.api.served import a_report
from tests.api.test_other_geocoders import answering, found_at

# In Rivière-des-Prairies, where the pack has no streets.
FAR = {"lat": 45.6543, "long": -73.5231}
ROUGH = "Rivière-des-Prairies–Pointe-aux-Trembles, Montréal"
FOUND = "12, rue Neuve"
ANSWER = found_at("photon", housenumber="12", street="Rue Neuve")


@contextmanager
def looking_up(app, answer, **said):
    """The job with a geocoder that answers this: the geocoder, what does the job, and how long it rested each time."""
    rests = []

    async def rest(seconds):
        rests.append(seconds)

    with answering(answer, **said) as (server, url):
        other = OtherGeocoder(f"photon+{url}", timeout_s=5.0, clock=lambda: 0.0)
        later = datetime.now(UTC) + timedelta(seconds=5)
        table = address_jobs(app.state.serving.database, other, clock=lambda: later, rest=rest)
        handler, _ = table.handlers[LOOK_UP]

        async def look_up():
            await handler(Job(id=1, kind=LOOK_UP, payload={}, attempt=1))

        yield server, look_up, rests
        other.close()


@pytest.fixture
def file_far(api):
    async def file_far(**changes):
        return (await api.post("/v1/reports", json=a_report(**(FAR | changes)))).json()["issue"]

    return file_far


async def test_everybody_reads_the_address_that_was_found(app, api, hire, file_far):
    agent, issue = await hire(), await file_far()
    draft = {"crew": "voirie-1", "planned_on": "2030-11-25", "issue_ids": [issue["id"]]}
    order = (await agent.post("/v1/work-orders", json=draft)).json()

    with looking_up(app, ANSWER) as (_, look_up, _):
        await look_up()

    assert (issue["address"], order["address"]) == (ROUGH, ROUGH)
    one = {
        (await agent.get(f"/v1/issues/{issue['id']}")).json()["address"],
        (await agent.get(f"/v1/work-orders/{order['id']}")).json()["address"],
    }
    open_data = await api.get(f"/v1/ogc/montreal.ca/collections/issues/items/{issue['id']}")
    listed = await agent.get("/v1/issues")
    many = {feature["properties"]["address"] for feature in [open_data.json(), *listed.json()["features"]]}
    assert (one, many) == ({FOUND}, {FOUND})


async def test_one_question_a_second_and_none_twice(app, file_far):
    for metres in range(3):
        await file_far(service_code="voirie-autre", lat=FAR["lat"] + 0.001 * metres)

    with looking_up(app, ANSWER) as (server, look_up, rests):
        await look_up()
        await look_up()

    assert (len(server.asked), rests) == (3, [1.0, 1.0, 1.0])
    assert all(asked.endswith("lang=fr") for asked in server.asked)


async def test_one_that_fails_is_asked_again_later_and_what_is_near_stays(app, hire, file_far):
    for metres in range(2):
        issue = await file_far(service_code="voirie-autre", lat=FAR["lat"] + 0.001 * metres)

    with looking_up(app, ANSWER, status=503) as (server, look_up, _):
        await look_up()
        asked_at_first = len(server.asked)
        for _ in range(4):
            await look_up()

    assert (asked_at_first, len(server.asked)) == (1, 2)
    assert (await (await hire()).get(f"/v1/issues/{issue['id']}")).json()["address"] == ROUGH


async def test_a_worker_with_a_geocoder_finds_them_by_itself(app, app_url, hire, file_far):
    agent, issue = await hire(), await file_far()
    stop = asyncio.Event()

    with answering(ANSWER) as (server, url):
        settings = Settings(geocoder_url=f"photon+{url}")
        worker = asyncio.create_task(run_until(stop, settings, database_url=app_url))
        assert await asyncio.to_thread(server.was_asked.wait, 30)
        stop.set()
        await worker  # which ends what it has in hand

    assert (await agent.get(f"/v1/issues/{issue['id']}")).json()["address"] == FOUND
