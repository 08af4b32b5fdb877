"""The cities in process: what is loaded, when it is loaded anew, and what a catalogue answers."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text

from geo.points import LonLat
from issues.catalogue import ServiceNotOffered
from issues.city import CitySettings, load_cities
from issues.deadlines import Deadline
from issues.match import Joins, MatchPolicy
from issues.routing import Circumstances
from tests.issues.towns import AILLEURS, ESSAI, open_town


@pytest.fixture
async def cities(owner, database):
    await open_town(owner, database, ESSAI)
    await open_town(owner, database, AILLEURS)
    async with database.transaction() as session:
        return await load_cities(session)


async def test_cities_are_found_by_place_number_and_jurisdiction(cities):
    here = cities.at(ESSAI.middle)

    assert here.jurisdiction_id == "essai.ca"
    assert cities.by_id(here.id) is cities.by_jurisdiction("essai.ca") is here
    assert cities.at(AILLEURS.middle).jurisdiction_id == "ailleurs.ca"
    assert cities.at(LonLat(0.0, 0.0)) is None
    assert cities.by_id(99) is None
    assert cities.by_jurisdiction("nulle-part.ca") is None


async def test_the_only_city_is_the_only_one(owner, database):
    async with database.transaction() as session:
        assert (await load_cities(session)).only() is None
    essai = await open_town(owner, database, ESSAI)
    async with database.transaction() as session:
        assert (await load_cities(session)).only().id == essai.id
    await open_town(owner, database, AILLEURS)
    async with database.transaction() as session:
        assert (await load_cities(session)).only() is None


async def test_a_city_knows_its_words_and_its_time(cities):
    book = cities.by_jurisdiction("essai.ca")

    assert (book.names["fr"], book.locale, book.version) == ("essai.ca", "fr-CA", 1)
    assert book.local_date(datetime(2027, 1, 1, 3, tzinfo=UTC)) == date(2026, 12, 31)
    assert book.settings == CitySettings(True, frozenset({date(2026, 11, 24)}))


async def test_nothing_is_read_again_while_no_pack_has_changed(owner, database, cities):
    async with database.transaction() as session:
        assert await load_cities(session, known=cities) is cities

    async with owner.transaction() as session:
        await session.execute(text("UPDATE service SET offered = false WHERE code = 'piste'"))
        await session.execute(text("UPDATE city SET version = version + 1 WHERE jurisdiction_id = 'essai.ca'"))
    async with database.transaction() as session:
        newer = await load_cities(session, known=cities)

    assert newer is not cities
    assert not newer.by_jurisdiction("essai.ca").catalogue.services["piste"].offered


async def test_a_city_loaded_since_is_seen(owner, database, city):
    async with database.transaction() as session:
        before = await load_cities(session)
    added = await open_town(owner, database, AILLEURS)

    async with database.transaction() as session:
        after = await load_cities(session, known=before)

    assert before.by_id(added.id) is None
    assert after.by_id(added.id) is not None


async def test_what_a_pack_does_not_name_stays_with_the_staff():
    assert CitySettings.of({}) == CitySettings(photos_public=False, holidays=frozenset())


async def test_the_catalogue_holds_what_the_tables_hold(city):
    service = city.catalogue.offered("nid-de-poule")

    assert service.names == {"fr": "nid-de-poule", "en": "nid-de-poule (en)"}
    assert service.policy == MatchPolicy(25.0, 60, 0.6, Joins.AUTOMATIC)
    assert (service.group_code, service.deadline, service.private) == ("voirie", Deadline(5), False)
    assert list(city.catalogue.services)[:2] == ["nid-de-poule", "chaussee"]
    assert city.catalogue.departments["parcs"].names["en"] == "parcs (en)"
    assert city.catalogue.crews["equipe-est"].department_code == "voirie-est"
    assert len(city.catalogue.routes) == 7


@pytest.mark.parametrize(
    ("code", "neighbours"),
    [
        ("nid-de-poule", ("nid-de-poule", "chaussee")),
        ("chaussee", ("chaussee", "nid-de-poule")),
        ("trottoir", ("trottoir",)),
        ("bruit", ()),
    ],
)
async def test_siblings_are_each_others_and_private_services_nobodys(city, code, neighbours):
    assert city.catalogue.services[code].neighbours == neighbours


@pytest.mark.parametrize(
    ("code", "district", "expected"),
    [
        ("nid-de-poule", "est", ("voirie-est", "equipe-est")),
        ("nid-de-poule", "ouest", ("voirie", "equipe-1")),
        ("piste", "ouest", ("parcs", None)),
        ("piste", "est", None),
    ],
)
async def test_who_is_responsible_depends_on_the_district(city, code, district, expected):
    service = city.catalogue.offered(code)
    here = Circumstances([f"arrondissements:{district}"])

    assert (code in [one.code for one in city.catalogue.services_at(here)]) is (expected is not None)
    if expected is not None:
        rule = city.catalogue.rule_for(service, here)
        assert (rule.department_code, rule.crew_code) == expected
        return
    with pytest.raises(ServiceNotOffered):
        city.catalogue.rule_for(service, here)


@pytest.mark.parametrize("code", ["neige", "licorne"])
async def test_what_is_withdrawn_or_unknown_is_not_offered(city, code):
    with pytest.raises(ServiceNotOffered) as refused:
        city.catalogue.offered(code)

    assert refused.value.service_code == code
    assert code not in [
        service.code for service in city.catalogue.services_at(Circumstances(["arrondissements:ouest"]))
    ]
