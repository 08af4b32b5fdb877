"""Cities from the database: what was loaded is what is asked, by the role that serves, with no city named."""

from __future__ import annotations

from datetime import date

import shapely
from sqlalchemy import text

from geo.cities import atlas_version, load_atlas
from geo.points import LonLat

TODAY = date(2026, 11, 22)
HOTEL_DE_VILLE = LonLat(-73.5540, 45.5088)
HOTEL_DE_VILLE_DE_LAVAL = LonLat(-73.7440, 45.5560)
WESTMOUNT = LonLat(-73.5990, 45.4860)


async def test_an_installation_without_packs_has_an_empty_atlas(session):
    atlas = await load_atlas(session)

    assert atlas.cities == []
    assert await atlas_version(session) == atlas.version == ()


async def test_a_position_is_in_the_city_and_the_borough_it_is_in(session, montreal, laval):
    atlas = await load_atlas(session)

    assert atlas.city_at(HOTEL_DE_VILLE).id == montreal
    assert atlas.city_at(HOTEL_DE_VILLE_DE_LAVAL).id == laval
    answers = atlas.by_id(montreal).districts_at(HOTEL_DE_VILLE, accuracy_m=10.0, on=TODAY)
    assert [(a.layer, a.code, a.names["en"], a.near_boundary) for a in answers] == [
        ("arrondissements", "ville-marie", "Ville-Marie", False),
        ("quartiers", "vieux-montreal", "Vieux-Montréal", False),
    ]


async def test_a_linked_city_is_no_part_of_montreal_and_is_named(session, montreal):
    atlas = await load_atlas(session)

    assert atlas.city_at(WESTMOUNT) is None
    assert atlas.neighbour_at(WESTMOUNT).names["fr"] == "Westmount"
    found = atlas.nearest_city(WESTMOUNT)
    assert found is not None
    nearest, metres = found
    assert nearest.id == montreal
    assert 0.0 < metres < 5_000.0


async def test_polygons_come_back_as_they_were(session, montreal, montreal_pack):
    atlas = await load_atlas(session)

    for layer_map, layer in zip(atlas.by_id(montreal).layers, montreal_pack.places.layers, strict=True):
        stored = {district.code: district.polygon for district in layer_map.districts}
        assert stored.keys() == {district.code for district in layer.districts}
        assert all(shapely.equals_identical(stored[d.code], d.polygon) for d in layer.districts)


async def test_a_citys_facts_come_back_as_they_were(session, laval):
    profile = (await load_atlas(session)).by_jurisdiction("laval.ca").profile

    assert profile.id == laval
    assert profile.names == {"fr": "Laval", "en": "Laval"}
    assert profile.timezone.key == "America/Toronto"
    assert (profile.locale, profile.settings["photos"]) == ("fr-CA", "public")
    assert "2026-12-25" in profile.settings["holidays"]


async def test_the_version_says_when_an_atlas_is_out_of_date(session, owner, laval):
    atlas = await load_atlas(session)
    assert await atlas_version(session) == atlas.version

    async with owner.transaction() as owners:
        await owners.execute(text("UPDATE city SET version = version + 1"))

    assert await atlas_version(session) != atlas.version
