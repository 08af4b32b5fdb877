"""Stand-ins for providers on real sockets, and a clock that the test sets."""

import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.demo.fcm_standin import Push, running_standin
from push.channels import ANSWER_S
from push.fcm import FcmChannel
from tests.push.mail_server import MailServer, running_mail_server
from tests.push.people import Clock
from tests.push.push_service import VAPID_KEY, PushService, running_push_service


@dataclass(frozen=True)
class StandIn:
    """A running stand-in as the tests see it.

    Attributes:
        on_arrival: Called, in the stand-in's thread, with each push that it accepts, before it answers.
    """

    url: str
    account: dict[str, Any]
    http: httpx.Client
    on_arrival: list[Callable[[Push], None]] = field(default_factory=list)

    def messages(self) -> list[dict[str, Any]]:
        return list(self.http.get("/messages").raise_for_status().json())

    def attempts(self) -> list[dict[str, Any]]:
        return list(self.http.get("/attempts").raise_for_status().json())

    def fail(self, code: str, **how: object) -> None:
        self.http.post("/faults", json={"code": code, **how}).raise_for_status()


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    path = tmp_path / "fcm.json"
    on_arrival: list[Callable[[Push], None]] = []

    def arrive(push: Push) -> None:
        for call in on_arrival:
            call(push)

    with running_standin(path, on_push=arrive) as url, httpx.Client(base_url=url) as http:
        yield StandIn(url, json.loads(path.read_text()), http, on_arrival)


@pytest_asyncio.fixture
async def fcm(stand_in: StandIn) -> AsyncIterator[FcmChannel]:
    channel = FcmChannel(stand_in.account, url=stand_in.url, timeout_s=ANSWER_S)
    yield channel
    await channel.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def services() -> Iterator[list[PushService]]:
    """Two push services, each on a port of its own."""
    with ExitStack() as running:
        yield [running.enter_context(running_push_service(VAPID_KEY.public_key)) for _ in range(2)]


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with running_mail_server() as server:
        yield server


@pytest.fixture
def nowhere() -> Iterator[str]:
    """The URL of a port that is taken and refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
