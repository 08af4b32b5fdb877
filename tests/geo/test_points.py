"""Positions and metres: refused where impossible, and as long as the geodesic says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geo.points import (
    InvalidPosition,
    LonLat,
    MetresPerDegree,
    distance_m,
    longitude_difference,
    metric_srid,
    offset,
)

WGS84 = Geod(ellps="WGS84")
HOTEL_DE_VILLE = LonLat(-73.5540, 45.5088)

anywhere = st.builds(LonLat, st.floats(-180.0, 180.0), st.floats(-90.0, 90.0))


@pytest.mark.parametrize("lon", [math.nan, math.inf, -math.inf, 1e309, 180.000001, -181.0])
def test_refuses_an_impossible_longitude_and_names_it(lon):
    with pytest.raises(InvalidPosition) as refusal:
        LonLat(lon, 45.5)

    assert refusal.value.field == "lon"
    assert refusal.value.limit == 180.0


@pytest.mark.parametrize("lat", [math.nan, math.inf, -math.inf, 90.000001, -91.0])
def test_refuses_an_impossible_latitude_and_names_it(lat):
    with pytest.raises(InvalidPosition) as refusal:
        LonLat(-73.5, lat)

    assert refusal.value.field == "lat"
    assert refusal.value.limit == 90.0


@pytest.mark.parametrize(("lon", "lat"), [(180.0, 90.0), (-180.0, -90.0), (0, 0)])
def test_accepts_the_limits(lon, lat):
    assert (LonLat(lon, lat).lon, LonLat(lon, lat).lat) == (lon, lat)


@given(anywhere, anywhere)
def test_distance_is_the_geodesic_one_anywhere_on_earth(a, b):
    geodesic_m = WGS84.inv(a.lon, a.lat, b.lon, b.lat)[2]

    assert distance_m(a, b) == pytest.approx(geodesic_m, rel=2e-6, abs=1e-6)


@given(
    st.builds(LonLat, st.floats(-180.0, 180.0), st.floats(-74.0, 74.0)),
    st.floats(-1.0, 1.0),
    st.floats(-1.0, 1.0),
    st.sampled_from([0.0001, 0.001, 0.01, 0.1, 0.1999]),
)
def test_distance_is_the_geodesic_one_between_neighbours(a, east, north, span_deg):
    lon = longitude_difference(0.0, a.lon + east * span_deg)
    b = LonLat(lon, a.lat + north * span_deg)
    geodesic_m = WGS84.inv(a.lon, a.lat, b.lon, b.lat)[2]

    assert distance_m(a, b) == pytest.approx(geodesic_m, rel=2e-6, abs=1e-6)


@given(anywhere, anywhere)
def test_distance_does_not_care_which_is_first(a, b):
    assert distance_m(a, b) == pytest.approx(distance_m(b, a), rel=1e-12, abs=1e-9)


def test_the_antimeridian_is_no_wall():
    assert distance_m(LonLat(179.9999, 0.0), LonLat(-179.9999, 0.0)) == pytest.approx(22.26, abs=0.01)


@given(
    st.builds(LonLat, st.floats(-180.0, 180.0), st.floats(-85.0, 85.0)),
    st.floats(-5000.0, 5000.0),
    st.floats(-5000.0, 5000.0),
)
def test_an_offset_is_as_far_away_as_asked(at, east_m, north_m):
    assert distance_m(at, offset(at, east_m=east_m, north_m=north_m)) == pytest.approx(
        math.hypot(east_m, north_m), rel=2e-6, abs=1e-5
    )


def test_an_offset_goes_east_and_north():
    there = offset(HOTEL_DE_VILLE, east_m=100.0, north_m=50.0)

    degree = MetresPerDegree.around(HOTEL_DE_VILLE.lat)
    assert (there.lon - HOTEL_DE_VILLE.lon) * degree.lon == pytest.approx(100.0, abs=0.01)
    assert (there.lat - HOTEL_DE_VILLE.lat) * degree.lat == pytest.approx(50.0, abs=0.01)


@pytest.mark.parametrize(
    ("at", "srid"),
    [
        (LonLat(-73.58, 45.52), 32_618),
        (LonLat(24.94, 60.17), 32_635),
        (LonLat(151.2, -33.87), 32_756),
        (LonLat(-180.0, 0.0), 32_601),
        (LonLat(180.0, 10.0), 32_660),
    ],
    ids=["Montréal", "Helsinki", "Sydney", "the first zone", "the last zone"],
)
def test_a_city_is_measured_in_its_utm_zone(at, srid):
    assert metric_srid(at) == srid
