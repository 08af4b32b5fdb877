"""Checking a pack: everything that is wrong is said at once, with its place, and nothing else."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from issues.packs.check import check_pack
from issues.packs.city_sheet import NoticeSheet
from issues.packs.problems import Severity
from tests.issues.packs.small_pack import said

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


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


def test_routes_as_a_french_spreadsheet_writes_them(folder):
    text = (folder / "routes.csv").read_text().replace(",", ";")
    (folder / "routes.csv").write_bytes(("\ufeff" + text).replace("\n", "\r\n").encode())

    assert said(check_pack(folder)) == []


def test_a_service_has_the_defaults_for_what_it_does_not_say(folder):
    sheet = check_pack(folder).pack.services
    pothole, roadway, _ = (service for group in sheet.groups for service in group.services)

    assert (sheet.match_of(pothole).radius_m, sheet.match_of(pothole).window_days) == (30, 60)
    assert sheet.match_of(roadway) == sheet.defaults.match
    assert (sheet.deadline_of(pothole).amount, sheet.deadline_of(roadway).amount) == (7, 0)


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
