"""Every place of a city has words: an address, a street near by with its distance, or the district."""

from types import SimpleNamespace

import numpy as np
import pytest
import shapely

from geo.layers import DistrictAnswer
from geo.points import LonLat, offset
from geo.street_map import StreetMap
from issues.whereabouts import Whereabouts, whereabouts_of

START = LonLat(-73.90, 45.53)
STREETS = StreetMap(
    START,
    addresses=[("7", "Rue du Test")],
    address_places=np.array([(START.lon, START.lat)]),
    streets=["Rue du Test"],
    street_lines=[shapely.LineString([(-73.90, 45.53), (-73.90, 45.60)]).wkb],
)
OUEST = DistrictAnswer("arrondissements", "o", {"fr": "Ouest", "en": "West"}, near_boundary=False, edge_m=None)
WARD = DistrictAnswer("quartiers", "q", {"fr": "Quartier"}, near_boundary=False, edge_m=None)
CITY = DistrictAnswer("arrondissements", "v", {"fr": "Essai"}, near_boundary=False, edge_m=None)


def city(locale="fr", streets=STREETS):
    layers = SimpleNamespace(responsible_layer="arrondissements")
    return SimpleNamespace(names={"fr": "Essai", "en": "Trial"}, locale=locale, map=layers, streets=streets)


@pytest.mark.parametrize(
    ("metres", "districts", "line"),
    [
        (29.0, [OUEST], "7, rue du Test"),
        (59.0, [OUEST], "Rue du Test"),
        (61.0, [WARD, OUEST], "Rue du Test (60 m), Ouest"),
        (243.0, [], "Rue du Test (240 m), Essai"),
        (499.0, [WARD], "Rue du Test (500 m), Quartier"),
        (501.0, [WARD, OUEST], "Ouest, Essai"),
        (501.0, [], "Essai"),
        (501.0, [CITY], "Essai"),
    ],
)
def test_what_is_nearest_says_where_it_is(metres, districts, line):
    at = offset(START, east_m=metres, north_m=0.0)

    assert whereabouts_of(at, city=city(), districts=districts) == Whereabouts(line, exact=metres < 60.0)


def test_it_is_written_in_the_citys_language():
    far = offset(START, east_m=900.0, north_m=0.0)

    assert whereabouts_of(far, city=city("en"), districts=[OUEST]).line == "West, Trial"
    assert whereabouts_of(far, city=city("en", StreetMap(START)), districts=[WARD]).line == "Quartier, Trial"
