"""Where is this: the city, its neighbours, and who is nearest."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest
import shapely

from geo.atlas import Atlas, CityMap, CityProfile, NeighbourShape
from geo.layers import DistrictShape, LayerMap
from geo.points import LonLat, distance_m, offset

TODAY = date(2026, 11, 22)
CENTRE = LonLat(-73.65, 45.525)


def layer(code, *bounds):
    shape = DistrictShape(f"{code}-1", {"fr": code, "en": code}, shapely.box(*bounds))
    return LayerMap(code, [shape], names={"fr": code, "en": code})


def city(number=1, jurisdiction_id="ville.example", *, bounds=(-73.70, 45.50, -73.60, 45.55), neighbours=(), version=1):
    profile = CityProfile(
        number, jurisdiction_id, {"fr": "Ville", "en": "City"}, ZoneInfo("America/Toronto"), "fr-CA", {}, version
    )
    return CityMap(
        profile,
        outline=shapely.box(*bounds),
        layers=[layer("quartiers", *bounds), layer("secteurs", *bounds)],
        responsible_layer="secteurs",
        neighbours=neighbours,
    )


def neighbour(code, *bounds):
    return NeighbourShape(code, {"fr": code, "en": code}, shapely.box(*bounds))


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        (CENTRE, True),
        (LonLat(-73.70, 45.50), True),
        (LonLat(-73.7000001, 45.525), False),
        (LonLat(45.525, -73.65), False),
    ],
)
def test_a_city_contains_its_border_and_nothing_beyond(at, inside):
    assert city().contains(at) is inside
    assert (Atlas([city()]).city_at(at) is not None) is inside


def test_the_responsible_layer_answers_first():
    answers = city().districts_at(CENTRE, accuracy_m=5.0, on=TODAY)

    assert [answer.layer for answer in answers] == ["secteurs", "quartiers"]


def test_outside_all_districts_there_is_no_answer():
    assert city().districts_at(LonLat(0.0, 0.0), accuracy_m=5.0, on=TODAY) == []


def test_cities_are_found_by_number_and_by_jurisdiction():
    first, second = city(1, "a.example"), city(2, "b.example")
    atlas = Atlas([second, first])

    assert (atlas.by_id(2), atlas.by_jurisdiction("a.example")) == (second, first)
    assert (atlas.by_id(3), atlas.by_jurisdiction("c.example")) == (None, None)


def test_where_two_cities_claim_a_place_the_lower_jurisdiction_has_it():
    assert Atlas([city(1, "b.example"), city(2, "a.example")]).city_at(CENTRE).jurisdiction_id == "a.example"


def test_the_version_is_that_of_every_city_by_number():
    assert Atlas([city(2, "a.example", version=5), city(1, "b.example", version=7)]).version == ((1, 7), (2, 5))


def test_a_neighbour_is_named_by_the_city_beside_it():
    beside = city(neighbours=[neighbour("westmount", -73.60, 45.50, -73.58, 45.55)])

    assert Atlas([beside]).neighbour_at(LonLat(-73.59, 45.52)).code == "westmount"
    assert Atlas([beside]).neighbour_at(LonLat(-73.50, 45.52)) is None


def test_of_two_neighbours_the_lower_code_is_named():
    beside = city(
        neighbours=[neighbour("b", -73.60, 45.50, -73.58, 45.55), neighbour("a", -73.60, 45.50, -73.58, 45.55)]
    )

    assert beside.neighbour_at(LonLat(-73.59, 45.52)).code == "a"


@pytest.mark.parametrize(
    ("east_m", "north_m"), [(10.0, 0.0), (-10.0, 0.0), (4_900.0, 0.0), (0.0, 4_900.0), (0.0, -300.0)]
)
def test_the_nearest_city_is_as_far_as_the_geodesic_says(east_m, north_m):
    west, south, east, north = -73.70, 45.50, -73.60, 45.55
    corner = LonLat(east if east_m > 0 else west if east_m < 0 else -73.65, north if north_m > 0 else south)
    start = LonLat(corner.lon, 45.525) if east_m else corner
    at = offset(start, east_m=east_m, north_m=north_m)

    nearest = Atlas([city()]).nearest_city(at)

    assert nearest is not None
    found, metres = nearest
    assert found.jurisdiction_id == "ville.example"
    assert metres == pytest.approx(distance_m(start, at), rel=1e-3)


def test_inside_a_city_it_is_nearest_at_no_distance():
    assert Atlas([city()]).nearest_city(CENTRE)[1] == 0.0


def test_of_two_cities_the_nearer_is_named():
    near = city(1, "z.example", bounds=(-73.70, 45.50, -73.60, 45.55))
    far = city(2, "a.example", bounds=(-73.55, 45.50, -73.50, 45.55))

    assert Atlas([near, far]).nearest_city(LonLat(-73.59, 45.52))[0] is near


@pytest.mark.parametrize(
    "at",
    [LonLat(-73.53, 45.52), LonLat(-73.65, 45.60), LonLat(0.0, 0.0), LonLat(106.35, -45.5), LonLat(0.0, 90.0)],
)
def test_beyond_the_limit_there_is_no_nearest_city(at):
    assert Atlas([city()]).nearest_city(at, within_m=5_000.0) is None


def test_a_city_at_the_antimeridian_is_near_from_the_other_side():
    taveuni = city(bounds=(179.9, -17.0, 180.0, -16.9))
    across = LonLat(-179.99, -16.95)

    nearest = Atlas([taveuni]).nearest_city(across)

    assert nearest is not None
    assert nearest[1] == pytest.approx(distance_m(LonLat(180.0, -16.95), across), rel=1e-3)


def test_an_atlas_of_no_cities_knows_nothing():
    atlas = Atlas([])

    assert (atlas.city_at(CENTRE), atlas.nearest_city(CENTRE), atlas.neighbour_at(CENTRE)) == (None, None, None)
    assert atlas.version == ()
