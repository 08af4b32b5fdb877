"""A layer's districts: who has a position, and whether its accuracy reaches another."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.layers import GAP_M, DistrictShape, LayerMap
from geo.points import LonLat, MetresPerDegree, offset

TODAY = date(2026, 11, 22)

WEST, SOUTH, MIDDLE, EAST, NORTH = -73.70, 45.50, -73.65, -73.60, 45.55


def district(code, *bounds, valid_from=None, valid_to=None):
    return DistrictShape(code, {"fr": code, "en": code}, shapely.box(*bounds), valid_from, valid_to)


def layer(*districts):
    return LayerMap("secteurs", districts, names={"fr": "Secteurs", "en": "Sectors"})


def two_sides():
    return layer(district("ouest", WEST, SOUTH, MIDDLE, NORTH), district("est", MIDDLE, SOUTH, EAST, NORTH))


def code_at(layer_map, at, *, accuracy_m=5.0, on=TODAY):
    answer = layer_map.district_at(at, accuracy_m=accuracy_m, on=on)
    return None if answer is None else answer.code


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (LonLat(-73.68, 45.52), "ouest"),
        (LonLat(-73.62, 45.52), "est"),
        (LonLat(WEST, SOUTH), "ouest"),
        (LonLat(EAST, NORTH), "est"),
        (LonLat(-73.7004, 45.52), None),
        (LonLat(-73.62, 45.5503), None),
        (LonLat(0.0, 0.0), None),
    ],
)
def test_finds_the_district_borders_included(at, code):
    assert code_at(two_sides(), at) == code


def test_a_shared_border_belongs_to_the_smaller_district():
    layer_map = layer(
        district("a-grand", WEST, SOUTH, MIDDLE, NORTH), district("z-petit", MIDDLE, SOUTH, -73.64, NORTH)
    )

    assert code_at(layer_map, LonLat(MIDDLE, 45.52)) == "z-petit"


def test_of_two_districts_of_one_size_the_lower_code_has_the_border():
    layer_map = layer(district("b", WEST, SOUTH, MIDDLE, NORTH), district("a", WEST, SOUTH, MIDDLE, NORTH))

    assert code_at(layer_map, LonLat(MIDDLE, 45.52)) == "a"


def test_on_a_border_even_a_perfect_position_is_near_the_other_district():
    answer = two_sides().district_at(LonLat(MIDDLE, 45.52), accuracy_m=0.0, on=TODAY)

    assert (answer.near_boundary, answer.edge_m) == (True, 0.0)


@pytest.mark.parametrize("accuracy_m", [1.0, 20.0, 99.0, 101.0, 800.0])
@pytest.mark.parametrize("share", [0.99, 1.01])
def test_the_accuracy_reaches_as_many_metres_as_it_says(accuracy_m, share):
    at = offset(LonLat(MIDDLE, 45.52), east_m=accuracy_m * share, north_m=0.0)

    answer = two_sides().district_at(at, accuracy_m=accuracy_m, on=TODAY)

    assert answer.code == "est"
    assert answer.near_boundary is (share < 1.0)
    assert answer.edge_m == (pytest.approx(accuracy_m * share, rel=1e-3) if share < 1.0 else None)


def test_the_edge_of_the_city_is_not_near_another_district():
    answer = two_sides().district_at(LonLat(-73.69999, 45.52), accuracy_m=50.0, on=TODAY)

    assert (answer.code, answer.near_boundary, answer.edge_m) == ("ouest", False, None)


def test_a_district_is_valid_from_its_first_day_until_the_day_before_its_end():
    new_year = date(2027, 1, 1)
    layer_map = layer(
        district("ancien", WEST, SOUTH, EAST, NORTH, valid_to=new_year),
        district("nouveau", WEST, SOUTH, EAST, NORTH, valid_from=new_year),
    )
    here = LonLat(MIDDLE, 45.52)

    assert code_at(layer_map, here, on=date(2026, 12, 31)) == "ancien"
    assert code_at(layer_map, here, on=new_year) == "nouveau"


def test_a_district_of_another_time_is_not_near():
    layer_map = layer(
        district("a", WEST, SOUTH, MIDDLE, NORTH), district("b", MIDDLE, SOUTH, EAST, NORTH, valid_to=TODAY)
    )

    answer = layer_map.district_at(LonLat(MIDDLE, 45.52), accuracy_m=50.0, on=TODAY)

    assert (answer.code, answer.near_boundary) == ("a", False)


def test_a_single_district_that_has_ended_is_nobodys():
    layer_map = layer(district("a", WEST, SOUTH, EAST, NORTH, valid_to=TODAY))

    assert code_at(layer_map, LonLat(-73.65, 45.52)) is None


def test_an_empty_layer_has_nothing_anywhere():
    assert code_at(layer(), LonLat(-73.65, 45.52)) is None


def test_a_hole_is_outside():
    ring = shapely.difference(shapely.box(WEST, SOUTH, EAST, NORTH), shapely.box(-73.66, 45.51, -73.64, 45.53))
    layer_map = layer(DistrictShape("anneau", {"fr": "Anneau", "en": "Ring"}, ring))

    assert code_at(layer_map, LonLat(-73.65, 45.52)) is None
    assert code_at(layer_map, LonLat(-73.66, 45.52)) == "anneau"


@pytest.mark.parametrize(
    ("at", "accuracy_m", "code"),
    [
        (LonLat(-73.61895394003031, 45.46221221435983), 120.0, "cote-des-neiges-notre-dame-de-grace"),
        (LonLat(-73.61746716005923, 45.461655073362856), 101.0, "le-sud-ouest"),
    ],
)
def test_a_splinter_of_a_district_does_not_stop_an_answer(montreal_pack, at, accuracy_m, code):
    # Cutting the district around these places with a plain rectangle leaves a ring of three points.
    boroughs = layer(*montreal_pack.places.layers[0].districts)

    assert code_at(boroughs, at, accuracy_m=accuracy_m) == code


@pytest.fixture(scope="module")
def neighbourhoods(montreal_pack):
    return layer(*montreal_pack.places.layers[1].districts)


@settings(max_examples=300)
@given(
    st.floats(-73.98, -73.47),
    st.floats(45.40, 45.71),
    st.one_of(st.floats(0.0, 100.0), st.floats(100.0, 3_000.0)),
)
def test_says_what_a_plain_look_at_all_polygons_says(neighbourhoods, lon, lat, accuracy_m):
    at = LonLat(lon, lat)

    answer = neighbourhoods.district_at(at, accuracy_m=accuracy_m, on=TODAY)

    code, nearest_m = plain_look(neighbourhoods.districts, at)
    assert (answer.code if answer else None) == code
    if answer is not None and abs(nearest_m - accuracy_m) > 0.001 * accuracy_m:
        assert answer.near_boundary is (nearest_m <= accuracy_m or answer.gap_m is not None)
    if answer is not None and answer.edge_m is not None:
        assert answer.edge_m == pytest.approx(nearest_m, rel=1e-3, abs=1e-6)


def plain_look(districts, at):
    """Ask every polygon, whole and in a plane around the position, without cells or index."""
    scale = MetresPerDegree.around(at.lat)
    middle, metres = np.array([at.lon, at.lat]), np.array([scale.lon, scale.lat])
    flat = np.array([shapely.transform(d.polygon, lambda xy: (xy - middle) * metres) for d in districts])
    away = shapely.distance(flat, shapely.Point(0.0, 0.0))
    home = int(np.argmin(away.round(2)))  # the first of several, as districts are in their order
    return (districts[home].code if away[home] <= GAP_M else None), float(np.delete(away, home).min())
