"""The page of findings: one file, all findings, the ones with a place on a map, and nothing from the network."""

from __future__ import annotations

import re

import shapely

from issues.packs.check import check_pack
from issues.packs.page import findings_page
from issues.packs.problems import Problem, Severity
from tests.issues.packs.small_pack import WEST_SIDE, district, geojson


def test_findings_are_in_the_table_and_on_the_map_by_one_number(folder, spoil):
    (folder / "secteurs.geojson").write_text(geojson(WEST_SIDE, district("est", -73.651, -73.60)))
    spoil("routes.csv", "ouest", "nord")
    report = check_pack(folder)

    page = findings_page("Essai", report.problems, report.places)

    assert len(re.findall("<tr><td>", page)) == len(report.problems) >= 2
    assert len(re.findall('<a id="f', page)) == 1
    assert re.search(r'<a href="#f(\d)">.*they overlap', page)
    assert "ouest Ouest" in page


def test_the_page_needs_no_network_and_no_script(folder):
    page = findings_page("Essai", (), check_pack(folder).places)

    assert "Nothing is wrong." in page
    assert not re.search("https?:|src=|<script|@import|url\\(", page)


def test_what_stands_in_a_pack_is_no_markup(folder, spoil):
    spoil("secteurs.geojson", '"nom": "Est"', '"nom": "<script>alert(1)</script>"')
    problem = Problem(Severity.ERROR, "<b>.csv", "line 1", "a & b", shapely.Point(-73.65, 45.52))

    page = findings_page("<i>", [problem], check_pack(folder).places)

    assert not re.search("<script|<b>|<i>", page)
    assert "a &amp; b" in page


def test_without_any_ground_the_table_is_there_alone(tmp_path):
    report = check_pack(tmp_path)

    page = findings_page("Essai", report.problems, report.places)

    assert "<svg" not in page
    assert page.count("there is no such file") == 4
