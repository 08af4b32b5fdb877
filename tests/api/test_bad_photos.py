"""A photo or form that is wrong is refused before it is kept, by a problem that names it; nothing is stored of it."""

from io import BytesIO

import pytest

from db.base import new_id
from tests.api.served import NOWHERE, PICTURE, a_report, a_secret, fields_of, problem_of
from tests.media.pictures import encoded, png_claiming, scene


def gif_named_jpeg() -> bytes:
    return encoded(scene(64, 48), "GIF")


BAD_PHOTOS = {
    "a TIFF named .jpg": (encoded(scene(64, 48), "TIFF"), 415, "photo-format-not-supported"),
    "a GIF named .jpg": (gif_named_jpeg(), 415, "photo-format-not-supported"),
    "a PNG claiming 60000 x 60000": (png_claiming(60_000, 60_000), 413, "photo-too-many-pixels"),
    "an empty body": (b"", 422, "photo-empty"),
    "a header cut off": (PICTURE[:30], 422, "photo-broken"),
    "21 MB": (PICTURE + b"\0" * 21_000_000, 413, "photo-too-large"),
    "words": (b"nid-de-poule", 415, "photo-format-not-supported"),
}


@pytest.mark.parametrize("case", BAD_PHOTOS)
async def test_a_bad_photo_is_refused_at_receipt_and_leaves_nothing(register, stored, settings, case):
    content, status, slug = BAD_PHOTOS[case]
    device = await register()

    answer = await device.api.put(f"/v1/photos/{new_id()}", content=content, headers={"Content-Type": "image/jpeg"})

    assert fields_of(problem_of(answer, status, slug)) == {"body"}
    assert (await stored())["photo"] == 0
    assert [path for path in (settings.data_dir / "photos").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("case", BAD_PHOTOS)
async def test_a_bad_photo_in_a_form_refuses_the_report_with_it(api, stored, settings, case):
    content, status, slug = BAD_PHOTOS[case]
    fields = {name: str(value) for name, value in a_report().items()}

    photos = [("photos", ("fine.jpg", PICTURE, "image/jpeg")), ("photos", ("a.jpg", content, "image/jpeg"))]
    answer = await api.post("/v1/reports", data=fields, files=photos)

    assert fields_of(problem_of(answer, status, slug)) == {"photos[1]"}
    assert sum((await stored()).values()) == 0
    assert [path for path in (settings.data_dir / "photos").rglob("*") if path.is_file()] == []


async def test_a_form_of_an_unknown_sender_is_refused_before_anything_of_it_is_kept(api, monkeypatch):
    spooled = []

    def spool(**_):
        spooled.append(BytesIO())
        return spooled[-1]

    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", spool)
    fields = {name: str(value) for name, value in a_report().items()}
    form = {"data": fields, "files": {"photos": ("a.jpg", bytes(20_000_000))}}

    refused = await api.as_(a_secret()).post("/v1/reports", **form)

    problem_of(refused, 401, "secret-unknown")
    assert spooled == []
    problem_of(await api.post("/v1/reports", **form), 415, "photo-format-not-supported")
    assert len(spooled) == 1


async def test_a_wrong_photo_id_in_a_form_is_named_by_its_position(api):
    fields = {name: str(value) for name, value in a_report().items()}

    answer = await api.post(
        "/v1/reports", files={**{name: (None, value) for name, value in fields.items()}, "photo_ids": (None, "x")}
    )

    assert fields_of(problem_of(answer, 422, "invalid-fields")) == {"photo_ids[0]"}


async def test_a_form_with_wrong_fields_stores_no_photo(api, stored, settings):
    fields = {name: str(value) for name, value in a_report(lat="nan", colour="red").items()}

    answer = await api.post(
        "/v1/reports", data=fields, files={"photos": ("a.jpg", PICTURE), "image": ("b.jpg", PICTURE)}
    )

    assert fields_of(problem_of(answer, 422, "invalid-fields")) == {"lat", "colour", "image"}
    assert sum((await stored()).values()) == 0
    assert [path for path in (settings.data_dir / "photos").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("changes", "slug"), [(NOWHERE, "outside-service-area"), ({"service_code": "dragons"}, "service-not-offered")]
)
async def test_a_form_that_cannot_be_filed_stores_no_photo(api, settings, changes, slug):
    fields = {name: str(value) for name, value in a_report(**changes).items()}

    answer = await api.post("/v1/reports", data=fields, files={"photos": ("a.jpg", PICTURE)})

    problem_of(answer, 422, slug)
    assert [path for path in (settings.data_dir / "photos").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "form",
    [
        b"{}",
        b"--x\r\nno header\r\n\r\n45\r\n--x--\r\n",
        b"--x\r\nContent-Disposition: form-data\r\n\r\n45\r\n--x--\r\n",
        b'--y\r\nContent-Disposition: form-data; name="lat"\r\n\r\n45\r\n--y--\r\n',
    ],
)
async def test_a_form_that_is_none_is_malformed(api, stored, form):
    answer = await api.post("/v1/reports", content=form, headers={"Content-Type": "multipart/form-data; boundary=x"})

    assert fields_of(problem_of(answer, 400, "malformed-body")) == {"body"}
    assert sum((await stored()).values()) == 0


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.99], ids=["in a field", "in the photo", "at the end"])
async def test_a_form_that_is_cut_off_is_refused_whole(api, stored, settings, kept):
    fields = {name: (None, str(value)) for name, value in a_report().items()}
    request = api.client.build_request("POST", "/v1/reports", files={**fields, "photos": ("a.jpg", PICTURE)})
    form = request.read()

    answer = await api.post("/v1/reports", content=form[: int(len(form) * kept)], headers=_content_type(request))

    assert fields_of(problem_of(answer, 400, "malformed-body")) == {"body"}
    assert sum((await stored()).values()) == 0
    assert [path for path in (settings.data_dir / "photos").rglob("*") if path.is_file()] == []


def _content_type(request):
    return {"Content-Type": request.headers["Content-Type"]}


async def test_too_long_a_field_of_a_form_is_named(api, stored):
    fields = {name: str(value) for name, value in a_report(description="a" * 5_000_000).items()}

    answer = await api.post("/v1/reports", data=fields, files={"photos": ("a.jpg", PICTURE)})

    assert fields_of(problem_of(answer, 413, "body-too-large")) == {"description"}
    assert sum((await stored()).values()) == 0
