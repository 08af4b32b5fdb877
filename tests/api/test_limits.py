"""How much one sender may send: a clear refusal, nothing stored, and no word against what was received before."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from datetime import UTC, datetime, tzinfo
from typing import Any

import pytest
import pytest_asyncio
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text

from api.serving import Serving
from db.base import new_id
from issues.actors import Role
from issues.limits import Limits
from tests.api.served import LAVAL, PICTURE, Api, a_report, located_picture, problem_of
from tests.api.test_uploads import TUS, metadata

_WRITE = """
    UPDATE city SET settings = settings || jsonb_build_object('limits', CAST(:limits AS jsonb)), version = version + 1
"""


@pytest.fixture(autouse=True)
def _at_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all that a test sends come at one moment: a sender's hour is over at any, also in the middle of a test."""
    moment = datetime.now(UTC)

    class Standing(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return moment.astimezone(tz)

    for module in ("api.deps", "api.routers.uploads"):
        monkeypatch.setattr(f"{module}.datetime", Standing)


@pytest_asyncio.fixture
async def limit(app, owner) -> AsyncIterator[Callable[..., Any]]:
    """Have the cities' packs say how much they take."""
    serving: Serving = app.state.serving

    async def write(limits: Limits) -> None:
        async with owner.transaction() as session:
            await session.execute(text(_WRITE).bindparams(limits=json.dumps(asdict(limits))))
        await serving.cities.refresh(serving.database)

    async def limit(**limits: int) -> None:
        await write(Limits(**limits))

    yield limit
    await write(Limits())


@pytest_asyncio.fixture
async def elsewhere(app) -> AsyncIterator[Callable[[str], Api]]:
    """Callers at other addresses."""
    clients: list[AsyncClient] = []

    def at(address: str) -> Api:
        clients.append(AsyncClient(transport=ASGITransport(app, client=(address, 443)), base_url="http://jalon.test"))
        return Api(clients[-1])

    yield at
    for client in clients:
        await client.aclose()


async def test_a_device_that_sent_enough_is_refused_and_nothing_is_stored(limit, register, stored):
    await limit(device_reports_per_hour=2)
    device = await register(locale="fr-CA")
    for _ in range(2):
        assert (await device.api.post("/v1/reports", json=a_report())).status_code == 201
    before = await stored()

    refused = await device.api.post("/v1/reports", json=a_report())

    document = problem_of(refused, 429, "too-many-requests")
    assert document["detail"].startswith("Cet appareil a envoyé 2 signalements")
    assert document["limit"] == {"kind": "device_reports", "most": 2, "per_seconds": 3600}
    assert 0 < int(refused.headers["retry-after"]) <= 3600 * 1.25
    assert await stored() == before


async def test_a_report_received_before_is_answered_and_not_counted(limit, register):
    await limit(device_reports_per_hour=2)
    device, report = await register(), a_report()
    for status in (201, 200, 200, 200):
        assert (await device.api.post("/v1/reports", json=report)).status_code == status
    assert (await device.api.post("/v1/reports", json=a_report())).status_code == 201
    problem_of(await device.api.post("/v1/reports", json=a_report()), 429, "too-many-requests")

    again = await device.api.post("/v1/reports", json=report)

    assert again.status_code == 200


async def test_what_a_device_sent_in_one_city_counts_there_only(limit, register):
    await limit(device_reports_per_hour=1)
    device = await register()
    assert (await device.api.post("/v1/reports", json=a_report())).status_code == 201

    answer = await device.api.post("/v1/reports", json=a_report(**LAVAL, service_code="trottoir"))

    assert answer.status_code == 201


async def test_devices_at_one_address_share_its_limit_and_others_do_not(limit, register, elsewhere):
    await limit(address_reports_per_hour=2)
    for _ in range(2):
        assert (await (await register()).api.post("/v1/reports", json=a_report())).status_code == 201

    refused = await (await register()).api.post("/v1/reports", json=a_report())

    assert problem_of(refused, 429, "too-many-requests")["limit"]["kind"] == "address_reports"
    assert (await elsewhere("203.0.113.7").post("/v1/reports", json=a_report())).status_code == 201


async def test_addresses_of_one_ipv6_network_are_one(limit, elsewhere):
    await limit(address_reports_per_hour=1)
    assert (await elsewhere("2001:db8:1:2::1").post("/v1/reports", json=a_report())).status_code == 201

    refused = await elsewhere("2001:db8:1:2:ffff::9").post("/v1/reports", json=a_report())

    problem_of(refused, 429, "too-many-requests")
    assert (await elsewhere("2001:db8:1:3::1").post("/v1/reports", json=a_report())).status_code == 201


async def test_staff_send_as_much_as_they_like(limit, hire):
    await limit(device_reports_per_hour=1, address_reports_per_hour=1, device_photos_per_day=1)
    agent = await hire(Role.AGENT)

    for _ in range(3):
        assert (await agent.post("/v1/reports", json=a_report(channel="phone"))).status_code == 201
        assert (await agent.put(f"/v1/photos/{new_id()}", content=PICTURE)).status_code == 201


async def test_photos_count_however_they_come(limit, register, stored):
    await limit(device_photos_per_day=3)
    device = await register()
    put = f"/v1/photos/{new_id()}"
    begin = {**TUS, "Upload-Length": "1000", "Upload-Metadata": metadata(new_id())}
    form = {name: str(value) for name, value in a_report().items()}
    files = [("photos", ("a.jpg", located_picture()))]
    assert (await device.api.put(put, content=PICTURE)).status_code == 201
    assert (await device.api.post("/v1/uploads", headers=begin)).status_code == 201
    assert (await device.api.post("/v1/reports", data=form, files=files)).status_code == 201
    before = await stored()

    by_put = await device.api.put(f"/v1/photos/{new_id()}", content=PICTURE)
    other = {**begin, "Upload-Metadata": metadata(new_id())}
    by_tus = await device.api.post("/v1/uploads", headers=other)
    by_form = await device.api.post("/v1/reports", data={**form, "id": str(new_id())}, files=files)

    for refused in (by_put, by_tus, by_form):
        assert problem_of(refused, 429, "too-many-requests")["limit"]["kind"] == "device_photos"
    assert await stored() == before
    # What was received or begun before is answered.
    assert (await device.api.put(put, content=PICTURE)).status_code == 200
    assert (await device.api.post("/v1/uploads", headers=begin)).status_code == 200
    assert (await device.api.post("/v1/reports", data=form, files=files)).status_code == 200


async def test_a_photo_that_is_refused_before_its_bytes_are_read_leaves_nothing(limit, register, stored):
    await limit(device_photos_per_day=1)
    device = await register()
    assert (await device.api.put(f"/v1/photos/{new_id()}", content=PICTURE)).status_code == 201
    read = []

    async def body() -> AsyncIterator[bytes]:
        read.append(1)
        yield PICTURE

    refused = await device.api.put(f"/v1/photos/{new_id()}", content=body(), headers={"Expect": "100-continue"})

    problem_of(refused, 429, "too-many-requests")
    assert not read


async def test_reports_of_an_outbox_beyond_the_limit_are_to_be_sent_again(limit, register):
    await limit(device_reports_per_hour=2)
    device, bodies = await register(), [a_report() for _ in range(3)]
    items = [{"id": body.pop("id"), "kind": "report", "body": body} for body in bodies]

    results = (await device.api.post("/v1/sync", json={"items": items})).json()["items"]

    assert [result["status"] for result in results] == [201, 201, 429]
    assert results[2]["final"] is False
    assert results[2]["retry_after"] > 0
