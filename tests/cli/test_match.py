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
