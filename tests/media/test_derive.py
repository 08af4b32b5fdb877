import asyncio
import json
import os
import signal
import struct
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from media.decoders import DecodeLimits, Decoders
from media.derive import DecoderFailed, Derivatives, Rejected, Run, judge
from media.outcome import Rejection
from tests.media.hidden import STORED
from tests.media.pictures import (
    BLUE,
    GREEN,
    RED,
    encoded,
    gradient,
    mean_difference,
    opened,
    orientation_block,
    png_claiming,
    scene,
    webp_chunks,
)
from tests.media.taken_over import ANSWER, MARK

DATA = Path(__file__).parent.parent / "data" / "photos"


def assert_colour(image: Image.Image, at: tuple[int, int], expected: tuple[int, int, int]) -> None:
    found = image.getpixel(at)
    assert isinstance(found, tuple)
    assert all(abs(a - b) < 16 for a, b in zip(found, expected, strict=True)), (found, expected)


@pytest.mark.parametrize("orientation", STORED)
async def test_every_orientation_gives_the_same_upright_picture_also_where_it_is_scaled(made, orientation):
    stored = STORED[orientation]
    image = scene(1800, 1200) if stored is None else scene(1800, 1200).transpose(stored)

    safe = await made(encoded(image, exif=orientation_block(orientation)))

    assert (safe.width, safe.height) == (1800, 1200)
    large, small = opened(safe.large), opened(safe.small)
    assert (large.size, small.size) == ((1600, 1067), (400, 267))
    assert mean_difference(large, scene(1800, 1200).resize((1600, 1067))) < 2
    assert mean_difference(small, scene(1800, 1200).resize((400, 267))) < 3


async def test_a_photo_damaged_inside_is_rejected(made):
    png = bytearray(encoded(scene(), "PNG"))
    at = png.index(b"IDAT") + 4
    png[at : at + 12] = b"\xaa" * 12

    assert (await made(bytes(png))).reason is Rejection.DAMAGED


async def test_a_file_that_starts_as_a_gif_stays_one(made):
    assert await made(b"GIF89a" + encoded(scene())) == Rejected(Rejection.NOT_AN_IMAGE)


async def test_a_bomb_is_refused_before_anything_is_decoded(made):
    assert await made(png_claiming(60_000, 60_000)) == Rejected(Rejection.TOO_MANY_PIXELS)


async def test_a_size_that_the_pixels_do_not_bear_out_is_rejected(made):
    assert (await made(png_claiming(6000, 6000))).reason in {Rejection.DAMAGED, Rejection.TRUNCATED}


async def test_decoding_beyond_the_memory_limit_is_ended(made):
    large = encoded(gradient(6000, 5000), "PNG", compress_level=1)

    within = await made(large)
    with closing(Decoders(at_once=1, limits=DecodeLimits(memory_bytes=100 << 20))) as narrow:
        beyond = await made(large, narrow)

    assert isinstance(within, Derivatives)
    assert beyond == Rejected(Rejection.TOO_COMPLEX, "MemoryError")


async def test_decoding_beyond_the_time_limit_is_ended(made):
    # A progressive JPEG whose last scan is repeated again and again: a small file, and minutes of work.
    jpeg = encoded(Image.new("RGB", (4000, 3000), BLUE), progressive=True)
    last_scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    bomb = jpeg[:-2] + last_scan * 5000 + jpeg[-2:]
    assert len(bomb) < 5_000_000

    with closing(Decoders(at_once=1, limits=DecodeLimits(cpu_s=1))) as hurried:
        assert await made(bomb, hurried) == Rejected(Rejection.TOO_COMPLEX, "SIGXCPU")


async def test_a_cancelled_call_leaves_no_process_behind(made):
    before, photo = children(), encoded(gradient(6000, 5000), "PNG", compress_level=1)
    with closing(Decoders(at_once=1)) as decoders:
        await decoders.why_unconfined()  # the program is there; what follows is the photo's own process

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await made(photo, decoders)

        assert children() == before


async def test_what_is_closed_leaves_no_process_behind(made):
    before = children()
    with closing(Decoders(at_once=2)) as decoders:
        await decoders.why_unconfined()
        await decoders.why_unconfined()
        assert len(children()) == len(before) + 1  # it is enough for both

    assert children() == before


async def test_no_more_photos_are_decoded_at_once_than_is_said(tmp_path):
    path = tmp_path / "original"
    path.write_bytes(encoded(scene()))
    before = children()
    with closing(Decoders(at_once=2)) as decoders:
        await asyncio.gather(*(decoders.make_safe(path) for _ in range(6)))

        assert len(children()) == len(before) + 2


def children() -> list[str]:
    """List the processes that this one has started and that still exist."""
    return [process.name for process in Path("/proc").glob("[0-9]*") if parent_of(process) == os.getpid()]


def parent_of(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return None


@pytest.fixture(scope="module")
def taken_over():
    """Decoders that do what a photo says behind its picture."""
    with closing(Decoders(at_once=1, program="tests.media.taken_over", limits=DecodeLimits(cpu_s=1))) as them:
        yield them


def evil(deed: str | bytes) -> bytes:
    return encoded(scene(16, 16)) + MARK + (deed if isinstance(deed, bytes) else deed.encode())


@pytest.mark.parametrize(
    ("deed", "outcomes"),
    [
        ("network", ["PermissionError"] * 3),
        ("files", ["PermissionError"] * 3),
        ("programs", ["PermissionError"] * 3),
        ("processes", ["PermissionError", "done", "PermissionError"]),
    ],
)
async def test_a_photo_that_takes_its_decoder_over_gets_nowhere(made, taken_over, deed, outcomes):
    with pytest.raises(DecoderFailed) as raised:
        await made(evil(deed), taken_over)

    assert json.dumps(outcomes) in raised.value.why


async def test_decoders_are_confined_here(decoders):
    assert await decoders.why_unconfined() is None


async def test_the_decoder_inherits_no_secret_and_no_file(made, taken_over, monkeypatch):
    monkeypatch.setenv("JALON_DATABASE_URL", "postgresql://secret")
    inherited = os.open("/dev/full", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        with pytest.raises(DecoderFailed) as raised:
            await made(evil("secrets"), taken_over)
    finally:
        os.close(inherited)

    assert raised.value.why.rstrip().endswith('[["LC_ALL", "PYTHONPATH", "TMPDIR"], [0, 1, 2]]')


@pytest.mark.parametrize(
    ("deed", "verdict"),
    [
        ("segfault", Rejected(Rejection.DAMAGED, "SIGSEGV")),
        ("abort", Rejected(Rejection.DAMAGED, "SIGABRT")),
        ("spin", Rejected(Rejection.TOO_COMPLEX, "SIGXCPU")),
    ],
)
async def test_a_photo_that_crashes_the_decoder_is_rejected(made, taken_over, deed, verdict):
    assert await made(evil(deed), taken_over) == verdict


async def test_a_decoder_that_hangs_is_ended_and_the_photo_may_be_tried_again(made):
    limits = DecodeLimits(wall_s=2)
    with closing(Decoders(at_once=1, program="tests.media.taken_over", limits=limits)) as impatient:
        with pytest.raises(DecoderFailed, match="no answer in time"):
            await made(evil("hang"), impatient)

        assert await made(evil(ANSWER + answer(facts(), PICTURE, PICTURE)), impatient)


@pytest.mark.parametrize(("deed", "why"), [("exit", "exit status 3"), ("write", "File too large")])
async def test_a_decoder_that_does_not_answer_may_be_tried_again(made, taken_over, deed, why):
    with pytest.raises(DecoderFailed, match=why):
        await made(evil(deed), taken_over)

    assert await made(evil(ANSWER + answer(facts(), PICTURE, PICTURE)), taken_over)


async def test_a_decoder_killed_from_outside_does_not_condemn_the_photo():
    with pytest.raises(DecoderFailed):
        judge(Run(status=-signal.SIGKILL, answer=b"", complaint=b""))


async def test_after_the_program_itself_is_lost_another_one_is_started(made, tmp_path):
    with closing(Decoders(at_once=1)) as decoders:
        before = set(children())
        await decoders.why_unconfined()
        (program,) = set(children()) - before
        os.kill(int(program), signal.SIGKILL)

        with pytest.raises(DecoderFailed, match="gone"):
            await made(encoded(scene()), decoders)
        assert isinstance(await made(encoded(scene()), decoders), Derivatives)


async def test_a_program_that_does_not_start_fails_and_leaves_nothing():
    before = children()

    with closing(Decoders(at_once=1, program="media.there_is_no_such")) as decoders, pytest.raises(DecoderFailed):
        await decoders.why_unconfined()

    assert children() == before


def answer(facts: str, *pictures: bytes) -> bytes:
    return len(facts).to_bytes(4, "big") + facts.encode() + b"".join(pictures)


FACTS = '{{"size": [9, 9], "place": {place}, "taken_at": {taken_at}, "dhash": 0, "pictures": [{large}, {small}]}}'
PICTURE = encoded(scene(64, 48), "WEBP")


def facts(*, place: str = "null", taken_at: str = "null", large: int = len(PICTURE), small: int = len(PICTURE)) -> str:
    return FACTS.format(place=place, taken_at=taken_at, large=large, small=small)


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"\xff\xff\xff\xff{}",
        answer("{}"),
        answer("[]"),
        answer('{"rejected": "because", "error": "none"}'),
        answer(facts(), PICTURE),
        answer(facts(), PICTURE, PICTURE, b"more"),
        answer(facts(large=-1), PICTURE, PICTURE),
        answer(facts(place="[NaN, 45.0, null]"), PICTURE, PICTURE),
        answer(facts(place="[0.0, 91.0, null]"), PICTURE, PICTURE),
        answer(facts(taken_at='"2026-11-22T08:15:30"'), PICTURE, PICTURE),
        answer(facts(small=len(scene_jpeg := encoded(scene(64, 48)))), PICTURE, scene_jpeg),
        answer(facts(small=len(wide := encoded(scene(401, 10), "WEBP"))), PICTURE, wide),
        answer(facts(small=len(tagged := encoded(scene(64, 48), "WEBP", xmp=b"secret"))), PICTURE, tagged),
        answer(facts(small=len(PICTURE) + 2), PICTURE, PICTURE + b"\0\0"),
    ],
)
async def test_an_answer_that_is_not_what_was_agreed_is_not_believed(made, taken_over, told):
    with pytest.raises(DecoderFailed):
        await made(evil(ANSWER + told), taken_over)


async def test_an_answer_as_agreed_is_believed(made, taken_over):
    told = answer(facts(place="[-73.5, 45.5, null]"), PICTURE, PICTURE)

    assert (await made(evil(ANSWER + told), taken_over)).large == PICTURE


def swapped_profile() -> bytes:
    """Make a colour profile in which red and blue are each other's."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_colours_are_converted_by_the_photos_own_profile(made, kind):
    safe = await made(encoded(scene(), kind, icc_profile=swapped_profile()))

    assert_colour(opened(safe.large), (20, 20), (RED[2], RED[1], RED[0]))


@pytest.mark.parametrize("profile", [b"nonsense", swapped_profile()[:200], swapped_profile().replace(b"RGB ", b"CMYK")])
async def test_a_profile_that_does_not_fit_is_left_out(made, profile):
    safe = await made(encoded(scene(), icc_profile=profile))

    assert_colour(opened(safe.large), (20, 20), RED)


def sixteen_bit_grey() -> Image.Image:
    return Image.frombytes("I;16", (64, 64), struct.pack("<H", 0x8000) * 64 * 64)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (scene().convert("CMYK"), None),
        (scene().convert("P", palette=Image.Palette.ADAPTIVE), RED),
        (scene().convert("RGBA"), RED),
        (Image.new("RGBA", (64, 64), (0, 0, 255, 0)), (255, 255, 255)),
        (Image.new("LA", (64, 64), (0, 128)), (127, 127, 127)),
        (Image.new("L", (64, 64), 77), (77, 77, 77)),
        (Image.new("1", (64, 64), 1), (255, 255, 255)),
        (sixteen_bit_grey(), (128, 128, 128)),
    ],
)
async def test_every_mode_of_pixels_becomes_opaque_srgb(made, image, expected):
    kind = "JPEG" if image.mode == "CMYK" else "PNG"

    safe = await made(encoded(image, kind))

    assert webp_chunks(safe.large) == [b"VP8 "]
    assert_colour(opened(safe.large), (20, 20), expected or image.convert("RGB").getpixel((20, 20)))


@pytest.mark.parametrize(("mode", "colour"), [("P", 0), ("L", 77), ("RGB", BLUE)])
async def test_a_colour_declared_transparent_becomes_white(made, mode, colour):
    image = Image.new(mode, (64, 64), colour)
    if mode == "P":
        image.putpalette([10, 20, 30])

    safe = await made(encoded(image, "PNG", transparency=colour))

    assert_colour(opened(safe.large), (20, 20), (255, 255, 255))


@pytest.mark.parametrize(
    ("size", "large", "small"),
    [
        ((300, 200), (300, 200), (300, 200)),
        ((401, 400), (401, 400), (400, 399)),
        ((1600, 10), (1600, 10), (400, 2)),
        ((12_000, 3), (1600, 1), (400, 1)),
        ((1, 1), (1, 1), (1, 1)),
        ((3001, 4001), (1200, 1600), (300, 400)),
    ],
)
async def test_pictures_are_scaled_down_and_never_up(made, size, large, small):
    safe = await made(encoded(gradient(*size)))

    assert (opened(safe.large).size, opened(safe.small).size) == (large, small)
    assert (safe.width, safe.height) == size


async def test_a_scaled_decode_is_as_good_as_a_whole_one(made):
    photo = Image.open(DATA / "good" / "empty_gps.jpg").convert("RGB")
    whole = photo.resize((1600, 1197), Image.Resampling.LANCZOS)

    safe = await made((DATA / "good" / "empty_gps.jpg").read_bytes())

    difference = ImageStat.Stat(ImageChops.difference(opened(safe.large), whole))
    assert sum(difference.rms) / 3 < 8  # a signal-to-noise ratio above 30 dB, WebP's own loss included


async def test_pictures_that_look_alike_have_hashes_that_differ_in_few_bits(made):
    scenic = Image.open(DATA / "good" / "thompson-springs.jpg").convert("RGB")
    first = await made(encoded(scenic))
    smaller = await made(encoded(scenic.resize((120, 82)), quality=50))
    other = await made((DATA / "good" / "hopper_bad_exif.jpg").read_bytes())

    assert 0 <= first.dhash < 1 << 64
    assert (first.dhash ^ smaller.dhash).bit_count() <= 6
    assert (first.dhash ^ other.dhash).bit_count() >= 16


@pytest.mark.parametrize("path", sorted((DATA / "good").iterdir()), ids=lambda path: path.name)
async def test_real_photos_give_pictures_however_damaged_their_metadata(decoders, path):
    safe = await decoders.make_safe(path)

    assert isinstance(safe, Derivatives)
    assert webp_chunks(safe.large) == [b"VP8 "]
    assert webp_chunks(safe.small) == [b"VP8 "]
    places = {
        "thompson-springs.jpg": (39.115, -108.400968),
        "datetimeoriginal-gps.jpg": (39.0, -108.0),
        "png_with_exif_and_gps.png": (50.299603, 14.820294),
        "IMG_2682.heic": (41.2203, -96.071625),
    }
    told = safe.place and (round(safe.place.lat, 6), round(safe.place.lon, 6))
    assert told == places.get(path.name)


@pytest.mark.parametrize("path", sorted((DATA / "bad").iterdir()), ids=lambda path: path.name)
async def test_real_bad_files_are_rejected(decoders, path):
    expected = {
        "200MP-head.heic": Rejection.TOO_MANY_PIXELS,
        "corrupted.heic": Rejection.DAMAGED,
        "truncated.heic": Rejection.TRUNCATED,
        "broken.png": Rejection.DAMAGED,
        "broken_data_stream.png": Rejection.TRUNCATED,
        "crash-f46f5b2f.tif": Rejection.NOT_AN_IMAGE,
        "decompression_bomb.gif": Rejection.NOT_AN_IMAGE,
        "decompression_bomb.ico": Rejection.NOT_AN_IMAGE,
    }

    rejected = await decoders.make_safe(path)

    assert isinstance(rejected, Rejected)
    assert rejected.reason is expected[path.name]


async def test_a_real_phone_photo_is_turned_upright_and_keeps_its_place_to_itself(decoders):
    safe = await decoders.make_safe(Path("cities/montreal/samples/photos/broken-gully.jpg"))

    assert isinstance(safe, Derivatives)
    assert opened(safe.large).size == (968, 1296)
    assert safe.place is not None
    assert safe.place.lat == pytest.approx(51.400922)
    assert webp_chunks(safe.large) == webp_chunks(safe.small) == [b"VP8 "]


async def test_green_stays_where_it_was(made):
    large = opened((await made(encoded(scene()))).large)

    assert_colour(large, (600, 20), GREEN)
    assert_colour(large, (20, 460), BLUE)
