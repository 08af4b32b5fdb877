"""How much goes on at once: beyond it, 503 with a time to come back, never a queue; those who watch are answered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from api.gates import Gate, PhotoBacklog
from api.problems.refusals import TooBusy, TooManyPhotosWaiting
from db.base import new_id
from db.jobs import enqueue
from media.photos import MAKE_SAFE
from tests.api.served import PICTURE, a_report, problem_of
from tests.api.test_uploads import STREAM, TUS, metadata


@pytest.fixture
def have(app: FastAPI) -> Callable[..., None]:
    """Serve with other gates."""

    def have(**parts: Any) -> None:
        app.state.serving = replace(app.state.serving, **parts)

    return have


class Held:
    """A body that stays where it is until it is let go."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.began = asyncio.Event()
        self.let_go = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content[:10]
        self.began.set()
        await self.let_go.wait()
        yield self._content[10:]


def test_a_gate_lets_in_so_many_and_again_whoever_comes_after_one_left():
    gate = Gate(1)
    with gate.entered(), pytest.raises(TooBusy), gate.entered():
        pass
    with pytest.raises(LookupError), gate.entered():
        raise LookupError

    assert not gate.is_full


async def test_beyond_so_many_requests_everybody_is_told_to_come_back_but_those_who_watch(have, register, api):
    device, held = await register(), Held(PICTURE)
    have(requests=Gate(1))
    upload = asyncio.create_task(device.api.put(f"/v1/photos/{new_id()}", content=held))
    await held.began.wait()

    refused = await api.post("/v1/reports", json=a_report())

    problem_of(refused, 503, "too-busy")
    assert int(refused.headers["retry-after"]) > 0
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await api.get(path)).status_code == 200
    held.let_go.set()
    assert (await upload).status_code == 201
    assert (await api.post("/v1/reports", json=a_report())).status_code == 201


async def test_beyond_so_many_uploads_there_is_room_for_reports_only(have, register, api, stored):
    device, held = await register(), Held(PICTURE)
    have(uploads=Gate(1))
    upload = asyncio.create_task(device.api.put(f"/v1/photos/{new_id()}", content=held))
    await held.began.wait()
    before = await stored()

    by_put = await device.api.put(f"/v1/photos/{new_id()}", content=PICTURE)
    length = {**STREAM, "Upload-Length": str(len(PICTURE)), "Upload-Metadata": metadata(new_id())}
    by_tus = await device.api.post("/v1/uploads", headers=length, content=PICTURE)
    form = {name: str(value) for name, value in a_report().items()}
    by_form = await api.post("/v1/reports", data=form, files=[("photos", ("a.jpg", PICTURE))])

    for refused in (by_put, by_tus, by_form):
        problem_of(refused, 503, "too-busy")
    assert await stored() == before
    assert (await device.api.post("/v1/reports", json=a_report())).status_code == 201
    held.let_go.set()
    assert (await upload).status_code == 201


async def test_while_too_many_photos_wait_no_further_ones_are_taken_but_reports_are(have, register, database, stored):
    device, known = await register(), f"/v1/photos/{new_id()}"
    begun = {**TUS, "Upload-Length": str(len(PICTURE)), "Upload-Metadata": metadata(new_id())}
    assert (await device.api.put(known, content=PICTURE)).status_code == 201
    assert (await device.api.post("/v1/uploads", headers=begun)).status_code == 201
    async with database.transaction() as session:
        for _ in range(2):
            await enqueue(session, MAKE_SAFE, {"photo_id": str(new_id())})
    have(photo_backlog=PhotoBacklog(most=3, clock=lambda: 0.0))
    before = await stored()

    by_put = await device.api.put(f"/v1/photos/{new_id()}", content=PICTURE)
    other = {**begun, "Upload-Metadata": metadata(new_id())}
    by_tus = await device.api.post("/v1/uploads", headers=other)

    for refused in (by_put, by_tus):
        problem_of(refused, 503, "too-many-photos-waiting")
        assert int(refused.headers["retry-after"]) >= 60
    assert await stored() == before
    assert (await device.api.put(known, content=PICTURE)).status_code == 200
    assert (await device.api.post("/v1/uploads", headers=begun)).status_code == 200
    assert (await device.api.post("/v1/reports", json=a_report())).status_code == 201
    form = {name: str(value) for name, value in a_report().items()}
    filed = await device.api.post("/v1/reports", data=form, files=[("photos", ("a.jpg", PICTURE))])
    assert filed.status_code == 201


async def test_the_photos_that_wait_are_counted_anew_after_a_while(database):
    now = [0.0]
    backlog = PhotoBacklog(most=1, clock=lambda: now[0])
    async with database.transaction() as session:
        await backlog.refuse_more(session)
        await enqueue(session, MAKE_SAFE, {"photo_id": str(new_id())})
        await backlog.refuse_more(session)  # still as it was found

        now[0] = 10.0
        with pytest.raises(TooManyPhotosWaiting):
            await backlog.refuse_more(session)
