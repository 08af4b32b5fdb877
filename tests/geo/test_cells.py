"""Cells to lock: whoever is near enough to collide holds one in common."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geo.cells import cells_touched, lock_key
from geo.points import LonLat, distance_m, offset

HOTEL_DE_VILLE = LonLat(-73.5540, 45.5088)

latitudes = st.one_of(
    st.floats(-90.0, 90.0),
    st.floats(45.3, 45.8),
    st.sampled_from([-90.0, -89.9999, 0.0, 89.9999, 90.0]),
)
longitudes = st.one_of(st.floats(-180.0, 180.0), st.sampled_from([-180.0, -179.9999, 0.0, 179.9999, 180.0]))
radii_m = st.floats(1.0, 500.0)


@settings(max_examples=500)
@given(
    at=st.builds(LonLat, longitudes, latitudes),
    direction=st.floats(0.0, 2.0 * math.pi),
    share=st.floats(0.0, 0.999999),
    radius_m=radii_m,
    radii_per_cell=st.floats(0.2, 5.0),
)
@example(at=LonLat(180.0, 0.0), direction=math.pi / 2, share=0.99, radius_m=50.0, radii_per_cell=1.0)
@example(at=LonLat(10.0, 89.9999), direction=0.0, share=0.99, radius_m=50.0, radii_per_cell=1.0)
def test_two_positions_within_the_radius_share_a_cell(at, direction, share, radius_m, radii_per_cell):
    width_m = radii_per_cell * radius_m
    reach_m = share * radius_m
    near = offset(at, east_m=reach_m * math.sin(direction), north_m=reach_m * math.cos(direction))
    assert distance_m(at, near) <= radius_m

    shared = set(cells_touched(at, radius_m=radius_m, width_m=width_m)).intersection(
        cells_touched(near, radius_m=radius_m, width_m=width_m)
    )

    assert shared


@given(st.builds(LonLat, longitudes, st.floats(-85.0, 85.0)), st.floats(10.0, 500.0))
def test_cells_as_wide_as_the_radius_are_few(at, radius_m):
    cells = cells_touched(at, radius_m=radius_m, width_m=radius_m)

    assert 1 <= len(cells) <= 6
    assert cells == sorted(set(cells))


@given(st.builds(LonLat, longitudes, latitudes), st.floats(10.0, 500.0))
def test_cell_numbers_fit_a_signed_64_bit_number(at, width_m):
    assert all(0 <= cell < 2**63 for cell in cells_touched(at, radius_m=width_m, width_m=width_m))


def test_positions_a_kilometre_apart_lock_nothing_in_common():
    far = offset(HOTEL_DE_VILLE, east_m=1000.0, north_m=0.0)

    here, there = (set(cells_touched(place, radius_m=50.0, width_m=50.0)) for place in (HOTEL_DE_VILLE, far))

    assert not here & there


def test_cell_numbers_stay_what_they_are():
    # Processes of two releases run side by side during an upgrade and must lock the same cells.
    assert cells_touched(HOTEL_DE_VILLE, radius_m=50.0, width_m=50.0) == [
        1287094324593769,
        1287094324593770,
        1287098619561064,
        1287098619561065,
    ]


@pytest.mark.parametrize(("radius_m", "width_m"), [(-1.0, 50.0), (50.0, 0.0), (math.nan, 50.0), (50.0, math.nan)])
def test_refuses_a_grid_that_cannot_be(radius_m, width_m):
    with pytest.raises(ValueError, match="must"):
        cells_touched(HOTEL_DE_VILLE, radius_m=radius_m, width_m=width_m)


def test_lock_keys_stay_what_they_are():
    assert lock_key(1, 1287094324593769) == -7194748453253824297


@given(st.integers(1, 2**31 - 1), st.integers(0, 2**62))
def test_lock_keys_fit_a_bigint(city_id, cell):
    assert -(2**63) <= lock_key(city_id, cell) < 2**63


def test_cities_and_cells_have_keys_of_their_own():
    keys = {lock_key(city_id, cell) for city_id in range(1, 21) for cell in range(1000)}

    assert len(keys) == 20 * 1000
