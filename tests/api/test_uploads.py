"""Resumable uploads over HTTP: what tus 1.0.0 says, and what a photo sent at once would be told."""

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

import pytest

from db.base import new_id
from media.uploads import KEPT_FOR, forget_expired
from tests.api.served import PICTURE, Api, a_report, fields_of, problem_of
from tests.media.pictures import encoded, png_claiming, scene

TUS = {"Tus-Resumable": "1.0.0"}
STREAM = {**TUS, "Content-Type": "application/offset+octet-stream"}
SHA256 = b64encode(hashlib.sha256(PICTURE).digest()).decode()
SHA1 = b64encode(hashlib.sha1(PICTURE).digest()).decode()


def metadata(photo_id: object, **others: str) -> str:
    pairs = {"id": str(photo_id), **others}
    return ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in pairs.items())


async def create(sender: Api, photo_id: object, length: int = len(PICTURE), content: bytes | None = None, **headers):
    headers = {"Upload-Length": str(length), "Upload-Metadata": metadata(photo_id)} | headers
    return await sender.post("/v1/uploads", content=content, headers=(STREAM if content else TUS) | headers)


async def send(sender: Api, photo_id: object, content, offset: int = 0, **headers: str):
    headers = {**STREAM, "Upload-Offset": str(offset), **headers}
    return await sender.patch(f"/v1/uploads/{photo_id}", content=content, headers=headers)


async def look(sender: Api, photo_id: object):
    return await sender.call("HEAD", f"/v1/uploads/{photo_id}", headers=TUS)


async def test_an_upload_in_pieces_is_the_photo(register, stored):
    device, photo_id = await register(), new_id()

    created = await create(device.api, photo_id)
    first = await send(device.api, photo_id, PICTURE[:1000])
    standing = await look(device.api, photo_id)
    last = await send(device.api, photo_id, PICTURE[1000:], 1000)

    assert (created.status_code, created.headers["upload-offset"]) == (201, "0")
    assert (first.status_code, first.headers["upload-offset"]) == (204, "1000")
    assert standing.status_code == 200
    assert standing.content == b""
    assert standing.headers["upload-offset"] == "1000"
    assert standing.headers["upload-length"] == str(len(PICTURE))
    assert standing.headers["upload-metadata"] == metadata(photo_id)
    assert standing.headers["cache-control"] == "no-store"
    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(PICTURE)))
    photo = (await device.api.get(f"/v1/photos/{photo_id}")).json()
    assert (photo["sha256"], photo["state"]) == (hashlib.sha256(PICTURE).hexdigest(), "pending")
    assert (await stored())["photo"] == 1


@pytest.mark.parametrize("path", ["/v1/uploads", "/v1/uploads/0199c0de-0000-7000-8000-000000000001"])
async def test_what_is_spoken_is_told_to_anybody(api, path):
    answer = await api.call("OPTIONS", path)

    assert answer.status_code == 204
    assert answer.headers["tus-resumable"] == answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,creation-with-upload,checksum,expiration,termination"
    assert answer.headers["tus-max-size"] == "20000000"
    assert answer.headers["tus-checksum-algorithm"] == "sha256,sha1"


@pytest.mark.parametrize("address", ["http://jalon.test/v1/uploads", "https://proxy.test/v1/uploads"])
async def test_the_location_leads_to_the_upload_wherever_the_proxy_is(register, address):
    photo_id = new_id()

    created = await create((await register()).api, photo_id)

    assert urljoin(address, created.headers["location"]) == f"{address}/{photo_id}"


async def test_an_upload_is_kept_for_a_day_and_gone_then(app, register):
    device, photo_id = await register(), new_id()
    created = await create(device.api, photo_id)
    expires_at = parsedate_to_datetime(created.headers["upload-expires"])

    assert abs(expires_at - datetime.now(UTC) - KEPT_FOR) < timedelta(minutes=1)
    await forget_expired(app.state.serving.database, app.state.serving.store, now=expires_at + timedelta(seconds=1))
    assert (await look(device.api, photo_id)).status_code == 404
    problem_of(await send(device.api, photo_id, PICTURE), 404, "upload-not-found")


async def test_a_lost_answer_loses_nothing(register, stored):
    device, photo_id = await register(), new_id()
    created = await create(device.api, photo_id)
    await send(device.api, photo_id, PICTURE[:1000])

    again = await create(device.api, photo_id)
    with_bytes = await create(device.api, photo_id, content=PICTURE)
    await send(device.api, photo_id, PICTURE[1000:], 1000)
    whole = await create(device.api, photo_id)
    sent_again = await send(device.api, photo_id, b"", len(PICTURE))

    assert (again.status_code, again.headers["location"]) == (200, created.headers["location"])
    assert (with_bytes.status_code, with_bytes.headers["upload-offset"]) == (200, "1000")
    assert (whole.status_code, whole.headers["upload-offset"]) == (200, str(len(PICTURE)))
    assert (sent_again.status_code, sent_again.headers["upload-offset"]) == (204, str(len(PICTURE)))
    assert (await stored())["photo"] == 1


@pytest.mark.parametrize("sent", [1, 1000, len(PICTURE)])
async def test_the_first_bytes_may_come_with_the_creation(register, sent):
    device, photo_id = await register(), new_id()

    created = await create(device.api, photo_id, content=PICTURE[:sent])

    assert (created.status_code, created.headers["upload-offset"]) == (201, str(sent))
    photo = await device.api.get(f"/v1/photos/{photo_id}")
    assert photo.status_code == (200 if sent == len(PICTURE) else 404)


ID = "01936f3e-8000-7000-8000-000000000001"
# Of a request that begins an upload: what is changed, and the refusal.
CREATIONS: dict[str, tuple[dict[str, str | None], int, str, set[str]]] = {
    "no version": ({"Tus-Resumable": None}, 412, "tus-version-not-supported", {"Tus-Resumable"}),
    "another version": ({"Tus-Resumable": "0.2.2"}, 412, "tus-version-not-supported", {"Tus-Resumable"}),
    "no length": ({"Upload-Length": None}, 422, "invalid-fields", {"Upload-Length"}),
    "a length to be told later": (
        {"Upload-Length": None, "Upload-Defer-Length": "1"},
        422,
        "invalid-fields",
        {"Upload-Length"},
    ),
    "a length that is none": ({"Upload-Length": "-1"}, 422, "invalid-fields", {"Upload-Length"}),
    "a length with a sign of its own": ({"Upload-Length": "1_000"}, 422, "invalid-fields", {"Upload-Length"}),
    "no bytes": ({"Upload-Length": "0"}, 422, "photo-empty", {"body"}),
    "more bytes than a photo has": ({"Upload-Length": "20000001"}, 413, "photo-too-large", {"Upload-Length"}),
    "no metadata": ({"Upload-Metadata": None}, 422, "invalid-fields", {"Upload-Metadata"}),
    "empty metadata": ({"Upload-Metadata": ""}, 422, "invalid-fields", {"Upload-Metadata"}),
    "no id": ({"Upload-Metadata": "filename YS5qcGc="}, 422, "invalid-fields", {"Upload-Metadata"}),
    "an id that is none": ({"Upload-Metadata": "id YS5qcGc="}, 422, "invalid-fields", {"Upload-Metadata"}),
    "a value not in Base64": ({"Upload-Metadata": f"id {ID}"}, 422, "invalid-fields", {"Upload-Metadata"}),
    "the same key twice": (
        {"Upload-Metadata": f"{metadata(ID)},{metadata(ID)}"},
        422,
        "invalid-fields",
        {"Upload-Metadata"},
    ),
    "endless metadata": (
        {"Upload-Metadata": metadata(ID, filename="a" * 4000)},
        422,
        "invalid-fields",
        {"Upload-Metadata"},
    ),
    "bytes as something else": ({"Content-Type": "image/jpeg"}, 415, "media-type-not-supported", {"Content-Type"}),
    "more bytes than announced": ({"Upload-Length": "10"}, 413, "upload-too-long", {"body"}),
    "another checksum": ({"Upload-Checksum": f"sha1 {SHA1[::-1]}"}, 400, "checksum-not-supported", {"Upload-Checksum"}),
    "an unknown checksum": ({"Upload-Checksum": "crc32 AAAAAA=="}, 400, "checksum-not-supported", {"Upload-Checksum"}),
}


def changed(headers: dict[str, str], changes: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**headers, **changes}.items() if value is not None}


@pytest.mark.parametrize("case", CREATIONS)
async def test_an_upload_that_cannot_be_begun_is_refused(register, stored, case):
    changes, status, slug, fields = CREATIONS[case]
    headers = {**STREAM, "Upload-Length": str(len(PICTURE)), "Upload-Metadata": metadata(ID)}

    answer = await (await register()).api.post("/v1/uploads", content=PICTURE, headers=changed(headers, changes))

    assert fields_of(problem_of(answer, status, slug)) == fields
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["content-language"] == "fr"
    assert ("tus-version" in answer.headers) is (status == 412)
    assert (await stored())["photo"] == 0


# Of a request that continues an upload of which 1000 bytes are there.
CONTINUATIONS: dict[str, tuple[dict[str, str | None], int, str, set[str] | None]] = {
    "another version": ({"Tus-Resumable": "2.0.0"}, 412, "tus-version-not-supported", {"Tus-Resumable"}),
    "no offset": ({"Upload-Offset": None}, 422, "invalid-fields", {"Upload-Offset"}),
    "an offset that is none": ({"Upload-Offset": "x"}, 422, "invalid-fields", {"Upload-Offset"}),
    "from the beginning": ({"Upload-Offset": "0"}, 409, "upload-offset-mismatch", {"Upload-Offset"}),
    "beyond what is there": ({"Upload-Offset": "1001"}, 409, "upload-offset-mismatch", {"Upload-Offset"}),
    "bytes as something else": ({"Content-Type": "image/jpeg"}, 415, "media-type-not-supported", {"Content-Type"}),
    "bytes as nothing": ({"Content-Type": None}, 415, "media-type-not-supported", {"Content-Type"}),
    "the checksum of the whole": ({"Upload-Checksum": f"sha256 {SHA256}"}, 460, "checksum-mismatch", None),
    "a checksum that is none": ({"Upload-Checksum": "sha256"}, 400, "checksum-not-supported", None),
}


@pytest.mark.parametrize("case", CONTINUATIONS)
async def test_bytes_that_cannot_be_added_are_refused_and_not_kept(register, case):
    changes, status, slug, fields = CONTINUATIONS[case]
    device = await register()
    await create(device.api, ID, content=PICTURE[:1000])
    headers = changed({**STREAM, "Upload-Offset": "1000"}, changes)

    answer = await device.api.patch(f"/v1/uploads/{ID}", content=PICTURE[1000:], headers=headers)

    document = problem_of(answer, status, slug)
    assert fields is None or fields_of(document) == fields
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert (await look(device.api, ID)).headers["upload-offset"] == "1000"
    assert (await send(device.api, ID, PICTURE[1000:], 1000)).status_code == 204


async def test_more_bytes_than_announced_are_refused_also_without_a_length_of_their_own(register):
    async def chunks() -> AsyncIterator[bytes]:
        yield PICTURE
        yield b"more"

    device = await register()
    await create(device.api, ID)

    document = problem_of(await send(device.api, ID, chunks()), 413, "upload-too-long")

    assert document["upload_length"] == len(PICTURE)
    assert (await look(device.api, ID)).headers["upload-offset"] == "0"


@pytest.mark.parametrize("checksum", [f"sha256 {SHA256}", f"sha1 {SHA1}"])
async def test_bytes_with_the_right_checksum_are_kept(register, checksum):
    device = await register()
    await create(device.api, ID)

    answer = await send(device.api, ID, PICTURE, **{"Upload-Checksum": checksum})

    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(PICTURE)))


BAD_PHOTOS = {
    "a GIF": (encoded(scene(64, 48), "GIF"), 415, "photo-format-not-supported"),
    "a bomb": (png_claiming(60_000, 60_000), 413, "photo-too-many-pixels"),
    "a header cut off": (PICTURE[:30], 422, "photo-broken"),
}


@pytest.mark.parametrize("case", BAD_PHOTOS)
async def test_what_is_no_photo_is_refused_as_if_it_came_at_once(register, stored, settings, case):
    content, status, slug = BAD_PHOTOS[case]
    device, photo_id = await register(), new_id()
    at_once = await device.api.put(f"/v1/photos/{new_id()}", content=content)
    await create(device.api, photo_id, len(content), content[:10])

    answer = await send(device.api, photo_id, content[10:], 10)

    document, other = problem_of(answer, status, slug), problem_of(at_once, status, slug)
    assert {**document, "request_id": ""} == {**other, "request_id": ""}
    assert (await look(device.api, photo_id)).status_code == 404
    assert (await stored())["photo"] == 0
    assert [path for path in (settings.data_dir / "photos").rglob("*") if path.is_file()] == []


async def test_an_id_that_has_a_photo_of_somebody_else_is_refused_at_once(register):
    owner, other, photo_id = await register(), await register(), new_id()
    await owner.api.put(f"/v1/photos/{photo_id}", content=PICTURE)

    problem_of(await create(other.api, photo_id), 409, "id-already-used")


async def test_uploads_are_for_those_who_are_known_and_each_for_its_sender(api, register, hire):
    device, photo_id = await register(), new_id()
    problem_of(await create(api, photo_id), 401, "sign-in-needed")
    problem_of(await create(api.as_("unknown"), photo_id), 401, "secret-unknown")
    await create(device.api, photo_id, content=PICTURE[:1000])

    for other in (await register()).api, await hire():
        assert (await look(other, photo_id)).status_code == 404
        problem_of(await send(other, photo_id, PICTURE[1000:], 1000), 404, "upload-not-found")
        problem_of(await other.delete(f"/v1/uploads/{photo_id}", headers=TUS), 404, "upload-not-found")
    assert (await look(api, photo_id)).status_code == 401
    assert (await look(device.api, photo_id)).headers["upload-offset"] == "1000"


async def test_staff_upload_too(hire):
    agent, photo_id = await hire(), new_id()

    answer = await create(agent, photo_id, content=PICTURE)

    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(len(PICTURE)))


async def test_an_upload_that_is_given_up_is_gone_and_can_be_begun_anew(register, settings):
    device, photo_id = await register(), new_id()
    await create(device.api, photo_id, content=PICTURE[:1000])

    gone = await device.api.delete(f"/v1/uploads/{photo_id}", headers=TUS)

    assert (gone.status_code, gone.headers["tus-resumable"]) == (204, "1.0.0")
    assert (await look(device.api, photo_id)).status_code == 404
    assert [path for path in (settings.data_dir / "photos").rglob("*") if path.is_file()] == []
    assert (await create(device.api, photo_id)).status_code == 201


async def test_a_method_that_a_proxy_does_not_pass_is_told_in_a_header(register):
    device, photo_id = await register(), new_id()
    path = f"/v1/uploads/{photo_id}"
    await create(device.api, photo_id)

    async def post(method: str, content: bytes = b"", **headers: str):
        headers = {**STREAM, "X-HTTP-Method-Override": method, **headers}
        return await device.api.post(path, content=content, headers=headers)

    sent = await post("PATCH", PICTURE[:1000], **{"Upload-Offset": "0"})
    assert (sent.status_code, sent.headers["upload-offset"]) == (204, "1000")
    assert (await post("HEAD")).headers["upload-offset"] == "1000"
    assert (await post("DELETE")).status_code == 204
    problem_of(await post("HEAD"), 404, "upload-not-found")
    problem_of(await post("FETCH"), 405, "method-not-allowed")


async def test_of_two_who_send_at_once_one_is_refused_at_once(register):
    device, photo_id, refused = await register(), new_id(), asyncio.Event()
    reading = asyncio.Event()

    async def first() -> AsyncIterator[bytes]:
        reading.set()
        yield PICTURE[:1000]
        await refused.wait()
        yield PICTURE[1000:]

    await create(device.api, photo_id)
    sending = asyncio.create_task(send(device.api, photo_id, first()))
    await reading.wait()
    second = await send(device.api, photo_id, PICTURE)
    refused.set()

    problem_of(second, 423, "upload-in-use")
    assert int(second.headers["retry-after"]) >= 1
    assert (await sending).headers["upload-offset"] == str(len(PICTURE))


async def test_a_sender_who_stalls_is_let_go_and_keeps_what_came(register, settings, monkeypatch, app):
    device, photo_id, goes_on = await register(), new_id(), asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield PICTURE[:1000]
        await goes_on.wait()

    monkeypatch.setitem(vars(app.state.serving.settings), "upload_stall_s", 0.05)
    await create(device.api, photo_id)
    sending = asyncio.create_task(send(device.api, photo_id, stalling()))
    async with asyncio.timeout(30):
        while (await look(device.api, photo_id)).headers["upload-offset"] != "1000":
            pass
        monkeypatch.setitem(vars(app.state.serving.settings), "upload_stall_s", 30)
        continued = await send(device.api, photo_id, PICTURE[1000:], 1000)
    goes_on.set()

    assert continued.headers["upload-offset"] == str(len(PICTURE))
    assert "0 secondes" in problem_of(await sending, 408, "upload-stalled")["detail"]


async def test_a_report_has_the_photo_that_was_uploaded_for_it(register):
    device, photo_id = await register(), new_id()
    await create(device.api, photo_id, content=PICTURE)

    filed = await device.api.post("/v1/reports", json=a_report(photo_ids=[str(photo_id)]))

    report = (await device.api.get(f"/v1/reports/{filed.json()['report']['id']}")).json()
    assert report["report"]["photo_ids"] == [str(photo_id)]
