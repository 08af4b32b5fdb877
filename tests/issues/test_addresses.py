"""Issues without an address of the city's own say what is near, until another geocoder knows better."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from issues.addresses import ask_later, next_unaddressed, note_address
from tests.issues.people import issue_now, plan
from tests.issues.towns import AILLEURS, ESSAI, NOON, east_of, file, open_town, submission

FAR = east_of(ESSAI.middle, 700)
ROUGH = "est, essai.ca"
FOUND = "12, rue Neuve"
LATER = NOON + timedelta(hours=1)


async def due(database, city, *, now=NOON):
    async with database.transaction(city.id) as session:
        return await next_unaddressed(session, city.id, now=now)


async def note(database, city, waiting, address, *, now=LATER):
    async with database.transaction(city.id) as session:
        await note_address(session, waiting, address, now=now)


@pytest.fixture
async def issue(database, city):
    """An issue that was filed where no address is near."""
    return (await file(database, city, submission(FAR))).issue


@pytest.fixture
async def waiting(database, city, issue):
    """The same, as it waits for an address."""
    return await due(database, city)


async def test_only_what_is_at_no_known_address_waits_for_one(database, city, owner):
    await file(database, city, submission(ESSAI.middle))
    assert await due(database, city) is None

    filed = await file(database, city, submission(FAR))
    elsewhere = await open_town(owner, database, AILLEURS)

    found = await due(database, city)
    assert found is not None
    assert (found.issue_id, found.at, found.line) == (filed.issue.id, FAR, ROUGH)
    assert filed.issue.address == ROUGH
    assert await due(database, elsewhere) is None


async def test_where_private_things_are_is_told_to_nobody_outside(database, city):
    filed = await file(database, city, submission(FAR, service_code="bruit"))

    assert filed.issue.address == ROUGH
    assert await due(database, city) is None


async def test_an_address_that_was_found_is_the_issues_and_its_work_orders(database, city, issue, waiting):
    order = await plan(database, issue)

    await note(database, city, waiting, FOUND)

    now = await issue_now(database, issue)
    async with database.transaction(city.id) as session:
        led_to = await session.scalar(text("SELECT address FROM work_order WHERE id = :id"), {"id": order.id})
    assert order.address == ROUGH
    assert (now.address, led_to) == (FOUND, FOUND)
    assert now.updated_at == LATER
    assert await due(database, city) is None


async def test_where_nobody_knows_one_it_stays_as_it_is_and_is_not_asked_for_again(database, city, issue, waiting):
    await note(database, city, waiting, None)

    now = await issue_now(database, issue)
    assert (now.address, now.updated_at) == (ROUGH, NOON)
    assert await due(database, city, now=NOON + timedelta(days=99)) is None


@pytest.mark.parametrize(("to", "address"), [(ESSAI.middle, "1234, rue Saint-Denis"), (east_of(FAR, 60), ROUGH)])
async def test_an_address_that_comes_after_the_place_was_put_right_is_not_written(
    database, city, issue, waiting, to, address
):
    async with database.transaction(city.id) as session:
        await session.execute(
            text(
                "UPDATE issue SET place = ST_Point(:lon, :lat, 4326)::geography, address = :address,"
                " address_ask_at = CASE WHEN :address = :rough THEN address_ask_at END"
            ),
            {"lon": to.lon, "lat": to.lat, "address": address, "rough": ROUGH},
        )

    await note(database, city, waiting, FOUND)

    assert (await issue_now(database, issue)).address == address


@pytest.mark.parametrize(
    ("asked_after", "waits"),
    [
        (timedelta(0), timedelta(minutes=1)),
        (timedelta(hours=3), timedelta(hours=3)),
        (timedelta(days=9), timedelta(days=1)),
    ],
)
async def test_what_was_asked_in_vain_waits_the_longer_the_older_it_is(database, city, waiting, asked_after, waits):
    now = NOON + asked_after
    async with database.transaction(city.id) as session:
        await ask_later(session, waiting, now=now)

    assert await due(database, city, now=now + waits - timedelta(seconds=1)) is None
    assert await due(database, city, now=now + waits) == waiting
