"""Replaying labelled reports, judging what would have been matched, and learning from it."""

import dataclasses
import gzip
import math
from io import BytesIO
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from PIL import Image

from geo.points import LonLat
from issues.assessment import assess, sum_up
from issues.charts import error_map, reliability_diagram
from issues.evaluation import (
    Verdict,
    agreement,
    bins_of,
    calibration_error,
    chance_error,
    judge,
)
from issues.fitting import fit_weights, lessons_of
from issues.labelled import ColumnsMissing, LabelledReport, kind_of, read_reports
from issues.match import Candidate, Match
from issues.refitting import Rhythm, judge_as_time_passes
from issues.replay import Trial, number_of, replay
from issues.thresholds import best_threshold, threshold_of_precision
from issues.weights import starting_weights
from tests.issues.towns import NOON

SANITATION = Path(__file__).parents[1] / "data/reports/chicago-sanitation-2012-10_to_2013-03.csv.gz"
HEADER = "id,created,completed,is_dup,parent_id,type,address,lat,lon\n"


def written(folder, *rows):
    path = folder / "reports.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def test_a_report_sees_only_what_came_before_it_is_near_and_still_open(tmp_path):
    path = written(
        tmp_path,
        "6,2018-12-05,,1,3,Pothole,,41.9,-87.6",
        "1,2018-12-01,2018-12-04,0,,Pothole,,41.9,-87.6",  # closed the day before
        "2,2018-12-01,2018-12-05,0,,Pothole,,41.9,-87.6",  # closed that day, nobody knows when
        "3,2018-12-05,,0,,Pothole,,41.9,-87.6005",
        "4,2018-12-01,,0,,Pothole,,41.91,-87.6",  # far
        "5,2018-12-01,,0,,Graffiti,,41.9,-87.6",
        "7,2018-12-05,,0,,Pothole,,41.9,-87.6",  # of the same day, but later
        "8,2018-08-01,,0,,Pothole,,41.9,-87.6",  # months ago
    )
    trials = replay(read_reports(path).reports)
    seen = next(trial for trial in trials if trial.report.id == "6")

    assert {trials[number_of(candidate)].report.id for candidate in seen.candidates} == {"2", "3"}


@pytest.mark.parametrize(
    ("parent", "label_days", "sizes"),
    [
        ("", 0.0, {"1": 1, "2": 2, "3": 2}),  # the nearest, since no parent is named
        ("1", 0.0, {"1": 2, "2": 1, "3": 2}),
        ("", 1.0, {"1": 1, "2": 1, "3": 1}),  # nobody has said so yet
    ],
)
def test_issues_called_duplicates_by_then_have_several_reports(tmp_path, parent, label_days, sizes):
    path = written(
        tmp_path,
        "1,2018-12-01,,0,,Pothole,,41.9003,-87.6",
        "2,2018-12-01,,0,,Pothole,,41.9,-87.6",
        f"3,2018-12-01,,1,{parent},Pothole,,41.89988,-87.6",
        "4,2018-12-01,,0,,Pothole,,41.8998,-87.6",
    )
    trials = replay(read_reports(path).reports, label_days=label_days)

    assert {trials[number_of(each)].report.id: each.reports for each in trials[3].candidates} == sizes


def test_what_came_from_one_place_within_a_day_is_one_issue_and_holds_the_parent(tmp_path):
    path = written(
        tmp_path,
        "1,2018-12-01,,0,,Pothole,12 Main St,41.9,-87.6",
        "2,2018-12-02,,0,,Pothole,12 Main St,41.9,-87.6",
        "3,2018-12-02,,0,,Pothole,14 Main St,41.9,-87.6",  # another address
        "4,2018-12-04,,0,,Pothole,12 Main St,41.9,-87.6",  # two days later
        "5,2018-12-05,,0,,Pot hole,12 Main St,41.9,-87.6",  # another service, so none's sibling here
        "6,2018-12-05,,1,2,Pothole,12 Main St,41.9,-87.6",
    )
    reports = read_reports(path).reports
    last, alone = replay(reports)[-1], replay(reports, together=False)[-1]

    issues = {reports[number_of(each)].id: (each.reports, each.last_report_at.day) for each in last.candidates}
    assert issues == {"1": (2, 2), "3": (1, 2), "4": (1, 4)}
    assert (last.parent, alone.parent, len(alone.candidates)) == (0, 1, 4)


def test_rows_that_cannot_be_used_are_counted(tmp_path):
    read = read_reports(
        written(tmp_path, "1,2018-12-01,,0,,P,,41.9,-87.6", "1,2018-12-01,,0,,P,,41,-87", "2,2018-12-01,,0,,P,,,")
    )

    assert ([report.id for report in read.reports], sum(read.left_out.values())) == (["1"], 2)


def test_a_file_without_positions_is_refused(tmp_path):
    path = tmp_path / "none.csv.gz"
    path.write_bytes(gzip.compress(b"id,created\n1,2018-12-01\n"))

    with pytest.raises(ColumnsMissing, match="lat, latitude"):
        read_reports(path)


@pytest.mark.parametrize(
    ("service", "kind"),
    [("Pot Hole in Street", "stretch"), ("Street Light Outages", "point"), ("Garbage Cart", "premises"), ("?", "any")],
)
def test_a_services_name_tells_its_kind(service, kind):
    assert kind_of(service) == kind


def test_services_of_one_family_are_siblings_where_they_are_of_one_kind(tmp_path):
    path = tmp_path / "reports.csv"
    rows = ["1,2018-12-01,Lights,Street Light Out", "2,2018-12-01,Lights,Major Failure", "3,2018-12-01,Lights,Pothole"]
    path.write_text("id,created,reason,type,lat,lon\n" + "".join(f"{row},41.9,-87.6\n" for row in rows))

    kinds = [(trial.report.kind, len(trial.candidates)) for trial in replay(read_reports(path).reports)]

    assert kinds == [("point", 0), ("point", 1), ("stretch", 0)]


@pytest.fixture(scope="module")
def sanitation():
    return replay(read_reports(SANITATION).reports)


def test_weights_fitted_to_the_earlier_part_recognise_the_later_part(sanitation):
    half = len(sanitation) // 2
    scored = {trial.report.id for trial in sanitation[half:]}

    fitted = assess(sanitation, scored, fit_weights(lessons_of([sanitation[:half]]), starting_weights()))

    assert fitted.same.f1 >= 0.85
    assert fitted.same.f1 > assess(sanitation, scored, starting_weights()).same.f1
    assert calibration_error(fitted.bins) <= 0.05


def test_a_set_counts_for_so_many_reports_at_most(sanitation):
    def learned(most):
        return (
            fit_weights(lessons_of([sanitation[:1500]], most=most), starting_weights()).kinds["premises"].house_numbers
        )

    start = starting_weights().kinds["premises"].house_numbers
    moved = [
        abs(learned(most).log_odds[0] - learned(most).log_odds[1] - start.log_odds[0] + start.log_odds[1])
        for most in (0.01, 10, math.inf)
    ]

    assert moved[0] < 0.01 < moved[1] < moved[2]


def test_what_several_reports_are_worth_is_learned(tmp_path):
    # At each place one report that nobody marked, one that is marked every other time, and one that is marked then.
    rows = [
        f"{place:03}-{n},2018-12-01,,{int(n > 0 and place % 2)},,Pothole,{place} Main St,{41 + place / 100},-87"
        for place in range(60)
        for n in range(3)
    ]
    trials = replay(read_reports(written(tmp_path, *rows)).reports, label_days=0.0, together=False)

    fitted = fit_weights(lessons_of([trials]), starting_weights()).kinds["stretch"]

    assert fitted.repeated > starting_weights().kinds["stretch"].repeated + 1.0


def test_weights_fitted_anew_follow_what_clerks_do_by_then(tmp_path):
    # First one in twenty is marked, then all are.
    rows = [
        f"{n:03},2018-12-{1 + n // 20:02},,{int(n % (2 if n >= 200 else 40) == 1)},,Pothole,,{41 + n // 2 / 100},-87"
        for n in range(400)
    ]
    trials = replay(read_reports(written(tmp_path, *rows)).reports)
    scored = {trial.report.id for trial in trials[200:]}

    late = judge_as_time_passes(trials, scored, starting_weights(), Rhythm(every=20, half_life=40.0, label_days=0))
    pairs = [verdict.score for verdict in late if verdict.matches]

    assert pairs[0] < 0.3
    assert pairs[-1] > 0.8


def test_no_report_is_judged_by_labels_that_were_not_known_yet(tmp_path):
    rows = [f"{n:03},2018-12-01,,{n % 2},,Pothole,,{41 + n // 2 / 100},-87" for n in range(200)]
    trials = replay(read_reports(written(tmp_path, *rows)).reports)
    scored = {trial.report.id for trial in trials[100:]}

    judged = judge_as_time_passes(trials, scored, starting_weights(), Rhythm(every=50, label_days=1))

    assert judged == judge(trials[100:], starting_weights())


def test_agreement_of_nothing_is_zero():
    found = agreement([])

    assert (found.precision, found.recall, found.f1) == (0.0, 0.0, 0.0)


def verdicts(*answers):
    """Verdicts of one candidate each, by score and label."""
    report = LabelledReport(
        "1", "Pothole", "Pothole", "stretch", LonLat(-87.6, 41.9), NOON, None, False, None, None, ""
    )
    candidate = Candidate(UUID(int=0), "Pothole", 0.0, 10.0, NOON)
    return [
        Verdict(
            Trial(dataclasses.replace(report, duplicate=bool(label)), (candidate,), None),
            (Match(candidate, score, (), score),),
            0.5,
            0.9,
        )
        for score, label in answers
    ]


def columns(*rows):
    """Scores, labels, and what each counts (1 if left out)."""
    return np.array([(*row, 1.0)[:3] for row in rows], dtype=float).reshape(-1, 3).T


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # All but the last: 3 right of 4, 3 labelled.
        ([(0.9, 1), (0.8, 1), (0.7, 0), (0.6, 1), (0.1, 0)], 3 / 7),
        # Equal scores cannot be told apart: 1 right of 2.
        ([(0.9, 1), (0.9, 0)], 1 / 3),
        ([(0.9, 1), (0.9, 0, 0.0)], 1 / 2),
        ([(0.9, 0)], 0.0),
        ([], 0.5),
    ],
)
def test_the_best_threshold_is_half_of_the_best_f1(rows, expected):
    assert best_threshold(*columns(*rows)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0.99, 1)] * 100 + [(0.5, 0)] * 100, 0.99),
        ([(0.9, 1)] * 2, 1.0),  # two that were right are no licence
        ([(0.99, 0)] * 100, 1.0),
        ([(0.99, 1)] * 100 + [(0.99, 0, 0.01)] * 100, 0.99),  # long ago
        ([], 1.0),
    ],
)
def test_joining_asks_for_precision_and_for_enough_labels(rows, expected):
    scores, labels, worth = columns(*rows)

    assert threshold_of_precision(scores, labels, worth, precision=0.95) == expected


def test_calibration_is_the_distance_of_scores_from_shares():
    bins = bins_of(verdicts(*[(0.8, n % 5 > 0) for n in range(100)], *[(0.3, 0)] * 100), count=2)

    assert [(part.count, part.share) for part in bins] == [(100, 0.0), (100, 0.8)]
    assert calibration_error(bins) == pytest.approx(0.15)


@pytest.mark.parametrize("score", [0.0, 0.3, 0.5, 1.0])
def test_right_scores_lie_as_far_from_shares_as_a_binomial_from_its_mean(score):
    strays = sum(math.comb(100, n) * score**n * (1.0 - score) ** (100 - n) * abs(n / 100 - score) for n in range(101))

    assert chance_error(bins_of(verdicts(*[(score, 0)] * 100), count=1)) == pytest.approx(strays, rel=0.02)


def test_pictures_show_bins_and_errors():
    found = sum_up(verdicts((0.9, 1), (0.8, 0), (0.1, 1), (0.1, 0)))
    diagram = Image.open(BytesIO(reliability_diagram(found.bins, title="A set")))
    errors = Image.open(BytesIO(error_map(found, title="A set")))

    assert diagram.format == errors.format == "PNG"
    colours = {colour for _, colour in errors.getcolors(100_000)}
    assert (0xD1, 0x49, 0x5B) in colours
    empty = error_map(sum_up([]), title="Nothing")
    assert (0xD1, 0x49, 0x5B) not in {colour for _, colour in Image.open(BytesIO(empty)).getcolors(100_000)}
