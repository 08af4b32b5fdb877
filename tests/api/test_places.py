"""Where a position is, and what is offered there."""

import pytest

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
