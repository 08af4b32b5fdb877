"""A pack's own sample points: who answers there, without a database."""

from __future__ import annotations

from datetime import date

import pytest

from issues.packs.points import read_points, sample_points, try_points
from issues.packs.problems import Findings
from tests.issues.packs.small_pack import sound

TODAY = date(2026, 11, 30)
HEAD = "lat,long,service,district,department,crew\n"


def verdicts(folder, lines):
    (folder / "points.csv").write_text(HEAD + lines)
    findings = Findings()
    points = read_points(folder, findings)
    assert findings.problems == []
    return try_points(sound(folder), points, on=TODAY)


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        ("45.52,-73.68,nid-de-poule,secteurs:ouest,travaux-publics,voirie-1", True),
        ("45.52,-73.68,nid-de-poule,,travaux-publics,", True),
        ("45.52,-73.68,nid-de-poule,secteurs:est,,", False),
        ("45.52,-73.68,nid-de-poule,,travaux-publics,voirie-2", False),
        ("45.52,-73.68,graffiti,,centre-311,", True),
        ("45.52,-73.68,inconnu,,centre-311,", False),
        ("45.52,-73.50,nid-de-poule,,,", True),  # outside, as expected
        ("45.52,-73.68,nid-de-poule,,,", False),  # not outside
        ("45.52,-73.50,nid-de-poule,,travaux-publics,", False),
    ],
)
def test_a_point_has_the_owner_it_expects_or_not(folder, line, holds):
    (verdict,) = verdicts(folder, line + "\n")

    assert (verdict.line, verdict.holds) == (2, holds)


def test_the_points_that_are_written_for_a_new_pack_hold(folder):
    text = sample_points(sound(folder), "nid-de-poule", on=TODAY)

    found = verdicts(folder, text.removeprefix(HEAD))

    assert [(v.holds, v.point.district, v.point.crew) for v in found] == [
        (True, "secteurs:ouest", "voirie-1"),
        (True, "secteurs:est", "voirie-2"),
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("145.52,-73.68,nid-de-poule,,,", "less than or equal to 90"),
        ("x,-73.68,nid-de-poule,,,", "a valid number"),
        ("45.52,-73.68,nid-de-poule,ouest,,", "written with its layer"),
    ],
)
def test_lines_that_cannot_be_read_are_told(folder, line, what):
    (folder / "points.csv").write_text(HEAD + line + "\n")
    findings = Findings()

    read_points(folder, findings)

    assert [what in problem.what for problem in findings.problems] == [True]


def test_a_pack_without_points_says_what_they_would_look_like(folder):
    findings = Findings()

    assert read_points(folder, findings) == []
    assert "lat,long,service" in findings.problems[0].what
