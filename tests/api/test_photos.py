"""Receiving photos over HTTP, and who may see them."""

from hashlib import sha256

import pytest

from db.base import new_id
from tests.api.served import LAVAL, PICTURE, a_report, make_safe, problem_of


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
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert int(answer.headers["content-length"]) == len(answer.content)
    unchanged = await api.get(f"{path}/small", headers={"If-None-Match": answer.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_until_it_is_safe_only_its_state_is_shown_and_only_to_its_sender_and_staff(api, upload, hire):
    sender, path = await upload(safe=False)

    problem_of(await api.get(path), 404, "not-found")
    assert (await sender.get(path)).json()["state"] == "pending"
    assert (await (await hire()).get(path)).status_code == 200
    problem_of(await sender.get(f"{path}/large"), 409, "photo-not-ready")


async def test_a_photo_of_a_private_service_is_for_its_sender_and_staff(api, upload, hire, cities):
    services = cities.by_jurisdiction("montreal.ca").catalogue.services
    private = next(service.code for service in services.values() if service.private and service.offered)
    sender, path = await upload(service_code=private)

    problem_of(await api.get(f"{path}/small"), 404, "not-found")
    problem_of(await (await hire(jurisdiction_id="laval.ca")).get(f"{path}/small"), 404, "not-found")
    shown = await sender.get(f"{path}/small")
    assert shown.status_code == 200
    assert shown.headers["cache-control"].startswith("private")
    assert (await (await hire()).get(f"{path}/small")).status_code == 200


async def test_the_original_is_for_staff_only(upload, hire):
    sender, path = await upload()

    problem_of(await sender.get(f"{path}/original"), 403, "role-needed")
    answer = await (await hire()).get(f"{path}/original")
    assert answer.content == PICTURE
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["content-disposition"] == "attachment"


async def test_a_photo_cut_off_is_rejected_with_a_reason_in_the_callers_language(upload):
    sender, path = await upload(content=PICTURE[: len(PICTURE) // 2])

    state = (await sender.get(path)).json()

    assert state["state"] == "rejected"
    assert state["reason"].startswith("La photo")
    problem_of(await sender.get(f"{path}/small"), 410, "photo-rejected")


async def test_the_tracking_secret_shows_the_photos_of_its_own_report_only(api):
    def form(report):
        fields = {name: str(value) for name, value in report.items()}
        return api.post("/v1/reports", data=fields, files={"photos": ("a.jpg", PICTURE)})

    told = [(await form(a_report(**place))).json()["report"] for place in ({}, LAVAL)]
    own = await api.as_(told[0]["tracking"]).get(f"/v1/reports/{told[0]['id']}")
    path = f"/v1/photos/{own.json()['report']['photo_ids'][0]}"

    assert (await api.as_(told[0]["tracking"]).get(path)).status_code == 200
    problem_of(await api.as_(told[1]["tracking"]).get(path), 401, "secret-unknown")
