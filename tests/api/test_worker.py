"""The worker: from a notice to the phones, from bytes to a safe photo."""

import asyncio
import gc
import json
import os
import signal
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest_asyncio
from sqlalchemy import text

from api.demo.fcm_standin import Push, running_standin
from api.settings import Settings
from api.worker import add_upkeep, photo_jobs, run_until, run_worker_process
from db.base import new_id
from db.jobs import Job, JobTable
from db.rates import FORGET_RATES
from issues.actors import Role
from issues.rescheduling import MOVE_DEADLINES
from media.photos import MAKE_SAFE
from media.sweep import SWEEP
from push.queueing import Recipient, queue_notifications
from tests.api.served import BESIDE, IN_DOUBT, PICTURE, a_report


@pytest_asyncio.fixture
async def pushes(tmp_path, monkeypatch):
    """What a stand-in for FCM, named by the settings, is sent."""
    arrived: asyncio.Queue[Push] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    credentials = tmp_path / "fcm.json"

    def note(push: Push) -> None:
        loop.call_soon_threadsafe(arrived.put_nowait, push)

    with running_standin(credentials, on_push=note) as url:
        monkeypatch.setenv("JALON_FCM_CREDENTIALS", str(credentials))
        monkeypatch.setenv("JALON_FCM_URL", url)
        yield arrived


async def test_a_change_rings_once_on_each_phone_in_its_own_language(pushes, register, hire, app, app_url):
    phones = {"fid-fr": await register("fr-CA", "fid-fr"), "fid-en": await register("en-CA", "fid-en")}
    for phone in phones.values():
        filed = await phone.api.post("/v1/reports", json=a_report())
    agent, path = await hire(), f"/v1/issues/{filed.json()['issue']['id']}/status"
    stop = asyncio.Event()
    worker = asyncio.create_task(run_until(stop, Settings(), database_url=app_url))

    changed = await agent.post(path, json={"status": "acknowledged", "note": "Vu.", "public": True})
    async with asyncio.timeout(30):
        first = [await pushes.get(), await pushes.get()]
        await agent.post(path, json={"status": "resolved"})
        second = [await pushes.get(), await pushes.get()]
    stop.set()
    await worker

    assert sorted(push.message["fid"] for push in first) == ["fid-en", "fid-fr"]
    assert {push.message["fid"] for push in second} == {"fid-en", "fid-fr"}
    assert pushes.empty()
    titles = {push.message["fid"]: push.notification["title"] for push in first}
    assert (titles["fid-fr"][:12], titles["fid-en"][:7]) == ("Nid-de-poule", "Pothole")
    assert {push.data["event_id"] for push in first} == {changed.json()["event_id"]}
    assert {push.data["status"] for push in second} == {"resolved"}
    assert all("Vu." not in str(push.message) for push in first)


async def test_what_comes_due_without_a_job_is_sent_in_the_city_s_own_words(pushes, register, owner, app_url):
    phone = await register("fr-CA", "fid-fr")
    await phone.api.post("/v1/reports", json=a_report())
    own = {"notices": {"resolved": {"title": {"fr": "Chez nous"}, "body": {"fr": "C’est fait."}}}}
    async with owner.transaction(1) as session:
        named = text("UPDATE city SET settings = settings || :own WHERE id = 1 RETURNING jurisdiction_id")
        jurisdiction_id = (await session.scalars(named, {"own": json.dumps(own)})).one()
        person_id = (await session.scalars(text("SELECT person_id FROM device"))).one()
        await queue_notifications(
            session, 1, event_id=new_id(), kind="resolved",
            params={"jurisdiction_id": jurisdiction_id, "number": "2026-000001", "service_fr": "Nid-de-poule"},
            recipients=[Recipient(person_id, {})], happened_at=datetime.now(UTC), now=datetime.now(UTC),
        )  # fmt: skip
    stop = asyncio.Event()
    worker = asyncio.create_task(run_until(stop, Settings(), database_url=app_url))

    async with asyncio.timeout(30):
        push = await pushes.get()
    stop.set()
    await worker

    assert (push.message["fid"], push.notification["title"]) == ("fid-fr", "Chez nous")


async def test_a_photo_is_made_safe_by_its_job(api, register, app, decoders):
    device, photo_id = await register(), str(new_id())
    await device.api.put(f"/v1/photos/{photo_id}", content=PICTURE)
    serving = app.state.serving
    make_safe, _ = photo_jobs(serving.database, serving.store, decoders).handlers[MAKE_SAFE]

    await make_safe(Job(id=1, kind=MAKE_SAFE, payload={"photo_id": photo_id}, attempt=1))

    assert (await device.api.get(f"/v1/photos/{UUID(photo_id)}")).json()["state"] == "ready"


async def test_photos_that_look_alike_count_in_the_review_queue_once_they_are_safe(register, hire, app, decoders):
    serving = app.state.serving
    make_safe, _ = photo_jobs(serving.database, serving.store, decoders).handlers[MAKE_SAFE]
    photos = []
    for place in (IN_DOUBT, BESIDE):
        device = await register()
        photos.append(str(new_id()))
        await device.api.put(f"/v1/photos/{photos[-1]}", content=PICTURE)
        await device.api.post("/v1/reports", json=a_report(**place, photo_ids=photos[-1:]))

    for photo_id in photos:
        await make_safe(Job(id=1, kind=MAKE_SAFE, payload={"photo_id": photo_id}, attempt=1))

    [pair] = (await (await hire()).get("/v1/matches", headers={"Accept-Language": "fr"})).json()["items"]
    assert "Les photos se ressemblent" in [reason["text"] for reason in pair["reasons"]]


async def test_the_worker_sweeps_by_the_clock_what_is_a_day_old(app, decoders, tmp_path):
    serving = app.state.serving
    jobs = photo_jobs(serving.database, serving.store, decoders)
    sweep_store, _ = jobs.handlers[SWEEP]
    old, young = f"derived/01/{new_id()}-large-{'0' * 64}.webp", f"derived/01/{new_id()}-large-{'1' * 64}.webp"
    for key in (old, young):
        await serving.store.put(key, b"of a killed worker")
    os.utime(tmp_path / "photos" / old, (0, 0))

    await sweep_store(Job(id=1, kind=SWEEP, payload={}, attempt=1))

    assert SWEEP in jobs.schedules
    assert [stored.key async for page in serving.store.pages("derived/") for stored in page] == [young]


def _days_from_now(days):
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


async def test_deadlines_are_moved_again_once_every_process_knows_of_a_pause(app, api, hire, owner):
    """A report that came to a process that did not know yet has the deadline of a day without a pause."""
    database, table = app.state.serving.database, JobTable()
    add_upkeep(table, database)
    move, _ = table.handlers[MOVE_DEADLINES]
    days = {"begins": _days_from_now(-30), "ends": _days_from_now(30)}
    said = {**days, "reason_fr": "Tempête", "reason_en": "Storm"}
    await (await hire(Role.MANAGER)).put(f"/v1/pauses/{new_id()}", json=said)
    issue = (await api.post("/v1/reports", json=a_report())).json()["issue"]
    async with owner.transaction() as session:
        waiting = text("SELECT payload FROM pgqueuer WHERE entrypoint = :kind")
        (payload,) = (await session.execute(waiting, {"kind": MOVE_DEADLINES})).one()

    await move(Job(id=1, kind=MOVE_DEADLINES, payload=json.loads(payload), attempt=1))

    expected = (await api.get(f"/v1/issues/{issue['id']}?jurisdiction_id=montreal.ca")).json()["expected_datetime"]
    assert datetime.fromisoformat(expected) > datetime.now(UTC) + timedelta(days=30)


async def test_the_worker_forgets_by_the_clock_who_sent_how_much_in_hours_that_are_over(app, register, owner):
    await (await register()).api.post("/v1/reports", json=a_report())
    database, table = app.state.serving.database, JobTable()
    add_upkeep(table, database)
    forget, _ = table.handlers[FORGET_RATES]
    job = Job(id=1, kind=FORGET_RATES, payload={}, attempt=1)

    await forget(job)
    async with owner.transaction() as session:
        running = await session.scalar(text("SELECT count(*) FROM rate_count"))
        await session.execute(text("UPDATE rate_count SET ends_at = ends_at - interval '1 hour'"))
    await forget(job)
    async with owner.transaction() as session:
        over = await session.scalar(text("SELECT count(*) FROM rate_count"))

    assert FORGET_RATES in table.schedules
    assert (running, over) == (2, 0)


async def test_what_a_worker_has_loaded_is_no_more_looked_through_for_garbage(settings, app_url):
    gc.unfreeze()
    stop = asyncio.Event()
    worker = asyncio.create_task(run_until(stop, settings, database_url=app_url))

    async with asyncio.timeout(20):
        while gc.get_freeze_count() == 0:  # noqa: ASYNC110 - garbage collection tells nobody
            await asyncio.sleep(0.01)
    stop.set()
    await worker


async def test_a_worker_told_to_stop_ends_by_itself(settings, app_url):
    worker = asyncio.create_task(run_worker_process(settings, database_url=app_url))
    await asyncio.sleep(0)  # up to its first wait, after which it listens for signals

    os.kill(os.getpid(), signal.SIGTERM)

    async with asyncio.timeout(20):
        await worker
