"""Every edge has one stated answer, from the map in process and from PostGIS alike."""

from __future__ import annotations

from datetime import date

import pytest
import shapely
from psycopg.types.json import Jsonb

from bench.edges import is_same
from db.connections import driver_connection
from geo.cities import load_atlas
from geo.districts import districts_of_points
from geo.points import LonLat

TODAY = date(2026, 11, 22)
HOLE = shapely.box(-73.699, 45.505, -73.695, 45.508)
# By city: its outline, and its districts by code.
GROUND: dict[str, tuple[shapely.Geometry, dict[str, shapely.Geometry]]] = {
    "essai.ca": (
        shapely.box(-73.70, 45.50, -73.66, 45.515),
        {
            "a": shapely.difference(shapely.box(-73.70, 45.50, -73.69, 45.51), HOLE),
            "b": shapely.box(-73.69, 45.50, -73.68, 45.51),
            "coin": shapely.box(-73.70, 45.51, -73.68, 45.513),
            "d": shapely.box(-73.6798, 45.50, -73.67, 45.51),  # 15.6 m from b
            "e": shapely.box(-73.669, 45.50, -73.66, 45.51),  # 78 m from d
            "enclave": shapely.box(-73.695, 45.502, -73.693, 45.504),
            "lame": shapely.box(-73.685, 45.50, -73.684999, 45.51),  # 8 cm wide
        },
    ),
    "fidji.fj": (
        shapely.MultiPolygon([shapely.box(179.8, -17.0, 180.0, -16.85), shapely.box(-180.0, -17.0, -179.9, -16.85)]),
        {
            "taveuni": shapely.MultiPolygon(
                [shapely.box(179.9, -17.0, 180.0, -16.9), shapely.box(-180.0, -17.0, -179.95, -16.9)]
            ),
            "est": shapely.box(-179.95, -17.0, -179.9, -16.9),
            "nord-est": shapely.box(-180.0, -16.9, -179.9, -16.85),
            "nord-ouest": shapely.box(179.9, -16.9, 180.0, -16.85),
        },
    ),
    "pole.aq": (
        shapely.box(-180.0, -90.0, 180.0, -89.9),
        {
            code: shapely.box(west, -90.0, west + 90.0, -89.9)
            for code, west in zip("abcd", range(-180, 180, 90), strict=True)
        },
    ),
}
CASES = {
    "on a shared edge, of two as large, the lower code": ("essai.ca", -73.69, 45.505, 5, "a", True, False),
    "on a shared corner, the smallest": ("essai.ca", -73.69, 45.51, 0, "coin", True, False),
    "in an overlap, the smaller": ("essai.ca", -73.694, 45.503, 5, "enclave", True, False),
    "in a sliver, the sliver": ("essai.ca", -73.6849995, 45.505, 0, "lame", True, False),
    "in a gap, the nearest": ("essai.ca", -73.67995, 45.505, 0, "b", True, True),
    "in a gap, the nearest on the other side": ("essai.ca", -73.67985, 45.505, 0, "d", True, True),
    "in the middle of a gap, the smaller": ("essai.ca", -73.6799, 45.505, 0, "d", True, True),
    "in a wide gap within 25 m, the nearest": ("essai.ca", -73.66975, 45.505, 0, "d", True, True),
    "in a wide gap beyond, nobody": ("essai.ca", -73.6695, 45.505, 0, None, False, False),
    "in a hole near its edge, who has the hole": ("essai.ca", -73.6988, 45.506, 0, "a", True, True),
    "in a hole beyond 25 m, nobody": ("essai.ca", -73.697, 45.5065, 0, None, False, False),
    "on the outline, inside": ("essai.ca", -73.70, 45.502, 5, "a", False, False),
    "a hand outside the outline, nobody": ("essai.ca", -73.7000001, 45.502, 5, None, False, False),
    "on the antimeridian, from the east": ("fidji.fj", 180.0, -16.95, 50, "taveuni", False, False),
    "on the antimeridian, from the west": ("fidji.fj", -180.0, -16.95, 50, "taveuni", False, False),
    "across the antimeridian a district goes on": ("fidji.fj", -179.99, -16.95, 50, "taveuni", False, False),
    "a border along the antimeridian": ("fidji.fj", -180.0, -16.87, 0, "nord-est", True, False),
    "the same border, written the other way": ("fidji.fj", 180.0, -16.87, 0, "nord-est", True, False),
    "near it on one side": ("fidji.fj", 179.9999, -16.87, 50, "nord-ouest", True, False),
    "near it on the other": ("fidji.fj", -179.9999, -16.87, 50, "nord-est", True, False),
    "in a gap at the antimeridian's city": ("fidji.fj", 179.89995, -16.95, 0, "taveuni", True, True),
    "at the pole": ("pole.aq", 0.0, -90.0, 0, "a", True, False),
    "at the pole, by another longitude": ("pole.aq", 123.4, -90.0, 0, "a", True, False),
    "near the pole": ("pole.aq", 45.0, -89.9999, 0, "c", False, False),
    "near the pole within the accuracy": ("pole.aq", 45.0, -89.9999, 20, "c", True, False),
    "on the 180th meridian near the pole": ("pole.aq", 180.0, -89.95, 0, "a", True, False),
    "the same, from the other side": ("pole.aq", -180.0, -89.95, 0, "a", True, False),
}


@pytest.fixture
async def ground(owner, session):
    """The cities of this module in one database, as an atlas of them."""
    async with owner.transaction() as loading:
        connection = await driver_connection(loading)
        for jurisdiction_id, (outline, districts) in GROUND.items():
            cursor = await connection.execute(
                "INSERT INTO city (jurisdiction_id, names, timezone, locale, outline, settings, pack_sha256, version,"
                " loaded_at) VALUES (%s, '{}', 'UTC', 'fr', ST_Multi(ST_GeomFromText(%s, 4326)), '{}', '', 1, now())"
                " RETURNING id",
                (jurisdiction_id, shapely.to_wkt(outline)),
            )
            city_id = (await cursor.fetchall())[0][0]
            await connection.execute("INSERT INTO layer VALUES (%s, 'secteurs', '{}', 1, true)", (city_id,))
            for code, polygon in districts.items():
                await connection.execute(
                    "INSERT INTO district VALUES (%s, 'secteurs', %s, '0001-01-01', NULL, %s,"
                    " ST_Multi(ST_GeomFromText(%s, 4326)))",
                    (city_id, code, Jsonb({"fr": code, "en": code}), shapely.to_wkt(polygon)),
                )
    return await load_atlas(session)


async def test_every_edge_has_its_stated_answer_in_process_and_in_postgis(ground, session):
    for jurisdiction_id, accuracy_m in {(city, accuracy_m) for city, _, _, accuracy_m, *_ in CASES.values()}:
        city = ground.by_jurisdiction(jurisdiction_id)
        cases = {case: each for case, each in CASES.items() if (each[0], each[3]) == (jurisdiction_id, accuracy_m)}
        places = [LonLat(lon, lat) for _, lon, lat, *_ in cases.values()]

        by_map = [city.districts_at(at, accuracy_m=accuracy_m, on=TODAY) for at in places]
        by_postgis = await districts_of_points(session, city.id, places, accuracy_m=accuracy_m, on=TODAY)

        for (case, (_, _, _, _, *expected)), ours, theirs in zip(cases.items(), by_map, by_postgis, strict=True):
            assert is_same(ours, theirs, accuracy_m=accuracy_m), (case, ours, theirs)
            assert [(a.code, a.near_boundary, a.gap_m is not None) for a in ours] == stated(expected), case


def stated(expected):
    """The answers of the one layer: none where the place is nobody's."""
    code, near_boundary, in_gap = expected
    return [] if code is None else [(code, near_boundary, in_gap)]


@pytest.mark.parametrize("lon", [180.0, -180.0])
async def test_the_antimeridian_lies_in_a_city_that_crosses_it(ground, lon):
    assert ground.city_at(LonLat(lon, -16.95)).jurisdiction_id == "fidji.fj"
    assert abs(ground.by_jurisdiction("fidji.fj").middle.lon) > 179.0


@pytest.mark.parametrize("lon", [0.0, -179.0, 90.0])
async def test_a_pole_lies_in_the_city_around_it(ground, lon):
    assert ground.city_at(LonLat(lon, -90.0)).jurisdiction_id == "pole.aq"
    assert ground.city_at(LonLat(lon, 90.0)) is None
