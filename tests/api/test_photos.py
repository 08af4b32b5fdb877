"""Receiving photos over HTTP, and who may see them."""

import socket
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy import text

from api.app import create_app
from db.base import new_id
from issues.actors import Role
from media.store import ORIGINALS, PhotoStore, open_store
from media.sweep import ORPHAN_AFTER, sweep
from tests.api.served import LAVAL, PICTURE, PLATEAU, a_report, make_safe, problem_of
from tests.media.cramped import cramped_folder

__all__ = ["cramped_folder"]

SAFE_HEADERS = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'; sandbox"}


@pytest.fixture
def upload(app, register):
    """Uploads a photo that a report names, makes it safe unless told not to, and answers with the device and path."""

    async def upload(*, safe: bool = True, content: bytes | None = None, **report):
        device, photo_id = await register(), str(new_id())
        path = f"/v1/photos/{photo_id}"
        answer = await device.api.put(path, content=content or PICTURE)
        assert answer.status_code == 201, answer.text
        filed = await device.api.post("/v1/reports", json=a_report(photo_ids=[photo_id], **report))
        assert filed.status_code == 201, filed.text
        if safe:
            await make_safe(app, photo_id)
        return device.api, path

    return upload


async def test_what_was_received_is_told_by_its_hash_and_again_with_200(register, stored):
    device, path, content = await register(), f"/v1/photos/{new_id()}", PICTURE
    first = await device.api.put(path, content=content, headers={"Content-Type": "image/jpeg"})
    before = await stored()

    again = await device.api.put(path, content=content)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["sha256"] == again.json()["sha256"] == sha256(content).hexdigest()
    assert (first.json()["state"], first.json()["reason"]) == ("pending", None)
    assert await stored() == before


async def test_an_id_takes_other_bytes_or_another_sender_as_little_as_nobodys(api, register):
    device, path = await register(), f"/v1/photos/{new_id()}"
    await device.api.put(path, content=PICTURE)
    other_bytes = PICTURE + b"\0"

    problem_of(await device.api.put(path, content=other_bytes), 409, "id-already-used")
    problem_of(await (await register()).api.put(path, content=PICTURE), 409, "id-already-used")
    problem_of(await api.put(f"/v1/photos/{new_id()}", content=PICTURE), 401, "sign-in-needed")


async def test_a_released_photo_is_public_with_headers_that_keep_it_a_picture(api, upload):
    _, path = await upload()

    answer = await api.get(f"{path}/small")

    assert answer.status_code == 200, answer.text
    assert answer.content[:4] == b"RIFF"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert {name: answer.headers[name] for name in SAFE_HEADERS} == SAFE_HEADERS
    assert answer.headers["content-type"] == "image/webp"
    name = path.rpartition("/")[2].replace("-", "")
    assert answer.headers["content-disposition"] == f'inline; filename="{name}-small.webp"'
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_a_browser_keeps_a_public_picture_for_a_year_and_what_others_share_for_minutes(api, upload):
    _, path = await upload()

    answer = await api.get(f"{path}/small")

    assert answer.headers["cache-control"] == "public, max-age=31536000, s-maxage=300, immutable"
    assert answer.headers["vary"] == "Authorization, Origin"


@pytest.mark.parametrize(("named", "status"), [("{}", 304), ("W/{}", 304), ('"x", {}', 304), ("*", 304), ('"x"', 200)])
async def test_an_unchanged_picture_is_not_sent_again(api, upload, named, status):
    _, path = await upload()
    etag = (await api.get(f"{path}/large")).headers["etag"]

    again = await api.get(f"{path}/large", headers={"If-None-Match": named.format(etag)})

    assert (again.status_code, again.headers["etag"]) == (status, etag)
    assert (again.content == b"") is (status == 304)
    assert again.headers["cache-control"].startswith("public")


async def test_until_it_is_safe_only_its_state_is_shown_and_only_to_its_sender_and_staff(api, upload, hire):
    sender, path = await upload(safe=False)

    problem_of(await api.get(path), 404, "photo-not-found")
    assert (await sender.get(path)).json()["state"] == "pending"
    assert (await (await hire()).get(path)).status_code == 200
    problem_of(await sender.get(f"{path}/large"), 409, "photo-not-ready")


async def test_a_photo_of_a_private_service_is_for_its_sender_and_staff(api, upload, hire, cities):
    services = cities.by_jurisdiction("montreal.ca").catalogue.services
    private = next(service.code for service in services.values() if service.private and service.offered)
    sender, path = await upload(service_code=private)

    problem_of(await api.get(f"{path}/small"), 404, "photo-not-found")
    problem_of(await (await hire(jurisdiction_id="laval.ca")).get(f"{path}/small"), 404, "photo-not-found")
    shown = await sender.get(f"{path}/small")
    assert shown.status_code == 200
    assert shown.headers["cache-control"] == "private, max-age=3600"
    assert shown.headers["cross-origin-resource-policy"] == "same-origin"
    assert (await (await hire()).get(f"{path}/small")).status_code == 200


async def original_of(staff, path):
    """Ask for an original as staff do: for its address, then without a secret for the bytes."""
    sent_on = await staff.get(f"{path}/original")
    assert sent_on.status_code == 303, sent_on.text
    assert sent_on.headers["cache-control"] == "no-store"
    return sent_on.headers["location"]


@pytest.fixture
def readings(owner):
    """Lists who read which original, as the histories of issues tell it."""

    async def readings():
        query = text(
            "SELECT issue_id, actor, data ->> 'photo_id', public FROM event WHERE kind = 'photo.original_read'"
        )
        async with owner.transaction() as session:
            return [tuple(row) for row in await session.execute(query)]

    return readings


async def test_staff_are_sent_to_an_address_that_gives_the_original_and_nothing_that_a_browser_would_run(
    api, upload, hire
):
    _, path = await upload()

    answer = await api.get(await original_of(await hire(), path))

    assert answer.content == PICTURE
    assert {name: answer.headers[name] for name in SAFE_HEADERS} == SAFE_HEADERS
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "private, no-store"


async def test_the_original_is_for_staff_of_its_city_only(api, upload, hire, register):
    sender, path = await upload()

    problem_of(await sender.get(f"{path}/original"), 403, "role-needed")
    problem_of(await api.get(f"{path}/original"), 403, "role-needed")
    problem_of(await (await register()).api.get(f"{path}/original"), 403, "role-needed")
    problem_of(await (await hire(jurisdiction_id="laval.ca")).get(f"{path}/original"), 403, "token-of-another-city")
    problem_of(await (await hire()).get(f"/v1/photos/{new_id()}/original"), 404, "photo-not-found")


async def test_each_reading_of_an_original_is_in_the_internal_history_of_its_issue(api, upload, hire, readings):
    _, path = await upload()
    agent = await hire()
    address = await original_of(agent, path)
    assert await readings() == []

    for _ in range(2):
        await api.get(address)

    issue_id, actor, photo_id, public = (await readings())[0]
    assert await readings() == [(issue_id, actor, photo_id, public)] * 2
    assert actor.startswith("staff:")
    assert (photo_id, public) == (path.rpartition("/")[2], False)
    told = [event["kind"] for event in (await agent.get(f"/v1/issues/{issue_id}/events")).json()["items"]]
    assert told.count("photo.original_read") == 2
    public_history = await api.get(f"/v1/issues/{issue_id}/events", params={"jurisdiction_id": "montreal.ca"})
    shown = [event["kind"] for event in public_history.json()["items"]]
    assert "photo.original_read" not in shown


async def test_asking_for_the_headers_of_an_original_is_no_reading(api, upload, hire, readings):
    _, path = await upload()
    address = await original_of(await hire(), path)

    answer = await api.call("HEAD", address)

    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) > 0
    assert answer.content == b""
    assert await readings() == []
    assert (await api.call("HEAD", f"{address}x")).status_code == 403


async def test_a_crew_reads_the_original_of_its_orders_photo_and_every_issue_of_the_order_tells(
    api, hire, register, readings
):
    sender = await register()
    filed = [(await sender.api.post("/v1/reports", json=a_report(lat=PLATEAU["lat"] + n / 100))).json() for n in (0, 1)]
    issue_ids = [answer["issue"]["id"] for answer in filed]
    agent, crew = await hire(), await hire(Role.CREW, crew="voirie-1")
    planned = {"issue_ids": issue_ids, "crew": "voirie-1", "planned_on": "2030-11-25"}
    order = (await agent.post("/v1/work-orders", json=planned)).json()
    photo_id = str(new_id())
    await crew.put(f"/v1/photos/{photo_id}", content=PICTURE)
    unnamed = await crew.get(f"/v1/photos/{photo_id}/original")
    order = order.get("properties", order)
    changed = await crew.patch(
        f"/v1/work-orders/{order['id']}", json={"version": order["version"], "photo_ids": [photo_id]}
    )
    assert changed.status_code == 200, changed.text

    answer = await api.get(await original_of(crew, f"/v1/photos/{photo_id}"))

    problem_of(unnamed, 404, "photo-not-found")
    assert answer.content == PICTURE
    assert sorted(str(issue_id) for issue_id, *_ in await readings()) == sorted(issue_ids)


@pytest.mark.parametrize(
    "change", [lambda proof: proof[:-2] + "AA", lambda proof: "9" + proof, lambda proof: proof[:0], None]
)
async def test_an_address_of_an_original_is_believed_only_as_it_was_given_out(api, upload, hire, readings, change):
    _, path = await upload()
    address = await original_of(await hire(), path)
    before, _, proof = address.partition("?proof=")
    forged = f"{before}?proof={change(proof)}" if change else f"{(await upload())[1]}/original?proof={proof}"

    problem_of(await api.get(forged), 403, "link-not-valid")
    assert await readings() == []


async def test_an_address_of_an_original_ends_when_its_reader_leaves(api, upload, hire, readings, owner):
    _, path = await upload()
    address = await original_of(await hire(), path)
    async with owner.transaction() as session:
        await session.execute(text("UPDATE staff SET revoked_at = now()"))

    problem_of(await api.get(address), 403, "link-not-valid")
    assert await readings() == []


async def test_an_original_is_read_by_the_same_address_after_a_restart(app, settings, upload, hire):
    _, path = await upload()
    address = await original_of(await hire(), path)

    restarted = create_app(settings)
    async with (
        restarted.router.lifespan_context(restarted),
        AsyncClient(transport=ASGITransport(restarted), base_url="http://jalon.test") as client,
    ):
        answer = await client.get(address)

    assert answer.content == PICTURE


async def test_a_photo_cut_off_is_rejected_with_a_reason_in_the_callers_language(upload):
    sender, path = await upload(content=PICTURE[: len(PICTURE) // 2])

    state = (await sender.get(path)).json()

    assert state["state"] == "rejected"
    assert state["reason"].startswith("La photo")
    problem_of(await sender.get(f"{path}/small"), 410, "photo-rejected")


async def test_a_polyglot_is_shown_as_nothing_but_a_picture(upload):
    sender, path = await upload(content=PICTURE + b"PK\3\4<html><script>alert(1)</script></html>")

    for size in ("large", "small"):
        shown = await sender.get(f"{path}/{size}")
        assert (shown.headers["content-type"], shown.headers["x-content-type-options"]) == ("image/webp", "nosniff")
        assert b"<script>" not in shown.content


async def test_the_tracking_secret_shows_the_photos_of_its_own_report_only(api):
    def form(report):
        fields = {name: str(value) for name, value in report.items()}
        return api.post("/v1/reports", data=fields, files={"photos": ("a.jpg", PICTURE)})

    told = [(await form(a_report(**place))).json()["report"] for place in ({}, LAVAL)]
    own = await api.as_(told[0]["tracking"]).get(f"/v1/reports/{told[0]['id']}")
    path = f"/v1/photos/{own.json()['report']['photo_ids'][0]}"

    assert (await api.as_(told[0]["tracking"]).get(path)).status_code == 200
    problem_of(await api.as_(told[1]["tracking"]).get(path), 401, "secret-unknown")


@pytest.fixture
def with_store(app):
    """Has the application use another store."""

    def use(url: str) -> None:
        app.state.serving = replace(app.state.serving, store=open_store(url))

    return use


async def test_a_store_that_is_down_is_said_with_a_time_to_try_again_and_nothing_is_recorded(
    register, with_store, stored, monkeypatch
):
    device = (await register()).api
    before = await stored()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with_store("s3://bucket")  # nobody listens any more

    answer = await device.put(f"/v1/photos/{new_id()}", content=PICTURE)

    problem_of(answer, 503, "unavailable")
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert await stored() == before


async def test_a_full_disk_is_said_with_a_time_to_try_again_and_nothing_is_recorded(
    register, with_store, stored, cramped_folder
):
    device, path = (await register()).api, f"/v1/photos/{new_id()}"
    before = await stored()
    with_store(cramped_folder.as_uri())

    answer = await device.put(path, content=PICTURE + bytes(2_000_000))

    assert problem_of(answer, 503, "storage-full")["detail"].startswith("Il n’y a plus de place")
    assert int(answer.headers["retry-after"]) >= 60
    assert await stored() == before
    assert [file for file in cramped_folder.rglob("*") if file.is_file()] == []
    assert (await device.put(path, content=PICTURE)).status_code == 201


async def test_a_form_whose_photos_find_no_room_is_said_to_find_none(api, stored, cramped_folder, monkeypatch):
    before = await stored()
    monkeypatch.setattr("tempfile.tempdir", str(cramped_folder))
    fields = {name: str(value) for name, value in a_report().items()}

    answer = await api.post("/v1/reports", data=fields, files={"photos": ("a.jpg", PICTURE + bytes(3_000_000))})

    problem_of(answer, 503, "storage-full")
    assert int(answer.headers["retry-after"]) >= 60
    assert await stored() == before
    assert list(cramped_folder.iterdir()) == []


async def test_a_form_refused_after_its_photos_were_kept_leaves_bytes_for_the_sweep_only(api, app, database, stored):
    report = a_report()

    class Overtaken(PhotoStore):
        """Another report takes the form's id just after its photo was kept."""

        async def keep(self, photo):
            await super().keep(photo)
            first = await api.post("/v1/reports", json=report | {"description": "Un autre trou"})
            assert first.status_code == 201, first.text

    kept = app.state.serving.store
    app.state.serving = replace(app.state.serving, store=Overtaken(kept._objects, folder=kept._folder))
    fields = {name: str(value) for name, value in report.items()}

    refused = await api.post("/v1/reports", data=fields, files={"photos": ("a.jpg", PICTURE)})

    problem_of(refused, 409, "id-already-used")
    assert (await stored())["photo"] == 0
    assert [page async for page in kept.pages(ORIGINALS)] != []
    swept = await sweep(database, kept, now=datetime.now(UTC) + 2 * ORPHAN_AFTER)
    assert (swept.seen, swept.deleted) == (1, 1)
