"""From the outbox to the phone, through Google's library and a real socket: once each, whatever happens between."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from db.base import new_id
from db.sessions import DatabaseUnavailable
from push import deliver
from push.channels import AddressKind, Outcome, SendResult
from push.deliver import BATCH, Sender
from push.fcm import FcmChannel
from push.outbox import Delivery, record_results
from push.queueing import Recipient, queue_notifications
from tests.push.people import CITY, NOON, a_device, after

WORDS = {"fr-CA": ("Votre signalement", "Réglé."), "en-CA": ("Your report", "Fixed.")}


def render(kind, params, locale):
    if "unspeakable" in params:
        raise KeyError("no words")
    return WORDS[locale]


@pytest.fixture
def worker(database, fcm, clock):
    """Makes the sender of one worker process, through FCM unless told otherwise."""

    def worker(channel=fcm, *, through=database, render=render):
        channels = {} if channel is None else dict.fromkeys(AddressKind, channel)
        return Sender(through, channels, render=render, clock=clock, seconds=clock.seconds)

    return worker


@pytest.fixture
def run(worker):
    """Delivers what is due."""

    async def run(*channel, stop=None, **how):
        return await worker(*channel, **how).deliver_due(CITY, stop=stop)

    return run


async def tell(database, *addresses, event_id=None, locale="fr-CA", expires_after=timedelta(hours=24), **params):
    async with database.transaction(CITY) as session:
        devices = [await a_device(session, address, locale=locale) for address in addresses]
        await queue_notifications(
            session, CITY, event_id=event_id or new_id(), kind="resolved",
            params={"issue_id": "an-issue", "status": "resolved", "number": "2026-000001", **params},
            recipients=[Recipient(device.person_id, {}) for device in devices],
            happened_at=NOON, now=NOON, expires_after=expires_after,
        )  # fmt: skip


async def next_due_at(database):
    async with database.transaction(CITY) as session:
        due = select(func.min(Delivery.due_at)).where(Delivery.state == "queued")
        return (await session.execute(due)).scalar_one()


async def states(database):
    async with database.transaction(CITY) as session:
        return Counter((await session.execute(select(Delivery.state))).scalars())


async def test_each_device_gets_one_push_in_its_language_and_a_second_run_sends_nothing(database, run, stand_in):
    event_id = new_id()
    await tell(database, "phone-fr", event_id=event_id)
    await tell(database, "phone-en", event_id=event_id, locale="en-CA")

    first, second = await run(), await run()

    pushes = {push["address"]: push for push in stand_in.messages()}
    assert (first, second) == ({Outcome.SENT: 2}, {})
    assert pushes["phone-fr"]["notification"] == {"title": "Votre signalement", "body": "Réglé."}
    assert pushes["phone-en"]["notification"] == {"title": "Your report", "body": "Fixed."}
    assert {push["collapse_key"] for push in pushes.values()} == {str(event_id)}
    assert len(stand_in.attempts()) == 2


async def test_the_app_gets_the_ids_and_nothing_else(database, run, stand_in):
    event_id = new_id()
    await tell(database, "phone-1", event_id=event_id, report_id="a-report", jurisdiction_id="laval.ca")

    await run()

    assert stand_in.messages()[0]["data"] == {
        "event_id": str(event_id), "issue_id": "an-issue", "report_id": "a-report", "jurisdiction_id": "laval.ca",
        "kind": "resolved", "status": "resolved",
    }  # fmt: skip


async def test_a_push_is_kept_for_a_phone_that_is_off_no_longer_than_it_is_worth(database, run, stand_in, clock):
    await tell(database, "phone-1", expires_after=timedelta(hours=2))
    clock.now = after(3600)

    await run()

    assert stand_in.messages()[0]["message"]["android"]["ttl"] == "3600s"


async def test_a_push_that_failed_goes_out_later_under_the_same_collapse_key(database, run, stand_in, clock):
    await tell(database, "phone-1")
    stand_in.fail("UNAVAILABLE")

    failed = await run()
    too_early = await run()
    due_at = clock.now = await next_due_at(database)
    again = await run()

    assert (failed, too_early, again) == ({Outcome.RETRY: 1}, {}, {Outcome.SENT: 1})
    assert after(10) <= due_at <= after(12.5)
    assert [attempt["status"] for attempt in stand_in.attempts()] == [503, 200]
    assert len({attempt["collapse_key"] for attempt in stand_in.attempts()}) == 1


async def test_one_dead_device_stops_nobody_elses_push(database, run, stand_in):
    stand_in.fail("UNREGISTERED", count=None, address="dead")
    await tell(database, "phone-1", "dead", "phone-2")

    done = await run()

    assert done == {Outcome.SENT: 2, Outcome.FORGET: 1}
    assert await states(database) == {"sent": 2, "forgotten": 1}


async def test_words_that_cannot_be_written_cost_nobody_else_theirs(database, run, stand_in):
    await tell(database, "phone-1", unspeakable="yes")
    await tell(database, "phone-2")

    done = await run()

    assert done == {Outcome.GIVE_UP: 1, Outcome.SENT: 1}
    assert [push["address"] for push in stand_in.messages()] == ["phone-2"]


async def test_after_a_kill_between_answer_and_record_one_copy_goes_out_once_the_lease_ends(
    database, run, fcm, stand_in, clock
):
    class Killed(BaseException):
        pass

    class KilledAfterSending:
        async def send(self, messages, window):
            await fcm.send(messages, window)
            raise Killed

    await tell(database, "phone-1", "phone-2")
    with pytest.raises(Killed):
        await run(KilledAfterSending())

    clock.now = after(59)
    waiting = await run()
    clock.now = after(60)
    await run()
    await run()

    by_phone = Counter((push["address"], push["collapse_key"]) for push in stand_in.messages())
    assert waiting == {}
    assert sorted(by_phone.values()) == [2, 2]
    assert await states(database) == {"sent": 2}


async def test_a_restart_of_the_database_after_sending_sends_nothing_twice(database, run, stand_in, monkeypatch):
    monkeypatch.setattr(deliver, "_RECORD_AGAIN_S", 0)

    class Restarting:
        """Fails the first two transactions that would record."""

        begun = 0

        @asynccontextmanager
        async def transaction(self, city_id):
            self.begun += 1
            if self.begun in (2, 3):
                raise DatabaseUnavailable
            async with database.transaction(city_id) as session:
                yield session

    await tell(database, "phone-1")

    done = await run(through=Restarting())
    await run()

    assert done == {Outcome.SENT: 1}
    assert len(stand_in.attempts()) == 1
    assert await states(database) == {"sent": 1}


async def test_many_senders_at_once_send_each_push_once(database, run, stand_in):
    await tell(database, *(f"phone-{n}" for n in range(450)))

    runs = await asyncio.gather(*(run() for _ in range(3)))

    assert sum(done[Outcome.SENT] for done in runs) == 450
    assert Counter(push["address"] for push in stand_in.attempts()) == {f"phone-{n}": 1 for n in range(450)}


async def test_no_transaction_is_open_while_the_provider_is_asked(database, owner, run):
    class Watching:
        open_transactions = None

        async def send(self, messages, _window):
            async with owner.transaction() as session:
                self.open_transactions = await session.scalar(
                    text(
                        "SELECT count(*) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
                        " AND backend_type = 'client backend'"
                    )
                )
            return [SendResult(Outcome.SENT, provider_id="x") for _ in messages]

    await tell(database, "phone-1")
    watching = Watching()

    await run(watching)

    assert watching.open_transactions == 0


async def test_without_a_channel_pushes_wait_and_nobody_is_forgotten(database, run, stand_in, clock):
    await tell(database, "phone-1")

    unset = await run(None)
    due_at = clock.now = await next_due_at(database)
    await run()

    assert unset == {Outcome.STOP_PROJECT: 1}
    assert due_at >= after(300)
    assert [push["address"] for push in stand_in.messages()] == ["phone-1"]


async def test_expired_pushes_do_not_hide_those_behind_them(database, run, stand_in, clock):
    await tell(database, *(f"late-{n}" for n in range(120)), expires_after=timedelta(seconds=30))
    await tell(database, "phone-1")
    clock.now = after(30)

    await run()

    assert [push["address"] for push in stand_in.attempts()] == ["phone-1"]
    assert await states(database) == {"expired": 120, "sent": 1}


async def test_nothing_leaves_that_expires_on_the_way(database, run, stand_in, clock):
    await tell(database, "late-1", "late-2", expires_after=timedelta(seconds=9))
    stand_in.on_arrival.append(lambda _push: clock.pass_s(10))

    one_by_one = FcmChannel(stand_in.account, url=stand_in.url, in_flight=1)
    await run(one_by_one)
    await one_by_one.close()

    assert len(stand_in.attempts()) == 1
    assert await states(database) == {"sent": 1, "expired": 1}


async def test_a_run_that_is_told_to_stop_gives_back_at_once_what_has_not_left(database, run, worker, stand_in):
    """The first messages are on their way then, and are waited for."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    stand_in.on_arrival.append(lambda _push: loop.call_soon_threadsafe(stop.set))
    slow = FcmChannel(stand_in.account, url=stand_in.url, in_flight=2)
    await tell(database, *(f"phone-{n}" for n in range(2 * BATCH + 1)))

    done = await worker(slow).deliver_due(CITY, stop=stop)
    await slow.close()

    sent = len(stand_in.messages())
    assert 1 <= sent < BATCH
    assert done == {Outcome.SENT: sent, Outcome.UNSENT: sum(done.values()) - sent}
    assert await next_due_at(database) == NOON
    assert (await run())[Outcome.SENT] == 2 * BATCH + 1 - sent
    assert Counter(push["address"] for push in stand_in.messages()).most_common(1)[0][1] == 1


async def test_a_run_that_is_cancelled_records_what_was_answered(database, worker, monkeypatch):
    recorded_now, may_go_on = asyncio.Event(), asyncio.Event()

    async def slowly(*args, **how):
        recorded_now.set()
        await may_go_on.wait()
        return await record_results(*args, **how)

    monkeypatch.setattr(deliver, "record_results", slowly)
    await tell(database, "phone-1")
    running = asyncio.create_task(worker().deliver_due(CITY))
    await recorded_now.wait()
    running.cancel()
    asyncio.get_running_loop().call_soon(may_go_on.set)
    await asyncio.wait([running])

    assert await states(database) == {"sent": 1}


async def test_where_answers_are_slow_the_rest_of_a_batch_is_given_back_and_sent_by_another_once(
    database, worker, stand_in, clock
):
    """Each answer takes four seconds, one message at a time: 30 seconds are over after eight."""
    await tell(database, *(f"phone-{n}" for n in range(20)))
    stand_in.on_arrival.append(lambda _push: clock.pass_s(4))
    stop = asyncio.Event()
    slow = FcmChannel(stand_in.account, url=stand_in.url, in_flight=1)

    class StoppingAfterOne:
        async def send(self, messages, window):
            results = await slow.send(messages, window)
            stop.set()
            return results

    first = await worker(StoppingAfterOne()).deliver_due(CITY, stop=stop)
    after_first = dict(await states(database))
    rest = await worker(slow).deliver_due(CITY)
    await slow.close()

    assert first == {Outcome.SENT: 8, Outcome.UNSENT: 12}
    assert after_first == {"sent": 8, "queued": 12}
    assert rest[Outcome.SENT] == 12
    assert Counter(push["address"] for push in stand_in.attempts()) == {f"phone-{n}": 1 for n in range(20)}


async def test_no_lease_outlasts_its_batch_with_two_workers_at_a_slow_provider(database, worker, stand_in, clock):
    """Both share the provider's slowness, and whatever one has leased the other looks for all the time."""
    await tell(database, *(f"phone-{n}" for n in range(40)))
    stand_in.on_arrival.append(lambda _push: clock.pass_s(4))
    channels = [FcmChannel(stand_in.account, url=stand_in.url, in_flight=2) for _ in range(2)]

    runs = await asyncio.gather(*(worker(channel).deliver_due(CITY) for channel in channels for _ in range(5)))
    while await next_due_at(database) is not None:
        clock.now = max(clock.now, await next_due_at(database))
        runs.append(await worker(channels[0]).deliver_due(CITY))
    await asyncio.gather(*(channel.close() for channel in channels))

    assert sum(done[Outcome.SENT] for done in runs) == 40
    assert Counter(push["address"] for push in stand_in.attempts()) == {f"phone-{n}": 1 for n in range(40)}


@pytest.mark.parametrize("stopped_s", [30, 300])
async def test_a_worker_that_was_stopped_after_leasing_sends_nothing_of_an_old_lease(
    database, worker, stand_in, clock, stopped_s
):
    await tell(database, "phone-1", "phone-2")
    stop = asyncio.Event()

    def render_late(*words):
        if not stop.is_set():
            stop.set()
            clock.pass_s(stopped_s)
        return render(*words)

    late = await worker(render=render_late).deliver_due(CITY, stop=stop)
    sent_late = stand_in.attempts()
    await worker().deliver_due(CITY)

    assert (late, sent_late) == ({Outcome.UNSENT: 2}, [])
    assert Counter(push["address"] for push in stand_in.attempts()) == {"phone-1": 1, "phone-2": 1}


async def test_a_worker_that_wakes_after_another_took_over_disturbs_nothing(database, worker, stand_in, fcm, clock):
    await tell(database, "phone-1")
    stop = asyncio.Event()

    class Suspended:
        async def send(self, messages, window):
            stop.set()
            clock.pass_s(61)
            await worker().deliver_due(CITY)  # another process
            return await fcm.send(messages, window)

    late = await worker(Suspended()).deliver_due(CITY, stop=stop)

    assert late == {Outcome.UNSENT: 1}
    assert [push["address"] for push in stand_in.attempts()] == ["phone-1"]
    assert await states(database) == {"sent": 1}


async def test_a_process_sends_one_batch_at_a_time_and_leaves_no_delivery_behind(database, worker):
    class Counting:
        under_way = most = 0

        async def send(self, messages, _window):
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            async with database.transaction(CITY) as session:  # time for others to come in
                await session.execute(text("SELECT 1"))
            self.under_way -= 1
            return [SendResult(Outcome.SENT, provider_id="x") for _ in messages]

    await tell(database, *(f"phone-{n}" for n in range(250)))
    counting = Counting()
    sender = worker(counting)

    runs = await asyncio.gather(*(sender.deliver_due(CITY) for _ in range(10)))

    assert counting.most == 1
    assert sum(done.get(Outcome.SENT, 0) for done in runs) == 250


async def test_results_are_recorded_however_long_the_database_is_away(database, run, stand_in, clock, monkeypatch):
    monkeypatch.setattr(deliver, "_RECORD_AGAIN_S", 0)

    class Away:
        begun = 0

        @asynccontextmanager
        async def transaction(self, city_id):
            self.begun += 1
            if 2 <= self.begun < 200:
                clock.pass_s(1)
                raise DatabaseUnavailable
            async with database.transaction(city_id) as session:
                yield session

    await tell(database, "phone-1")

    await run(through=Away())

    assert await states(database) == {"sent": 1}
