"""Server-sent events on a real server: in order, resumable, woken by other connections, and ended with the server."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from api import live
from api.app import create_app
from issues.actors import Role
from tests.api.served import a_report, a_secret, fields_of, problem_of, serving

MONTREAL = {"jurisdiction_id": "montreal.ca"}


@pytest.fixture
async def url(settings, plain_logs):
    """A server on a real socket."""
    app = create_app(settings)
    config = uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=5)
    async with serving(config) as (host, port):
        yield f"http://{host}:{port}"
        app.state.serving.readiness.leave()


class Stream:
    """A stream of events as a browser reads it."""

    def __init__(self, lines) -> None:
        self._lines = lines
        self.last_id = ""

    async def next(self) -> dict:
        """The next event; its id is remembered, as by a browser."""
        event = {}
        async with asyncio.timeout(30):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name in ("id", "event", "data"):
                    event[name] = value
                    self.last_id = value if name == "id" else self.last_id
                if not line and ("data" in event or ("event" not in event and event)):
                    return event
        raise AssertionError("the stream ended")


@asynccontextmanager
async def listening(url, *, secret=None, last_id=None):
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    headers |= {} if last_id is None else {"Last-Event-ID": last_id}
    async with (
        httpx.AsyncClient(timeout=30) as client,
        client.stream("GET", f"{url}/v1/events", params=MONTREAL, headers=headers) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = Stream(answer.aiter_lines())
        await stream.next()  # it listens
        yield stream


async def report(url, **changes):
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(f"{url}/v1/reports", json=a_report(**changes))
    return answer.raise_for_status().json()["issue"]["id"]


async def test_who_listens_hears_what_happens_and_who_was_cut_off_misses_nothing(url):
    async with listening(url) as stream:
        first = await report(url)
        heard = await stream.next()
        assert (heard["event"], json.loads(heard["data"])["issue_id"]) == ("report.opened", first)

    others = [await report(url, lat=45.53 + n / 100, service_code="trottoir") for n in range(2)]
    async with listening(url, last_id=stream.last_id) as again:
        assert [json.loads((await again.next())["data"])["issue_id"] for _ in others] == others


async def test_a_change_wakes_listeners_before_they_look_by_themselves(url, monkeypatch):
    monkeypatch.setattr(live, "_LOOK_EVERY_S", 25.0)
    async with listening(url) as stream:
        for n in range(3):  # the first may come before the server listens
            began = time.monotonic()
            await report(url, lat=45.53 + n / 100)
            await stream.next()

    assert time.monotonic() - began < 20


async def test_private_issues_are_heard_by_the_citys_staff_alone(url, hire):
    agent = await hire(Role.AGENT)
    async with listening(url) as public, listening(url, secret=agent.secret) as staff:
        private = await report(url, service_code="bruit", lat=45.53)
        shown = await report(url, lat=45.54)

        assert json.loads((await public.next())["data"])["issue_id"] == shown
        assert json.loads((await staff.next())["data"])["issue_id"] == private


async def test_a_made_up_id_or_secret_is_refused_before_the_stream_begins(api):
    made_up = {"Last-Event-ID": "made up"}
    refused = problem_of(await api.get("/v1/events", params=MONTREAL, headers=made_up), 422, "invalid-fields")
    assert fields_of(refused) == {"Last-Event-ID"}
    problem_of(await api.as_(a_secret()).get("/v1/events", params=MONTREAL), 401, "secret-unknown")


async def test_there_is_an_end_to_listening(app, api, monkeypatch):
    monkeypatch.setattr(live, "MOST_LISTENERS", 0)

    problem_of(await api.get("/v1/events", params=MONTREAL), 503, "too-busy")


async def test_nobody_takes_all_places_from_one_address(app, api, monkeypatch):
    monkeypatch.setattr(live, "MOST_OF_ONE_ADDRESS", 1)
    async with app.state.serving.live.listening("192.0.2.1"), app.state.serving.live.listening("127.0.0.1"):
        problem_of(await api.get("/v1/events", params=MONTREAL), 503, "too-busy")
        app.state.serving.live.refuse_too_many("192.0.2.2")
