"""A stand-in for FCM on a real socket, and the channel that talks to it through Google's library."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.demo.fcm_standin import Push, running_standin
from push.channels import ANSWER_S
from push.fcm import FcmChannel


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
