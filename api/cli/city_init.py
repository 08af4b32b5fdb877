"""`jalon city init`: a pack from a folder of a city's raw files, by questions at a terminal or by flags."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from api.cli.output import AsJson, hint, say, show_json, show_table, write_file

if TYPE_CHECKING:
    from issues.packs.check import PackReport
    from issues.packs.draft import Answers
    from issues.packs.survey import RawFile

_Given = dict[str, Any]
# The commonest kind of report, for the sample points of a new pack.
_SAMPLE_SERVICE = "nid-de-poule"
# What no file tells and nobody can guess.
_QUESTIONS: Final = {
    "name": "What is the city called, in French?",
    "source": "Whom are the files from?",
    "licence": "Which licence are they under?",
}
_WHICH_CRS: Final = "which coordinate system is it in"


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="Folder of raw files.")],
    *,
    name: Annotated[str | None, typer.Option(help="The city's name in French.")] = None,
    name_en: Annotated[str | None, typer.Option(help="In English; as in French if left out.")] = None,
    jurisdiction: Annotated[str | None, typer.Option(help="Its id in the API, best its domain: laval.ca.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Such as America/Toronto.")] = None,
    source: Annotated[str | None, typer.Option(help="Whom the files are from.")] = None,
    licence: Annotated[str | None, typer.Option(help="The licence they may be used under.")] = None,
    crs: Annotated[list[str] | None, typer.Option(metavar="FILE=EPSG:N", help="A file's coordinate system.")] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE=ROLE", help="What a file is: outline, districts, streets, addresses, assets, places, unused."
        ),
    ] = None,
    responsible: Annotated[str | None, typer.Option(metavar="FILE", help="Whose districts decide.")] = None,
    answers: Annotated[
        Path | None, typer.Option(metavar="FILE", exists=True, dir_okay=False, help="The same in a YAML file.")
    ] = None,
    ask: Annotated[bool | None, typer.Option("--ask/--no-ask", help="Ask for what is missing.")] = None,
    force: Annotated[bool, typer.Option(help="Write over a pack that is there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be written.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a city pack from a folder of districts, streets and addresses as the city has them."""
    given: _Given = _read_answers(answers) | _set(
        name=name, name_en=name_en, jurisdiction=jurisdiction, timezone=timezone, source=source, licence=licence,
        responsible=responsible,
    )  # fmt: skip
    given["crs"] = given.get("crs", {}) | _pairs("--crs", crs)
    given["roles"] = given.get("roles", {}) | _pairs("--role", role)
    asks = (sys.stdin.isatty() and not as_json) if ask is None else ask
    if (folder / "city.yml").exists() and not force and not dry_run:
        raise _refusal(f"{folder} has a city.yml already; --force writes over it.")
    files = _survey(folder, given, asks=asks)
    if not asks:
        if not as_json:
            _show_files(files)
        _refuse_missing(files, given)
    if asks and "responsible" not in given:
        given |= _ask_who_decides(files)
    sheets = _draft(files, _answers(given, asks=asks))
    report = None
    if not dry_run:
        report, points = _write(folder, sheets)
        sheets |= points
    _tell(folder, files, sheets, report, as_json=as_json)
    raise typer.Exit(0 if report is None or report.pack else 1)


def _refusal(what: str) -> Exception:
    """What a command raises that cannot go on."""
    from api.cli.refusals import CommandRefused

    return CommandRefused(what)


def _survey(folder: Path, given: _Given, *, asks: bool) -> "list[RawFile]":
    from issues.packs.survey import Role, survey

    roles = _roles(given["roles"])
    files = survey(folder, crs=given["crs"], roles=roles)
    _refuse_unknown(files, given)
    _refuse_odd_crs(given["crs"])
    if not asks:
        return files
    without_crs = _without_crs(files, given)
    for label in without_crs:
        given["crs"][label] = _ask(f"{label}: {_WHICH_CRS} (such as EPSG:32188)?", None)
    if without_crs:
        _refuse_odd_crs(given["crs"])
        files = survey(folder, crs=given["crs"], roles=roles)
    _show_files(files)
    for raw in files:
        if raw.kind and raw.label not in roles:
            word = _ask(f"{raw.label}: what is it?", raw.role.value, among=[each.value for each in Role])
            roles[raw.label] = Role(word)
    return survey(folder, crs=given["crs"], roles=roles)


def _without_crs(files: "list[RawFile]", given: _Given) -> list[str]:
    """Name the files that are used and of which nobody says in which coordinate system they are."""
    unused = {label for label, role in given["roles"].items() if role == "unused"}
    return [raw.label for raw in files if raw.crs_unknown and raw.label not in unused | given["crs"].keys()]


def _refuse_missing(files: "list[RawFile]", given: _Given) -> None:
    """Go on only if all is said that no file tells; otherwise names every flag that is missing, not the first alone."""
    missing = [f"{question} --{key} TEXT" for key, question in _QUESTIONS.items() if key not in given]
    missing += [
        f"{label}: {_WHICH_CRS}? --crs {label}=EPSG:32188 (or leave the file out: --role {label}=unused)"
        for label in _without_crs(files, given)
    ]
    if missing:
        raise _refusal("no file tells this; say it:" + "".join(f"\n  {line}" for line in missing))


def _ask_who_decides(files: "list[RawFile]") -> _Given:
    """Ask which of several layers says who answers for a place; nothing where there is one."""
    from issues.packs.survey import Role, responsible_of

    layers = [raw.label for raw in files if raw.role is Role.DISTRICTS]
    likeliest = responsible_of(files)
    if len(layers) < 2 or likeliest is None:
        return {}
    return {"responsible": _ask("Whose districts decide who answers for a place?", likeliest.label, among=layers)}


def _roles(given: Mapping[str, str]) -> "dict[str, Any]":
    from issues.packs.survey import Role

    try:
        return {label: Role(word) for label, word in given.items()}
    except ValueError as error:
        raise _refusal(f"{error}: a file is one of {', '.join(Role)}.") from error


def _refuse_unknown(files: "list[RawFile]", given: _Given) -> None:
    labels = {raw.label for raw in files}
    named = {*given["crs"], *given["roles"], *([given["responsible"]] if given.get("responsible") else [])}
    for label in sorted(named - labels):
        raise _refusal(f"there is no file {label}; there are: {', '.join(sorted(labels)) or 'none'}.")


def _refuse_odd_crs(crs: Mapping[str, str]) -> None:
    from geo.files import is_crs

    for label, word in crs.items():
        if not is_crs(word):
            raise _refusal(f"{label}: {word} is no coordinate system; write it as EPSG:32188.")


def _answers(given: _Given, *, asks: bool) -> "Answers":
    from issues.packs.draft import Answers
    from issues.packs.sources import code_of

    def get(key: str, question: str, guess: str | None = None) -> str:
        if key in given:
            return str(given[key])
        if asks or guess is None:
            return _ask(question, guess)
        hint(f"{key}: {guess} (guessed; --{key.replace('_', '-')})")
        return guess

    name = get("name", _QUESTIONS["name"])
    return Answers(
        names={"fr": name, "en": get("name_en", "And in English?", name)},
        jurisdiction_id=get("jurisdiction", "Its id in the API, best the city's domain?", f"{code_of(name)}.ca"),
        timezone=get("timezone", "In which time zone is it?", "America/Toronto"),
        source=get("source", _QUESTIONS["source"]),
        licence=get("licence", _QUESTIONS["licence"]),
        responsible=given.get("responsible"),
    )


def _ask(question: str, default: str | None, *, among: Sequence[str] = ()) -> str:
    """Ask until there is an answer; until it is one of a few, where they are given."""
    while True:
        answer = str(typer.prompt(question, default=default, prompt_suffix=" ", err=True)).strip()
        if not among or answer in among:
            return answer
        hint(f"It is one of: {', '.join(among)}.")


def _draft(files: "list[RawFile]", answers: "Answers") -> dict[str, str]:
    from issues.packs.draft import NothingToBeMade, draft_pack

    try:
        return draft_pack(files, answers)
    except NothingToBeMade as error:
        unread = "".join(f"\n  {raw.label}: {'; '.join(raw.remarks)}" for raw in files if raw.remarks)
        raise _refusal(f"there are no districts with names, and no outline with one.{unread}") from error


def _write(folder: Path, sheets: Mapping[str, str]) -> "tuple[PackReport, dict[str, str]]":
    """Write a pack, then what only a pack that can be loaded tells: its sample points."""
    from issues.packs.check import check_pack
    from issues.packs.points import sample_points
    from issues.packs.schema import POINTS

    for name, text in sheets.items():
        write_file(folder / name, text)
    report = check_pack(folder)
    if report.pack is None:
        return report, {}
    points = sample_points(report.pack, _SAMPLE_SERVICE, on=datetime.now(UTC).date())
    write_file(folder / POINTS, points)
    return report, {POINTS: points}


def _tell(
    folder: Path, files: "list[RawFile]", sheets: Mapping[str, str], report: "PackReport | None", *, as_json: bool
) -> None:
    from api.cli.cities import problems_as_json, show_problems

    if as_json:
        show_json({
            "files": [
                {"file": raw.label, "role": raw.role, "count": raw.count, "crs": raw.crs, "columns": raw.columns,
                 "remarks": list(raw.remarks)}
                for raw in files
            ],
            "sheets": dict(sheets),
            "written": report is not None,
            "loadable": report is not None and report.pack is not None,
            "problems": problems_as_json(report.problems) if report else [],
        })  # fmt: skip
        return
    if report is None:
        say(sheets["city.yml"])
        hint(f"Would write {', '.join(sheets)} and, if it can be loaded then, points.csv.")
        return
    show_problems(report.problems)
    wrote = f"{folder}: {', '.join(sheets)} written"
    say(f"{wrote}; load it: jalon city load {folder}" if report.pack else f"{wrote}; not yet to be loaded")


def _show_files(files: "list[RawFile]") -> None:
    rows = [
        (raw.label, raw.role.value, f"{raw.count} {raw.kind}".strip(), raw.crs,
         ", ".join(f"{key}: {column}" for key, column in raw.columns.items()), "; ".join(raw.remarks))
        for raw in files
    ]  # fmt: skip
    show_table(["file", "used as", "holds", "coordinates", "columns", "remarks"], rows, empty="There are no files.")


def _read_answers(path: Path | None) -> _Given:
    if path is None:
        return {}
    import yaml

    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _refusal(f"{path} is not YAML.") from error
    known = {"name", "name_en", "jurisdiction", "timezone", "source", "licence", "crs", "roles", "responsible"}
    if not isinstance(read, dict) or read.keys() - known:
        raise _refusal(f"{path}: its keys are {', '.join(sorted(known))}.")
    for key in ("crs", "roles"):
        if not isinstance(read.get(key, {}), dict):
            raise _refusal(f"{path}: {key} goes by file, as in {{streets.shp: ...}}.")
    return read


def _set(**flags: str | None) -> _Given:
    return {key: value for key, value in flags.items() if value is not None}


def _pairs(flag: str, given: list[str] | None) -> dict[str, str]:
    pairs = [text.rpartition("=") for text in given or ()]
    if not all(file and value for file, _, value in pairs):
        raise _refusal(f"{flag} takes FILE=VALUE.")
    return {file: value for file, _, value in pairs}
