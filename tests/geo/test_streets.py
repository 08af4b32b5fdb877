"""Words for a position: an address, a street, or nothing rather than something wrong."""

from __future__ import annotations

import random

import numpy as np
import pytest
import shapely
from sqlalchemy import text

from geo.blocks import Block
from geo.points import LonLat, offset
from geo.street_map import StreetMap, write_address
from geo.streets import load_street_map

ADDRESS = LonLat(-73.582436, 45.52393)  # 4475, rue Saint-Denis
RACHEL = LonLat(-73.57, 45.53)  # on rue Rachel Est, no address near
MIDDLE = LonLat(-73.65, 45.55)

# The same question put to PostGIS, on the ellipsoid: all that is as near as the nearest, within 5 cm.
BY_POSTGIS = """
WITH here AS (SELECT ST_Point(:lon, :lat, 4326)::geography AS place),
near_address AS (
    SELECT number || '|' || street AS words, ST_Distance(address.place, here.place) AS metres
    FROM address, here WHERE city_id = :city AND ST_DWithin(address.place, here.place, 30)
), near_street AS (
    SELECT name AS words, ST_Distance(line, here.place) AS metres
    FROM street, here WHERE city_id = :city AND ST_DWithin(line, here.place, 60)
)
SELECT (SELECT array_agg(words) FROM near_address WHERE metres <= 0.05 + (SELECT min(metres) FROM near_address)),
       (SELECT array_agg(words) FROM near_street WHERE metres <= 0.05 + (SELECT min(metres) FROM near_street))
"""


async def test_an_address_near_by_is_the_answer(session, montreal):
    streets = await load_street_map(session, montreal, middle=MIDDLE)

    assert streets.address_at(offset(ADDRESS, east_m=3.0, north_m=3.0)) == "4475, rue Saint-Denis"


async def test_without_an_address_the_street_is_the_answer(session, montreal):
    assert (await load_street_map(session, montreal, middle=MIDDLE)).address_at(RACHEL) == "Rue Rachel Est"


async def test_without_an_address_the_block_is_known(session, montreal):
    streets = await load_street_map(session, montreal, middle=MIDDLE)

    assert streets.block_at(RACHEL) == Block("Rue Rachel Est", ends=("Avenue Papineau", "Avenue Émile-Duployé"))
    assert streets.block_at(ADDRESS) is None
    assert streets.block_at(LonLat(-73.80, 45.44)) is None


async def test_far_from_any_street_there_is_no_answer(session, montreal):
    assert (await load_street_map(session, montreal, middle=MIDDLE)).address_at(LonLat(-73.80, 45.44)) is None


async def test_another_citys_streets_are_no_answer(session, montreal, laval):
    assert (await load_street_map(session, laval, middle=MIDDLE)).address_at(ADDRESS) is None


async def test_postgis_answers_the_same(session, montreal):
    streets = await load_street_map(session, montreal, middle=MIDDLE)
    rng = random.Random(5)
    for _ in range(200):
        at = LonLat(rng.uniform(-73.62, -73.56), rng.uniform(45.53, 45.56))
        found = await session.execute(text(BY_POSTGIS), {"city": montreal, "lon": at.lon, "lat": at.lat})
        addresses, names = found.one()

        allowed = [write_address(*each.split("|")) for each in addresses or ()] or names or [None]
        assert streets.address_at(at) in allowed


def one_street(*, number: str | None = None) -> StreetMap:
    """A street that leads north from a place, with at most one number where it begins."""
    line = shapely.LineString([(-73.90, 45.53), (-73.90, 45.60)])
    return StreetMap(
        MIDDLE,
        addresses=[] if number is None else [(number, "Rue du Test")],
        address_places=np.array([] if number is None else [(-73.90, 45.53)]).reshape(-1, 2),
        streets=["Rue du Test"],
        street_lines=[line.wkb],
    )


@pytest.mark.parametrize(("metres", "words"), [(29.0, "7, rue du Test"), (31.0, "Rue du Test"), (61.0, None)])
def test_the_limits_are_30_m_for_an_address_and_60_m_for_a_street(metres, words):
    assert one_street(number="7").address_at(offset(LonLat(-73.90, 45.53), east_m=metres, north_m=0.0)) == words


@pytest.mark.parametrize(("within_m", "found"), [(240.0, None), (260.0, "Rue du Test")])
def test_the_nearest_street_is_told_with_its_distance(within_m, found):
    near = one_street().nearest_street(offset(LonLat(-73.90, 45.55), east_m=250.0, north_m=0.0), within_m=within_m)

    assert (near and near[0]) == found
    assert near is None or near[1] == pytest.approx(250.0, abs=1.0)


def test_of_several_addresses_at_one_place_the_first_is_the_answer():
    places = np.array([(-73.90, 45.53)] * 3)
    streets = StreetMap(MIDDLE, addresses=[("1", "A"), ("2", "B"), ("3", "C")], address_places=places)

    assert streets.address_at(LonLat(-73.90, 45.53)) == "1, A"


def test_a_city_without_streets_has_no_words():
    assert StreetMap(MIDDLE).address_at(ADDRESS) is None


@pytest.mark.parametrize(
    ("number", "street", "written"),
    [
        ("1234", "Rue Saint-Denis", "1234, rue Saint-Denis"),
        ("12", "25e Avenue", "12, 25e Avenue"),
        ("5", "Grande Allée", "5, Grande Allée"),
        ("1053A", "Boulevard Gouin Est", "1053A, boulevard Gouin Est"),
        ("9", "Powell", "9, Powell"),
        ("10", "Montée de Liesse", "10, montée de Liesse"),
    ],
)
def test_an_address_is_written_as_french_does(number, street, written):
    assert write_address(number, street) == written
