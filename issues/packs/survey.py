"""Looking through a folder of a city's raw files: what each may be, and which of its columns hold what."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from geo.files import CrsUnknown, FeatureFile, UnreadablePlaces, list_tables, read_features
from issues.packs.columns import (
    Cells,
    address_columns,
    asset_columns,
    district_columns,
    place_columns,
    street_columns,
)
from issues.packs.schema import CITY, DEPARTMENTS, ROUTES, SERVICES
from issues.packs.sheets import delimiter_of
from issues.packs.sources import code_of, text_of

_PLACES = (".geojson", ".json", ".gpkg", ".shp", ".zip", ".kml", ".kmz", ".gml", ".tab", ".fgb")
_TABLES = (".csv", ".tsv", ".txt")
_OURS = {CITY, SERVICES, DEPARTMENTS, ROUTES, "points.csv"}
# What has an id written into it by the program that saved it, which says nothing.
_NUMBERED = (".kml", ".kmz")
_PARKS = ("parc", "park")
# What files of points are called that people know by their names.
_PLACE_WORDS = ("lieu", "place", "batiment", "building", "bibliotheque", "ecole", "poi", "toponym", *_PARKS)
# Columns are guessed by so many rows.
_ROWS = 2_000


class Role(StrEnum):
    """What a file is for."""

    OUTLINE = "outline"
    DISTRICTS = "districts"
    STREETS = "streets"
    ADDRESSES = "addresses"
    ASSETS = "assets"
    PLACES = "places"
    UNUSED = "unused"


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file of a folder, or a table of one, and what was made of it.

    Attributes:
        file: Its name in the folder.
        table: Of a file with several.
        kind: `polygons`, `lines`, `points`, `table`; empty where it cannot be read.
        count: How many places or rows.
        crs: The coordinate system it is in; None where nobody says, and of a table in degrees.
        crs_given: That, where it was given because the file does not say it.
        encoding: That of a table which is not UTF-8.
        role: What it may be for.
        columns: Which of its columns hold what, as `city.yml` says it.
        remarks: What is odd about it.
        crs_unknown: Whether somebody has to say in which coordinate system it is.
    """

    file: str
    table: str | None = None
    kind: str = ""
    count: int = 0
    crs: str | None = None
    crs_given: str | None = None
    encoding: str | None = None
    role: Role = Role.UNUSED
    columns: Mapping[str, Any] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    crs_unknown: bool = False

    @property
    def label(self) -> str:
        """How the file is named to people and in flags: `villes.gpkg:secteurs` for a table of it."""
        return f"{self.file}:{self.table}" if self.table else self.file


@dataclass(frozen=True, slots=True)
class _Seen:
    raw: RawFile
    cells: Cells


def survey(
    folder: Path, *, crs: Mapping[str, str] | None = None, roles: Mapping[str, Role] | None = None
) -> list[RawFile]:
    """Look through the files of a folder, in the order of their names.

    Args:
        folder: The folder; folders in it are left alone.
        crs: The coordinate systems of files that name none or a wrong one, by label.
        roles: What files are for, by label, where that is not to be guessed.
    """
    seen = [found for path in sorted(folder.iterdir()) for found in _look_at(path, crs or {})]
    given = roles or {}
    decided = [_decide(found, given.get(found.raw.label)) for found in seen]
    for role in (Role.OUTLINE, Role.STREETS, Role.ADDRESSES):
        decided = _keep_largest(decided, role, given)
    return decided


def responsible_of(files: Sequence[RawFile]) -> RawFile | None:
    """The layer that most likely decides who answers for a place: the boroughs, else the one with fewest districts."""
    layers = [raw for raw in files if raw.role is Role.DISTRICTS and not _is_about(raw, *_PARKS)]
    boroughs = [raw for raw in layers if _is_about(raw, "arrondissement", "borough")]
    return min(boroughs or layers, key=lambda raw: raw.count, default=None)


def _look_at(path: Path, crs: Mapping[str, str]) -> list[_Seen]:
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if not path.is_file() or path.name in _OURS or path.name.startswith("."):
        return []
    if suffix in _TABLES:
        return [_look_at_table(path, crs)]
    if suffix not in _PLACES:
        return []
    try:
        tables = list_tables(path) if suffix != ".gz" else [None]
    except UnreadablePlaces as error:
        return [_Seen(RawFile(path.name, remarks=[error.reason]), {})]
    return [_look_at_places(path, table, crs) for table in tables]


def _look_at_places(path: Path, table: str | None, crs: Mapping[str, str]) -> _Seen:
    raw = RawFile(path.name, table)
    try:
        read = read_features(path, table=table, crs=crs.get(raw.label))
    except UnreadablePlaces as error:
        return _Seen(replace(raw, remarks=[error.reason], crs_unknown=isinstance(error, CrsUnknown)), {})
    rows = read.features[:_ROWS]
    columns = [column for column in read.columns if not (column == "id" and path.suffix.lower() in _NUMBERED)]
    cells = {column: [text_of(row.properties[column]) for row in rows] for column in columns}
    raw = replace(raw, kind=_kind(read), count=len(read.features), remarks=read.remarks)
    return _Seen(replace(raw, crs=read.crs, crs_given=crs.get(raw.label)), cells)


def _kind(read: FeatureFile) -> str:
    kinds = [feature.geometry.geom_type.removeprefix("Multi") for feature in read.features if feature.geometry]
    commonest = max(set(kinds), key=kinds.count, default="")
    return {"Polygon": "polygons", "LineString": "lines", "Point": "points"}.get(commonest, "")


def _look_at_table(path: Path, crs: Mapping[str, str]) -> _Seen:
    given = crs.get(path.name)
    raw = RawFile(path.name, kind="table", crs=given, crs_given=given)
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        text, encoding = _decode(content)
        lines = list(csv.DictReader(io.StringIO(text), delimiter=delimiter_of(text)))
    except (OSError, EOFError, csv.Error, UnicodeError) as error:
        return _Seen(replace(raw, kind="", remarks=[f"it cannot be read: {error}"]), {})
    columns = [column for column in (lines[0] if lines else {}) if column]
    cells = {column: [(row[column] or "").strip() for row in lines[:_ROWS]] for column in columns}
    remarks = [f"its texts are read as {encoding}"] if encoding else []
    return _Seen(replace(raw, count=len(lines), encoding=encoding, remarks=remarks), cells)


def _decode(content: bytes) -> tuple[str, str | None]:
    """Read text as UTF-8, else as Windows writes it here; also the encoding where it is not UTF-8."""
    try:
        return content.decode("utf-8-sig"), None
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace"), "cp1252"


def _decide(found: _Seen, given: Role | None) -> RawFile:
    """Guess what a file is for, unless that is given, and which of its columns hold what."""
    raw, cells = found.raw, found.cells
    for role in [given] if given else _roles_of(raw):
        columns = _columns(raw, cells, role)
        if columns is not None:
            needs_crs = raw.kind == "table" and "lon" in columns and raw.crs is None
            unknown = raw.crs_unknown or (needs_crs and not _in_degrees(cells, columns))
            return replace(raw, role=role, columns=columns, crs_unknown=unknown)
    wanted = f"none of its columns ({', '.join(cells) or 'it has none'}) fits" if raw.kind else ""
    return replace(raw, remarks=[*raw.remarks, wanted] if given and wanted else raw.remarks)


def _roles_of(raw: RawFile) -> list[Role]:
    if raw.kind == "polygons":
        alone = (raw.count == 1 and not _is_about(raw, *_PARKS)) or _is_about(
            raw, "limite", "outline", "contour", "boundary"
        )
        return [Role.OUTLINE] if alone else [Role.DISTRICTS]
    if raw.kind == "lines":
        return [Role.STREETS]
    named = [Role.PLACES] if _is_about(raw, *_PLACE_WORDS) else []
    return [Role.ADDRESSES, Role.ASSETS, *named] if raw.kind in {"points", "table"} else []


def _columns(raw: RawFile, cells: Cells, role: Role) -> Mapping[str, Any] | None:
    match role:
        case Role.DISTRICTS:
            return district_columns(cells)
        case Role.OUTLINE:  # a city without districts is one district, which needs a name
            return district_columns(cells) or {}
        case Role.STREETS:
            return street_columns(cells)
        case Role.UNUSED:
            return {}
    guess = {Role.ADDRESSES: address_columns, Role.ASSETS: asset_columns, Role.PLACES: place_columns}[role]
    return guess(cells, positions=raw.kind == "table")


def _in_degrees(cells: Cells, columns: Mapping[str, Any]) -> bool:
    """Whether a table's positions are called longitude and latitude and may be such: that names their system."""
    if not {"lon", "lat"} <= columns.keys() or not code_of(columns["lon"]).startswith(("lon", "lng")):
        return False
    numbers = [_number(cell) for key in ("lon", "lat") for cell in cells[columns[key]]]
    return any(number is not None and abs(number) <= 180.0 for number in numbers)


def _number(cell: str) -> float | None:
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return None


def _keep_largest(files: Iterable[RawFile], role: Role, given: Mapping[str, Role]) -> list[RawFile]:
    """Leave a role that only one file can have to the one it was given to, else to the largest."""
    files = list(files)
    of_role = [raw for raw in files if raw.role is role]
    best = max(of_role, key=lambda raw: (raw.label in given, raw.count), default=None)
    return [replace(raw, role=Role.UNUSED, columns={}) if raw in of_role and raw is not best else raw for raw in files]


def _is_about(raw: RawFile, *words: str) -> bool:
    name = code_of(raw.label)
    return any(word in name for word in words)
