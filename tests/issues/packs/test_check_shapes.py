"""Checking a pack's districts, streets and addresses: what is repaired, and what is refused."""

from __future__ import annotations

import gzip
from datetime import date

import pytest
import shapely

from geo.coverage import area_m2
from issues.packs.check import check_pack
from issues.packs.problems import Severity
from tests.issues.packs.small_pack import EAST_SIDE, WEST_SIDE, district, geojson, said

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def test_rings_that_cross_are_repaired_and_it_is_said(folder):
    bow_tie = shapely.Polygon([(-73.70, 45.50), (-73.65, 45.55), (-73.65, 45.50), (-73.70, 45.55)])
    (folder / "secteurs.geojson").write_text(geojson((bow_tie, WEST_SIDE[1]), EAST_SIDE))

    report = check_pack(folder)

    ((severity, file, where, what),) = said(report)
    assert (severity, file, where) == (NOTE, "secteurs.geojson", "feature 1, ouest")
    assert what.startswith("its rings were repaired (Self-intersection")
    assert all(shapely.is_valid(d.polygon) for d in report.pack.places.layers[0].districts)


def test_a_polygon_without_area_is_an_error(folder):
    line = shapely.Polygon([(-73.70, 45.50), (-73.65, 45.55), (-73.70, 45.50), (-73.70, 45.50)])
    (folder / "secteurs.geojson").write_text(geojson((line, WEST_SIDE[1]), EAST_SIDE))

    assert (ERROR, "secteurs.geojson", "feature 1, ouest") in [s[:3] for s in said(check_pack(folder))]


def test_metres_taken_for_degrees_are_an_error(folder):
    metres = shapely.box(299_000, 5_040_000, 300_000, 5_041_000)
    (folder / "secteurs.geojson").write_text(geojson((metres, WEST_SIDE[1]), EAST_SIDE))

    assert (ERROR, "secteurs.geojson", "feature 1, ouest") in [s[:3] for s in said(check_pack(folder))]


def test_a_narrow_gap_is_closed_and_it_is_said(folder):
    notched = shapely.Polygon(
        [(-73.70, 45.50), (-73.65, 45.50), (-73.65005, 45.52), (-73.65, 45.54), (-73.65, 45.55), (-73.70, 45.55)]
    )
    (folder / "secteurs.geojson").write_text(geojson((notched, WEST_SIDE[1]), EAST_SIDE))

    report = check_pack(folder)

    ((severity, file, _, what),) = said(report)
    assert (severity, file) == (NOTE, "secteurs.geojson")
    assert what.startswith("1 gap between districts given to ")
    assert area_m2(report.pack.places.outline) == pytest.approx(area_m2(shapely.box(-73.70, 45.50, -73.60, 45.55)))


def test_districts_that_overlap_are_a_warning(folder):
    (folder / "secteurs.geojson").write_text(geojson(WEST_SIDE, district("est", -73.651, -73.60)))

    ((severity, file, where, what),) = said(check_pack(folder))

    assert (severity, file, where) == (WARNING, "secteurs.geojson", "ouest, est")
    assert what.startswith("they overlap by ")


def test_a_sliver_that_lies_in_two_districts_is_noted(folder):
    (folder / "secteurs.geojson").write_text(geojson(WEST_SIDE, district("est", -73.6500001, -73.60)))

    ((severity, _, _, what),) = said(check_pack(folder))

    assert (severity, what.partition(",")[0]) == (NOTE, "1 sliver in two districts at once")


def test_a_code_may_come_again_for_another_time(folder, spoil):
    old = district("ouest", -73.70, -73.65, debut=None, fin="2026-01-01")
    new = district("ouest", -73.70, -73.65, debut="2026-01-01", fin=None)
    (folder / "secteurs.geojson").write_text(geojson(old, new, district("est", -73.65, -73.60, debut=None, fin=None)))
    spoil("city.yml", "names: nom}", "names: nom, valid_from: debut, valid_to: fin}")

    report = check_pack(folder)

    assert said(report) == []
    assert [str(d.valid_to or d.valid_from) for d in report.pack.places.layers[0].districts] == [
        "2026-01-01",
        "2026-01-01",
        "None",
    ]


@pytest.mark.parametrize(
    ("debut", "fin", "what"),
    [
        ("2026-02-01", "2026-01-01", "it ends before it begins"),
        ("hier", None, "hier is no date; write it as 2026-11-22"),
    ],
)
def test_impossible_times_are_errors(folder, spoil, debut, fin, what):
    odd = district("ouest", -73.70, -73.65, debut=debut, fin=fin)
    (folder / "secteurs.geojson").write_text(geojson(odd, district("est", -73.65, -73.60, debut=None, fin=None)))
    spoil("city.yml", "names: nom}", "names: nom, valid_from: debut, valid_to: fin}")

    assert what in [problem.what for problem in check_pack(folder).problems]


def test_streets_without_a_name_are_left_out_and_it_is_said(folder, spoil):
    spoil("rues.geojson", '"Rue A"', "null")

    report = check_pack(folder)

    assert said(report) == [(NOTE, "rues.geojson", "", "1 streets without a name were left out")]
    assert report.pack.places.streets == []


def test_addresses_may_be_packed(folder, spoil):
    (folder / "adresses.csv.gz").write_bytes(gzip.compress((folder / "adresses.csv").read_bytes()))
    spoil("city.yml", "adresses.csv", "adresses.csv.gz")

    assert len(check_pack(folder).pack.places.addresses) == 2


def test_an_outline_of_its_own_is_the_citys_ground(folder, spoil):
    (folder / "limite.geojson").write_text(geojson((shapely.box(-73.71, 45.49, -73.59, 45.56), {})))
    spoil("city.yml", "timezone:", "outline: {file: limite.geojson, source: Ville, licence: CC BY 4.0}\ntimezone:")

    assert check_pack(folder).pack.places.outline.bounds == (-73.71, 45.49, -73.59, 45.56)


def in_two_versions(folder, spoil, until):
    """The sectors until a day, and the whole city as one from the new year on."""
    layer = "layers:\n  - code: secteurs\n    names: {fr: Secteurs, en: Sectors}\n    file: secteurs.geojson\n"
    rest = "    columns: {code: code, names: nom}\n    source: Ville\n    licence: CC BY 4.0\n"
    later = layer.removeprefix("layers:\n").replace("secteurs.geojson", "secteurs-2027.geojson")
    spoil("city.yml", layer + rest, f"{layer}{rest}    valid_to: {until}\n{later}{rest}    valid_from: 2027-01-01\n")
    (folder / "secteurs-2027.geojson").write_text(geojson(district("ouest", -73.70, -73.60)))
    return check_pack(folder)


def test_a_layer_may_have_a_file_for_each_of_its_versions(folder, spoil):
    report = in_two_versions(folder, spoil, "2027-01-01")

    assert said(report) == []
    [layer] = report.pack.places.layers
    new_year = date(2027, 1, 1)
    assert sorted((d.code, d.valid_from, d.valid_to) for d in layer.districts if d.code == "est") == [
        ("est", None, new_year)
    ]
    assert [(d.valid_from, d.valid_to) for d in layer.districts if d.code == "ouest"] == [
        (None, new_year),
        (new_year, None),
    ]


def test_versions_of_a_layer_do_not_meet(folder, spoil):
    report = in_two_versions(folder, spoil, "2027-02-01")

    assert said(report) == [(ERROR, "city.yml", "ouest", "the code is there twice for the same days")]
