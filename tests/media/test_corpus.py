"""Photos as cameras and enemies make them: pictures hold nothing but pixels, and bad files get a reason."""

import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO

import pytest
from PIL import Image, ImageCms

from bench.exiftool import ExifTool, beyond_pixels, running_exiftool
from media.derive import Derivatives, Rejected
from media.headers import UnsupportedImage, read_header
from media.outcome import Rejection
from tests.media.heic import HEIGHT, WIDTH, heic
from tests.media.hidden import MARK, PLACES, PROFILED, SIZE, STORED, display_p3, gps_block, thumbnail_block
from tests.media.pictures import encoded, mean_difference, opened, png_chunk, scene, webp_chunks, with_segments


@pytest.fixture(scope="module")
def exiftool() -> Iterator[ExifTool]:
    with running_exiftool() as tool:
        yield tool


@pytest.mark.parametrize("place", PLACES)
async def test_nothing_hidden_comes_through_and_the_picture_stands_upright(decoders, exiftool, tmp_path, place):
    originals, pictures = tmp_path / "originals", tmp_path / "pictures"
    for folder in (originals, pictures):
        folder.mkdir()
    for orientation in STORED:
        original = originals / f"{orientation}"
        original.write_bytes(PLACES[place](orientation))

        safe = await decoders.make_safe(original)

        assert is_upright(place, orientation, safe)
        for name, picture in (("large", safe.large), ("small", safe.small)):
            assert MARK not in picture
            (pictures / f"{orientation}-{name}.webp").write_bytes(picture)
    hidden, shown = exiftool.read(originals), exiftool.read(pictures)
    assert [beyond_pixels(tags) for tags in shown] == [[]] * 2 * len(STORED)
    assert all(map(tells, hidden)) or all(MARK in photo.read_bytes() for photo in originals.iterdir())


def tells(tags) -> bool:
    """Whether the reader finds what is hidden in an original; else its bytes must show it."""
    return MARK.decode() in str(tags) or "PNG:ModifyDate" in tags


def is_upright(place: str, orientation: int, safe: Derivatives | Rejected) -> bool:
    assert isinstance(safe, Derivatives), (orientation, safe)
    if place.startswith("heic"):  # no scene of ours; how it is turned, test_decode_heic holds to the pixel
        turned = {1: (WIDTH, HEIGHT), 6: (HEIGHT, WIDTH)}
        return (safe.width, safe.height) == turned[1 if orientation < 5 else 6]
    return (safe.width, safe.height) == SIZE and mean_difference(opened(safe.large), scene(*SIZE)) < 4


@pytest.mark.parametrize("kind", PROFILED)
@pytest.mark.parametrize("orientation", [1, 6])
async def test_a_phones_wide_colours_become_those_of_every_screen(made, kind, orientation):
    safe = await made(PROFILED[kind](orientation))

    assert webp_chunks(safe.large) == webp_chunks(safe.small) == [b"VP8 "]  # the profile names its maker
    if kind == "heic":
        plain = opened((await made(heic(orientation))).large)
        assert mean_difference(opened(safe.large), in_srgb(plain)) < 2 < mean_difference(opened(safe.large), plain)
    else:
        assert mean_difference(opened(safe.large), in_srgb(scene(*SIZE))) < 4


def in_srgb(image: Image.Image) -> Image.Image:
    profile = ImageCms.ImageCmsProfile(BytesIO(display_p3()))
    shown = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    assert shown is not None
    return shown


# Written as their readers find them: a page anywhere, an archive from its end, a document in the first kilobyte.
OTHER_FILES = {
    "page": b"<html><script>alert(1)</script></html>",
    "program": b"*/=1;alert(document.domain)/*",
    "archive": b"PK\3\4" + bytes(26) + b"x" + b"PK\1\2" + bytes(42) + b"x" + b"PK\5\6" + bytes(18),
    "document": b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(alert(1))>>>>endobj\ntrailer<</Root 1 0 R>>%%EOF",
}
MARKS = (b"<script>", b"alert", b"PK\3\4", b"PK\5\6", b"%PDF", b"JavaScript")


def with_comment(kind: str, content: bytes) -> bytes:
    if kind == "jpeg":
        return with_segments(encoded(scene(*SIZE)), (0xFE, content))
    if kind == "png":
        photo = encoded(scene(*SIZE), "PNG")
        return photo[:33] + png_chunk(b"tEXt", b"Comment\0" + content) + photo[33:]
    return encoded(scene(*SIZE), "WEBP", xmp=content) if kind == "webp" else heic(xmp=content)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "heic"])
@pytest.mark.parametrize("other", OTHER_FILES)
async def test_a_file_that_is_something_else_too_becomes_a_clean_picture(made, kind, other):
    within, behind = with_comment(kind, OTHER_FILES[other]), with_comment(kind, b"") + OTHER_FILES[other]
    plain = await made(with_comment(kind, b""))

    assert await made(within) == await made(behind) == plain
    for picture in (plain.large, plain.small):
        assert webp_chunks(picture) == [b"VP8 "]
        assert not [mark for mark in MARKS if mark in picture]


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "heic"])
@pytest.mark.parametrize("other", OTHER_FILES)
def test_a_file_that_begins_as_something_else_is_no_photo(kind, other):
    with pytest.raises(UnsupportedImage):
        read_header(BytesIO(OTHER_FILES[other] + with_comment(kind, b"")))


def noise(kind: str) -> bytes:
    """A photo whose bytes are nearly all pixels, as a camera's are."""
    return encoded(Image.effect_noise((160, 120), 90).convert("RGB"), kind, exif=thumbnail_block(6))


@pytest.mark.parametrize("kind", ["jpeg", "progressive jpeg", "png", "webp", "heic"])
async def test_a_photo_cut_off_anywhere_is_rejected_as_such(made, kind):
    photo = {
        "jpeg": lambda: noise("JPEG"),
        "png": lambda: noise("PNG"),
        "webp": lambda: noise("WEBP"),
        "heic": lambda: heic(exif=gps_block(1)),
        "progressive jpeg": lambda: encoded(Image.effect_noise((160, 120), 90), progressive=True),
    }[kind]()
    reasons = [(await made(photo[: len(photo) * percent // 100])).reason for percent in range(1, 100)]

    # What ends within its head does not even say how large it is.
    in_head = sum(reason is Rejection.DAMAGED for reason in reasons)
    assert reasons == [Rejection.DAMAGED] * in_head + [Rejection.TRUNCATED] * (99 - in_head)
    assert in_head <= 12


PACKED = zlib.compress(bytes(200_000_000))


@pytest.mark.parametrize(
    "bomb",
    [
        png_chunk(b"zTXt", b"Comment\0\0" + PACKED),
        png_chunk(b"iTXt", b"Comment\0\1\0\0\0" + PACKED),
        png_chunk(b"iCCP", b"icc\0\0" + PACKED),
    ],
    ids=["text", "international text", "profile"],
)
async def test_a_bomb_in_metadata_is_not_unpacked(made, bomb):
    photo = encoded(scene(*SIZE), "PNG")

    assert await made(photo[:33] + bomb + photo[33:]) == Rejected(Rejection.DAMAGED, "ValueError")


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "heic"])
async def test_the_facts_of_a_photo_are_told_apart_from_its_pictures(made, kind):
    safe = await made(PLACES[f"{kind} EXIF of the place"](6))
    shot = await made(PLACES[f"{kind} EXIF of camera and owner"](6))

    assert (safe.place.lat, safe.place.lon) == (pytest.approx(45.5231), pytest.approx(-73.5817))
    assert safe.place.accuracy_m == 8.5
    assert safe.taken_at == shot.taken_at == datetime(2026, 11, 22, 13, 15, 30, tzinfo=UTC)
