"""`jalon match`: learn what makes reports one problem, and see how well that agrees with what clerks said."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.output import AsJson, hint, say, show_json, show_table, write_file, writing

if TYPE_CHECKING:
    from issues.assessment import Assessment
    from issues.labelled import LabelledReport
    from issues.replay import Trial
    from issues.weights import Weights

app = typer.Typer(help="How reports are matched: learn from labelled reports, and measure.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Reports as CSV, gzip or not.")]
WeightsFile = Annotated[
    Path | None, typer.Option("--weights", exists=True, dir_okay=False, help="Weights; the built-in ones if left out.")
]
History = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Earlier reports: seen, but not scored.")
]
Service = Annotated[str | None, typer.Option(help="Only reports whose service, or its family, has this in its name.")]
Since = Annotated[datetime | None, typer.Option(help="Score reports from this day on; earlier ones are history.")]
LabelDays = Annotated[
    float, typer.Option(min=0.0, help="After how many days a label is known: 0 if given as a report comes in.")
]
Until = Annotated[datetime | None, typer.Option(help="Learn from reports before this day only.")]


@app.command()
def evaluate(
    file: File,
    *,
    history: History = None,
    weights: WeightsFile = None,
    service: Service = None,
    since: Since = None,
    label_days: LabelDays = 1.0,
    refit_every: Annotated[
        int | None, typer.Option(min=1, help="Fit the weights anew to what was known, after so many labelled reports.")
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(file_okay=False, help="Write a reliability diagram and an error map (PNG) there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay reports in their order, and compare what would have been matched with the file's labels."""
    from api.cli.refusals import CommandRefused
    from issues.assessment import examples, sum_up
    from issues.evaluation import judge
    from issues.refitting import Rhythm, judge_as_time_passes

    own = _reports(file, service)
    first_day = None if since is None else since.replace(tzinfo=UTC)
    scored = {report.id for report in own if first_day is None or report.created >= first_day}
    trials = _replayed(own, history, service, label_days)
    if not any(trial.report.id in scored and trial.report.duplicate is not None for trial in trials):
        raise CommandRefused(f"{file} has no labelled report to score (a column is_dup, and days since --since)")
    if refit_every is None:
        verdicts = judge((trial for trial in trials if trial.report.id in scored), _weights(weights))
    else:
        verdicts = judge_as_time_passes(trials, scored, _weights(weights), Rhythm(refit_every, label_days=label_days))
    found = sum_up(verdicts)
    if pictures is not None:
        _draw(pictures, file, found)
    if as_json:
        show_json(found.as_dict())
        return
    show_table(("what", "value"), found.rows(), empty="")
    for heading, errors in (("called duplicates, wrongly", found.wrong), ("not recognised", found.missed)):
        hint(f"{heading}:")
        for example in examples(errors):
            hint(f"  {example}")


@app.command()
def fit(
    file: File,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the weights (TOML).")],
    history: History = None,
    start: WeightsFile = None,
    service: Service = None,
    until: Until = None,
    label_days: LabelDays = 1.0,
) -> None:
    """Learn weights from labelled reports, beginning from those that come with Jalon or from others."""
    from api.cli.refusals import CommandRefused
    from issues.fitting import fit_weights, lessons_of
    from issues.weights import write_weights

    trials = _replayed(_reports(file, service), history, service, label_days)
    if until is not None:
        trials = [trial for trial in trials if trial.report.created < until.replace(tzinfo=UTC)]
    labelled = sum(trial.report.duplicate is not None for trial in trials)
    if not labelled:
        raise CommandRefused(f"{file} has no labelled report to learn from (a column is_dup)")
    fitted = fit_weights(lessons_of([trials]), _weights(start))
    heading = f"Fitted to {labelled} labelled reports of {file.name}; log-odds each."
    write_file(output, write_weights(fitted, heading=heading))
    say(f"{output}: fitted to {labelled} labelled reports")


def _reports(file: Path, service: str | None) -> "list[LabelledReport]":
    from api.cli.refusals import CommandRefused
    from issues.labelled import read_reports

    try:
        found = read_reports(file)
    except UnicodeDecodeError as error:
        raise CommandRefused(f"{file} is not in UTF-8 ({error.reason} at byte {error.start})") from error
    for reason, count in found.left_out.items():
        hint(f"{file.name}: {count} rows left out: {reason}")
    wanted = (service or "").casefold()
    return [report for report in found.reports if wanted in f"{report.family} {report.service}".casefold()]


def _replayed(
    own: "list[LabelledReport]", history: Path | None, service: str | None, label_days: float
) -> "list[Trial]":
    from issues.replay import replay

    earlier = [] if history is None else _reports(history, service)
    # Files may overlap; what the newer one says of a report counts.
    reports = {report.id: report for report in (*earlier, *own)}
    in_order = sorted(reports.values(), key=lambda report: (report.created, report.id))
    return replay(in_order, label_days=label_days)


def _draw(folder: Path, file: Path, found: "Assessment") -> None:
    from issues.charts import error_map, reliability_diagram

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "reliability.png", reliability_diagram(found.bins, title=file.name))
    write_file(folder / "errors.png", error_map(found, title=file.name))
    hint(f"{folder}: reliability.png, errors.png")


def _weights(path: Path | None) -> "Weights":
    from issues.weights import built_in_weights, parse_weights

    return built_in_weights() if path is None else parse_weights(path.read_text(encoding="utf-8"), where=str(path))
