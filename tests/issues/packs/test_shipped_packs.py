"""The packs that come with Jalon: sound, complete in two languages, and what they say they are."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from uuid import UUID

import pytest

from geo.points import LonLat, distance_m
from issues.match import Candidate, Joins, MatchPolicy, assumed_accuracy_m, joinable, rank_candidates
from issues.packs.check import check_pack
from issues.packs.points import read_points, try_points
from issues.packs.problems import Findings, Severity
from issues.packs.services_sheet import Kind

CITIES = Path(__file__).parents[3] / "cities"
SHIPPED = sorted(folder.parent.name for folder in CITIES.glob("*/city.yml"))


@cache
def checked(city):
    return check_pack(CITIES / city)


def pack_of(city):
    pack = checked(city).pack
    assert pack is not None
    return pack


@pytest.fixture(scope="module", params=SHIPPED)
def report(request):
    return checked(request.param)


def test_three_cities_are_shipped():
    assert SHIPPED == ["laval", "montreal", "quebec"]


def test_a_shipped_pack_has_neither_errors_nor_warnings(report):
    assert [problem for problem in report.problems if problem.severity is not Severity.NOTE] == []


def test_a_shipped_pack_offers_at_least_25_services_in_two_languages(report):
    services = [service for group in report.pack.services.groups for service in group.services]

    assert len(services) >= 25
    assert all({"fr", "en"} <= service.names.keys() for service in services)


@pytest.mark.parametrize("folder", SHIPPED)
def test_what_is_reported_twice_in_a_moment_joins_whichever_sibling_people_choose(folder):
    services = {
        service.code: service
        for group in pack_of(folder).services.groups
        for service in group.services
        if not service.private
        and service.match.joins is Joins.AUTOMATIC
        and service.match.kind is not Kind.PREMISES  # a phone alone does not tell one door from the next
    }
    pairs = {
        pair
        for code, service in services.items()
        for other in (code, *service.siblings)
        if other in services
        for pair in ((code, other), (other, code))
    }

    apart = {(code, other) for code, other in pairs if not _joins_at_once(services[code].match, code, other)}

    assert len(pairs) > len(services)
    assert apart == set()


def _joins_at_once(match, code, other):
    policy = MatchPolicy(match.radius_m, match.window_days, match.join, match.joins, match.kind)
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    accuracy_m = assumed_accuracy_m("gps")
    issue = Candidate(UUID(int=1), other, 1.0, accuracy_m, now)
    found = rank_candidates([issue], service_code=code, accuracy_m=accuracy_m, policy=policy, now=now)
    return bool(joinable(found, policy))


@pytest.mark.parametrize("folder", SHIPPED)
def test_a_shipped_pack_names_source_and_licence_of_each_of_its_files(folder):
    sources = (CITIES / folder / "SOURCES.md").read_text()
    named = {path.name for path in (CITIES / folder).iterdir() if path.name.endswith((".geojson", ".gz"))}

    assert named
    assert all(f"`{name}`" in sources for name in named)


def test_shipped_packs_stay_small():
    assert (
        sum(path.stat().st_size for folder in SHIPPED for path in (CITIES / folder).iterdir() if path.is_file()) < 3e6
    )


@pytest.mark.parametrize("folder", SHIPPED)
def test_a_shipped_packs_own_points_have_the_owners_it_expects(folder):
    findings = Findings()
    points = read_points(CITIES / folder, findings)

    verdicts = try_points(pack_of(folder), points, on=date(2026, 11, 30))

    assert findings.problems == []
    assert len(verdicts) >= 5
    assert [verdict for verdict in verdicts if not verdict.holds] == []
    assert any(verdict.expected == ["outside"] for verdict in verdicts)


def test_quebec_has_its_boroughs_and_not_the_cities_inside_it():
    places = pack_of("quebec").places

    boroughs, neighbourhoods = places.layers
    assert (len(boroughs.districts), len(neighbourhoods.districts)) == (6, 35)
    assert {neighbour.code for neighbour in places.neighbours} == {"l-ancienne-lorette", "wendake"}
    assert all(
        not neighbour.outline.representative_point().intersects(places.outline) for neighbour in places.neighbours
    )


def test_quebecs_addresses_are_told_by_the_ranges_of_its_streets():
    places = pack_of("quebec").places

    at = next(a.at for a in places.addresses if (a.number, a.street) == ("7360", "Rue Anne-Barbel"))
    assert len(places.addresses) > 100_000
    assert distance_m(at, LonLat(-71.305192, 46.837608)) < 20.0


def test_montreal_has_its_boroughs_and_none_of_the_linked_cities():
    places = pack_of("montreal").places

    boroughs, neighbourhoods = places.layers
    assert (len(boroughs.districts), len(neighbourhoods.districts), len(places.neighbours)) == (19, 77, 14)
    assert boroughs.responsible
    assert not {d.code for d in boroughs.districts} & {neighbour.code for neighbour in places.neighbours}
    assert all(
        not neighbour.outline.representative_point().intersects(places.outline) for neighbour in places.neighbours
    )


def test_montreals_addresses_lie_in_montreal():
    places = pack_of("montreal").places

    assert len(places.addresses) > 4_000
    west, south, east, north = places.outline.bounds
    assert all(west <= a.at.lon <= east and south <= a.at.lat <= north for a in places.addresses)
    assert isinstance(places.addresses[0].at, LonLat)
