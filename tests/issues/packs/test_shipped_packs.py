"""The packs that come with Jalon: sound, complete in two languages, and what they say they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from geo.points import LonLat
from issues.packs.check import check_pack
from issues.packs.problems import Severity

CITIES = Path(__file__).parents[3] / "cities"
SHIPPED = sorted(folder.parent.name for folder in CITIES.glob("*/city.yml"))


@pytest.fixture(scope="module", params=SHIPPED)
def report(request):
    return check_pack(CITIES / request.param)


def test_montreal_and_laval_are_shipped():
    assert SHIPPED == ["laval", "montreal"]


def test_a_shipped_pack_has_neither_errors_nor_warnings(report):
    assert [problem for problem in report.problems if problem.severity is not Severity.NOTE] == []


def test_a_shipped_pack_offers_at_least_25_services_in_two_languages(report):
    services = [service for group in report.pack.services.groups for service in group.services]

    assert len(services) >= 25
    assert all({"fr", "en"} <= service.names.keys() for service in services)


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


def test_montreal_has_its_boroughs_and_none_of_the_linked_cities():
    places = check_pack(CITIES / "montreal").pack.places

    boroughs, neighbourhoods = places.layers
    assert (len(boroughs.districts), len(neighbourhoods.districts), len(places.neighbours)) == (19, 77, 14)
    assert boroughs.responsible
    assert not {d.code for d in boroughs.districts} & {neighbour.code for neighbour in places.neighbours}
    assert all(
        not neighbour.outline.representative_point().intersects(places.outline) for neighbour in places.neighbours
    )


def test_montreals_addresses_lie_in_montreal():
    places = check_pack(CITIES / "montreal").pack.places

    assert len(places.addresses) > 4_000
    west, south, east, north = places.outline.bounds
    assert all(west <= a.at.lon <= east and south <= a.at.lat <= north for a in places.addresses)
    assert isinstance(places.addresses[0].at, LonLat)
