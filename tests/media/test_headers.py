import struct
from io import BytesIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from media.headers import (
    MAX_PIXELS,
    BrokenImageHeader,
    EmptyPhoto,
    ImageFormat,
    ImageHeader,
    TooManyPixels,
    UnsupportedImage,
    read_header,
)
from tests.media.pictures import encoded, png_chunk, png_claiming, scene, with_segments


def header_of(data: bytes) -> ImageHeader:
    return read_header(BytesIO(data))


def animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        (encoded(scene(64, 48)), ImageFormat.JPEG),
        (encoded(scene(64, 48), progressive=True), ImageFormat.JPEG),
        (encoded(scene(64, 48).convert("L")), ImageFormat.JPEG),
        (encoded(scene(64, 48).convert("CMYK")), ImageFormat.JPEG),
        (encoded(scene(64, 48), "PNG"), ImageFormat.PNG),
        (encoded(scene(64, 48).convert("P"), "PNG"), ImageFormat.PNG),
        (encoded(scene(64, 48), "WEBP"), ImageFormat.WEBP),
        (encoded(scene(64, 48), "WEBP", lossless=True), ImageFormat.WEBP),
        (encoded(scene(64, 48), "WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08"), ImageFormat.WEBP),
    ],
)
def test_tells_format_and_size_of_each_layout(data, format_):
    assert header_of(data) == ImageHeader(format_, 64, 48)


def test_finds_the_size_behind_megabytes_of_metadata():
    data = with_segments(encoded(scene(64, 48)), *[(0xE1, b"\xff\xc0" * 32_000)] * 50)

    assert len(data) > 3_000_000
    assert header_of(data) == ImageHeader(ImageFormat.JPEG, 64, 48)


def test_passes_over_stray_bytes_between_segments_as_decoders_do():
    jpeg = encoded(scene(64, 48))
    after_jfif = 20

    assert header_of(jpeg[:after_jfif] + b"\0\0\0\xff\0\xff\xff" + jpeg[after_jfif:]).width == 64


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (encoded(scene(20, 10), "TIFF"), "tiff"),
        (encoded(scene(20, 10), "GIF"), "gif"),
        (encoded(scene(20, 10), "BMP"), "bmp"),
        (encoded(scene(32, 32), "ICO"), "ico"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "avif"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "mp4"),
        (b"%PDF-1.7\n", "pdf"),
        (b"PK\3\4 and so on", "zip"),
        (b"<html><script>alert(1)</script>", None),
        (b"\xff\xd8", None),
        (b"RIFF\0\0\0\0WAVEfmt ", None),
        (animation("PNG"), "animated-png"),
        (animation("WEBP"), "animated-webp"),
        (encoded(scene(20, 10)).replace(b"\xff\xc0", b"\xff\xc3"), "rare-jpeg"),
        (encoded(scene(20, 10)).replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), "rare-jpeg"),
    ],
)
def test_names_what_is_not_accepted(data, found):
    with pytest.raises(UnsupportedImage) as raised:
        header_of(data)

    assert raised.value.found == found


def test_an_empty_upload_is_a_situation_of_its_own():
    with pytest.raises(EmptyPhoto):
        header_of(b"")


@pytest.mark.parametrize(("width", "height"), [(8000, 7500), (60_000_000, 1)])
def test_sixty_megapixels_are_accepted(width, height):
    assert width * height == MAX_PIXELS
    assert header_of(png_claiming(width, height)) == ImageHeader(ImageFormat.PNG, width, height)


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (8000, 7501), (2**31 - 1, 2**31 - 1)])
def test_more_is_refused_from_the_header_alone(width, height):
    data = png_claiming(width, height)
    assert len(data) < 31_000

    with pytest.raises(TooManyPixels) as raised:
        header_of(data)

    assert (raised.value.width, raised.value.height, raised.value.limit) == (width, height, MAX_PIXELS)


def test_jpeg_and_webp_that_claim_too_much_are_refused_as_well():
    jpeg = encoded(scene(64, 48)).replace(struct.pack(">HH", 48, 64), struct.pack(">HH", 60_000, 60_000))
    webp = b"RIFF\x80\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (59_999).to_bytes(3, "little") * 2 + b"VP8 " + b"\0" * 90

    for data in (jpeg, webp):
        with pytest.raises(TooManyPixels):
            header_of(data)


@pytest.mark.parametrize(
    "data",
    [
        png_claiming(0, 10),
        png_claiming(10, 10).replace(struct.pack(">II", 10, 10), struct.pack(">II", 10, 11)),  # checksum
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IDAT", b"\0" * 40),
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 3, 2, 0, 0, 0)) + b"\0" * 30,
        b"\xff\xd8\xff\xda\0\x08" + b"\0" * 60,
        b"\xff\xd8\xff\xe0\0\x01" + b"\0" * 60,
        b"\xff\xd8\xff\xc0\0\x11\x08\0\0\0\x10\x03" + b"\0" * 60,
        b"\xff\xd8" + b"\xff\xe0\0\x02" * 100_000,
        b"\xff\xd8" + b"\xff" * 100_000,
        b"RIFF\x40\0\0\0WEBPVP8 \x30\0\0\0" + b"\0" * 60,
        b"RIFF\x40\0\0\0WEBPJUNK\x30\0\0\0" + b"\0" * 60,
    ],
)
def test_a_header_that_contradicts_its_format_is_broken(data):
    with pytest.raises(BrokenImageHeader):
        header_of(data)


class CountingFile(BytesIO):
    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        return super().read(size)


def test_a_file_of_nothing_but_empty_segments_costs_a_bounded_number_of_reads():
    file = CountingFile(b"\xff\xd8" + b"\xff\xe0\0\x02" * 1_000_000)

    with pytest.raises(BrokenImageHeader):
        read_header(file)

    assert file.reads < 20_000


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_header_cut_off_anywhere_gives_an_answer_or_a_refusal(kind):
    data = encoded(scene(16, 12), kind)
    for length in range(1, min(len(data), 700)):
        try:
            header = header_of(data[:length])
        except (BrokenImageHeader, UnsupportedImage):
            continue
        assert (header.width, header.height) == (16, 12)


STARTS = [
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    b"RIFF\xff\0\0\0WEBPVP8X",
    b"RIFF\xff\0\0\0WEBPVP8 ",
    b"",
]


@given(st.sampled_from(STARTS), st.binary(max_size=400))
@example(b"RIFF\xff\0\0\0WEBP", b"VP8L\x05\0\0\0\x2f" + b"\xff" * 30)
def test_any_bytes_whatever_give_an_answer_or_a_refusal(start, rest):
    try:
        header = header_of(start + rest)
    except (EmptyPhoto, UnsupportedImage, BrokenImageHeader, TooManyPixels):
        return
    assert 0 < header.width * header.height <= MAX_PIXELS
