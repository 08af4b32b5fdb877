"""How well matching agrees with clerks' labels, on the sets of a folder: `make eval-matching DATA=folder`.

Each set is scored on its later part by four ways: the peers' rules (any open report of the service within 50 m and 12
weeks, or 250 m without window), the best radius and window found afterwards, which nobody knows beforehand, weights
fitted to the other sets, and weights fitted to the set's earlier part.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

from issues.assessment import assess
from issues.evaluation import Agreement, Verdict, agreement, calibration_error, judge
from issues.fitting import fit_weights
from issues.labelled import LabelledReport, read_reports
from issues.replay import Trial, replay
from issues.weights import starting_weights

SHIPPED = "chicago-sanitation-2012-10_to_2013-03.csv.gz"
# Name, file, part of the service's name, from when on reports are scored, and the aim for weights of its own.
SETS = (
    ("Chicago potholes 2018", "reports-chicago-potholes-2018/*.gz", "pothole", "2018-12-10", "0.76"),
    ("Chicago potholes 2011-12", "reports-chicago-nine-categories/*.gz", "pot hole", "2011-01-03", "0.78"),
    ("Chicago sanitation 2013", "reports-chicago-sanitation/*.gz", "", "2013-01-01", "0.80"),
    ("Boston street lights", "reports-boston-2011/*.gz", "street light outages", "2011-09-01", "0.76"),
    ("Boston graffiti", "reports-boston-2011/*.gz", "graffiti", "2011-09-01", ""),
    ("Boston potholes (labels are noise)", "reports-boston-2011/*.gz", "pothole", "2011-09-01", ""),
    ("Chicago sanitation, as shipped", SHIPPED, "", "2013-01-01", "0.80"),
)


def read_set(folder: Path, pattern: str, service: str) -> list[LabelledReport]:
    """The reports of a set; none where the folder has it not."""
    found = sorted(folder.glob(pattern))
    return [report for path in found for report in read_reports(path).reports if service in report.service.casefold()]


def within(radius_m: float, days: float) -> Callable[[Verdict], bool]:
    """The rule that calls a report a duplicate of any open one so near and so recent."""
    window = timedelta(days=days)

    def called(verdict: Verdict) -> bool:
        trial = verdict.trial
        return any(
            candidate.distance_m <= radius_m and trial.report.created - candidate.last_report_at <= window
            for candidate in trial.candidates
        )

    return called


def show(way: str, found: Agreement, more: str = "") -> None:
    """Print a line of the table."""
    print(f"  {way:34} P {found.precision:.3f}  R {found.recall:.3f}  F1 {found.f1:.3f}  {more}")


def show_set(reports: list[LabelledReport], begins: datetime, others: list[Trial]) -> None:
    """Print the lines of one set."""
    trials = replay(reports)
    late = [trial for trial in trials if trial.report.created >= begins]
    scored = {trial.report.id for trial in late}
    wide = judge(
        [trial for trial in replay(reports, radius_m=250.0, window_days=3650) if trial.report.id in scored],
        starting_weights(),
    )
    show("(a) 50 m, 12 weeks", agreement(wide, within(50.0, 84.0)))
    show("(a) 250 m, no window", agreement(wide, within(250.0, 3650.0)))
    rules = product((3.0, 10.0, 20.0, 30.0, 50.0, 100.0, 150.0, 250.0), (0.0, 1.0, 2.0, 3.0, 7.0, 30.0, 60.0))
    best, rule = max(((agreement(wide, within(*rule)), rule) for rule in rules), key=lambda pair: pair[0].f1)
    show(f"(b) best rule: {rule[0]:.0f} m, {rule[1]:.0f} days", best)
    kinds = {trial.report.kind for trial in late}
    for way, learned in (
        ("(c) fitted to other sets", others),
        ("(d) fitted to the earlier part", [trial for trial in trials if trial.report.created < begins]),
    ):
        found = assess(trials, scored, fit_weights(learned, starting_weights(), kinds=kinds))
        more = f"join P {found.join.precision:.3f} R {found.join.recall:.3f}  ECE {calibration_error(found.bins):.3f}"
        if found.pairs.linked:
            first, five = found.pairs.first / found.pairs.linked, found.pairs.among_five / found.pairs.linked
            more += f"  top-1 {first:.3f} top-5 {five:.3f}"
        show(way, found.same, more)


def main() -> None:
    """Print the table of all sets that the folder named by DATA holds."""
    folder = Path(os.environ.get("DATA") or "../shared/data")
    shipped = Path(__file__).parents[1] / "tests/data/reports"
    sets = [
        (name, read_set(shipped if pattern == SHIPPED else folder, pattern, service), begins, aim)
        for name, pattern, service, begins, aim in SETS
    ]
    replayed = {name: replay(reports) for name, reports, *_ in sets if "noise" not in name and "shipped" not in name}
    for name, reports, begins, aim in sets:
        if not reports:
            print(f"{name}: not in {folder}")
            continue
        print(f"{name}: {len(reports)} reports, scored from {begins}" + (f"; aim for (d): F1 {aim}" if aim else ""))
        # The shipped set is a part of the large one, so neither may teach the other.
        others = [
            trial
            for other, trials in replayed.items()
            if other.split()[:2] != name.replace(",", "").split()[:2] or (other != name and "pothole" in name)
            for trial in trials
        ]
        show_set(reports, datetime.fromisoformat(begins).replace(tzinfo=UTC), others)


if __name__ == "__main__":
    main()
