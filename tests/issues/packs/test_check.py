"""Checking a pack: everything that is wrong is said at once, with its place, and nothing else."""

from __future__ import annotations

import gzip
from contextlib import nullcontext
from datetime import date

import pytest
import shapely

from geo.coverage import area_m2
from issues.packs.check import check_pack
from issues.packs.city_sheet import NoticeSheet
from issues.packs.problems import Severity
from tests.issues.packs.small_pack import EAST_SIDE, WEST_SIDE, district, geojson

SHEETS = {"city.yml", "services.yml", "departments.yml", "routes.csv"}
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def said(report):
    return [(problem.severity, problem.file, problem.where, problem.what) for problem in report.problems]


def test_a_spotless_pack_is_ready_to_load(folder):
    report = check_pack(folder)

    assert said(report) == []
    assert report.pack.city.jurisdiction_id == "ville.example"
    assert [len(layer.districts) for layer in report.pack.places.layers] == [2]
    assert report.pack.places.outline.bounds == (-73.70, 45.50, -73.60, 45.55)


def test_the_same_files_have_the_same_hash_and_others_another(folder, spoil):
    first, again = check_pack(folder).pack.sha256, check_pack(folder).pack.sha256
    spoil("adresses.csv", "2A", "2B")

    assert first == again != check_pack(folder).pack.sha256


@pytest.mark.parametrize(
    ("spoilt", "where", "what"),
    [
        (("city.yml", "fr: Ville, en: City", "fr: Ville"), "line 2, names", "the translation is missing: en"),
        (("city.yml", "timezone: America/Toronto", "timezone: America/Laval"), "line 3, timezone", "no such time zone"),
        (("city.yml", "timezone: America/Toronto\n", ""), "line 1, timezone", "this is missing"),
        (("city.yml", "jurisdiction_id: v", "jurisdiction_id: V"), "line 1, jurisdiction_id", "must be a short code"),
        (("city.yml", "timezone:", "photos: everybody\ntimezone:"), "line 3, photos", "'public' or 'staff'"),
        (("city.yml", "timezone:", "colour: red\ntimezone:"), "line 3, colour", "there is no such key"),
        (("city.yml", "timezone:", "locale: klingon\ntimezone:"), "line 3, locale", "must be a short code"),
        (("city.yml", "timezone:", "holidays: [2026-13-01]\ntimezone:"), "line 3, holidays[0]", "date"),
        (("city.yml", "timezone:", "names: {fr: A, en: B}\ntimezone:"), "line 3", "the key names is there twice"),
        (("city.yml", "secteurs.geojson", "../secteurs.geojson"), "line 8, layers[0].file", "pack's own folder"),
        (("city.yml", "    licence: CC BY 4.0\nneigh", "neigh"), "line 6, layers[0].licence", "this is missing"),
        (("city.yml", "responsible_layer: s", "responsible_layer: x"), "responsible_layer", "no layer xecteurs"),
        (
            ("city.yml", "names: nom}", "names: {fr: nom}}"),
            "layer secteurs, columns.names",
            "no column is given for en",
        ),
        (("city.yml", "names: {fr: Ville", "names: {fr: [Ville"), "line 2", "this is not YAML"),
        (("city.yml", "fr: Ville, ", "fr: , "), "line 2, names.fr", "this is empty"),
        (("city.yml", "{number: numero", "{number: no"), "line 16, addresses.columns.number", "put it in quotes"),
        (
            ("services.yml", "code: chaussee\n", "code: graffiti\n"),
            "proprete, graffiti",
            "service graffiti is there already",
        ),
        (("services.yml", "code: chaussee\n", "code: Chaussée\n"), "line 15, groups[0].services[1].code", "short code"),
        (("services.yml", "code: chaussee\n", "code: 7\n"), "line 15, groups[0].services[1].code", "put it in quotes"),
        (("services.yml", "code: proprete", "code: voirie"), "group voirie", "the group voirie is there already"),
        (
            ("services.yml", "siblings: [chaussee]", "siblings: [trou]"),
            "nid-de-poule, siblings",
            "trou is no other service",
        ),
        (("services.yml", "siblings: [nid", "siblings: [chaussee, nid"), "chaussee, siblings", "is no other service"),
        (
            ("services.yml", "radius_m: 30", "radius_m: 3000"),
            "line 2, defaults.match.radius_m",
            "less than or equal to 100",
        ),
        (("services.yml", "radius_m: 30", "radius_m: 0"), "line 2, defaults.match.radius_m", "greater than 0"),
        (
            ("services.yml", "join: 0.7", "join: 7"),
            "line 2, defaults.match.join",
            "less than or equal to 1",
        ),
        (
            ("services.yml", "joins: never", "joins: maybe"),
            "line 24, groups[1].services[0].match.joins",
            "'automatic', 'ask'",
        ),
        (
            ("services.yml", "kind: text", "kind: single"),
            "line 14, groups[0].services[0].attributes[0]",
            "values go with",
        ),
        (
            ("services.yml", "days: 0", "days: -1"),
            "line 18, groups[0].services[1].deadline_days",
            "greater than or equal",
        ),
        (("departments.yml", "code: voirie-2", "code: voirie-1"), "travaux-publics, voirie-1", "is there already"),
        (
            ("departments.yml", "code: centre-311", "code: travaux-publics"),
            "department travaux-publics",
            "is there already",
        ),
        (("routes.csv", "ouest", "nord"), "line 2", "there is no district nord in secteurs"),
        (("routes.csv", "secteurs:est", "quartiers:est"), "line 3", "there is no layer quartiers"),
        (("routes.csv", "group:voirie,ouest", "group:eau,ouest"), "line 2", "there is no group eau"),
        (("routes.csv", "group:voirie,ouest", "trou,ouest"), "line 2", "there is no service trou"),
        (("routes.csv", ",voirie-1", ",voirie-9"), "line 2", "travaux-publics has no crew voirie-9"),
        (("routes.csv", "centre-311", "centre-911"), "line 4", "there is no department centre-911"),
        (("routes.csv", "voirie,ouest", "voirie,"), "line 2, districts", "this is empty"),
        (("routes.csv", "crew\n", "equipe\n"), "line 1", "these columns are missing: crew"),
        (("routes.csv", "\n*,*,", "\ngraffiti,*,"), "", "nobody is responsible for nid-de-poule outside all districts"),
        (("routes.csv", "\n*,*,", "\nvoirie:,ouest,"), "", "nobody is responsible for graffiti in est, ouest"),
        (("adresses.csv", "45.512", "145.512"), "line 3", "it is nowhere"),
        (("adresses.csv", "-73.66\n2A", "ici\n2A"), "line 2", "it is nowhere"),
        (("adresses.csv", "2A", ""), "line 3", "its number or street is empty"),
        (("secteurs.geojson", '"nom": "Est"', '"nom": null'), "feature 2", "its code or a name is empty"),
        (("secteurs.geojson", '"code": "est"', '"code": "ouest"'), "ouest", "twice for the same days"),
        (("secteurs.geojson", '"code": "est"', '"code": "l est"'), "feature 2", "has a space, a comma or a colon"),
        (("voisines.geojson", '"nom"', '"nomen"'), "", "these columns are missing: nom (there are: code, nomen)"),
        (("rues.geojson", "LineString", "MultiPoint"), "feature 1", "this is no line"),
        (("rues.geojson", "45.5]", "95.5]"), "feature 1", "this is no line in longitudes and latitudes"),
    ],
)
def test_says_what_is_wrong_and_where(folder, spoil, spoilt, where, what):
    spoil(*spoilt)

    report = check_pack(folder)

    assert report.pack is None
    errors = [(p.file, p.where, p.what) for p in report.problems if p.severity is ERROR]
    assert any((spoilt[0], where) == error[:2] and what in error[2] for error in errors), errors


def test_everything_is_said_at_once(folder, spoil):
    spoil("city.yml", "fr: Ville, en: City", "fr: Ville")
    spoil("services.yml", "radius_m: 30", "radius_m: 0")
    spoil("departments.yml", "code: voirie-2", "code: voirie-1")
    spoil("routes.csv", "crew\n", "equipe\n")

    report = check_pack(folder)

    assert {problem.file for problem in report.problems} == {
        "city.yml",
        "services.yml",
        "departments.yml",
        "routes.csv",
    }


@pytest.mark.parametrize("name", [*sorted(SHEETS), "secteurs.geojson", "adresses.csv"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b"- 1\n- 2\n"])
def test_a_file_that_is_missing_or_no_such_file_is_an_error_not_a_crash(folder, name, content):
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)

    report = check_pack(folder)

    assert report.pack is None
    assert name in {problem.file for problem in report.problems if problem.severity is ERROR}


def test_an_empty_folder_is_an_error(tmp_path):
    report = check_pack(tmp_path)

    assert {problem.file for problem in report.problems} >= {
        "city.yml",
        "services.yml",
        "departments.yml",
        "routes.csv",
    }
    assert report.pack is None


def test_a_route_that_can_never_match_is_an_error(folder, spoil):
    spoil(
        "routes.csv",
        "*,*,centre-311,\n",
        "voirie,,,\n*,*,centre-311,\n".replace("voirie,,,", "nid-de-poule,est,centre-311,"),
    )

    report = check_pack(folder)

    assert said(report) == [
        (ERROR, "routes.csv", "line 4", "this rule can never match: earlier ones take all that it is for")
    ]
    assert report.pack is None


def test_a_department_without_work_is_a_warning(folder, spoil):
    spoil(
        "departments.yml", "  - code: centre-311", "  - {code: eau, names: {fr: Eau, en: Water}}\n  - code: centre-311"
    )

    assert said(check_pack(folder)) == [(WARNING, "routes.csv", "", "no route leads to the department eau")]


def test_a_sibling_that_is_not_named_in_turn_is_noted(folder, spoil):
    spoil("services.yml", "        siblings: [nid-de-poule]\n", "")

    assert said(check_pack(folder)) == [
        (NOTE, "services.yml", "nid-de-poule, siblings", "chaussee does not name nid-de-poule in turn")
    ]


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
    assert what.startswith("1 gaps between districts")
    assert area_m2(report.pack.places.outline) == pytest.approx(area_m2(shapely.box(-73.70, 45.50, -73.60, 45.55)))


def test_districts_that_overlap_are_a_warning(folder):
    (folder / "secteurs.geojson").write_text(geojson(WEST_SIDE, district("est", -73.651, -73.60)))

    ((severity, file, where, what),) = said(check_pack(folder))

    assert (severity, file, where) == (WARNING, "secteurs.geojson", "ouest, est")
    assert what.startswith("they overlap by ")


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


def test_routes_as_a_french_spreadsheet_writes_them(folder):
    text = (folder / "routes.csv").read_text().replace(",", ";")
    (folder / "routes.csv").write_bytes(("\ufeff" + text).replace("\n", "\r\n").encode())

    assert said(check_pack(folder)) == []


def test_addresses_may_be_packed(folder, spoil):
    (folder / "adresses.csv.gz").write_bytes(gzip.compress((folder / "adresses.csv").read_bytes()))
    spoil("city.yml", "adresses.csv", "adresses.csv.gz")

    assert len(check_pack(folder).pack.places.addresses) == 2


def test_a_service_has_the_defaults_for_what_it_does_not_say(folder):
    sheet = check_pack(folder).pack.services
    pothole, roadway, _ = (service for group in sheet.groups for service in group.services)

    assert (sheet.match_of(pothole).radius_m, sheet.match_of(pothole).window_days) == (30, 60)
    assert sheet.match_of(roadway) == sheet.defaults.match
    assert (sheet.deadline_of(pothole).amount, sheet.deadline_of(roadway).amount) == (7, 0)


def test_an_outline_of_its_own_is_the_citys_ground(folder, spoil):
    (folder / "limite.geojson").write_text(geojson((shapely.box(-73.71, 45.49, -73.59, 45.56), {})))
    spoil("city.yml", "timezone:", "outline: {file: limite.geojson, source: Ville, licence: CC BY 4.0}\ntimezone:")

    assert check_pack(folder).pack.places.outline.bounds == (-73.71, 45.49, -73.59, 45.56)


def test_mistakes_in_every_file_are_said_together(folder, spoil):
    """Each sheet has one of its own; the routes have mistakes that only show beside the other sheets."""
    spoil("city.yml", "timezone: America/Toronto", "timezone: America/Laval")
    spoil("city.yml", "    licence: CC BY 4.0\nneigh", "neigh")
    spoil("services.yml", "radius_m: 30", "radius_m: 0")
    spoil("services.yml", "siblings: [chaussee]", "siblings: [chausee]")
    spoil("departments.yml", "{fr: Centre 311, en: 311 centre}", "{fr: Centre 311}")
    spoil("departments.yml", "code: voirie-2", "code: voirie-1")
    spoil("routes.csv", "group:voirie,ouest,travaux-publics,voirie-1", "group:voirie,nord,travaux,voirie-1")
    spoil("routes.csv", "secteurs:est,travaux-publics,voirie-2", "secteurs:est,,")
    spoil("secteurs.geojson", '"nom": "Est"', '"nom": null')
    spoil("voisines.geojson", '"nom"', '"nomen"')
    spoil("rues.geojson", "LineString", "MultiPoint")
    spoil("adresses.csv", "2A,Rue A,45.512", ",Rue A,145.512")

    report = check_pack(folder)

    assert report.pack is None
    errors = [(p.file, p.where, p.what) for p in report.problems if p.severity is ERROR]
    expected = {
        ("city.yml", "line 3, timezone", "no such time zone"),
        ("city.yml", "line 6, layers[0].licence", "this is missing"),
        ("services.yml", "line 2, defaults.match.radius_m", "greater than 0"),
        ("services.yml", "nid-de-poule, siblings", "chausee is no other service"),
        ("departments.yml", "line 8, departments[1].names", "the translation is missing: en"),
        ("departments.yml", "travaux-publics, voirie-1", "is there already"),
        ("routes.csv", "line 2", "there is no district nord in secteurs"),
        ("routes.csv", "line 2", "there is no department travaux"),
        ("routes.csv", "line 3, department", "this is empty"),
        ("secteurs.geojson", "feature 2", "its code or a name is empty"),
        ("voisines.geojson", "", "these columns are missing: nom"),
        ("rues.geojson", "feature 1", "this is no line"),
        ("adresses.csv", "line 3", "its number or street is empty"),
        ("adresses.csv", "line 3", "it is nowhere in longitudes and latitudes"),
    }
    for file, where, what in expected:
        assert any((file, where) == error[:2] and what in error[2] for error in errors), (file, where, what, errors)
    assert len(errors) == len(expected), errors


def test_a_mistake_is_not_said_again_of_what_names_its_place(folder, spoil):
    spoil("services.yml", "code: chaussee\n", "code: Chaussée\n")
    spoil("services.yml", "siblings: [chaussee]", "siblings: [Chaussée]")
    (folder / "secteurs.geojson").write_text("nothing")

    report = check_pack(folder)

    assert {(p.file, p.where) for p in report.problems if p.severity is ERROR} == {
        ("services.yml", "line 15, groups[0].services[1].code"),
        ("services.yml", "line 11, groups[0].services[0].siblings[0]"),
        ("secteurs.geojson", ""),
    }


@pytest.mark.parametrize("name", ["city.yml", "services.yml", "departments.yml", "routes.csv"])
def test_what_cannot_be_read_hides_nothing_in_the_others(folder, spoil, name):
    spoils = {
        "city.yml": ("timezone: America/Toronto", "timezone: America/Laval"),
        "services.yml": ("radius_m: 30", "radius_m: 0"),
        "departments.yml": ("code: voirie-2", "code: voirie-1"),
        "routes.csv": ("*,*,centre-311", "*,*,"),
    }
    for other, change in spoils.items():
        spoil(other, *change)
    (folder / name).write_text("{[")

    assert {problem.file for problem in check_pack(folder).problems if problem.severity is ERROR} == spoils.keys()


def test_files_outside_the_pack_are_not_even_read_to_find_more_mistakes(folder, spoil):
    (folder.parent / "ailleurs.geojson").write_text("nothing")
    spoil("city.yml", "secteurs.geojson", "../ailleurs.geojson")

    assert {problem.file for problem in check_pack(folder).problems} == {"city.yml"}


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


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("{service}\u00a0: réparé ({number})", True),
        ("Réparé", True),
        ("{street}", False),
        ("{service.__class__}", False),
        ("{service:>100000000}", False),
        ("{number!r}", False),
        ("{}", False),
        ("{", False),
    ],
)
def test_a_citys_own_words_have_the_marks_that_have_a_value_and_no_others(text, right):
    with nullcontext() if right else pytest.raises(ValueError, match="validation error"):
        NoticeSheet.model_validate({"title": {"fr": text, "en": text}})
