"""Checking a pack in which much is wrong: all of it is said, each once, and nothing crashes."""

from __future__ import annotations

import pytest

from issues.packs.check import check_pack
from issues.packs.problems import Severity

SHEETS = {"city.yml", "services.yml", "departments.yml", "routes.csv"}
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


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
        ("adresses.csv", "line 3", "it is nowhere"),
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
