"""Reading a pack's polygons: districts with their codes, names and days, put right where that can be done."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from itertools import combinations, groupby
from typing import Any

from shapely.geometry.base import BaseGeometry

from geo.axes import on_earth
from geo.coverage import area_m2, as_multi, merge
from geo.files import Feature, repair_polygon
from geo.layers import DistrictShape
from issues.packs.city_sheet import DistrictColumns, SourcedFile
from issues.packs.problems import Findings
from issues.packs.schema import LANGUAGES
from issues.packs.sources import code_of, columns_present, text_of

# Codes of districts are the city's own, but routes and addresses of pages are made of them.
_CODE = re.compile(r"[^\s,;:/]{1,100}")


def named_polygons(
    features: Sequence[Feature], source: SourcedFile, columns: DistrictColumns, findings: Findings
) -> tuple[list[DistrictShape], frozenset[str] | None]:
    """Read polygons with a code and names; also all codes that are there, None where the file cannot be read."""
    by_language = columns.names if isinstance(columns.names, dict) else dict.fromkeys(LANGUAGES, columns.names)
    needed = (columns.code, *by_language.values(), columns.valid_from, columns.valid_to)
    if not columns_present(features, source.file, needed, findings):
        return [], None
    shapes = []
    codes = set()
    for feature in features:
        where = f"feature {feature.number}"
        names = {language: text_of(feature.properties[column]) for language, column in by_language.items()}
        first_name = next(iter(names.values()), "")
        code = text_of(feature.properties[columns.code]) if columns.code else code_of(first_name)
        codes.add(code)
        if not code or not all(names.values()):
            findings.error(source.file, where, "its code or a name is empty", feature.geometry)
        elif not _CODE.fullmatch(code):
            findings.error(source.file, where, f"its code {code!r} has a space, a comma or a colon in it")
        polygon = _polygon(feature, source.file, findings, label=code)
        valid_from, valid_to = (
            _day(feature.properties[column], f"{where}, {code}", source.file, findings) if column else None
            for column in (columns.valid_from, columns.valid_to)
        )
        if polygon is not None:
            shapes.append(DistrictShape(code, names, polygon, valid_from, valid_to))
    return shapes, frozenset(codes)


def outline_of(features: Sequence[Feature], source: SourcedFile, findings: Findings) -> BaseGeometry:
    """The ground of all polygons of a file together."""
    polygons = [_polygon(feature, source.file, findings) for feature in features]
    return merge([polygon for polygon in polygons if polygon is not None])


def check_versions(file: str, districts: Sequence[DistrictShape], findings: Findings) -> None:
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


def _polygon(feature: Feature, file: str, findings: Findings, *, label: str = "") -> BaseGeometry | None:
    where = f"feature {feature.number}" + (f", {label}" if label else "")
    shape = feature.geometry
    if shape is not None and shape.geom_type == "GeometryCollection":
        shape = as_multi(shape)
    if shape is None or shape.geom_type not in {"Polygon", "MultiPolygon"}:
        what = shape.geom_type if shape is not None else "nothing that can be read"
        findings.error(file, where, f"this is no polygon but {what}")
        return None
    if not shape.is_empty and not on_earth(shape):
        findings.error(file, where, "its coordinates are no longitudes and latitudes in degrees")
        return None
    polygon, reason = repair_polygon(shape)
    if polygon.is_empty:
        findings.error(file, where, f"it has no area ({reason or 'it is empty'})", shape)
        return None
    if reason is not None:
        changed_m2 = abs(area_m2(polygon) - area_m2(shape))
        what = f"its rings were repaired ({reason}); the area changed by {changed_m2:.0f} m2"
        findings.note(file, where, what, polygon)
    return polygon


def _day(value: Any, where: str, file: str, findings: Findings) -> date | None:
    text = text_of(value)
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10].replace("/", "-"))
    except ValueError:
        findings.error(file, where, f"{text} is no date; write it as 2026-11-22")
        return None
