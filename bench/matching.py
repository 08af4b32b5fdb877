"""How well matching agrees with clerks' labels, on the sets of a folder: `make eval-matching DATA=folder`.

Each set is scored on its later part. (a) are the peers' rules: any open report of the service within 50 m and 12
weeks, or within 250 m without window. (b) are the best radius and window, and the best reach in house numbers on one
street, found afterwards, which nobody knows beforehand. (c) are weights fitted to the other sets, as a city has them
that brings no labels; where less than two others are of the kind, they stay as judged. (d) are weights fitted to the
set's earlier part, from (c) on, and then left alone; (e) the same fitted anew as time passes. (s) are the weights as
shipped, which all sets' earlier parts have taught.

A duplicate of what lies outside the file, or of something closed, can be recognised by nobody: "within reach" says how
many can, the F1 of one who errs in none of them, and how many are marked all the same with nothing near. Where few
reports are scored, their shares vary: what follows the calibration error is what scores that are exactly right would
show. What can be reached at all, and what was reached, is told in CONTRIBUTING.md.

What was chosen by looking where: the form of the model, how strongly it is drawn to its start, and the curves in
starting_weights.toml by the earlier parts alone, each predicted from what came before in it. The scored parts were
looked at again and again, though, while all this was built, and what was seen there cannot be unseen: the rows of
potholes, of which there is so little, are likely to be somewhat too good.

With PICTURES=folder, a reliability diagram and a map of the errors are written there for each set. With WEIGHTS=file,
what all sets' earlier parts teach is written there and nothing is measured: so issues/weights.toml was made.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

from geo.civic import numbers_apart
from issues.assessment import Assessment, assess, examples, sum_up
from issues.charts import error_map, reliability_diagram
from issues.evaluation import Agreement, agreement, calibration_error, chance_error
from issues.fitting import fit_weights, lessons_of
from issues.labelled import LabelledReport, read_reports
from issues.refitting import Rhythm, judge_as_time_passes
from issues.replay import WINDOW_DAYS, Trial, replay
from issues.weights import Weights, built_in_weights, starting_weights, write_weights

SHIPPED = Path(__file__).parents[1] / "tests/data/reports"
# Clerks differ more than things do: other sets say little however large they are, and none more than the smallest.
MOST_OF_A_SET = 30
HEADING = """The built-in weights, log-odds each. `make eval-matching` says how good they are, and made them.

kinds.point, kinds.stretch and kinds.premises were fitted, from starting_weights.toml on, to duplicates marked by
clerks in Chicago (potholes 2011 and 7 to 9 December 2018, sanitation complaints 2000-12, five other kinds 2010-11)
and Boston (street lights and graffiti, July and August 2011): no later report of these sets was used. Every set
counts as much as the smallest of its kind, and for thirty reports at most, since clerks differ more than things do.
kinds.any and judged are set by judgement, as told there."""
# One city's clerks are no evidence on the next city's: a kind is learned from several others or stays as judged.
FEWEST_SETS = 2
# The reaches in house numbers and the distance that rules and ceilings are shown for.
REACHES = (0, 4, 8, 16, 32, 50, 100)
FARTHEST_M = 200.0
# Nine in ten of Boston's labels are known after a day and a half. Chicago labels a report when it comes in.
BOSTON_RHYTHM = Rhythm(every=50, half_life=200.0, label_days=1)
CHICAGO_RHYTHM = Rhythm(every=50, label_days=0)
SANITATION_RHYTHM = Rhythm(every=500, half_life=2000.0, label_days=0)


@dataclass(frozen=True)
class LabelledSet:
    """A set: its file, a pattern of its services' or their family's name, and from when on it is scored.

    Attributes:
        first: The first of that day's reports which is scored; all of them if left out.
        about: Sets of one of these hold the same reports, so none teaches the other.
        aims: What (d) should reach: F1, then what else is asked.
        noise: Labels that agree with nothing: shown, never learned from.
    """

    name: str
    file: str
    service: str
    begins: str
    about: str
    aims: str = ""
    rhythm: Rhythm = BOSTON_RHYTHM
    noise: bool = False
    first: str = ""

    def scores(self, trial: Trial) -> bool:
        """Whether a report is scored, or comes before those that are."""
        begins = datetime.fromisoformat(self.begins).replace(tzinfo=UTC)
        return (trial.report.created, trial.report.id) >= (begins, self.first)


POTHOLES_2018 = "reports-chicago-potholes-2018/*.gz"
NINE = "reports-chicago-nine-categories/*.gz"
BOSTON = "reports-boston-2011/*.gz"
SETS = (
    LabelledSet(
        "Chicago potholes 2018", POTHOLES_2018, "pothole", "2018-12-10", "potholes 2018",
        "F1 0.76 with P 0.9; at join P 0.95 with R 0.4", CHICAGO_RHYTHM,
    ),
    LabelledSet(
        "Chicago potholes 2011-12, only 2012 scored", NINE, "pot hole", "2012-01-01", "potholes 2011",
        "F1 0.78; at join P 0.95 with R 0.4", CHICAGO_RHYTHM,
    ),
    # Six in ten came on one day, which the half therefore cuts.
    LabelledSet(
        "Chicago potholes 2011-12, the later half", NINE, "pot hole", "2011-01-03", "potholes 2011",
        "F1 0.78; at join P 0.95 with R 0.4", CHICAGO_RHYTHM, first="11-00009112",
    ),
    LabelledSet(
        "Chicago potholes 2011-12, learned from two days", NINE, "pot hole", "2011-01-03", "potholes 2011",
        "F1 0.78; at join P 0.95 with R 0.4", CHICAGO_RHYTHM,
    ),
    LabelledSet("Chicago sanitation 2013", "reports-chicago-sanitation/*.gz", "", "2013-01-01", "sanitation", "F1 0.80",
        SANITATION_RHYTHM,
    ),
    LabelledSet(
        "Boston street lights", BOSTON, "street lights", "2011-09-01", "lights", "F1 0.76; top-1 0.72, top-5 0.84",
    ),
    LabelledSet("Boston graffiti", BOSTON, "graffiti", "2011-09-01", "graffiti"),
    # Nearly two in three of those with nothing near are marked as well, so calling all of them beats every rule.
    LabelledSet(
        "Chicago lights 2011-12 (marked with nothing near)", NINE, "light", "2012-01-01", "chicago lights", "",
        CHICAGO_RHYTHM,
    ),
    LabelledSet("Chicago trees 2010-12", NINE, r"\btree", "2012-01-01", "trees", "", CHICAGO_RHYTHM),
    LabelledSet("Chicago vehicles 2011-12", NINE, "vehicle", "2012-01-01", "vehicles", "", CHICAGO_RHYTHM),
    LabelledSet("Chicago garbage carts 2010-12", NINE, "cart", "2012-01-01", "carts", "", CHICAGO_RHYTHM),
    LabelledSet("Chicago graffiti 2011-12", NINE, "graffiti", "2012-01-01", "chicago graffiti", "", CHICAGO_RHYTHM),
    LabelledSet("Boston potholes (labels are noise)", BOSTON, "pothole", "2011-09-01", "noise", noise=True),
    LabelledSet(
        "Chicago sanitation, as shipped", "chicago-sanitation-2012-10_to_2013-03.csv.gz", "", "2013-01-01",
        "sanitation", "F1 0.80", SANITATION_RHYTHM,
    ),
)  # fmt: skip


def read_set(folder: Path, labelled: LabelledSet) -> list[LabelledReport]:
    """The reports of a set; none where the folder has it not."""
    found = sorted(folder.glob(labelled.file)) or sorted(SHIPPED.glob(labelled.file))
    return [
        report
        for path in found
        for report in read_reports(path).reports
        if re.search(labelled.service, f"{report.family} {report.service}", re.IGNORECASE)
    ]


def within(trials: Iterable[Trial], radius_m: float, days: float) -> Agreement:
    """Compare with the labels the rule that any open report of the service so near and so recent is the same."""
    window = timedelta(days=days)

    def called(trial: Trial) -> bool:
        return any(
            candidate.distance_m <= radius_m
            and trial.report.created - candidate.last_report_at <= window
            and candidate.service_code == trial.report.service
            for candidate in trial.candidates
        )

    return agreement((called(trial), trial.report.duplicate) for trial in trials if trial.report.duplicate is not None)


def within_numbers(trials: Iterable[Trial], most_apart: int) -> Agreement:
    """Compare with the labels the rule that any open report on the same street and so near in numbers is the same."""

    def called(trial: Trial) -> bool:
        own = trial.report.address
        steps = [numbers_apart(own, other.address) for other in trial.candidates if own and other.address]
        return any(step is not None and step <= most_apart for step in steps)

    return agreement((called(trial), trial.report.duplicate) for trial in trials if trial.report.duplicate is not None)


def show(way: str, found: Agreement, more: str = "") -> None:
    """Print a line of the table."""
    print(f"  {way:31} P {found.precision:.3f}  R {found.recall:.3f}  F1 {found.f1:.3f}  {more}")


def show_assessment(way: str, found: Assessment) -> None:
    """Print a line of the table with what only scores can tell."""
    more = f"join P {found.join.precision:.3f} R {found.join.recall:.3f}  ECE {calibration_error(found.bins):.3f}"
    more += f" (chance {chance_error(found.bins):.3f})"
    more += f"  shown {found.shown:.3f}"
    if found.pairs.linked:
        first, five = found.pairs.first / found.pairs.linked, found.pairs.among_five / found.pairs.linked
        more += f"  top-1 {first:.3f} top-5 {five:.3f}"
    show(way, found.same, more)


def show_rules(reports: Sequence[LabelledReport], labelled: LabelledSet) -> None:
    """Print what fixed radii and windows reach."""
    alone = replay(reports, radius_m=250.0, window_days=3650, together=False)
    wide = [trial for trial in alone if labelled.scores(trial)]
    show("(a) 50 m, 12 weeks", within(wide, 50.0, 84.0))
    show("(a) 250 m, no window", within(wide, 250.0, 3650.0))
    rules = product((3.0, 10.0, 20.0, 30.0, 50.0, 100.0, 150.0, 250.0), (0.0, 1.0, 2.0, 3.0, 7.0, 30.0, 60.0))
    best, rule = max(((within(wide, *rule), rule) for rule in rules), key=lambda pair: pair[0].f1)
    show(f"(b) best rule: {rule[0]:.0f} m, {rule[1]:.0f} days", best)
    best, apart = max(((within_numbers(wide, apart), apart) for apart in REACHES), key=lambda pair: pair[0].f1)
    show(f"(b) best address rule: {apart} numbers", best)
    near = within(wide, FARTHEST_M, WINDOW_DAYS)
    found, alone_marked = near.recall, (near.labelled - near.right) / max(1, len(wide) - near.called)
    print(
        f"      within reach ({FARTHEST_M:.0f} m, {WINDOW_DAYS} days): R {found:.3f}, F1 {2 * found / (1 + found):.3f};"
        f" of those with something there {near.precision:.3f} are marked, of the others {alone_marked:.3f}"
    )


def show_learned(trials: Sequence[Trial], labelled: LabelledSet, from_others: Weights) -> dict[str, Assessment]:
    """Print what weights reach; answers with what (d) and (e) did."""
    scored = {trial.report.id for trial in trials if labelled.scores(trial)}
    earlier = [trial for trial in trials if not labelled.scores(trial)]
    own = fit_weights(lessons_of([earlier]), from_others)
    found = assess(trials, scored, own)
    way = "(c) as judged" if from_others == starting_weights() else "(c) fitted to other sets"
    show_assessment(way, assess(trials, scored, from_others))
    show_assessment("(d) fitted to the earlier part", found)
    kept_up = sum_up(judge_as_time_passes(trials, scored, from_others, labelled.rhythm))
    show_assessment(f"(e) anew every {labelled.rhythm.every} reports", kept_up)
    show_assessment("(s) as shipped", assess(trials, scored, built_in_weights()))
    for heading, errors in (("wrongly called", found.wrong), ("not recognised", found.missed)):
        for example in examples(errors)[:2]:
            print(f"      {heading} by (d): {example}")
    return {"d": found, "e": kept_up}


def draw(folder: Path, name: str, ways: Mapping[str, Assessment]) -> None:
    """Write the pictures of one set."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")
    for way, found in ways.items():
        title = f"{name} ({way})"
        (folder / f"{stem}-{way}-reliability.png").write_bytes(reliability_diagram(found.bins, title=title))
        (folder / f"{stem}-{way}-errors.png").write_bytes(error_map(found, title=title))


def learn_from(sets: Sequence[Sequence[Trial]], kinds: Iterable[str]) -> Weights:
    """The weights that come of several sets, none drowning the others."""
    weights = starting_weights()
    for kind in sorted(kinds):
        own = [trials for trials in sets if any(trial.report.kind == kind for trial in trials)]
        if len(own) >= FEWEST_SETS:
            fewest = min(
                sum(trial.report.kind == kind and bool(trial.candidates) for trial in trials) for trials in own
            )
            weights = fit_weights(lessons_of(own, most=min(MOST_OF_A_SET, fewest)), weights, kinds={kind})
    return weights


def write_built_in(path: Path, lessons: Iterable[tuple[LabelledSet, Sequence[Trial]]]) -> None:
    """Write the weights that the earlier parts of all sets teach."""
    earlier = [[trial for trial in trials if not labelled.scores(trial)] for labelled, trials in lessons]
    kinds = {trial.report.kind for trials in earlier for trial in trials}
    path.write_text(write_weights(learn_from(earlier, kinds), heading=HEADING), encoding="utf-8")


def main() -> None:
    """Print the table of all sets that the folder named by DATA holds."""
    folder = Path(os.environ.get("DATA") or "../shared/data")
    replayed = {
        labelled.name: replay(read_set(folder, labelled), label_days=labelled.rhythm.label_days) for labelled in SETS
    }
    if weights := os.environ.get("WEIGHTS"):
        teaching = {labelled.about: labelled for labelled in reversed(SETS) if not labelled.noise}
        write_built_in(Path(weights), [(labelled, replayed[labelled.name]) for labelled in teaching.values()])
        return
    # The first of those about the same reports teaches.
    lessons = {labelled.about: replayed[labelled.name] for labelled in reversed(SETS) if not labelled.noise}
    for labelled in SETS:
        trials = replayed[labelled.name]
        if not trials:
            print(f"{labelled.name}: not in {folder}")
            continue
        aims = f"; aims for (d): {labelled.aims}" if labelled.aims else ""
        print(f"{labelled.name}: {len(trials)} reports, scored from {labelled.begins}{aims}")
        show_rules([trial.report for trial in trials], labelled)
        others = [taught for about, taught in lessons.items() if about != labelled.about]
        from_others = learn_from(others, {trial.report.kind for trial in trials})
        found = show_learned(trials, labelled, from_others)
        if pictures := os.environ.get("PICTURES"):
            draw(Path(pictures), labelled.name, found)


if __name__ == "__main__":
    main()
