"""Where a position is, and what is offered there."""

from zoneinfo import ZoneInfo

import pytest
import shapely

from api.cities import CitiesInForce
from api.listener import Listener
from api.problems.particulars import outside_particulars
from api.problems.refusals import OutsideServiceArea
from geo.atlas import Atlas, CityMap, CityProfile, NeighbourShape
from geo.points import LonLat, offset
from issues.city import Cities
from issues.languages import load_languages
from tests.api.served import PLATEAU, WESTMOUNT, fields_of, problem_of


async def test_where_tells_city_districts_and_address(api):
    answer = await api.get("/v1/where", params={**PLATEAU, "accuracy_m": 5})

    assert answer.status_code == 200, answer.text
    place = answer.json()
    assert place["city"] == {"jurisdiction_id": "montreal.ca", "name": "Montréal"}
    [borough] = [district for district in place["districts"] if district["responsible"]]
    assert borough["name"] == "Le Plateau-Mont-Royal"
    assert len(place["districts"]) == 2
    assert place["near_boundary"] is False
    assert place["address"]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("fr", "Rue Rachel Est, entre avenue Papineau et avenue Émile-Duployé"),
        ("en", "Rue Rachel Est, between avenue Papineau and avenue Émile-Duployé"),
    ],
)
async def test_where_tells_the_block_where_no_address_is_near(api, language, words):
    answer = await api.get("/v1/where", params={"lat": 45.53, "long": -73.57}, headers={"Accept-Language": language})

    assert answer.json()["address"] == words


async def test_where_names_the_district_where_no_street_is_near(api):
    answer = await api.get("/v1/where", params={"lat": 45.6543, "long": -73.5231})

    assert answer.json()["address"] == "Rivière-des-Prairies–Pointe-aux-Trembles, Montréal"


async def test_where_says_that_a_border_is_within_the_accuracy(api):
    answer = await api.get("/v1/where", params={**PLATEAU, "accuracy_m": 2000})

    assert answer.json()["near_boundary"] is True


async def test_a_linked_city_is_outside_and_named_with_the_nearest_one(api):
    answer = await api.get("/v1/where", params=WESTMOUNT)

    document = problem_of(answer, 422, "outside-service-area")
    assert fields_of(document) == {"lat", "long"}
    assert document["neighbour"]["name"] == "Westmount"
    assert document["nearest"]["jurisdiction_id"] == "montreal.ca"
    assert document["nearest"]["distance_m"] < 5000
    assert document["responsible"] is None
    assert "Westmount" in document["detail"]
    assert "Montréal" in document["detail"]


async def test_services_are_named_in_the_language_asked_for(api):
    french = (await api.get("/v1/services", params=PLATEAU)).json()["items"]
    english = (await api.get("/v1/services", params=PLATEAU, headers={"Accept-Language": "en-CA"})).json()["items"]

    assert len(french) == len(english) >= 25
    names = {service["service_code"]: service["service_name"] for service in french}
    assert names["nid-de-poule"] == "Nid-de-poule"
    assert {service["service_code"]: service["service_name"] for service in english}["nid-de-poule"] == "Pothole"


@pytest.mark.parametrize(
    ("language", "question", "choice"),
    [("fr", "Quelle est la taille du trou?", "Comme un pneu"), ("en", "How big is the hole?", "Like a tire")],
)
async def test_questions_are_asked_in_the_language_asked_for(api, language, question, choice):
    services = (await api.get("/v1/services", params=PLATEAU, headers={"Accept-Language": language})).json()["items"]

    [asked] = next(service for service in services if service["service_code"] == "nid-de-poule")["attributes"]
    assert (asked["code"], asked["name"], asked["kind"], asked["required"]) == ("taille", question, "single", False)
    assert asked["values"][1] == {"code": "moyen", "name": choice}


async def test_without_a_place_services_are_those_of_the_city_named(api, hire):
    assert (await api.get("/v1/services", params={"jurisdiction_id": "laval.ca"})).json()["items"]
    assert (await (await hire()).get("/v1/services")).json()["items"][0]["jurisdiction_id"] == "montreal.ca"
    problem_of(await api.get("/v1/services"), 422, "jurisdiction-needed")
    assert fields_of(problem_of(await api.get("/v1/services", params={"lat": 45.5}), 422, "invalid-fields")) == {"long"}


async def test_where_explains_district_edge_and_rule(api):
    near = {"lat": 45.5352, "long": -73.5965, "accuracy_m": 900}

    place = (await api.get("/v1/where", params={**near, "service_code": "nid-de-poule"})).json()

    [borough] = [district for district in place["districts"] if district["responsible"]]
    others = {other["name"]: other["distance_m"] for other in borough["others"]}
    assert borough["name"] == "Rosemont–La Petite-Patrie"
    assert borough["gap_m"] is None
    assert borough["edge_m"] == pytest.approx(min(others.values()), abs=0.2)
    responsible = place["responsible"]
    assert responsible["department"] == {"code": "travaux-publics", "name": "Travaux publics"}
    assert responsible["crew"]["code"] == "voirie-3"
    assert responsible["rule"] == {"origin": "routes.csv, ligne 5", "name": None}
    assert responsible["reasons"] == ["L’endroit se trouve dans le secteur Rosemont–La Petite-Patrie."]
    assert responsible["near_boundary"] is True
    [plateau] = [other for other in responsible["others"] if other["crew"]["code"] == "voirie-1"]
    assert plateau["distance_m"] == others["Le Plateau-Mont-Royal"]
    assert plateau["reason"].startswith("Le secteur Le Plateau-Mont-Royal est à ")


AUTOROUTE_15 = {"lat": 45.550343, "long": -73.723393}  # in Laval, on one of its two roadways


@pytest.mark.parametrize(
    ("metres", "accuracy_m", "department", "others", "in_doubt"),
    [
        (0, 4, "transports-quebec", [], False),
        (0, 30, "transports-quebec", ["travaux-publics"], True),
        (300, 4, "travaux-publics", [], False),
    ],
)
async def test_a_provincial_road_is_the_ministrys_within_the_accuracy(
    api, metres, accuracy_m, department, others, in_doubt
):
    at = offset(LonLat(AUTOROUTE_15["long"], AUTOROUTE_15["lat"]), east_m=-metres, north_m=metres)
    asked = {"lat": at.lat, "long": at.lon, "accuracy_m": accuracy_m, "service_code": "nid-de-poule"}

    responsible = (await api.get("/v1/where", params=asked)).json()["responsible"]

    assert responsible["department"]["code"] == department
    assert [other["department"]["code"] for other in responsible["others"]] == others
    assert responsible["near_boundary"] is in_doubt


async def test_the_road_that_decided_is_named(api):
    asked = {**AUTOROUTE_15, "service_code": "nid-de-poule"}

    responsible = (await api.get("/v1/where", params=asked, headers={"Accept-Language": "en"})).json()["responsible"]

    assert responsible["rule"] == {"origin": "routes.yml, rule 1", "name": "The ministry’s motorways"}
    [reason] = responsible["reasons"]
    assert reason.startswith("Autoroute des Laurentides, a road of Ministry of Transport")
    assert reason.endswith("is the nearest: 0 m away.")
    [road] = responsible["things"]
    assert (road["kind"], road["name"], road["distance_m"]) == ("road", "Autoroute des Laurentides", 0.0)


async def test_where_asked_about_an_unknown_service_says_so(api):
    answer = await api.get("/v1/where", params={**PLATEAU, "service_code": "licorne"})

    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("at_neighbour", "language", "known"),
    [
        (True, "fr", "Westmount 311"),
        (True, "en", "Westmount 311 (en)"),
        (False, "fr", "Garde côtière"),
        (None, "fr", None),
    ],
)
def test_outside_it_is_told_who_is_known_to_answer(at_neighbour, language, known):
    entries = [
        {"names": {"fr": name, "en": f"{name} (en)"}, "contact": "514 555-0100", "neighbour": neighbour}
        for neighbour, name in (("westmount", "Westmount 311"), (None, "Garde côtière"))
    ]
    ground = shapely.box(-73.7, 45.5, -73.6, 45.6)
    profile = CityProfile(
        1, "a.ca", {"fr": "A"}, ZoneInfo("UTC"), "fr", {"elsewhere": entries if at_neighbour is not None else []}, 1
    )
    outside = OutsideServiceArea(
        at=LonLat(-73.59, 45.55),
        neighbour=NeighbourShape("westmount", {"fr": "Westmount"}, ground) if at_neighbour else None,
        nearest=(CityMap(profile, outline=ground, layers=[]), 700.0),
        swapped=False,
    )

    told = outside_particulars(
        outside, Listener(str.format, language, CitiesInForce(Cities(Atlas([]), []), load_languages([])))
    )

    assert told.members["responsible"] == (known and {"name": known, "contact": "514 555-0100"})
    assert (told.params.get("responsible"), "{responsible}" in str(told.text)) == (known, known is not None)
