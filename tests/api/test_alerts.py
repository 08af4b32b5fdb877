"""Public alerts, as managers publish them and as everybody reads them; from a call to the phones."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import text

from api.demo.fcm_standin import Push, running_standin
from api.worker import TOPICS, add_alerts
from db.base import new_id
from db.clock import database_time, seconds_passed
from db.jobs import Job, JobTable
from db.sessions import Database
from issues.actors import Role
from issues.alerts import TELL_ALERT
from issues.languages import LOCALES, load_languages
from issues.notices import NoticeTexts
from push.channels import AddressKind
from push.deliver import Sender
from push.fcm import FcmChannel
from push.topics import TOPICS_OF
from tests.api.served import fields_of, problem_of

ALERT = "/v1/alerts/01936f3e-b000-7000-8000-00000000000a"
MONTREAL = {"jurisdiction_id": "montreal.ca"}
SPOKEN = load_languages([LOCALES])


def water(**changes):
    said = {"title_fr": "Eau à bouillir", "title_en": "Boil water", "text_fr": "Une minute.", "text_en": "One minute."}
    return {"district": "arrondissements:verdun", **said, **changes}


@dataclass
class Firebase:
    """The stand-in, and the worker's part, done when the test says so."""

    url: str
    channel: FcmChannel
    database: Database
    owner: Database
    arrived: list[Push] = field(default_factory=list)

    def read(self, what, as_=dict):
        return as_(httpx.get(f"{self.url}/{what}").json())

    def topics(self):
        return self.read("topics")

    async def work(self):
        """Do the jobs that wait, tell FCM who joins and leaves, and send what is due."""
        table = JobTable()
        add_alerts(table, self.database, SPOKEN, self.channel, stop=asyncio.Event())
        async with self.owner.transaction() as session:
            query = "DELETE FROM pgqueuer RETURNING id, entrypoint, convert_from(payload, 'UTF8')"
            waiting = sorted((await session.execute(text(query))).all())
        for number, kind, payload in waiting:
            if kind in (TELL_ALERT, TOPICS_OF):
                await table.handlers[kind][0](Job(id=number, kind=kind, payload=json.loads(payload), attempt=1))
        await table.handlers[TOPICS][0](Job(id=0, kind=TOPICS, payload={}, attempt=1))
        channels = dict.fromkeys((AddressKind.FID, AddressKind.TOKEN, AddressKind.TOPIC), self.channel)
        sender = Sender(
            self.database, channels, render=NoticeTexts(SPOKEN).render, clock=database_time, seconds=seconds_passed
        )
        await sender.deliver_due(1)

    async def let_a_minute_pass(self):
        """Have everybody be in their topics for longer."""
        async with self.owner.transaction() as session:
            await session.execute(text("UPDATE topic_member SET joined_at = joined_at - INTERVAL '61 seconds'"))


@pytest_asyncio.fixture
async def firebase(app, owner, tmp_path) -> AsyncIterator[Firebase]:
    arrived: list[Push] = []
    with running_standin(tmp_path / "fcm.json", on_push=arrived.append) as url:
        channel = FcmChannel(json.loads((tmp_path / "fcm.json").read_text()), url=url)
        yield Firebase(url, channel, app.state.serving.database, owner, arrived)
        await channel.close()


async def subscribe(phone, district="arrondissements:verdun"):
    path = f"/v1/subscriptions/{new_id()}"
    answer = await phone.api.put(path, params=MONTREAL, json={"district": district, "kinds": ["alert"]})
    assert answer.status_code == 201
    return path


def rung(firebase):
    return sorted((push.address, push.notification["title"]) for push in firebase.arrived)


async def test_an_alert_rings_once_on_every_phone_that_asked_by_one_message_for_each_language(firebase, register, hire):
    french, english = await register("fr-CA", "fid-fr"), await register("en-CA", "fid-en")
    await register("fr-CA", "fid-other")
    for phone in (french, english):
        await subscribe(phone)
    await firebase.work()
    joined = firebase.topics()
    await firebase.let_a_minute_pass()

    manager = await hire(Role.MANAGER)
    published = await manager.put(ALERT, json=water())
    again = await manager.put(ALERT, json=water())
    await firebase.work()
    seen = (await manager.get(ALERT)).json()

    place = "montreal.ca~arrondissements~verdun"
    assert joined == {
        f"{place}~en": ["fid-en"], f"{place}~fr": ["fid-fr"], "montreal.ca~en": ["fid-en"], "montreal.ca~fr": ["fid-fr"]
    }  # fmt: skip
    assert (published.status_code, again.status_code, again.json()) == (201, 200, published.json())
    assert rung(firebase) == [("fid-en", "Boil water"), ("fid-fr", "Eau à bouillir")]
    assert firebase.read("attempts", len) == 2
    data = {"event_id": ALERT.rpartition("/")[2], "kind": "alert", "jurisdiction_id": "montreal.ca"}
    assert [push.data for push in firebase.arrived] == [data, data]
    assert seen["deliveries"] == [{"to": "topic", "state": "sent", "count": 2}]


async def test_a_topic_follows_the_phone_its_language_its_address_and_its_end(firebase, register):
    phone = await register("fr-CA", "fid-old")
    path = await subscribe(phone, district="arrondissements:verdun")
    await firebase.work()
    device = f"/v1/devices/{phone.id}"

    seen = []
    for push, locale in (("fid-old", "en-CA"), ("fid-new", "en-CA")):
        body = {"platform": "android", "locale": locale, "push": {"kind": "fcm", "fid": push}}
        assert (await phone.api.put(device, json=body)).status_code == 200
        await firebase.work()
        seen.append({name.rpartition("~")[2]: who for name, who in firebase.topics().items()})
    await phone.api.put(path, params=MONTREAL, json={"kinds": ["alert"]})
    await firebase.work()
    whole_city = firebase.topics()
    await phone.api.delete(device)
    await firebase.work()

    assert seen == [{"en": ["fid-old"]}, {"en": ["fid-new"]}]
    assert whole_city == {"montreal.ca~en": ["fid-new"]}
    assert firebase.topics() == {}


async def test_with_wishes_of_their_own_people_hear_directly(firebase, register, hire):
    phone = await register("fr-CA", "fid-1")
    await subscribe(phone)
    await phone.api.put("/v1/me/preferences", json={"kinds": ["alert"]})
    await firebase.work()

    await (await hire(Role.MANAGER)).put(ALERT, json=water())
    await firebase.work()

    assert (firebase.topics(), rung(firebase)) == ({}, [("fid-1", "Eau à bouillir")])


async def test_everybody_reads_what_stands_in_their_language(api, hire):
    manager = await hire(Role.MANAGER)
    await manager.put(ALERT, json=water(expires_after_h=2))

    [listed] = (await api.get("/v1/alerts", params=MONTREAL, headers={"Accept-Language": "en"})).json()["items"]
    found = (await api.get(ALERT, params=MONTREAL, headers={"Accept-Language": "fr"})).json()
    withdrawn = await manager.call("DELETE", ALERT)

    assert (listed["title"], found["title"], found["deliveries"]) == ("Boil water", "Eau à bouillir", None)
    ends, began = (datetime.fromisoformat(found[when]) for when in ("expires_at", "published_at"))
    assert ((ends - began).total_seconds(), began <= datetime.now(UTC)) == (7200, True)
    assert withdrawn.json()["withdrawn_at"] is not None
    assert (await api.get("/v1/alerts", params=MONTREAL)).json()["items"] == []
    assert (await api.get(ALERT, params=MONTREAL)).json()["withdrawn_at"] == withdrawn.json()["withdrawn_at"]
    problem_of(await manager.put(ALERT, json=water(expires_after_h=2)), 409, "alert-id-taken")


@pytest.mark.parametrize("role", [Role.AGENT, Role.CREW])
async def test_alerts_are_for_managers(hire, role):
    staff = await hire(role, crew="voirie-1" if role is Role.CREW else None)

    problem_of(await staff.put(ALERT, json=water()), 403, "role-needed")
    problem_of(await staff.call("DELETE", ALERT), 403, "role-needed")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"district": "arrondissements:atlantide"}, "district"),
        ({"title_en": ""}, "title_en"),
        ({"title_fr": "e" * 66}, "title_fr"),
        ({"text_fr": None}, "text_fr"),
        ({"text_en": "e" * 501}, "text_en"),
        ({"expires_after_h": 0}, "expires_after_h"),
        ({"expires_after_h": 28 * 24 + 1}, "expires_after_h"),
    ],
)
async def test_what_is_wrong_with_an_alert_is_named(hire, wrong, field):
    refused = await (await hire(Role.MANAGER)).put(ALERT, json=water(**wrong))

    assert fields_of(problem_of(refused, 422, "invalid-fields")) == {field}


async def test_no_alert_of_another_city_is_seen_or_taken_back(api, hire):
    await (await hire(Role.MANAGER)).put(ALERT, json=water())

    problem_of(await api.get(ALERT, params={"jurisdiction_id": "laval.ca"}), 404, "alert-not-found")
    problem_of(await (await hire(Role.MANAGER, "laval.ca")).call("DELETE", ALERT), 404, "alert-not-found")


async def test_staff_of_another_city_read_alerts_as_everybody_does(hire):
    await (await hire(Role.MANAGER)).put(ALERT, json=water())
    neighbour = await hire(Role.MANAGER, "laval.ca")

    [listed] = (await neighbour.get("/v1/alerts", params=MONTREAL)).json()["items"]
    found = (await neighbour.get(ALERT, params=MONTREAL)).json()

    assert (listed["id"], found["id"], found["deliveries"]) == (ALERT.rpartition("/")[2], listed["id"], None)
