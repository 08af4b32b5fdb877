"""Phones that keep their word: whatever they were not told to have arrived, they send again with the same id."""

import asyncio
import random
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from bench.crash_check import Receipt
from bench.photos import stamp_photo
from db.base import new_id
from db.credentials import new_secret
from geo.points import LonLat

# What a client sends again with the same id, besides what got no answer.
_TRY_AGAIN = frozenset({408, 425, 429})
_GIVE_UP_S = 120.0
_PAUSE_S = 0.1


class Refused(Exception):
    """An answer that no retry would change, or none at all for too long."""


@dataclass(slots=True)
class Line:
    """The way to several servers: any of them will do, and one that is away is asked again.

    Attributes:
        servers: Their base URLs.
        client: Makes the requests.
        tries: How many requests were sent.
        retries: How many of them because an earlier one got no answer, or a passing error.
    """

    servers: Sequence[str]
    client: httpx.AsyncClient
    tries: int = 0
    retries: int = 0

    async def send(
        self,
        method: str,
        path: str,
        secret: str,
        *,
        json: Mapping[str, Any] | None = None,
        content: bytes | None = None,
    ) -> dict[str, Any]:
        """Send until the answer is final; get its body.

        Raises:
            Refused: the final answer is an error, or none came for two minutes.
        """
        headers = {"Authorization": f"Bearer {secret}"} | ({"Content-Type": "image/jpeg"} if content else {})
        deadline = time.monotonic() + _GIVE_UP_S
        last = "no answer"
        while time.monotonic() < deadline:
            self.tries += 1
            url = random.choice(self.servers) + path
            try:
                answer = await self.client.request(method, url, headers=headers, json=json, content=content)
            except httpx.TransportError as error:
                last = repr(error)
            else:
                if answer.is_success:
                    body: dict[str, Any] = answer.json() if answer.content else {}
                    return body
                last = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code < 500 and answer.status_code not in _TRY_AGAIN:
                    break
            self.retries += 1
            await asyncio.sleep(_PAUSE_S)
        raise Refused(f"{method} {path}: {last}")


@dataclass(frozen=True, slots=True)
class Phone:
    """A resident's phone with the ids and secrets it made."""

    id: UUID = field(default_factory=new_id)
    secret: str = field(default_factory=new_secret, repr=False)

    @property
    def address(self) -> str:
        """Where pushes reach it (a Firebase installation id)."""
        return f"drill-{self.id}"

    @property
    def registration(self) -> dict[str, Any]:
        """What it says to make itself known."""
        return {"platform": "android", "push": {"kind": "fcm", "fid": self.address}, "locale": "fr-CA"}

    async def register(self, line: Line) -> None:
        """Make the phone known."""
        await line.send("PUT", f"/v1/devices/{self.id}", self.secret, json=self.registration)

    async def send_photo(self, line: Line, jpeg: bytes) -> UUID:
        """Send a picture as a photo that is like no other; get its id."""
        photo_id = new_id()
        content = b"".join(stamp_photo(jpeg, secrets.token_bytes(16)))
        await line.send("PUT", f"/v1/photos/{photo_id}", self.secret, content=content)
        return photo_id

    async def report(self, line: Line, service_code: str, at: LonLat, photo_ids: Sequence[UUID] = ()) -> Receipt:
        """File a report; get what the city said."""
        report_id = new_id()
        body = report_body(report_id, service_code, at, photo_ids)
        answer = await line.send("POST", "/v1/reports", self.secret, json=body)
        return Receipt(report_id, answer["report"]["number"], UUID(answer["issue"]["id"]), photo_ids)


def report_body(report_id: UUID, service_code: str, at: LonLat, photo_ids: Sequence[UUID] = ()) -> dict[str, Any]:
    """Write a report as a phone does."""
    return {
        "id": str(report_id),
        "service_code": service_code,
        "lat": at.lat,
        "long": at.lon,
        "accuracy_m": 8.0,
        "location_source": "gps",
        "description": "Gros trou devant l'arrêt d'autobus",
        "attributes": {},
        "photo_ids": [str(photo_id) for photo_id in photo_ids],
        "channel": "app",
    }
