"""Photos of phones in HEIC: turned once, in their colours, and with nothing but pixels coming out."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from media import boxes
from media.headers import BrokenImageHeader, ImageFormat, TooManyPixels, UnsupportedImage, read_header
from media.outcome import Rejection
from tests.media.heic import HEIGHT, WIDTH, box, heic
from tests.media.pictures import mean_difference, opened, orientation_block, webp_chunks

DATA = Path(__file__).parent.parent / "data" / "photos"

# What turns a picture that is stored upright into the one that each EXIF orientation stands for.
TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("told_by_exif", [False, True])
@pytest.mark.parametrize("orientation", TURNS)
async def test_a_photo_is_turned_once_also_where_exif_says_it_again(made, orientation, told_by_exif):
    stored = opened((await made(heic())).large)
    turn = TURNS[orientation]
    exif = orientation_block(orientation) if told_by_exif else None

    safe = await made(heic(orientation, exif=exif))

    upright = stored if turn is None else stored.transpose(turn)
    assert (safe.width, safe.height) == upright.size
    # Far below what any other turn would give; the two were compressed each on its own.
    assert mean_difference(opened(safe.large), upright) < 3
    small = opened(safe.small)
    assert turn is None or mean_difference(small, small.transpose(Image.Transpose.ROTATE_180)) > 6


async def test_exif_alone_turns_no_heic(made):
    stored = opened((await made(heic())).large)

    safe = await made(heic(exif=orientation_block(6)))

    assert mean_difference(opened(safe.large), stored) < 1


async def test_a_real_phones_photo_gives_pictures_and_keeps_its_place_to_itself(made):
    photo = (DATA / "good" / "IMG_2682.heic").read_bytes()

    safe = await made(photo)

    assert (safe.width, safe.height) == (4032, 3024)
    assert (safe.place.lon, safe.place.lat, safe.place.accuracy_m) == (pytest.approx(-96.071625), 41.2203, 10.0)
    assert safe.taken_at == datetime(2019, 3, 21, 16, 4, 21, tzinfo=UTC)
    for picture in (safe.large, safe.small):
        assert webp_chunks(picture) == [b"VP8 "]
        assert b"iPhone" not in picture


async def test_a_grid_without_measure_is_rejected_by_the_decoder_too(made):
    """The boxes may tell one size where the header is read, and another where the pixels are made."""
    told = bytes([0, 0, 0, 1]) + WIDTH.to_bytes(2) + HEIGHT.to_bytes(2)

    assert (await made(heic().replace(told, bytes([0, 0, 255, 255]) + b"\xff" * 4))).reason is Rejection.DAMAGED


def header_of(data: bytes):
    return read_header(BytesIO(data))


def test_the_header_tells_the_size_of_the_whole_and_not_of_a_tile():
    header = header_of(heic(6))

    assert (header.format, header.width, header.height) == (ImageFormat.HEIC, WIDTH, HEIGHT)
    assert header.format.content_type == "image/heic"


def test_too_many_pixels_are_refused_by_the_header():
    with pytest.raises(TooManyPixels) as raised:
        header_of(heic(size=(16320, 12240)))

    assert (raised.value.width, raised.value.height) == (16320, 12240)


@pytest.mark.parametrize(("kind", "found"), [(b"av01", "avif"), (b"j2k1", "rare-heif"), (b"jpeg", "rare-heif")])
def test_pictures_of_other_coders_in_the_same_boxes_are_named(kind, found):
    with pytest.raises(UnsupportedImage) as raised:
        header_of(heic(kind=kind))

    assert raised.value.found == found


def test_a_header_cut_off_anywhere_is_broken():
    whole = heic(exif=orientation_block(6))
    end = whole.index(b"mdat") - 4

    for length in range(13, end):
        with pytest.raises(BrokenImageHeader):
            header_of(whole[:length])


@pytest.mark.parametrize("kind", [b"pitm", b"iinf", b"iprp", b"ipco", b"ipma", b"ispe", b"meta"])
def test_a_header_without_one_of_its_boxes_is_broken(kind):
    with pytest.raises(BrokenImageHeader):
        header_of(heic().replace(kind, b"free"))


@pytest.mark.parametrize("length", [0, 1, 7, 0x7FFFFFFF])
def test_a_box_that_lies_about_its_length_is_broken(length):
    whole = heic()
    at = whole.index(b"iprp") - 4

    with pytest.raises(BrokenImageHeader):
        header_of(whole[:at] + length.to_bytes(4) + whole[at + 4 :])


def test_a_file_made_of_empty_boxes_is_given_up():
    with pytest.raises(BrokenImageHeader):
        header_of(heic()[:24] + box(b"free") * 100_000)


def test_a_whole_file_is_not_cut_off_and_a_shorter_one_is():
    whole = heic()

    assert not boxes.is_cut_off(BytesIO(whole))
    assert boxes.is_cut_off(BytesIO(whole[:-1]))
