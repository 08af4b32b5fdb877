"""Issues without an address of the city's own say what is near, until another geocoder knows better."""

import asyncio
from datetime import timedelta

import pytest
from alembic import command
from sqlalchemy import text

from db.migrate import _config, upgrade
from issues.addresses import ask_later, next_unaddressed, note_address
from issues.packs.privacy import hide_private
from tests.issues.people import issue_now, plan
from tests.issues.towns import AILLEURS, ESSAI, NOON, change_service, east_of, file, open_town, submission

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


async def test_a_private_issue_that_waits_for_an_address_is_not_asked_for(database, city, waiting):
    """It does where its place was put right after its service was private no more."""
    async with database.transaction(city.id) as session:
        await session.execute(text("UPDATE issue SET private = true"))

    assert await due(database, city) is None


async def test_what_becomes_private_with_a_pack_waits_no_more(owner, database, city, issue, waiting):
    await change_service(owner, database, city, "nid-de-poule", private=True)
    async with database.transaction(city.id) as session:
        await hide_private(session, city.id)

    await note(database, city, waiting, FOUND)

    assert (await issue_now(database, issue)).address == ROUGH


async def test_the_newest_is_asked_for_first(database, city, issue):
    newer = await file(database, city, submission(east_of(FAR, 200)), now=LATER)

    assert (await due(database, city, now=LATER)).issue_id == newer.issue.id


async def test_of_what_an_older_version_left_what_is_open_and_for_everybody_is_asked_for(
    owner, owner_url, database, city, issue
):
    changes = ["status = 'closed'", "private = true", f"merged_into = '{issue.id}'"]
    others = [(await file(database, city, submission(east_of(FAR, 100.0 * n)))).issue for n in (1, 2, 3)]
    async with owner.transaction() as session:
        for changed, other in zip(changes, others, strict=True):
            await session.execute(text(f"UPDATE issue SET {changed} WHERE id = :id"), {"id": other.id})
        await session.execute(text("UPDATE issue SET address = NULL"))

    await asyncio.to_thread(command.downgrade, _config(owner_url), "0027")
    await asyncio.to_thread(upgrade, owner_url)

    async with owner.transaction() as session:
        asked = await session.scalars(text("SELECT id FROM issue WHERE address_ask_at = opened_at"))
        waits = await session.scalars(text("SELECT count(*) FROM issue WHERE address_ask_at IS NOT NULL"))
        lines = await session.scalars(text("SELECT DISTINCT address FROM issue"))
        assert (asked.all(), waits.one(), lines.all()) == ([issue.id], 1, [ROUGH])


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
