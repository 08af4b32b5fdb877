"""From words to a place, on the streets and addresses of Montréal and Laval."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from db.connections import driver_connection
from geo.geocode import CROSSINGS_SQL, NAMES_SQL, FoundAs, FoundPlace, find_places, sure_place
from geo.points import LonLat, distance_m, offset
from geo.street_words import plain_words

SAINT_DENIS = LonLat(-73.582436, 45.52393)  # 4475, rue Saint-Denis
RACHEL_BERRI = LonLat(-73.577259, 45.522796)

ADDRESS = "4475, rue Saint-Denis"
CROSSING = "Rue Rachel Est / Rue Berri"
TYPED = {
    "4475 rue Saint-Denis": ADDRESS,
    "4475, r. St-Denis": ADDRESS,
    "4475 saint denis street": ADDRESS,
    "4475 St. Denis St., Montreal": ADDRESS,
    "4475 rue sant-denis": ADDRESS,
    "4475 reu Saint-Dneis": ADDRESS,
    "4475 SAINTDENIS": ADDRESS,
    "rue Rachel et rue Berri": CROSSING,
    "coin Rachel / Berri": CROSSING,
    "Rachel E & Berri St": CROSSING,
    "à l'angle de la rue Rachel Est et de la rue Bérri": CROSSING,
    "Rachell and Beri": CROSSING,
    "boul. Concorde O. coin av. Ampere": "Boulevard de la Concorde Ouest / Avenue Ampère",
    "place cariLlon / boul cartier": None,
    "3024 10th Ave": "3024, 10e Avenue",
}


@pytest.fixture
def ids(cities):
    return sorted(cities.books)


def city_named(cities, jurisdiction_id):
    return cities.by_jurisdiction(jurisdiction_id).id


async def test_what_people_type_leads_to_the_address_or_crossing(session, ids):
    found = {typed: await find_places(session, ids, typed) for typed in TYPED}

    addresses = {typed: places[0].address if places else None for typed, places in found.items()}
    assert addresses == TYPED


async def test_a_known_number_is_at_its_own_place_and_sure(session, ids, cities):
    found = await find_places(session, ids, "4475 st-denis")

    place = sure_place(found)
    assert place == found[0]
    assert (place.city_id, place.found_as, place.score) == (city_named(cities, "montreal.ca"), FoundAs.ADDRESS, 1.0)
    assert distance_m(place.at, SAINT_DENIS) < 1.0
    assert place.accuracy_m < 30.0


async def test_an_unknown_number_is_between_its_neighbours(session, ids):
    [place, *_] = await find_places(session, ids, "4477 rue Saint-Denis")

    assert (place.address, place.found_as) == ("4477, rue Saint-Denis", FoundAs.INTERPOLATED)
    assert distance_m(place.at, SAINT_DENIS) < 30.0
    assert 0.9 < place.score < 1.0


async def test_a_crossing_is_where_the_streets_meet(session, ids):
    [place, *_] = await find_places(session, ids, "Berri et Rachel")

    assert distance_m(place.at, RACHEL_BERRI) < 5.0
    assert place.found_as == FoundAs.CROSSING


async def test_a_street_alone_is_no_place_for_a_report(session, ids):
    found = await find_places(session, ids, "rue Saint-Denis")

    assert (found[0].address, found[0].found_as) == ("Rue Saint-Denis", FoundAs.STREET)
    assert found[0].score <= 0.5
    assert found[0].accuracy_m > 1000.0
    assert sure_place(found) is None


async def test_a_number_that_the_street_does_not_have_leads_to_the_street_alone(session, ids):
    found = await find_places(session, ids, "999999 rue Saint-Denis")

    assert found[0].found_as == FoundAs.STREET


async def test_one_number_on_two_streets_of_that_name_is_two_places(session, owner, ids, cities):
    montreal, number = city_named(cities, "montreal.ca"), 7
    add = text(
        "INSERT INTO address (city_id, id, number, street, place, civic)"
        " VALUES (:city, :id, '7', :street, ST_Point(:lon, :lat, 4326)::geography, 7)"
    )
    async with owner.transaction() as owners:
        for nth, street in enumerate(("Rue Rachel Est", "Rue Rachel Ouest")):
            there = {"city": montreal, "lon": -73.57 - nth / 100, "lat": 45.52, "street": street}
            await owners.execute(add, {**there, "id": 900_000 + nth})
            await owners.execute(
                text("INSERT INTO street_name VALUES (:city, :street, 'rachel') ON CONFLICT DO NOTHING"),
                {"city": montreal, "street": street},
            )

    found = await find_places(session, ids, f"{number} Rachel")

    assert [place.address for place in found] == ["7, rue Rachel Est", "7, rue Rachel Ouest"]
    assert sure_place(found) is None
    assert sure_place(await find_places(session, ids, f"{number} Rachel O")).address == "7, rue Rachel Ouest"


@pytest.mark.parametrize(
    "typed", ["", "rue", "12345", "4475 rue Qwertyuiop", "Qwertyuiop et Berri", "Rachel et Sherbrooke"]
)
async def test_nothing_is_found_where_nothing_fits(session, ids, typed):
    assert await find_places(session, ids, typed) == []


async def test_a_place_is_found_by_its_name(session, owner, ids, cities):
    montreal = city_named(cities, "montreal.ca")
    named = [
        ("Parc de la Promenade-Bellerive", "parc promenade bellerive", 900.0),
        ("Bibliothèque Mordecai-Richler", "bibliotheque mordecai richler", 0.0),
        ("Parc du Mont-Royal", "parc mont royal", 2500.0),
    ]
    add = text(
        "INSERT INTO place_name VALUES (:city, :id, :name, :words, ST_Point(:lon, 45.5, 4326)::geography, :reach)"
    )
    async with owner.transaction() as owners:
        for nth, (name, words, reach_m) in enumerate(named):
            values = {"city": montreal, "id": 900_000 + nth, "name": name, "words": words, "lon": -73.6 + nth / 100}
            await owners.execute(add, values | {"reach": reach_m})
    towns = {"mont royal": None, "montreal": montreal}

    async def found(typed):
        return [place.address for place in await find_places(session, ids, typed, towns=towns)][:1]

    assert await found("parc promenade bellerive") == ["Parc de la Promenade-Bellerive"]
    assert await found("Parc de la Promnade Bellerive, Montréal") == ["Parc de la Promenade-Bellerive"]
    assert await found("parc du mont-royal") == ["Parc du Mont-Royal"]
    assert await found("parc Qwertyuiop") == []
    [library, *_] = await find_places(session, ids, "bibliotheque mordecai richler")
    assert (library.found_as, library.accuracy_m, library.score) == (FoundAs.PLACE, 15.0, 0.95)
    assert sure_place([library]) == library
    assert sure_place(await find_places(session, ids, "parc promenade bellerive")) is None


async def test_a_district_is_found_by_its_name_and_is_no_place_for_a_report(session, ids):
    found = await find_places(session, ids, "mile end")

    assert (found[0].address, found[0].found_as) == ("Mile End", FoundAs.PLACE)
    assert sure_place(found) is None


async def test_only_the_cities_asked_for_are_looked_through(session, cities):
    assert await find_places(session, [city_named(cities, "laval.ca")], "4475 rue Saint-Denis") == []
    assert await find_places(session, [], "4475 rue Saint-Denis") == []


async def test_an_address_that_names_a_town_is_in_no_other(session, ids, cities):
    towns = {"laval": city_named(cities, "laval.ca"), "montreal": city_named(cities, "montreal.ca"), "westmount": None}

    found = {
        town: await find_places(session, ids, f"4475 rue Saint-Denis, {town}", towns=towns)
        for town in ("Laval", "Montréal", "Westmount", "Rosemont")
    }

    assert {town: bool(places) for town, places in found.items()} == {
        "Laval": False,
        "Montréal": True,
        "Westmount": False,
        "Rosemont": True,
    }
    assert plain_words("Montréal")[0] in towns


async def test_streets_are_found_by_the_index_on_their_words(session, owner, ids):
    async with owner.transaction() as owners:
        # As many as a city has.
        await owners.execute(
            text(
                "INSERT INTO street_name SELECT city_id, name || n, md5(name || n) FROM street_name,"
                " generate_series(1, 6) AS n"
            )
        )
        await owners.execute(text("ANALYZE street_name"))
    values = {"cities": ids, "words": ["st dnis", "rachel"], "limit": 60}
    connection = await driver_connection(session)
    plan = [row[0] for row in await (await connection.execute(f"EXPLAIN {NAMES_SQL}", values)).fetchall()]

    assert any("Index Scan using ix_street_name_city_id_words" in line for line in plan)
    assert any("Order By: (words <-> asked.words)" in line for line in plan)


async def test_crossings_are_found_by_the_index_on_lines(session, ids):
    values = {"cities": ids[:1], "names": ["Rue Rachel Est"], "other_names": ["Rue Berri"]}
    connection = await driver_connection(session)
    plan = [row[0] for row in await (await connection.execute(f"EXPLAIN {CROSSINGS_SQL}", values)).fetchall()]

    assert any("Index Scan using ix_street_city_id_line" in line for line in plan)
    assert any("Index Scan using ix_street_city_id_name" in line for line in plan)


def place(score, *, accuracy_m=15.0, metres_east=0.0):
    at = offset(SAINT_DENIS, east_m=metres_east, north_m=0.0)
    return FoundPlace(1, at, accuracy_m, ADDRESS, score, FoundAs.ADDRESS)


@pytest.mark.parametrize(
    ("found", "is_sure"),
    [
        ([], False),
        ([place(0.75)], True),
        ([place(0.74)], False),
        ([place(1.0, accuracy_m=150.0)], True),
        ([place(1.0, accuracy_m=151.0)], False),
        ([place(1.0), place(0.94, metres_east=500.0)], True),
        ([place(1.0), place(0.96, metres_east=500.0)], False),
    ],
)
def test_a_report_is_placed_only_where_one_place_is_precise_and_clearly_the_best(found, is_sure):
    assert sure_place(found) == (found[0] if is_sure else None)
