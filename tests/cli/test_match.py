"""`jalon match` on the reports that come with the tests."""

import json
from pathlib import Path

from typer.testing import CliRunner

from api.cli import app

SANITATION = Path(__file__).parents[1] / "data/reports/chicago-sanitation-2012-10_to_2013-03.csv.gz"


def run(*arguments):
    return CliRunner().invoke(app, ["match", *map(str, arguments)], catch_exceptions=False)


def test_weights_are_learned_and_measured(tmp_path):
    weights = tmp_path / "weights.toml"

    learned = run("fit", SANITATION, "-o", weights, "--until", "2013-01-01")
    measured = run("evaluate", SANITATION, "--weights", weights, "--since", "2013-01-01", "--json")

    assert (learned.exit_code, measured.exit_code) == (0, 0)
    assert json.loads(measured.stdout)["f1"] >= 0.8


def test_weights_can_be_fitted_anew_on_the_way_and_pictures_drawn(tmp_path):
    measured = run(
        "evaluate",
        SANITATION,
        "--since",
        "2013-03-01",
        "--refit-every",
        "500",
        "--pictures",
        tmp_path / "new",
        "--json",
    )

    assert json.loads(measured.stdout)["calibration"]["ece"] <= 0.1
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["errors.png", "reliability.png"]


def test_labels_count_from_the_day_on_which_they_are_known(tmp_path):
    reports = tmp_path / "reports.csv"
    # The one in the middle, marked on the same day, makes it likelier that the last is a duplicate as well.
    rows = [
        f"{place}-{n},2018-12-01,{n % 2},Pothole,{place * 100 + n * 2} Main St,41.{place:02}{n},-87.6"
        for place in range(10, 20)
        for n in range(3)
    ]
    reports.write_text("id,created,is_dup,type,address,lat,lon\n" + "\n".join(rows) + "\n")

    scores = [
        json.loads(run("evaluate", reports, "--label-days", days, "--json").stdout)["calibration"]["bins"][-1]["score"]
        for days in (0, 1)
    ]

    assert scores[0] > scores[1]
