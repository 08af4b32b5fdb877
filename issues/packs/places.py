"""Reading a pack's places: districts, neighbours, streets and addresses, put right where that can be done."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from geo.atlas import NeighbourShape
from geo.coverage import area_m2, close_gaps, find_overlaps, merge
from geo.files import Feature, UnreadablePlaces, on_earth, read_features, repair_polygon
from geo.layers import DistrictShape
from geo.points import InvalidPosition, LonLat
from issues.packs.pack import AddressPoint, LayerShapes, Places, StreetLine
from issues.packs.problems import Findings
from issues.packs.schema import (
    LANGUAGES,
    AddressFile,
    CitySheet,
    DistrictColumns,
    LayerFile,
    NeighbourFile,
    SourcedFile,
    StreetFile,
    is_file_name,
)
from issues.packs.sheets import read_rows

# What drawing by hand leaves between two districts; anything wider may be meant.
_GAP_M = 10.0
_OVERLAP_M2 = 1_000.0

# Codes of districts are the city's own, but routes and addresses of pages are made of them.
_CODE = re.compile(r"[^\s,;:/]{1,100}")


def read_places(folder: Path, city: CitySheet, findings: Findings) -> Places:
    """Read all files of places that `city.yml` names; what cannot be used is among the findings."""
    neighbours = _read_neighbours(folder, city.neighbours, findings) if city.neighbours else []
    around = [neighbour.outline for neighbour in neighbours]
    layers = [_read_layer(folder, layer, city.responsible_layer, around, findings) for layer in city.layers]
    responsible = [district.polygon for layer in layers if layer.responsible for district in layer.districts]
    places = Places(
        layers=layers,
        outline=_read_outline(folder, city.outline, findings) if city.outline else merge(responsible),
        neighbours=neighbours,
        streets=_read_streets(folder, city.streets, findings) if city.streets else [],
        addresses=_read_addresses(folder, city.addresses, findings) if city.addresses else [],
    )
    unread = any(layer.responsible and layer.codes is None for layer in layers)
    if places.outline.is_empty and not unread:
        findings.error("city.yml", "responsible_layer", "the city has no ground")
    return places


def _features(folder: Path, source: SourcedFile, findings: Findings) -> list[Feature]:
    if not is_file_name(source.file):
        return []  # said where the sheet was read
    try:
        return read_features(folder / source.file, table=source.table)
    except UnreadablePlaces as error:
        findings.error(source.file, "", error.reason)
        return []


def _columns_present(feature: Feature, file: str, columns: Iterable[str | None], findings: Findings) -> bool:
    wanted = [column for column in columns if column is not None]
    if not all(wanted):
        return False  # a column has no name; said where the sheet was read
    missing = dict.fromkeys(column for column in wanted if column not in feature.properties)
    if missing:
        there = ", ".join(feature.properties) or "none"
        findings.error(file, "", f"these columns are missing: {', '.join(missing)} (there are: {there})")
    return not missing


def _read_layer(
    folder: Path, layer: LayerFile, responsible_layer: str, around: Sequence[BaseGeometry], findings: Findings
) -> LayerShapes:
    districts, codes = _named_polygons(folder, layer, layer.columns, findings)
    _check_versions(layer.file, districts, findings)
    sewn = _sew(layer, districts, around, findings)
    return LayerShapes(layer.code, layer.names, layer.code == responsible_layer, sewn, codes)


def _sew(
    layer: LayerFile, districts: list[DistrictShape], around: Sequence[BaseGeometry], findings: Findings
) -> list[DistrictShape]:
    if any(district.valid_from or district.valid_to for district in districts):
        return districts  # versions of one district lie on each other; seams are for layers of one time
    for overlap in find_overlaps([district.polygon for district in districts], at_least_m2=_OVERLAP_M2):
        pair = f"{districts[overlap.first].code}, {districts[overlap.second].code}"
        findings.warn(layer.file, pair, f"they overlap by {overlap.area_m2:.0f} m2; the smaller district has it")
    closed, areas_m2 = close_gaps([district.polygon for district in districts], around=around, width_m=_GAP_M)
    if areas_m2:
        findings.note(
            layer.file,
            "",
            f"{len(areas_m2)} gaps between districts, {sum(areas_m2):.0f} m2 together and nowhere wider than"
            f" {_GAP_M:.0f} m, were given to a district beside them",
        )
    return [replace(district, polygon=polygon) for district, polygon in zip(districts, closed, strict=True)]


def _read_neighbours(folder: Path, source: NeighbourFile, findings: Findings) -> list[NeighbourShape]:
    shapes, _ = _named_polygons(folder, source, source.columns, findings)
    findings.error_if_repeated(source.file, "the code", ((f"neighbour {s.code}", s.code) for s in shapes))
    return [NeighbourShape(shape.code, shape.names, shape.polygon) for shape in shapes]


def _read_outline(folder: Path, source: SourcedFile, findings: Findings) -> BaseGeometry:
    polygons = [_polygon(feature, source.file, findings) for feature in _features(folder, source, findings)]
    return merge([polygon for polygon in polygons if polygon is not None])


def _named_polygons(
    folder: Path, source: SourcedFile, columns: DistrictColumns, findings: Findings
) -> tuple[list[DistrictShape], frozenset[str] | None]:
    """Read polygons with a code and names; also all codes that are there, None where the file cannot be read."""
    features = _features(folder, source, findings)
    by_language = columns.names if isinstance(columns.names, dict) else dict.fromkeys(LANGUAGES, columns.names)
    needed = (columns.code, *by_language.values(), columns.valid_from, columns.valid_to)
    if not features or not _columns_present(features[0], source.file, needed, findings):
        return [], None
    shapes = []
    for feature in features:
        where = f"feature {feature.number}"
        code = _text(feature.properties[columns.code])
        names = {language: _text(feature.properties[column]) for language, column in by_language.items()}
        if not code or not all(names.values()):
            findings.error(source.file, where, "its code or a name is empty")
        elif not _CODE.fullmatch(code):
            findings.error(source.file, where, f"its code {code!r} has a space, a comma or a colon in it")
        polygon = _polygon(feature, source.file, findings, label=code)
        valid_from, valid_to = (
            _day(feature.properties[column], f"{where}, {code}", source.file, findings) if column else None
            for column in (columns.valid_from, columns.valid_to)
        )
        if polygon is not None:
            shapes.append(DistrictShape(code, names, polygon, valid_from, valid_to))
    return shapes, frozenset(_text(feature.properties[columns.code]) for feature in features)


def _polygon(feature: Feature, file: str, findings: Findings, *, label: str = "") -> BaseGeometry | None:
    where = f"feature {feature.number}" + (f", {label}" if label else "")
    shape = feature.geometry
    if shape is None or shape.geom_type not in {"Polygon", "MultiPolygon"}:
        findings.error(file, where, f"this is no polygon but {shape.geom_type if shape is not None else 'nothing'}")
        return None
    if not on_earth(shape):
        findings.error(file, where, "its coordinates are no longitudes and latitudes in degrees")
        return None
    polygon, reason = repair_polygon(shape)
    if polygon.is_empty:
        findings.error(file, where, f"it has no area ({reason})")
        return None
    if reason is not None:
        changed_m2 = abs(area_m2(polygon) - area_m2(shape))
        findings.note(file, where, f"its rings were repaired ({reason}); the area changed by {changed_m2:.0f} m2")
    return polygon


def _check_versions(file: str, districts: Sequence[DistrictShape], findings: Findings) -> None:
    """A code may come several times, for periods that do not touch each other."""
    by_code = sorted(districts, key=lambda district: district.code)
    for code, versions in groupby(by_code, key=lambda district: district.code):
        for one, other in combinations(versions, 2):
            if _begin(one) < _end(other) and _begin(other) < _end(one):
                findings.error(file, code, "the code is there twice for the same days")
    for district in districts:
        if _begin(district) >= _end(district):
            findings.error(file, district.code, "it ends before it begins")


def _begin(district: DistrictShape) -> date:
    return district.valid_from or date.min


def _end(district: DistrictShape) -> date:
    return district.valid_to or date.max


def _read_streets(folder: Path, source: StreetFile, findings: Findings) -> list[StreetLine]:
    features = _features(folder, source, findings)
    columns = source.columns
    if not features or not _columns_present(features[0], source.file, (columns.name, columns.kind), findings):
        return []
    streets: list[StreetLine] = []
    nameless = 0
    for feature in features:
        name = _text(feature.properties[columns.name])
        kind = _text(feature.properties[columns.kind]) if columns.kind else ""
        shape = feature.geometry
        if shape is None or shape.geom_type not in {"LineString", "MultiLineString"} or not on_earth(shape):
            findings.error(source.file, f"feature {feature.number}", "this is no line in longitudes and latitudes")
        elif name:
            streets.extend(StreetLine(name, kind, line) for line in shapely.get_parts(shape))
        else:
            nameless += 1
    if nameless:
        findings.note(source.file, "", f"{nameless} streets without a name were left out")
    return streets


def _read_addresses(folder: Path, source: AddressFile, findings: Findings) -> list[AddressPoint]:
    columns = source.columns
    addresses = []
    needed = (columns.number, columns.street, columns.lon, columns.lat)
    if not is_file_name(source.file) or not all(needed):
        return []  # said where the sheet was read
    for line, row in read_rows(folder, source.file, needed, findings):
        if not row[columns.number] or not row[columns.street]:
            findings.error(source.file, f"line {line}", "its number or street is empty")
        try:
            at = LonLat(float(row[columns.lon]), float(row[columns.lat]))
        except (InvalidPosition, ValueError) as error:
            findings.error(source.file, f"line {line}", str(error))
        else:
            addresses.append(AddressPoint(row[columns.number], row[columns.street], at))
    return addresses


def _day(value: Any, where: str, file: str, findings: Findings) -> date | None:
    text = _text(value)
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10].replace("/", "-"))
    except ValueError:
        findings.error(file, where, f"{text} is no date; write it as 2026-11-22")
        return None


def _text(value: Any) -> str:
    """A property as text; empty where the file has nothing, which some formats say with a not-a-number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
