"""The story the demo tells: one hole, two reports, one repair, and a push for each step.

It talks to the running server as phones, desks and crews do, over HTTP, and knows nothing of what is behind it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from db.base import new_id
from db.credentials import new_secret
from geo.points import LonLat, offset

_HOLE = LonLat(-73.58092, 45.52474)  # avenue du Mont-Royal, Le Plateau-Mont-Royal
_SERVICE = "nid-de-poule"
_PATIENCE_S = 30.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the story plays: the server, its city, who works there, and where pushes can be looked at."""

    base_url: str
    jurisdiction_id: str
    timezone: ZoneInfo
    agent_token: str
    crew_token: str
    crew: str
    fcm_standin_url: str | None
    photos: Path


class StoryBroke(Exception):
    """The server answered something the story does not tell."""


@dataclass(frozen=True, slots=True)
class _Phone:
    name: str
    id: str
    secret: str
    address_kind: str
    locale: str

    @property
    def push_address(self) -> str:
        return f"demo-{self.name.lower()}-{self.id}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}", "Accept-Language": self.locale}


def _new_phone(name: str, locale: str, address_kind: str) -> _Phone:
    return _Phone(name, str(new_id()), new_secret(), address_kind, locale)


async def tell_story(stage: Stage, say: Say) -> None:
    """Play the story against a running server, saying each step.

    Raises:
        StoryBroke: an answer differs from what is told, or a push came twice or not at all.
    """
    anna, ben = _new_phone("Anna", "fr-CA", "fid"), _new_phone("Ben", "en-CA", "token")
    async with httpx.AsyncClient(base_url=stage.base_url, timeout=30) as client:
        for phone in (anna, ben):
            await _put(client, f"/v1/devices/{phone.id}", phone.headers, _device(phone))
        say("Two residents' phones registered: Anna's in French, Ben's in English")

        issue_id = await _report_the_hole(client, stage, anna, ben, say)

        await _post(client, f"/v1/issues/{issue_id}/status", _bearer(stage.agent_token), {"status": "acknowledged"})
        say("The desk acknowledged the issue")
        await _hear(client, stage, (anna, ben), issue_id, ("acknowledged",))
        await _repair(client, stage, (anna, ben), issue_id, say)
        await _hear(client, stage, (anna, ben), issue_id, ("acknowledged", "scheduled", "resolved"))
        if stage.fcm_standin_url is not None:
            say("Each phone got each of the three pushes exactly once")


async def _report_the_hole(client: httpx.AsyncClient, stage: Stage, anna: _Phone, ben: _Phone, say: Say) -> str:
    photo_id = str(new_id())
    await _put_photo(client, photo_id, anna.headers, stage.photos / "broken-gully.jpg")
    first = await _post(
        client,
        "/v1/reports",
        anna.headers,
        _report(_HOLE, stage.timezone, photo_ids=[photo_id], description="Gros trou à côté du puisard"),
    )
    issue = first["issue"]
    say(
        f"Anna sent a photo and a place: report {first['report']['number']} opened issue {issue['number']}\n"
        f"    {issue['address']}, {issue['district']['name']}; {issue['department']['name']};"
        f" expected by {datetime.fromisoformat(issue['expected_datetime']).astimezone(stage.timezone):%Y-%m-%d}"
    )

    second = await _post(
        client,
        "/v1/reports",
        ben.headers,
        _report(offset(_HOLE, east_m=6, north_m=0), stage.timezone, description="Deep hole, my bike nearly fell in"),
    )
    match = second["match"]
    if match is None or second["issue"]["id"] != issue["id"]:
        raise StoryBroke("the report from 6 m away did not join the first one's issue")
    reasons = ", ".join(reason["factor"] for reason in match["reasons"])
    say(f"Ben reported it from 6 m away: joined, score {match['score']:.2f} ({reasons})")
    return str(issue["id"])


async def _repair(client: httpx.AsyncClient, stage: Stage, phones: tuple[_Phone, ...], issue_id: str, say: Say) -> None:
    crew = _bearer(stage.crew_token)
    today = datetime.now(stage.timezone).date().isoformat()
    order = await _post(
        client,
        "/v1/work-orders",
        _bearer(stage.agent_token),
        {"issue_ids": [issue_id], "crew": stage.crew, "planned_on": today},
    )
    day = await _json(
        client.get("/v1/work-orders", params={"crew": stage.crew, "planned_on": today, "limit": 1000}, headers=crew)
    )
    mine = next(f for f in day["features"] if f["properties"]["id"] == order["id"])
    long, lat = mine["geometry"]["coordinates"]
    say(
        f"Crew {stage.crew} listed its day as GeoJSON: {len(day['features'])} order(s), this one at"
        f" {lat:.5f}, {long:.5f}: {mine['properties']['address']}, {mine['properties']['district']['name']}"
    )
    # Else the next step would overtake it: of an issue's state only the latest is pushed.
    await _hear(client, stage, phones, issue_id, ("acknowledged", "scheduled"))

    path = f"/v1/work-orders/{order['id']}"
    order = await _json(client.patch(path, json={"status": "in_progress", "version": order["version"]}, headers=crew))
    photo_id = str(new_id())
    await _put_photo(client, photo_id, crew, stage.photos / "gully-repaired.jpg")
    order = await _json(
        client.patch(path, json={"status": "done", "photo_ids": [photo_id], "version": order["version"]}, headers=crew)
    )
    issue = await _json(client.get(f"/v1/issues/{issue_id}", params={"jurisdiction_id": stage.jurisdiction_id}))
    if issue["status"] != "resolved":
        raise StoryBroke(f"the issue is {issue['status']} after its work order was done")
    say("The crew started, repaired, added a photo and finished: the issue is resolved")


async def _hear(
    client: httpx.AsyncClient, stage: Stage, phones: tuple[_Phone, ...], issue_id: str, kinds: tuple[str, ...]
) -> None:
    """Wait until each phone got one push of each kind; only the stand-in can be asked."""
    if stage.fcm_standin_url is None:
        return
    addresses = {phone.push_address for phone in phones}
    expected = Counter((address, kind) for address in addresses for kind in kinds)
    came: Counter[tuple[str, str]] = Counter()
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    while came != expected:
        if came - expected or asyncio.get_running_loop().time() > deadline:
            raise StoryBroke(f"pushes that did not come {dict(expected - came)}, or too many {dict(came - expected)}")
        await asyncio.sleep(0.1)
        messages = (await client.get(f"{stage.fcm_standin_url}/messages")).json()
        came = Counter(
            (message["address"], message["data"]["kind"])
            for message in messages
            if message["address"] in addresses and message["data"]["issue_id"] == issue_id
        )


def _device(phone: _Phone) -> dict[str, Any]:
    platform = "android" if phone.address_kind == "fid" else "ios"
    push = {"kind": "fcm", phone.address_kind: phone.push_address}
    return {"platform": platform, "push": push, "locale": phone.locale}


def _report(at: LonLat, timezone: ZoneInfo, *, description: str, photo_ids: list[str] | None = None) -> dict[str, Any]:
    return {
        "id": str(new_id()),
        "service_code": _SERVICE,
        "lat": round(at.lat, 6),
        "long": round(at.lon, 6),
        "accuracy_m": 8.0,
        "location_source": "gps",
        "description": description,
        "photo_ids": photo_ids or [],
        "captured_at": datetime.now(timezone).isoformat(timespec="seconds"),
        "channel": "app",
    }


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _put_photo(client: httpx.AsyncClient, photo_id: str, headers: dict[str, str], path: Path) -> None:
    content = await asyncio.to_thread(path.read_bytes)
    await _json(
        client.put(f"/v1/photos/{photo_id}", content=content, headers={**headers, "Content-Type": "image/jpeg"})
    )


async def _put(client: httpx.AsyncClient, path: str, headers: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
    return await _json(client.put(path, json=body, headers=headers))


async def _post(client: httpx.AsyncClient, path: str, headers: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
    return await _json(client.post(path, json=body, headers=headers))


async def _json(answering: Any) -> dict[str, Any]:
    answer: httpx.Response = await answering
    if answer.is_error:
        raise StoryBroke(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
    found: dict[str, Any] = answer.json()
    return found
