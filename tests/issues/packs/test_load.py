"""Loading a pack: all of it or nothing, as often as one likes, and rows that are named elsewhere stay."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
import shapely
from sqlalchemy import text

from geo.cities import load_atlas
from geo.points import LonLat
from issues.browse import IssueFilter, list_issues
from issues.catalogue import load_catalogue
from issues.cells import count_changes
from issues.city import load_cities
from issues.merging import merge_issues
from issues.packs.check import check_pack
from issues.packs.compare import compare_pack
from issues.packs.load import load_pack, number_sequence
from issues.packs.privacy import HIDE_PRIVATE, hide_private
from issues.routing import Circumstances
from tests.issues.packs.small_pack import NAMED_PLACES, geojson, sound
from tests.issues.people import AGENT, jobs
from tests.issues.towns import file, submission

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TABLES = (
    "city", "layer", "district", "neighbour", "street", "address", "place_name", "owned_thing",
    "service", "department", "crew", "route",
)  # fmt: skip


async def load(owner, folder, *, now=NOW, progress=None):
    pack = check_pack(folder).pack
    assert pack is not None
    async with owner.transaction() as session:
        if progress is None:
            return await load_pack(session, pack, now=now)
        return await load_pack(session, pack, now=now, progress=progress)


async def public_issues(database, city_id):
    async with database.transaction(city_id) as session:
        page = await list_issues(session, city_id, IssueFilter(), staff=False, limit=100)
    return [issue.id for issue in page.items]


async def everything(owner):
    """All rows of a pack's tables, as text."""
    async with owner.transaction() as session:
        return {
            table: (await session.scalars(text(f"SELECT t::text FROM {table} AS t ORDER BY 1"))).all()
            for table in TABLES
        }


async def test_a_pack_becomes_a_city_that_can_be_served(owner, session, folder):
    outcome = await load(owner, folder)

    assert outcome.changed
    city = (await load_atlas(session)).by_id(outcome.city_id)
    assert city.jurisdiction_id == "ville.example"
    limits = {"device_reports_per_hour": 30, "device_photos_per_day": 300, "address_reports_per_hour": 600}
    assert city.profile.settings == {
        "photos": "public", "holidays": [], "limits": limits, "working_days": [0, 1, 2, 3, 4],
        "working_hours": [8 * 60, 16 * 60 + 30], "expected": "deadline", "elsewhere": [], "app_link": None,
        "notices": {},
        "credits": {key: [["Ville", "CC BY 4.0"]] for key in ("issues", "districts", "streets")},
    }  # fmt: skip
    catalogue = await load_catalogue(session, outcome.city_id)
    assert list(catalogue.services) == ["nid-de-poule", "chaussee", "graffiti"]
    pothole = catalogue.offered("nid-de-poule")
    assert (pothole.policy.radius_m, pothole.policy.window_days, pothole.deadline.amount) == (30.0, 60, 7)
    assert (pothole.policy.kind, pothole.policy.join_threshold, pothole.policy.suggest_threshold) == (
        "stretch",
        0.7,
        0.3,
    )
    assert pothole.questions[0].names == {"fr": "Note", "en": "Note"}
    assert catalogue.rule_for(pothole, Circumstances({"secteurs:est"})).crew_code == "voirie-2"
    assert catalogue.rule_for(pothole, Circumstances(())).department_code == "centre-311"
    assert catalogue.offered("graffiti").private


async def test_the_same_pack_twice_changes_nothing(owner, folder):
    first = await load(owner, folder)
    before = await everything(owner)

    again = await load(owner, folder, now=LATER)

    assert (again.city_id, again.changed) == (first.city_id, False)
    assert await everything(owner) == before


async def test_a_changed_pack_updates_and_keeps_the_citys_number(owner, session, folder, spoil):
    first = await load(owner, folder)
    spoil("city.yml", "en: City", "en: Town")
    spoil("services.yml", "en: Pothole", "en: Hole")
    spoil("secteurs.geojson", '"nom": "Est"', '"nom": "Orient"')

    second = await load(owner, folder, now=LATER)

    assert (second.city_id, second.changed) == (first.city_id, True)
    city = (await load_atlas(session)).by_id(first.city_id)
    assert (city.profile.names["en"], city.profile.version) == ("Town", 2)
    assert {d.names["fr"] for d in city.layers[0].districts} == {"Ouest", "Orient"}
    assert (await load_catalogue(session, first.city_id)).services["nid-de-poule"].names["en"] == "Hole"


async def test_a_service_no_longer_listed_stays_but_is_not_offered(owner, session, folder, spoil):
    city_id = (await load(owner, folder)).city_id
    spoil("services.yml", "code: graffiti", "code: affichage")

    await load(owner, folder)

    services = (await load_catalogue(session, city_id)).services
    assert {code: service.offered for code, service in services.items()} == {
        "nid-de-poule": True, "chaussee": True, "graffiti": False, "affichage": True,
    }  # fmt: skip


async def test_a_service_that_comes_back_is_offered_again(owner, session, folder, spoil):
    city_id = (await load(owner, folder)).city_id
    for old, new in (("graffiti", "affichage"), ("affichage", "graffiti")):
        spoil("services.yml", f"code: {old}", f"code: {new}")
        await load(owner, folder)

    services = (await load_catalogue(session, city_id)).services
    assert (services["graffiti"].offered, services["affichage"].offered) == (True, False)


async def test_a_crew_that_changes_department_and_routes_that_go_are_followed(owner, session, folder, spoil):
    city_id = (await load(owner, folder)).city_id
    spoil("departments.yml", "      - {code: voirie-2, names: {fr: Voirie Est, en: Roads East}}\n", "")
    (folder / "departments.yml").write_text(
        (folder / "departments.yml").read_text()
        + "    crews:\n      - {code: voirie-2, names: {fr: Voirie Est, en: Roads East}}\n"
    )
    (folder / "routes.csv").write_text("services,districts,department,crew\n*,*,centre-311,voirie-2\n")

    await load(owner, folder)

    catalogue = await load_catalogue(session, city_id)
    assert catalogue.crews["voirie-2"].department_code == "centre-311"
    assert len(catalogue.routes) == 1


async def test_numbers_go_on_counting_after_a_reload(owner, database, folder, spoil):
    city_id = (await load(owner, folder)).city_id
    async with database.transaction() as session:
        first = await session.scalar(text(f"SELECT nextval('{number_sequence(city_id)}')"))
    spoil("city.yml", "en: City", "en: Town")
    await load(owner, folder)

    async with database.transaction() as session:
        assert await session.scalar(text(f"SELECT nextval('{number_sequence(city_id)}')")) > first


async def test_a_load_that_fails_leaves_nothing(owner, folder):
    pack = check_pack(folder).pack
    assert pack is not None
    before = await everything(owner)

    def stop_late(step, _done, _all):
        if step == "routes":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        async with owner.transaction() as session:
            await load_pack(session, pack, now=NOW, progress=stop_late)

    assert await everything(owner) == before


async def test_two_loads_at_once_are_one_city(owner, folder):
    outcomes = await asyncio.gather(*(load(owner, folder) for _ in range(4)))

    assert len({outcome.city_id for outcome in outcomes}) == 1
    assert [outcome.changed for outcome in outcomes].count(True) == 1


async def test_progress_is_told_from_the_first_step_to_the_end(owner, folder):
    steps = []

    await load(owner, folder, progress=lambda *step: steps.append(step))

    assert [name for name, _, _ in steps] == [
        "services", "departments", "districts", "streets", "addresses", "street names", "names of places", "owners",
        "routes", "done",
    ]  # fmt: skip
    assert [done for _, done, _ in steps] == list(range(10))
    assert {whole for _, _, whole in steps} == {9}


async def test_another_citys_rows_are_left_alone(owner, session, folder, spoil):
    first = (await load(owner, folder)).city_id
    spoil("city.yml", "ville.example", "autre.example")

    second = (await load(owner, folder)).city_id

    assert first != second
    atlas = await load_atlas(session)
    assert [len(city.layers[0].districts) for city in atlas.cities] == [2, 2]
    assert len((await load_catalogue(session, first)).services) == 3


async def test_places_and_districts_are_kept_by_their_names(owner, session, folder, spoil):
    park = shapely.box(-73.69, 45.51, -73.68, 45.52)
    (folder / "parcs.geojson").write_text(geojson((park, {"nom": "Parc du Saint-Ours"})))
    spoil("city.yml", "timezone:", f"places: [{NAMED_PLACES}]\ntimezone:")

    outcome = await load(owner, folder)

    query = "SELECT name, words, round(ST_Y(place::geometry)::numeric, 3)::float8, reach_m > 1000 FROM place_name"
    rows = await session.execute(text(f"{query} WHERE city_id = :city ORDER BY id"), {"city": outcome.city_id})
    assert [tuple(row) for row in rows] == [
        ("Parc du Saint-Ours", "parc st ours", 45.515, True),
        ("Ouest", "ouest", 45.525, True),
        ("Est", "est", 45.525, True),
    ]


async def test_what_becomes_private_is_hidden_with_its_service_and_stays_so(owner, database, folder, spoil):
    city_id = (await load(owner, folder)).city_id
    async with database.transaction() as session:
        city = (await load_cities(session)).by_id(city_id)
    assert city is not None
    west, east = LonLat(-73.68, 45.52), LonLat(-73.62, 45.52)
    hole = (await file(database, city, submission(west))).issue
    roadway = (await file(database, city, submission(east, service_code="chaussee"))).issue
    taken_over = (await file(database, city, submission(LonLat(-73.64, 45.52), service_code="chaussee"))).issue
    other = (await file(database, city, submission(LonLat(-73.66, 45.53)))).issue
    async with database.transaction(city_id) as session:
        await merge_issues(session, city_id, hole.id, [taken_over.id], actor=AGENT, confirmed=True, now=NOW)
        await count_changes(session, city_id)

    spoil("services.yml", "deadline_days: 0", "private: true")
    async with owner.transaction() as session:
        told = [c for c in (await compare_pack(session, sound(folder))).changes if c.what == "public issues"]
    await load(owner, folder)
    hidden = await public_issues(database, city_id)
    spoil("services.yml", "private: true", "private: false")
    await load(owner, folder)

    assert [(change.before, change.after) for change in told] == [(3, 1)]
    assert hidden == await public_issues(database, city_id) == [other.id]
    assert roadway.id not in hidden
    async with database.transaction(city_id) as session:
        assert await session.scalar(text("SELECT issue_count FROM issue_cell WHERE z = 0")) == 1


async def test_what_a_server_files_before_it_knows_of_the_pack_is_hidden_too(owner, database, folder, spoil):
    city_id = (await load(owner, folder)).city_id
    async with database.transaction() as session:
        as_it_was = (await load_cities(session)).by_id(city_id)
    assert as_it_was is not None
    spoil("services.yml", "deadline_days: 0", "private: true")
    await load(owner, folder)
    await file(database, as_it_was, submission(LonLat(-73.62, 45.52), service_code="chaussee"))

    assert (HIDE_PRIVATE, {"city_id": city_id}) in await jobs(database)
    async with database.transaction(city_id) as session:
        assert [await hide_private(session, city_id), await hide_private(session, city_id)] == [1, 0]
    assert await public_issues(database, city_id) == []
