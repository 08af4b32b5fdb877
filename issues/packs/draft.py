"""Writing a city pack from a folder of raw files and a few answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

import yaml

from issues.packs.schema import CITY, DEPARTMENTS, ROUTES, SERVICES
from issues.packs.sources import code_of
from issues.packs.survey import RawFile, Role, responsible_of

SOURCES = "SOURCES.md"
_HEAD = """\
# Written by `jalon city init`; yours to change. cities/README.md says what the keys mean.
# Which column holds what was guessed from the files: look at `columns` once more.

"""
# What layers are called, by a word in the name of their file.
_LAYERS = {
    "limite": ("ville", "Ville", "City"),
    "outline": ("ville", "Ville", "City"),
    "arrondissement": ("arrondissements", "Arrondissements", "Boroughs"),
    "borough": ("arrondissements", "Arrondissements", "Boroughs"),
    "electora": ("districts-electoraux", "Districts électoraux", "Electoral districts"),
    "quartier": ("quartiers", "Quartiers", "Neighbourhoods"),
    "neighbo": ("quartiers", "Quartiers", "Neighbourhoods"),
    "parc": ("parcs", "Parcs", "Parks"),
    "park": ("parcs", "Parcs", "Parks"),
    "secteur": ("secteurs", "Secteurs", "Sectors"),
    "sector": ("secteurs", "Secteurs", "Sectors"),
    "ward": ("quartiers-electoraux", "Quartiers électoraux", "Wards"),
    "district": ("districts", "Districts", "Districts"),
}


class NothingToBeMade(Exception):
    """A folder holds no districts and no outline with a name, so no city can be made of it."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What no file tells.

    Attributes:
        names: The city's name by language.
        jurisdiction_id: Its name on the wire.
        timezone: Of its local time.
        source: Whom the files are from.
        licence: Under which they may be used.
        responsible: Label of the file whose districts decide who answers; None for the likeliest.
    """

    names: Mapping[str, str]
    jurisdiction_id: str
    timezone: str
    source: str
    licence: str
    responsible: str | None = None


def draft_pack(files: Sequence[RawFile], answers: Answers) -> dict[str, str]:
    """Write the sheets of a pack.

    Args:
        files: What was found in its folder; the pack goes on using the files as they are.
        answers: What no file tells.

    Returns:
        The text of each sheet by its name; services, departments and routes are the starter's.

    Raises:
        NothingToBeMade: no file has districts.
    """
    starter = resources.files("issues.packs") / "starter"
    sheets = {name: (starter / name).read_text("utf-8") for name in (SERVICES, DEPARTMENTS, ROUTES)}
    body = yaml.safe_dump(_city(files, answers), allow_unicode=True, sort_keys=False, width=120)
    return {CITY: _HEAD + body, **sheets, SOURCES: _sources(files, answers)}


def _city(files: Sequence[RawFile], answers: Answers) -> dict[str, Any]:
    layers = [raw for raw in files if raw.role is Role.DISTRICTS]
    outline = next((raw for raw in files if raw.role is Role.OUTLINE), None)
    responsible = next((raw for raw in layers if raw.label == answers.responsible), None) or responsible_of(files)
    if responsible is None and outline is not None and outline.columns:
        layers, responsible, outline = [*layers, outline], outline, None
    if responsible is None:
        raise NothingToBeMade
    written = _layers(layers, answers)
    return {
        "jurisdiction_id": answers.jurisdiction_id,
        "names": dict(answers.names),
        "timezone": answers.timezone,
        "calendar": "CA-QC",
        "responsible_layer": written[responsible.label]["code"],
        "layers": list(written.values()),
        **({"outline": _file(outline, answers)} if outline else {}),
        **{
            role.value: {**_file(raw, answers), "columns": dict(raw.columns)}
            for raw in files
            for role in (Role.STREETS, Role.ADDRESSES)
            if raw.role is role
        },
        **_several(files, Role.ASSETS, answers),
        **_several(files, Role.PLACES, answers),
    }


def _several(files: Sequence[RawFile], role: Role, answers: Answers) -> dict[str, list[dict[str, Any]]]:
    """What `city.yml` has a list of; nothing where there is none."""
    written = [
        ({"kind": _kind_of(raw)} if role is Role.ASSETS else {}) | {**_file(raw, answers), "columns": dict(raw.columns)}
        for raw in files
        if raw.role is role
    ]
    return {role.value: written} if written else {}


def _kind_of(raw: RawFile) -> str:
    """What assets are called in rules: as their file."""
    return code_of(_stem(raw)) or "assets"


def _layers(files: Sequence[RawFile], answers: Answers) -> dict[str, dict[str, Any]]:
    written: dict[str, dict[str, Any]] = {}
    for raw in files:
        code, french, english = _layer_of(raw)
        taken = {layer["code"] for layer in written.values()}
        free = next(name for n in range(1, len(files) + 2) if (name := code if n == 1 else f"{code}-{n}") not in taken)
        names = {"fr": french, "en": english}
        written[raw.label] = {"code": free, "names": names, **_file(raw, answers), "columns": dict(raw.columns)}
    return written


def _layer_of(raw: RawFile) -> tuple[str, str, str]:
    name = code_of(raw.label)
    known = next((layer for word, layer in _LAYERS.items() if word in name), None)
    stem = _stem(raw)
    words = stem.replace("_", " ").replace("-", " ").strip().capitalize() or "Secteurs"
    return known or (code_of(stem) or "secteurs", words, words)


def _stem(raw: RawFile) -> str:
    return PurePosixPath(raw.table or raw.file).name.split(".")[0]


def _file(raw: RawFile, answers: Answers) -> dict[str, str]:
    """A file with where it comes from; its coordinate system and encoding only where it does not name them itself."""
    told = {"file": raw.file, "table": raw.table, "crs": raw.crs_given, "encoding": raw.encoding}
    return {key: value for key, value in told.items() if value} | {"source": answers.source, "licence": answers.licence}


def _sources(files: Sequence[RawFile], answers: Answers) -> str:
    used = [raw for raw in files if raw.role is not Role.UNUSED]
    rows = [f"| `{raw.label}` | {raw.count} {raw.kind} | {answers.source} | {answers.licence} |" for raw in used]
    title = f"# {answers.names['fr']}: where each file comes from"
    table = "\n".join(["| file | content | source | licence |", "|---|---|---|---|", *rows])
    return f"{title}\n\n{table}\n\n`services.yml`, `departments.yml` and `routes.csv` began as Jalon's starter.\n"
