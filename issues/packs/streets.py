"""Reading a pack's streets and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import shapely

from geo.axes import Box, on_earth
from geo.files import Feature
from geo.points import LonLat
from geo.ranges import CivicRange, place_ranges
from issues.packs.city_sheet import AddressFile, StreetColumns, StreetFile
from issues.packs.pack import AddressPoint, StreetLine
from issues.packs.positions import open_positioned, place_in
from issues.packs.problems import Findings
from issues.packs.sources import columns_present, open_source, text_of


def read_streets(
    folder: Path, source: StreetFile, around: Box | None, findings: Findings
) -> tuple[list[StreetLine], list[AddressPoint]]:
    """Read the pieces of named streets, and the addresses that follow from their civic ranges where they have any."""
    features = open_source(folder, source, around, findings)
    columns = source.columns
    ranges = [column for side in columns.ranges or () for column in side]
    if not columns_present(features, source.file, (columns.name, columns.kind, *ranges), findings):
        return [], []
    streets: list[StreetLine] = []
    named_ranges: list[tuple[str, CivicRange]] = []
    nameless = pointlike = 0
    for feature in features:
        name = text_of(feature.properties[columns.name])
        kind = text_of(feature.properties[columns.kind]) if columns.kind else ""
        shape = feature.geometry
        if shape is None or shape.geom_type not in {"LineString", "MultiLineString"} or not on_earth(shape):
            findings.error(source.file, f"feature {feature.number}", "this is no line in longitudes and latitudes")
        elif shape.length == 0.0:
            pointlike += 1
        elif name:
            streets.extend(StreetLine(name, kind, line) for line in shapely.get_parts(shape))
            named_ranges.extend((name, numbers) for numbers in _ranges_of(feature, columns))
        else:
            nameless += 1
    if pointlike:
        findings.note(source.file, "", f"{pointlike} streets without length were left out")
    if nameless:
        findings.note(source.file, "", f"{nameless} streets without a name were left out")
    placed = place_ranges([numbers for _, numbers in named_ranges])
    return streets, [AddressPoint(str(civic), named_ranges[i][0], at) for i, civic, at in placed]


def _ranges_of(feature: Feature, columns: StreetColumns) -> Iterator[CivicRange]:
    for (begin, end), left in zip(columns.ranges or (), (True, False), strict=False):
        first, last = _civic(feature.properties[begin]), _civic(feature.properties[end])
        if first and last and isinstance(feature.geometry, shapely.LineString):
            yield CivicRange(feature.geometry, first, last, left)


def _civic(value: Any) -> int | None:
    text = text_of(value)
    return int(text) if text.isdecimal() else None


def read_addresses(folder: Path, source: AddressFile, around: Box | None, findings: Findings) -> list[AddressPoint]:
    """Read civic numbers with their positions, from a CSV file or from a file of points."""
    columns = source.columns
    features = open_positioned(folder, source, columns, around, findings)
    if not columns_present(features, source.file, (columns.number, columns.street), findings):
        return []
    addresses = []
    for feature in features:
        where, shape = place_in(source.file, feature), feature.geometry
        number, street = (text_of(feature.properties[column]) for column in (columns.number, columns.street))
        if not number or not street:
            findings.error(source.file, where, "its number or street is empty", shape)
        if shape is None or shape.is_empty or not on_earth(shape):
            findings.error(source.file, where, "it is nowhere in longitudes and latitudes")
        else:
            middle = shapely.point_on_surface(shape)
            addresses.append(AddressPoint(number, street, LonLat(middle.x, middle.y)))
    return addresses
