"""Public alerts: everybody who asked hears once, most of them by one message to a topic."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from db.base import new_id
from issues.alert_audience import settle_alert_topics, tell_alert
from issues.alerts import (
    AlertDraft,
    AlertIdTaken,
    AlertNotFound,
    count_alert_deliveries,
    find_alert,
    list_alerts,
    publish_alert,
    topics_of,
    withdraw_alert,
)
from issues.languages import LOCALES, load_languages
from issues.lifecycle import NoticeKind
from issues.subscriptions import SubscriptionView, subscribe, unsubscribe
from push.outbox import lease_deliveries
from push.pacing import Preferences, Quiet
from push.preferences import write_preferences
from push.topics import keep_topics
from tests.issues.people import jobs, register_phone
from tests.issues.towns import AILLEURS, NOON, open_town

SPOKEN = load_languages([LOCALES])
EAST, WEST, WHOLE = "arrondissements:est", "arrondissements:ouest", None
WATER = AlertDraft(
    EAST,
    {"fr": "Eau à bouillir", "en": "Boil water"},
    {"fr": "Une minute.", "en": "One minute."},
    safety=False,
    expires_after=timedelta(hours=12),
)
LATER = NOON + timedelta(hours=1)


class Provider:
    async def change_topic(self, _topic, addresses, *, joins):  # noqa: ARG002 - as providers are called
        return [None] * len(addresses)


@pytest.fixture
def ask(database, city):
    """Has a new person with a phone subscribe; answers with the person's id."""

    async def ask(district=EAST, *, kinds=(NoticeKind.ALERT,), locale="fr-CA", now=NOON, phone=True):
        person_id = (await register_phone(database, locale=locale))[1] if phone else new_id()
        wanted = SubscriptionView(new_id(), district, None, None, None, tuple(kinds))
        async with database.transaction(city.id) as session:
            await subscribe(session, city.id, person_id, wanted, now=now)
        return person_id

    return ask


async def settle(database, city, *, joined_at=NOON, upto=("settle", "join")):
    """Do the jobs that wait for it, and tell the provider."""

    async def clock(_session):
        return joined_at

    for kind, payload in await jobs(database):
        if kind == "push.topics_of":
            async with database.transaction(city.id) as session:
                await settle_alert_topics(
                    session, city.id, payload["person_id"], jurisdiction_id=city.jurisdiction_id, locale=city.locale,
                    languages=SPOKEN, now=joined_at,
                )  # fmt: skip
    if "join" in upto:
        await keep_topics(database, city.id, Provider(), clock=clock)


async def publish(database, city, draft=WATER, *, alert_id=None, now=LATER):
    async with database.transaction(city.id) as session:
        alert, _ = await publish_alert(session, city.id, alert_id or new_id(), draft, actor="staff:1", now=now)
    return alert


async def tell(database, city, alert, *, now=LATER, **how):
    """Do the job that tells directly, part by part; answers with how many parts there were."""
    parts, more = 0, True
    while more:
        async with database.transaction(city.id) as session:
            more = (await tell_alert(session, city.id, alert.id, now=now, **how)).more
        parts += 1
    return parts


async def told(database, city):
    """Who was told how often: a topic by its name, a person by their id."""
    async with database.transaction(city.id) as session:
        rows = await session.execute(
            text(
                "SELECT coalesce(name, n.person_id::text), count(*) FROM notification n JOIN delivery d"
                " ON d.city_id = n.city_id AND d.notification_id = n.id"
                " LEFT JOIN topic ON topic.city_id = n.city_id AND topic.id = d.device_id WHERE n.city_id = :city"
                " GROUP BY 1"
            ),
            {"city": city.id},
        )
        return dict(map(tuple, rows))


async def test_an_alert_goes_out_once_for_each_language_however_many_hear_it(database, city, ask):
    for locale in ("fr-CA", "fr", "en-CA", "es"):
        await ask(locale=locale)
    await settle(database, city)

    alert = await publish(database, city)
    await tell(database, city, alert)

    async with database.transaction(city.id) as session:
        lease = await lease_deliveries(session, city.id, now=LATER, limit=10, window_s=0, lease_s=60)
    assert await told(database, city) == {
        "essai.ca~arrondissements~est~fr": 1,
        "essai.ca~arrondissements~est~en": 1,
    }
    assert {(one.address_kind, one.locale, one.event_id, one.expires_at) for one in lease.deliveries} == {
        ("topic", language, alert.id, alert.expires_at) for language in ("fr", "en")
    }
    assert lease.deliveries[0].params == {
        "title_fr": "Eau à bouillir", "title_en": "Boil water", "text_fr": "Une minute.", "text_en": "One minute.",
        "jurisdiction_id": "essai.ca", "locale": "fr-CA",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("subscribed", "of", "heard"),
    [
        (EAST, EAST, True),
        (EAST, WEST, False),
        (EAST, WHOLE, True),
        (WHOLE, WHOLE, True),
        (WHOLE, EAST, False),
        ("quartiers:centre", EAST, False),
    ],
)
@pytest.mark.parametrize("joined", [True, False])
async def test_who_hears_of_which_alert(database, city, ask, subscribed, of, heard, joined):
    person = await ask(subscribed)
    if joined:
        await settle(database, city)

    await tell(database, city, await publish(database, city, replace(WATER, district=of)))

    by = next(iter(topics_of("essai.ca", of, ["fr"]))) if joined else str(person)
    assert await told(database, city) == ({by: 1} if heard else {})


async def test_nobody_hears_who_did_not_ask_for_alerts(database, city, ask):
    await ask(kinds=(NoticeKind.OPENED, NoticeKind.RESOLVED))
    await settle(database, city)
    await ask(now=LATER + timedelta(seconds=1))  # later than the alert

    await tell(database, city, await publish(database, city, now=LATER))

    assert await told(database, city) == {}


@pytest.mark.parametrize("why", ["still joining", "joined just now", "left", "wishes", "refused"])
async def test_who_is_not_surely_in_the_topic_hears_directly(database, city, ask, why):
    person = await ask()
    match why:
        case "still joining":
            await settle(database, city, upto=("settle",))
        case "joined just now":
            await settle(database, city, joined_at=LATER - timedelta(seconds=59))
        case "left":
            await settle(database, city)
            async with database.transaction(city.id) as session:
                await session.execute(text("UPDATE topic_member SET state = 'leaving'"))
        case "refused":
            await settle(database, city)
            async with database.transaction(city.id) as session:
                await session.execute(text("UPDATE topic_member SET state = 'refused'"))
        case "wishes":
            async with database.transaction() as session:
                await write_preferences(session, person, Preferences(), now=NOON)
            await settle(database, city)

    await tell(database, city, await publish(database, city))

    assert await told(database, city) == {str(person): 1}


async def test_quiet_hours_hold_unless_it_is_for_safety_and_nothing_is_told_when_it_is_over(database, city, ask):
    person = await ask()
    quiet = Preferences(zone=ZoneInfo("UTC"), quiet=Quiet(time(12), time(20)))
    async with database.transaction() as session:
        await write_preferences(session, person, quiet, now=NOON)

    held = await publish(database, city, replace(WATER, expires_after=timedelta(hours=1)))
    rings = await publish(database, city, replace(WATER, safety=True))
    for alert in (held, rings):
        await tell(database, city, alert)

    async with database.transaction(city.id) as session:
        rows = await session.execute(
            text("SELECT event_id, state, expires_at FROM notification n JOIN delivery d ON d.notification_id = n.id")
        )
        found = {row.event_id: (row.state, row.expires_at) for row in rows}
    assert found == {held.id: ("held", held.expires_at), rings.id: ("queued", rings.expires_at)}


async def test_people_are_told_in_parts_each_once_also_where_the_worker_ends_in_between(database, city, ask):
    people = {str(await ask()) for _ in range(5)}
    alert = await publish(database, city)

    async with database.transaction(city.id) as session:
        first = await tell_alert(session, city.id, alert.id, now=LATER, most=2)
    with suppress(ConnectionError):
        async with database.transaction(city.id) as session:
            await tell_alert(session, city.id, alert.id, now=LATER, most=2)
            raise ConnectionError
    parts = await tell(database, city, alert, most=2)
    await tell(database, city, alert)  # the job once more

    assert (first.queued, first.more, parts) == (2, True, 2)
    assert await told(database, city) == dict.fromkeys(people, 1)


async def test_what_is_not_out_when_an_alert_is_withdrawn_does_not_go_out(database, city, ask):
    await ask(locale="en")
    await settle(database, city)
    people = [await ask() for _ in range(3)]
    alert = await publish(database, city)
    async with database.transaction(city.id) as session:
        await tell_alert(session, city.id, alert.id, now=LATER, most=2)

    async with database.transaction(city.id) as session:
        withdrawn = await withdraw_alert(session, city.id, alert.id, actor="staff:1", now=LATER)
        again = await withdraw_alert(session, city.id, alert.id, actor="staff:2", now=LATER + timedelta(hours=1))
    await tell(database, city, alert, most=2)

    async with database.transaction(city.id) as session:
        lease = await lease_deliveries(session, city.id, now=LATER, limit=10, window_s=0, lease_s=60)
        counted = await count_alert_deliveries(session, city.id, alert.id)
        assert await list_alerts(session, city.id, now=LATER) == []
    assert (withdrawn, lease.deliveries) == (again, [])
    assert {(one.to_topic, one.state) for one in counted} == {(True, "expired"), (False, "expired")}
    assert sum(one.count for one in counted) <= len(people)


async def test_an_alert_is_published_once_and_its_id_stays_its_own(database, city):
    alert = await publish(database, city)
    again = await publish(database, city, alert_id=alert.id, now=LATER + timedelta(minutes=5))

    assert again == alert
    with pytest.raises(AlertIdTaken):
        await publish(database, city, replace(WATER, district=WEST), alert_id=alert.id)
    async with database.transaction(city.id) as session:
        await withdraw_alert(session, city.id, alert.id, actor="staff:1", now=LATER)
    with pytest.raises(AlertIdTaken):
        await publish(database, city, alert_id=alert.id)


async def test_of_two_calls_at_once_for_one_alert_one_publishes_it(database, city):
    alert_id = new_id()

    alerts = await asyncio.gather(*(publish(database, city, alert_id=alert_id) for _ in range(2)))

    assert alerts[0] == alerts[1]
    assert [kind for kind, _ in await jobs(database)].count("push.tell_alert") == 1


async def test_an_alert_is_one_citys_alone(owner, database, city, ask):
    await ask()
    other = await open_town(owner, database, AILLEURS)
    alert = await publish(database, other)

    await tell(database, other, alert)

    assert await told(database, city) == await told(database, other) == {}
    async with database.transaction(city.id) as session:
        with pytest.raises(AlertNotFound):
            await find_alert(session, city.id, alert.id)


async def test_who_ends_the_subscription_leaves_the_topics(database, city, ask):
    person = await ask()
    await settle(database, city)
    async with database.transaction(city.id) as session:
        await unsubscribe(session, city.id, person, None)

    await settle(database, city)

    async with database.transaction(city.id) as session:
        assert await session.scalar(text("SELECT count(*) FROM topic_member")) == 0


@pytest.mark.parametrize(
    ("jurisdiction", "district", "name"),
    [
        ("montreal.ca", "arrondissements:le-plateau", "montreal.ca~arrondissements~le-plateau~fr"),
        ("montreal.ca", None, "montreal.ca~fr"),
        ("a.ca", "l:Île~d/x:y", "a.ca~l~%C3%8Ele%7Ed%2Fx%3Ay~fr"),
    ],
)
def test_a_topic_has_a_name_that_fcm_takes_and_no_other_place_has(jurisdiction, district, name):
    assert topics_of(jurisdiction, district, ["fr"]) == {name: "fr"}
