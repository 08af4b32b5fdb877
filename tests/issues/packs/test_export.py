"""A pack written out says the same as the one it was written from, in files that any program reads."""

from __future__ import annotations

import pytest
import shapely

from issues.packs.check import check_pack
from issues.packs.export import export_pack
from issues.packs.problems import Severity
from tests.issues.packs.small_pack import EAST_SIDE, NAMED_PLACES, WEST_SIDE, geojson, sound


@pytest.fixture
def exported(folder, tmp_path_factory):
    """Writes the pack out and reads it again."""

    def write():
        target = tmp_path_factory.mktemp("out")
        for name, content in export_pack(folder, sound(folder)).items():
            (target / name).write_bytes(content)
        return check_pack(target)

    return write


def test_a_pack_comes_back_as_it_was(folder, exported):
    before, after = sound(folder), exported().pack

    assert [(d.code, d.names) for d in after.places.layers[0].districts] == [
        (d.code, d.names) for d in before.places.layers[0].districts
    ]
    assert shapely.equals(after.places.outline, before.places.outline)
    assert after.places.addresses == before.places.addresses
    assert [(s.name, s.kind) for s in after.places.streets] == [(s.name, s.kind) for s in before.places.streets]
    assert [n.code for n in after.places.neighbours] == ["voisine"]
    assert (after.routes, after.services, after.departments) == (before.routes, before.services, before.departments)
    assert after.city.timezone == before.city.timezone


def test_what_was_repaired_needs_no_repair_again(folder, exported):
    bow_tie = shapely.Polygon([(-73.70, 45.50), (-73.65, 45.55), (-73.65, 45.50), (-73.70, 45.55)])
    swapped = shapely.transform(EAST_SIDE[0], lambda xy: xy[:, ::-1])
    (folder / "secteurs.geojson").write_text(geojson((bow_tie, WEST_SIDE[1]), (swapped, EAST_SIDE[1])))

    report = exported()

    assert [p for p in report.problems if p.severity is not Severity.NOTE or "repaired" in p.what] == []


def test_days_of_districts_and_an_outline_are_kept(folder, spoil, exported):
    old, new = ((side[0], {**side[1], "fin": day}) for side, day in ((WEST_SIDE, "2027-01-01"), (EAST_SIDE, None)))
    (folder / "secteurs.geojson").write_text(geojson(old, new))
    (folder / "limite.geojson").write_text(geojson((shapely.box(-73.70, 45.50, -73.60, 45.56), {})))
    spoil("city.yml", "names: nom}", "names: nom, valid_to: fin}")
    spoil("city.yml", "timezone:", "outline: {file: limite.geojson, source: Ville, licence: CC BY 4.0}\ntimezone:")

    places = exported().pack.places

    assert [str(d.valid_to) for d in places.layers[0].districts] == ["2027-01-01", "None"]
    assert places.outline.bounds == (-73.70, 45.50, -73.60, 45.56)


def test_named_places_are_kept_with_their_shapes(folder, spoil, exported):
    park = shapely.box(-73.69, 45.51, -73.68, 45.52)
    (folder / "parcs.geojson").write_text(geojson((park, {"nom": "Parc du Bout"}), (park.centroid, {"nom": ""})))
    spoil("city.yml", "timezone:", f"places: [{NAMED_PLACES}]\ntimezone:")

    places = exported().pack.places

    assert [(place.name, shapely.equals(place.shape, park)) for place in places.named] == [("Parc du Bout", True)]
