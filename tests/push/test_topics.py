"""Who is in a topic: FCM is told of each device that joins or leaves, until it has taken it."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from db.base import new_id
from push.backlog import push_troubles
from push.channels import AddressKind, Outcome
from push.deliver import Sender
from push.outcomes import read_outcomes
from push.queueing import queue_topics
from push.redrive import redrive
from push.topics import AT_ONCE, keep_topics, open_topics, settle_topics, topic_backlog, topics_with_members
from tests.push.people import CITY, NOON, after

FRENCH, ENGLISH = "essai.ca~fr", "essai.ca~en"
ANNA, BEN, ALERT = new_id(), new_id(), new_id()


class Provider:
    """Keeps topics in memory; answers what it is told to, and can be made to wait."""

    def __init__(self):
        self.members, self.calls, self.answers = set(), [], {}
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.may_answer.set()

    async def change_topic(self, topic, addresses, *, joins):
        self.calls.append((topic, joins, len(addresses)))
        self.asked.set()
        await self.may_answer.wait()
        answers = [self.answers.get(address) for address in addresses]
        done = {(topic, address) for address, answer in zip(addresses, answers, strict=True) if answer is None}
        self.members = self.members | done if joins else self.members - done
        return answers


@pytest.fixture
def provider():
    return Provider()


async def want(database, person_id, *wanted, now=NOON):
    """Have a person's addresses be in these topics, and in no others."""
    async with database.transaction(CITY) as session:
        topics = await open_topics(session, CITY, {FRENCH: "fr", ENGLISH: "en"}, now=now)
        await settle_topics(session, CITY, person_id, {(topics[name], address) for name, address in wanted}, now=now)


async def keep(database, provider, clock):
    return await keep_topics(database, CITY, provider, clock=clock)


async def states(database):
    async with database.transaction(CITY) as session:
        rows = await session.execute(text("SELECT address, state FROM topic_member ORDER BY address, state"))
        return [tuple(row) for row in rows]


async def test_a_device_joins_once_and_leaves_once(database, provider, clock):
    await want(database, ANNA, (FRENCH, "phone-a"))
    assert await keep(database, provider, clock) == 1
    await want(database, ANNA, (FRENCH, "phone-a"))
    assert await keep(database, provider, clock) == 0
    joined = set(provider.members)
    await want(database, ANNA)
    assert await keep(database, provider, clock) == 1

    assert (joined, provider.members, await states(database)) == ({(FRENCH, "phone-a")}, set(), [])
    assert provider.calls == [(FRENCH, True, 1), (FRENCH, False, 1)]


async def test_another_address_and_another_language_move(database, provider, clock):
    await want(database, ANNA, (FRENCH, "phone-a"))
    await keep(database, provider, clock)

    await want(database, ANNA, (ENGLISH, "phone-b"))
    await keep(database, provider, clock)

    assert provider.members == {(ENGLISH, "phone-b")}


@pytest.mark.parametrize("later", ["old", "new"])
async def test_an_address_that_another_person_took_over_stays_where_that_person_wants_it(
    database, provider, clock, later
):
    await want(database, ANNA, (FRENCH, "phone-a"))
    await keep(database, provider, clock)

    for act in ("new", "old") if later == "old" else ("old", "new"):
        await want(database, *((BEN, (FRENCH, "phone-a")) if act == "new" else (ANNA,)))
    await keep(database, provider, clock)

    assert provider.members == {(FRENCH, "phone-a")}
    assert await states(database) == [("phone-a", "joined")]


async def test_where_the_provider_is_in_trouble_it_is_told_again_later_and_later(database, provider, clock):
    await want(database, ANNA, (FRENCH, "phone-a"))
    provider.answers["phone-a"] = "UNAVAILABLE"

    told = []
    for wait_s in (0, 9, 1, 19, 1):
        clock.pass_s(wait_s)
        told.append(await keep(database, provider, clock))
    provider.answers.clear()
    clock.pass_s(40)

    async with database.transaction(CITY) as session:
        backlog = await topic_backlog(session, CITY, now=clock.now + timedelta(seconds=5))
    assert told == [1, 0, 1, 0, 1]
    assert (backlog.waiting, backlog.overdue_s, backlog.error) == (1, 5.0, "UNAVAILABLE")
    assert await keep(database, provider, clock) == 1
    assert await states(database) == [("phone-a", "joined")]


@pytest.mark.parametrize("refusal", ["UNREGISTERED", "NOT_FOUND", "INVALID_ARGUMENT", "SENDER_ID_MISMATCH"])
async def test_who_is_refused_is_not_asked_for_again_and_need_not_leave(database, provider, clock, refusal):
    await want(database, ANNA, (FRENCH, "phone-a"), (FRENCH, "phone-b"))
    provider.answers["phone-a"] = refusal
    await keep(database, provider, clock)
    clock.pass_s(7200)

    assert await keep(database, provider, clock) == 0
    assert await states(database) == [("phone-a", "refused"), ("phone-b", "joined")]
    await want(database, ANNA)
    await keep(database, provider, clock)
    assert await states(database) == []


async def test_who_changes_their_mind_while_the_provider_is_told_ends_where_they_last_wished(database, provider, clock):
    await want(database, ANNA, (FRENCH, "phone-a"))
    provider.may_answer.clear()
    joining = asyncio.create_task(keep(database, provider, clock))
    await provider.asked.wait()

    await want(database, ANNA)
    meanwhile = await keep(database, Provider(), clock)  # another worker does not tell of it at the same time
    provider.may_answer.set()
    await joining

    assert meanwhile == 0
    assert (provider.members, await states(database)) == (set(), [])


async def test_what_a_killed_worker_left_is_told_by_another_a_minute_later(database, provider, clock):
    await want(database, ANNA, (FRENCH, "phone-a"))
    provider.may_answer.clear()
    killed = asyncio.create_task(keep(database, provider, clock))
    await provider.asked.wait()
    killed.cancel()
    provider.may_answer.set()

    assert await keep(database, provider, clock) == 0
    clock.pass_s(60)
    assert await keep(database, provider, clock) == 1
    assert await states(database) == [("phone-a", "joined")]


async def test_many_join_in_batches(database, provider, clock):
    await want(database, ANNA, *((FRENCH, f"phone-{number}") for number in range(AT_ONCE + 1)))

    await keep(database, provider, clock)

    assert provider.calls == [(FRENCH, True, AT_ONCE), (FRENCH, True, 1)]


async def test_a_provider_in_trouble_is_not_told_of_one_batch_after_another(database, provider, clock):
    phones = [f"phone-{number}" for number in range(AT_ONCE + 1)]
    await want(database, ANNA, *((FRENCH, phone) for phone in phones))
    provider.answers = dict.fromkeys(phones, "UNAVAILABLE")

    told = [await keep(database, provider, clock) for _ in range(3)]

    assert told == [AT_ONCE, 1, 0]


async def test_a_worker_that_is_to_stop_begins_no_other_batch(database, provider, clock):
    await want(database, ANNA, (FRENCH, "phone-a"))
    stop = asyncio.Event()
    stop.set()

    assert await keep_topics(database, CITY, provider, clock=clock, stop=stop) == 0


@pytest.mark.parametrize(("since_s", "found"), [(-1, 0), (0, 1)])
async def test_a_topic_counts_once_somebody_has_been_in_it_for_long_enough(database, provider, clock, since_s, found):
    await want(database, ANNA, (FRENCH, "phone-a"))
    await keep(database, provider, clock)

    async with database.transaction(CITY) as session:
        topics = await topics_with_members(session, CITY, [FRENCH, ENGLISH], joined_before=after(since_s))

    assert len(topics) == found


async def queue_alert(database, *, worth_s=3600):
    async with database.transaction(CITY) as session:
        topics = await open_topics(session, CITY, {FRENCH: "fr"}, now=NOON)
        await queue_topics(
            session, CITY, event_id=ALERT, kind="alert", params={}, topic_ids=topics.values(),
            expires_at=after(worth_s), now=NOON,
        )  # fmt: skip


@pytest.fixture
def deliver(database, fcm, clock):
    """Sends what is due, as a worker that has just been started."""

    def render(_kind, _params, locale):
        return f"Alerte ({locale})", "Une minute."

    async def deliver():
        channels = {AddressKind.TOPIC: fcm}
        sender = Sender(database, channels, render=render, clock=clock, seconds=clock.seconds)
        return dict(await sender.deliver_due(CITY))

    return deliver


async def test_a_message_to_a_topic_is_tried_again_as_any_other_with_its_collapse_key(
    database, stand_in, clock, deliver
):
    await queue_alert(database)
    await queue_alert(database)  # the same again
    stand_in.fail("UNAVAILABLE", address=FRENCH)

    outcomes = [await deliver()]
    for wait_s in (9, 4, 60):
        clock.pass_s(wait_s)
        outcomes.append(await deliver())

    assert outcomes == [{Outcome.RETRY: 1}, {}, {Outcome.SENT: 1}, {}]
    assert [(push["status"], push["address"], push["collapse_key"]) for push in stand_in.attempts()] == [
        (503, FRENCH, str(ALERT)),
        (200, FRENCH, str(ALERT)),
    ]
    assert stand_in.attempts()[0]["notification"]["title"] == "Alerte (fr)"
    async with database.transaction(CITY) as session:
        assert await read_outcomes(session, CITY) == {("topic", "retry"): 1, ("topic", "sent"): 1}


async def test_a_message_that_waits_for_a_topic_is_told_as_such(database, stand_in, clock, deliver):
    await queue_alert(database)
    stand_in.fail("UNAVAILABLE", address=FRENCH)
    await deliver()

    async with database.transaction(CITY) as session:
        troubles = await push_troubles(session, CITY, now=clock.now)

    assert [(trouble.channel, trouble.queued) for trouble in troubles] == [("topic", 1)]


async def test_a_message_to_a_topic_that_is_worth_nothing_any_more_is_not_sent(database, stand_in, clock, deliver):
    await queue_alert(database, worth_s=30)
    clock.pass_s(30)

    await deliver()

    assert stand_in.attempts() == []


@pytest.mark.parametrize(("redriven_s", "heard"), [(3599, {Outcome.SENT: 1}), (3600, {})])
async def test_a_dead_message_to_a_topic_gets_another_life_where_its_alert_is_not_over(
    database, stand_in, clock, deliver, redriven_s, heard
):
    await queue_alert(database, worth_s=3600)
    stand_in.fail("INVALID_ARGUMENT", address=FRENCH)
    dead = await deliver()
    clock.pass_s(redriven_s)
    async with database.transaction(CITY) as session:
        day = timedelta(hours=24)
        found = await redrive(session, CITY, kinds=[AddressKind.TOPIC], younger_than=day, now=clock.now)

    assert (dead, found, await deliver()) == ({Outcome.GIVE_UP: 1}, 1, heard)
    assert len(stand_in.attempts()) == 1 + len(heard)
