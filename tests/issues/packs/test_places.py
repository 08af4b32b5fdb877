"""A pack's places as cities keep them: any coordinate system, swapped axes, ranges of numbers, odd outlines."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from pyproj import Transformer

from issues.packs.check import check_pack
from issues.packs.problems import Severity
from tests.issues.packs.small_pack import EAST_SIDE, NAMED_PLACES, WEST_SIDE, geojson

TO_MTM8 = Transformer.from_crs("EPSG:4326", "EPSG:32188", always_xy=True)


def said(report, severity):
    return [(p.file, p.where, p.what) for p in report.problems if p.severity is severity]


def in_mtm8(shape):
    return shapely.transform(shape, lambda xy: np.column_stack(TO_MTM8.transform(xy[:, 0], xy[:, 1])))


def test_a_file_in_metres_is_read_by_the_coordinate_system_that_the_sheet_names(folder, spoil):
    (folder / "secteurs.geojson").write_text(geojson(*((in_mtm8(s), p) for s, p in (WEST_SIDE, EAST_SIDE))))
    spoil("city.yml", "file: secteurs.geojson", "file: secteurs.geojson\n    crs: EPSG:32188")

    report = check_pack(folder)

    assert said(report, Severity.ERROR) == []
    assert report.pack.places.outline.bounds == pytest.approx((-73.70, 45.50, -73.60, 45.55), abs=1e-6)


def test_without_it_the_error_says_what_to_write(folder):
    (folder / "secteurs.geojson").write_text(geojson(*((in_mtm8(s), p) for s, p in (WEST_SIDE, EAST_SIDE))))

    report = check_pack(folder)

    assert report.pack is None
    assert any(file == "secteurs.geojson" and "say with crs:" in what for file, _, what in said(report, Severity.ERROR))


@pytest.mark.parametrize(
    ("numbers", "added", "lon"),
    [
        ("-73.66,45.51", "", -73.66),
        ("45.51,-73.66", "", -73.66),  # swapped
        ("298600.0,5041300.0", "\n  crs: EPSG:32188", pytest.approx(-73.578, abs=0.01)),
    ],
)
def test_addresses_of_a_table_come_to_the_right_place(folder, spoil, numbers, added, lon):
    (folder / "adresses.csv").write_text(f"numero,rue,lon,lat\n1,Rue A,{numbers}\n")
    spoil("city.yml", "file: adresses.csv", f"file: adresses.csv{added}")

    report = check_pack(folder)

    assert said(report, Severity.ERROR) == []
    assert report.pack.places.addresses[0].at.lon == lon
    swapped = [what for file, _, what in said(report, Severity.WARNING) if file == "adresses.csv"]
    assert bool(swapped) is numbers.startswith("45")


def test_addresses_may_be_points_of_a_file(folder, spoil):
    (folder / "adresses.geojson").write_text(geojson((shapely.Point(-73.66, 45.51), {"numero": 12, "rue": "Rue A"})))
    spoil("city.yml", "file: adresses.csv", "file: adresses.geojson")
    spoil("city.yml", ", lon: lon, lat: lat}", "}")

    (address,) = check_pack(folder).pack.places.addresses

    assert (address.number, address.street, address.at.lat) == ("12", "Rue A", 45.51)


def test_addresses_in_another_encoding_need_it_named(folder, spoil):
    (folder / "adresses.csv").write_bytes("numero,rue,lon,lat\n1,Montée,-73.66,45.51\n".encode("cp1252"))
    before = check_pack(folder)
    spoil("city.yml", "file: adresses.csv", "file: adresses.csv\n  encoding: cp1252")

    after = check_pack(folder)

    ((file, _, what),) = said(before, Severity.ERROR)
    assert (file, "say with encoding:" in what) == ("adresses.csv", True)
    assert after.pack.places.addresses[0].street == "Montée"


def test_a_file_with_swapped_axes_is_put_right_and_it_is_said(folder):
    swapped = [(shapely.transform(s, lambda xy: xy[:, ::-1]), p) for s, p in (WEST_SIDE, EAST_SIDE)]
    (folder / "secteurs.geojson").write_text(geojson(*swapped))

    report = check_pack(folder)

    expected = "longitude and latitude were swapped in 2 of 2 places; put right"
    assert said(report, Severity.WARNING) == [("secteurs.geojson", "", expected)]
    assert report.pack.places.outline.bounds == (-73.70, 45.50, -73.60, 45.55)


def test_codes_are_made_from_names_where_no_column_holds_them(folder, spoil):
    (folder / "secteurs.geojson").write_text(
        geojson((WEST_SIDE[0], {"nom": "L’Orée—Sud"}), (EAST_SIDE[0], {"nom": "Cœur"}))
    )
    spoil("city.yml", "columns: {code: code, names: nom}", "columns: {names: nom}")
    (folder / "routes.csv").write_text(
        "services,districts,department,crew\n*,l-oree-sud,travaux-publics,voirie-1\n*,*,centre-311,\n"
    )

    report = check_pack(folder)

    assert said(report, Severity.ERROR) == []
    assert [d.code for d in report.pack.places.layers[0].districts] == ["l-oree-sud", "coeur"]


def test_civic_ranges_of_streets_become_addresses_where_the_pack_lists_none(folder, spoil):
    street = shapely.LineString([(-73.66, 45.51), (-73.66, 45.512)])
    ranges = {"ga": 2, "gz": 40, "da": 1, "dz": None}
    (folder / "rues.geojson").write_text(geojson((street, {"nom": "Rue A", "genre": "", **ranges})))
    spoil(
        "city.yml", "{name: nom, kind: genre}", "{name: nom, left_from: ga, left_to: gz, right_from: da, right_to: dz}"
    )
    listed = check_pack(folder).pack.places.addresses
    text = (folder / "city.yml").read_text()
    (folder / "city.yml").write_text(text[: text.index("addresses:")])

    addresses = check_pack(folder).pack.places.addresses

    assert [a.number for a in listed] == ["1", "2A"]
    assert (addresses[0].number, addresses[-1].number) == ("2", "40")
    assert {a.street for a in addresses} == {"Rue A"}


def test_three_of_four_ends_of_ranges_are_a_mistake(folder, spoil):
    spoil("city.yml", "{name: nom, kind: genre}", "{name: nom, left_from: a, left_to: b, right_from: c}")

    assert any("go together" in what for _, _, what in said(check_pack(folder), Severity.ERROR))


def test_districts_beyond_the_outline_and_ground_without_a_district_are_told_with_their_area(folder, spoil):
    (folder / "limite.geojson").write_text(geojson((shapely.box(-73.71, 45.50, -73.61, 45.55), {})))
    spoil("city.yml", "timezone:", "outline: {file: limite.geojson, source: Ville, licence: CC BY 4.0}\ntimezone:")

    report = check_pack(folder)

    warnings = {(p.where, p.what): p.shape for p in report.problems if p.severity is Severity.WARNING}
    assert [(where, what.split(" m2 ")[1]) for where, what in warnings] == [
        ("est", "of it lie outside the city's outline"),
        ("", "of the city lie in no district"),
    ]
    assert all(shape.area == pytest.approx(0.01 * 0.05) for shape in warnings.values())


def test_an_outline_drawn_a_little_differently_is_no_finding(folder, spoil):
    (folder / "limite.geojson").write_text(geojson((shapely.box(-73.70002, 45.50, -73.60002, 45.55), {})))
    spoil("city.yml", "timezone:", "outline: {file: limite.geojson, source: Ville, licence: CC BY 4.0}\ntimezone:")

    assert said(check_pack(folder), Severity.WARNING) == []


def test_a_wide_gap_is_a_warning_with_its_area_and_place(folder, spoil):
    around = shapely.difference(WEST_SIDE[0], shapely.box(-73.68, 45.52, -73.67, 45.53))
    (folder / "secteurs.geojson").write_text(geojson((around, WEST_SIDE[1]), EAST_SIDE))

    (warning,) = [p for p in check_pack(folder).problems if p.severity is Severity.WARNING]

    assert warning.what == "a gap of 868280 m2 between districts is too wide to be closed"
    assert warning.at == (-73.675, 45.525)


def test_every_layer_is_told_of_not_only_the_first_that_is_broken(folder, spoil):
    spoil(
        "city.yml",
        "neighbours:",
        "  - {code: a, names: {fr: A, en: A}, file: a.geojson, columns: {names: nom}, source: x, licence: x}\n"
        "  - {code: b, names: {fr: B, en: B}, file: b.zip, columns: {names: nom}, source: x, licence: x}\n"
        "neighbours:",
    )
    (folder / "secteurs.geojson").write_text("{")
    (folder / "b.zip").write_bytes(b"PK")
    (folder / "voisines.geojson").write_text("{")

    files = {file for file, _, _ in said(check_pack(folder), Severity.ERROR)}

    assert {"secteurs.geojson", "a.geojson", "b.zip", "voisines.geojson"} <= files


def test_of_many_mistakes_of_one_kind_the_first_are_told_and_how_many_more(folder):
    (folder / "adresses.csv").write_text("numero,rue,lon,lat\n" + "1,,-73.66,45.51\n" * 120)

    errors = said(check_pack(folder), Severity.ERROR)

    assert len(errors) == 51
    assert errors[-1][2] == "and 70 more such as: its number or street is empty"


def test_places_without_a_name_are_left_out_and_those_nowhere_are_errors(folder, spoil):
    park = shapely.box(-73.69, 45.51, -73.68, 45.52)
    far = shapely.Point(5_000_000.0, 300_000.0)
    (folder / "parcs.geojson").write_text(geojson((park, {"nom": "Parc"}), (park, {"nom": None}), (far, {"nom": "X"})))
    spoil("city.yml", "timezone:", f"places: [{NAMED_PLACES}]\ntimezone:")

    report = check_pack(folder)

    assert ("parcs.geojson", "", "1 places without a name were left out") in said(report, Severity.NOTE)
    assert [(file, where) for file, where, _ in said(report, Severity.ERROR)] == [("parcs.geojson", "feature 3")]
