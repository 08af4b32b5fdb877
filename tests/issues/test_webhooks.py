"""Other systems are told what happened, in order, signed, from where they have read to."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import select

from api import hooks
from api.hooks import tell_webhooks
from db.base import new_id
from issues.events import EventNotFound
from issues.webhooks import Webhook, add_webhook, lease_webhooks, list_webhooks, next_event, replay
from push.hooks import HookPoster
from tests.issues.people import bring, open_issue, others_ended
from tests.issues.towns import NOON


class Receiver:
    """Another system on a real socket: what came, and what it says to the next."""

    def __init__(self) -> None:
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.says: list[int | str] = []  # a status, `cut`, `silence`, or `drip` for a head that never ends
        self.headers: dict[str, str] = {}  # of what is not taken
        self.speaks = threading.Event()
        self.dripped = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.says.pop(0) if receiver.says else 204
                if status == "silence":
                    receiver.speaks.wait(20)
                while status == "drip" and not receiver.speaks.wait(0.02):
                    with suppress(OSError):  # it has hung up
                        self.wfile.write(b"HTTP/1.1 204 No Content\r\nX-More: "[receiver.dripped :][:1] or b"1")
                    receiver.dripped += 1
                if isinstance(status, str):
                    self.close_connection = True
                    return
                if status < 300:
                    receiver.came.append(({key.lower(): value for key, value in self.headers.items()}, body))
                self.send_response(status)
                for name, value in ({} if status < 300 else receiver.headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.came]

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.came]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield receiver
    receiver.speaks.set()
    receiver.server.shutdown()
    thread.join()
    receiver.server.server_close()


@pytest.fixture
async def work(database, city):
    """Do the worker's part at a time."""
    opened = []

    async def work(now: datetime = NOON, *, answer_s: float = 5) -> None:
        opened.append(poster := HookPoster(allow_private=True, timeout_s=answer_s))
        await others_ended(database)
        await tell_webhooks(database, poster, city.id, city.jurisdiction_id, clock=lambda: now)

    yield work
    for poster in opened:
        await poster.close()


async def hook(database, city, url, kinds=None):
    async with database.transaction(city.id) as session:
        return await add_webhook(session, city.id, url, kinds, now=NOON)


async def state(database, city):
    async with database.transaction(city.id) as session:
        [webhook] = await list_webhooks(session, city.id)
    return webhook


async def test_what_happens_arrives_in_order_once_signed_and_without_words_of_people(database, city, receiver, work):
    webhook = await hook(database, city, receiver.url)
    issue = await open_issue(database, city)
    change = await bring(database, issue, "acknowledged", note="Appeler M. Tremblay")

    await work()
    await work(NOON + timedelta(hours=1))

    assert receiver.types == ["report.opened", "issue.status"]
    headers, body = receiver.came[1]
    assert headers["webhook-id"] == str(change.event_id)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(webhook.secret, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert json.loads(body)["data"]["to"] == "acknowledged"
    assert b"Tremblay" not in body


async def test_an_event_that_is_not_taken_is_told_again_before_the_next(database, city, receiver, work):
    await hook(database, city, receiver.url)
    issue = await open_issue(database, city)
    await bring(database, issue, "acknowledged")
    receiver.says = [503, 500]

    await work()
    await work(NOON + timedelta(seconds=9))  # too soon
    assert (receiver.types, (await state(database, city)).last_error) == ([], "HTTP 503")
    await work(NOON + timedelta(seconds=10))
    await work(NOON + timedelta(seconds=30))

    assert receiver.types == ["report.opened", "issue.status"]
    assert ((await state(database, city)).failures, receiver.says) == (0, [])


EVER_MORE_RARELY = [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]


@pytest.mark.parametrize(
    ("says", "headers", "waits_s"),
    [
        (301, {"Location": "/elsewhere"}, EVER_MORE_RARELY[:3]),
        (404, {}, EVER_MORE_RARELY[:3]),
        (429, {}, EVER_MORE_RARELY[:3]),
        (429, {"Retry-After": "90"}, [90, 90, 90, 90, 160]),
        (500, {}, EVER_MORE_RARELY),
        (503, {"Retry-After": "15"}, [15, 20, 40]),
        ("cut", {}, EVER_MORE_RARELY[:3]),
        ("silence", {}, EVER_MORE_RARELY[:3]),
        ("drip", {}, EVER_MORE_RARELY[:2]),
    ],
)
async def test_in_every_trouble_an_event_is_told_again_ever_more_rarely_until_it_is_taken(
    database, city, receiver, work, says, headers, waits_s
):
    await hook(database, city, receiver.url)
    await open_issue(database, city)
    receiver.says, receiver.headers = [says] * len(waits_s), headers
    now, waited_s = NOON, []

    while not receiver.came:
        left = len(receiver.says)
        await work(now, answer_s=0.2 if says in ("silence", "drip") else 5)
        assert left - len(receiver.says) == min(left, 1)
        if not receiver.came:
            async with database.transaction(city.id) as session:
                due_at = await session.scalar(select(Webhook.due_at))
            waited_s.append((due_at - now).total_seconds())
            now = due_at

    assert (waited_s, receiver.types) == (waits_s, ["report.opened"])
    assert ((await state(database, city)).failures, (await state(database, city)).last_error) == (0, None)


async def test_a_webhook_whose_telling_fails_costs_no_other_its_events(database, city, receiver, work, monkeypatch):
    failing = await hook(database, city, receiver.url)
    await hook(database, city, receiver.url)
    await open_issue(database, city)

    async def next_or_nothing(session, city_id, webhook):
        if webhook.id == failing.id:
            raise RuntimeError
        return await next_event(session, city_id, webhook)

    monkeypatch.setattr(hooks, "next_event", next_or_nothing)
    await work()

    assert receiver.types == ["report.opened"]


async def test_a_replay_tells_again_from_an_event_on_under_the_same_ids(database, city, receiver, work):
    webhook = await hook(database, city, receiver.url)
    issue = await open_issue(database, city)
    change = await bring(database, issue, "acknowledged")
    await bring(database, issue, "resolved")
    await work()

    async with database.transaction(city.id) as session:
        await replay(session, city.id, webhook.id, change.event_id, now=NOON)
        with pytest.raises(EventNotFound):
            await replay(session, city.id, webhook.id, new_id(), now=NOON)
    await work()

    assert receiver.ids == [*receiver.ids[:3], *receiver.ids[1:3]]
    assert len(receiver.ids) == 5


async def test_a_system_hears_of_the_kinds_it_wants_and_of_nothing_that_was(database, city, receiver, work):
    await open_issue(database, city)
    await hook(database, city, receiver.url, kinds=["issue.status"])
    issue = await open_issue(database, city, service_code="trottoir")
    await bring(database, issue, "acknowledged")

    await work()

    assert receiver.types == ["issue.status"]


async def test_a_system_that_is_gone_is_told_no_more(database, city, receiver, work):
    await hook(database, city, receiver.url)
    await open_issue(database, city)
    receiver.says = [410]

    await work()
    await work(NOON + timedelta(days=1))

    assert receiver.came == []
    assert (await state(database, city)).gone_at == NOON


async def test_a_webhook_is_one_workers_at_a_time(database, city, receiver, work):
    await hook(database, city, receiver.url)
    await open_issue(database, city)
    async with database.transaction(city.id) as session:
        assert len(await lease_webhooks(session, city.id, now=NOON)) == 1

    await work(NOON + timedelta(seconds=59))
    assert receiver.came == []
    await work(NOON + timedelta(seconds=60))
    assert receiver.types == ["report.opened"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x", "https://127.0.0.1/x", "https://10.0.0.1/x", "ftp://example.org"]
)
async def test_nothing_is_posted_into_the_local_network(url):
    poster = HookPoster()

    answer = await poster.post(url, b"secret", "id", b"{}", now=NOON)

    assert (answer.taken, answer.error) == (False, "no address that is posted to")
    await poster.close()
