"""Replaying labelled reports, judging what would have been matched, and learning from it."""

import gzip
from pathlib import Path

import pytest

from issues.assessment import assess
from issues.evaluation import agreement
from issues.fitting import fit_weights
from issues.labelled import ColumnsMissing, kind_of, read_reports
from issues.replay import number_of, replay
from issues.weights import starting_weights

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


def test_weights_fitted_to_the_earlier_part_recognise_the_later_part():
    trials = replay(read_reports(SANITATION).reports)
    half = len(trials) // 2
    scored = {trial.report.id for trial in trials[half:]}

    fitted = assess(trials, scored, fit_weights(trials[:half], starting_weights()))

    assert fitted.same.f1 >= 0.8
    assert fitted.same.f1 > assess(trials, scored, starting_weights()).same.f1


def test_agreement_of_nothing_is_zero():
    found = agreement([], lambda _: True)

    assert (found.precision, found.recall, found.f1) == (0.0, 0.0, 0.0)
