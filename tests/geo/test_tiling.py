"""Tiles of the web map: where they lie, and which there are."""

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers

from geo.tiling import DEEPEST_ZOOM, InvalidTile, Tile, tile_at

EDGE = 85.0511287798  # where the square map ends


@pytest.mark.parametrize(
    ("tile", "bounds"),
    [
        (Tile(0, 0, 0), (-180, -EDGE, 180, EDGE)),
        (Tile(1, 1, 1), (0, -EDGE, 180, 0)),
        (Tile(10, 302, 366), (-73.828125, 45.336702, -73.4765625, 45.583290)),
    ],
)
def test_a_tile_lies_where_the_web_map_has_it(tile, bounds):
    assert tile.bounds == pytest.approx(bounds, abs=1e-6)


@pytest.mark.parametrize(
    ("z", "x", "y", "field", "limit"),
    [
        (-1, 0, 0, "z", DEEPEST_ZOOM),
        (DEEPEST_ZOOM + 1, 0, 0, "z", DEEPEST_ZOOM),
        (0, 1, 0, "x", 0),
        (3, -1, 0, "x", 7),
        (3, 7, 8, "y", 7),
    ],
)
def test_what_is_no_tile_says_which_number_is_wrong(z, x, y, field, limit):
    with pytest.raises(InvalidTile) as refused:
        Tile(z, x, y)

    assert (refused.value.field, refused.value.limit) == (field, limit)


@given(floats(-180, 180), floats(-90, 90), integers(0, DEEPEST_ZOOM))
def test_every_place_has_a_tile_that_holds_it(lon, lat, zoom):
    west, south, east, north = tile_at(lon, lat, zoom).bounds

    assert west - 1e-9 <= lon <= east + 1e-9
    assert south - 1e-9 <= max(-EDGE, min(EDGE, lat)) <= north + 1e-9
