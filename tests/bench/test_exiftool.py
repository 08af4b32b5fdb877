"""The independent reader says what a picture tells besides its pixels."""

import pytest

from bench.exiftool import beyond_pixels, running_exiftool
from tests.media.hidden import camera_block, display_p3, gps_block, xmp
from tests.media.pictures import encoded, scene


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ({}, None),
        ({"exif": gps_block(1)}, "GPS:GPSLatitude"),
        ({"exif": camera_block(1)}, "IFD0:Make"),
        ({"xmp": xmp()}, "XMP-dc:Creator"),
        ({"icc_profile": display_p3()}, "ICC_Profile:ProfileDescription"),
    ],
)
def test_a_picture_that_tells_more_than_its_pixels_is_seen(tmp_path, told, name):
    (tmp_path / "picture.webp").write_bytes(encoded(scene(64, 48), "WEBP", **told))

    with running_exiftool() as exiftool:
        [tags] = exiftool.read(tmp_path)

    assert (name in beyond_pixels(tags)) if name else beyond_pixels(tags) == []
