"""Words for a position: an address, a street, or nothing rather than something wrong."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from db.connections import driver_connection
from geo.points import LonLat, offset
from geo.streets import NEAREST_SQL, nearest_address, write_address

ADDRESS = LonLat(-73.582436, 45.52393)  # 4475, rue Saint-Denis
RACHEL = LonLat(-73.57, 45.53)  # on rue Rachel Est, no address near


async def test_an_address_near_by_is_the_answer(session, montreal):
    assert await nearest_address(session, montreal, offset(ADDRESS, east_m=3.0, north_m=3.0)) == "4475, rue Saint-Denis"


async def test_without_an_address_the_street_is_the_answer(session, montreal):
    assert await nearest_address(session, montreal, RACHEL) == "Rue Rachel Est"


async def test_far_from_any_street_there_is_no_answer(session, montreal):
    assert await nearest_address(session, montreal, LonLat(-73.80, 45.44)) is None


@pytest.mark.parametrize(("metres", "words"), [(29.0, "7, rue du Test"), (31.0, "Rue du Test"), (61.0, None)])
async def test_the_limits_are_30_m_for_an_address_and_60_m_for_a_street(session, owner, laval, metres, words):
    empty = LonLat(-73.90, 45.53)
    async with owner.transaction() as owners:
        await owners.execute(text("DELETE FROM street"))
        await owners.execute(
            text("INSERT INTO address VALUES (:city, 1, '7', 'Rue du Test', ST_Point(:lon, :lat)::geography)"),
            {"city": laval, "lon": empty.lon, "lat": empty.lat},
        )
        await owners.execute(
            text(
                "INSERT INTO street (city_id, id, name, kind, line) VALUES (:city, 1, 'Rue du Test', '',"
                " ST_MakeLine(ST_Point(:lon, :lat, 4326), ST_Point(:lon, 45.6, 4326))::geography)"
            ),
            {"city": laval, "lon": empty.lon, "lat": empty.lat},
        )

    assert await nearest_address(session, laval, offset(empty, east_m=metres, north_m=0.0)) == words


async def test_another_citys_streets_are_no_answer(session, montreal, laval):
    assert await nearest_address(session, laval, ADDRESS) is None


async def test_the_search_walks_the_indexes_city_and_place(session, montreal):
    connection = await driver_connection(session)
    values = {"city_id": montreal, "lon": RACHEL.lon, "lat": RACHEL.lat, "address_m": 30.0, "street_m": 60.0}
    cursor = await connection.execute(f"EXPLAIN (ANALYZE) {NEAREST_SQL}", values)
    plan = "\n".join(row[0] for row in await cursor.fetchall())

    for index, column in (("ix_address_city_id_place", "place"), ("ix_street_city_id_line", "line")):
        assert f"Index Scan using {index}" in plan
        assert f"Index Cond: ((city_id = {montreal}) AND ({column} &&" in plan


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
