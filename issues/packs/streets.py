"""Reading a pack's streets and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from geo.axes import Box, on_earth, put_axes_right
from geo.files import Feature
from geo.points import InvalidPosition, LonLat
from geo.ranges import CivicRange, place_ranges
from issues.packs.city_sheet import AddressColumns, AddressFile, StreetColumns, StreetFile, is_file_name
from issues.packs.pack import AddressPoint, StreetLine
from issues.packs.problems import Findings
from issues.packs.sheets import read_rows
from issues.packs.sources import columns_present, open_source, say_swapped, text_of

_TABLES = (".csv", ".tsv", ".txt")


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
    if not is_file_name(source.file):
        return []  # said where the sheet was read
    suffixes = PurePosixPath(source.file.lower().removesuffix(".gz"))
    if suffixes.suffix in _TABLES:
        return _from_table(folder, source, around, findings)
    features = open_source(folder, source, around, findings)
    columns = source.columns
    if not columns_present(features, source.file, (columns.number, columns.street), findings):
        return []
    addresses = []
    for feature in features:
        where, shape = f"feature {feature.number}", feature.geometry
        number, street = (text_of(feature.properties[column]) for column in (columns.number, columns.street))
        if not number or not street:
            findings.error(source.file, where, "its number or street is empty", shape)
        if shape is None or shape.is_empty or not on_earth(shape):
            findings.error(source.file, where, "it is nowhere in longitudes and latitudes")
        else:
            middle = shapely.point_on_surface(shape)
            addresses.append(AddressPoint(number, street, LonLat(middle.x, middle.y)))
    return addresses


def _from_table(folder: Path, source: AddressFile, around: Box | None, findings: Findings) -> list[AddressPoint]:
    columns = source.columns
    if columns.lon is None or columns.lat is None:
        findings.error(source.file, "", "say in columns, by lon and lat, which of its columns hold the position")
        return []
    needed = (columns.number, columns.street, columns.lon, columns.lat)
    if not all(needed):
        return []  # said where the sheet was read
    rows = list(read_rows(folder, source.file, needed, findings, encoding=source.encoding))
    places = _positions(source, columns, rows, around, findings)
    addresses = []
    for (line, row), place in zip(rows, places, strict=True):
        if not row[columns.number] or not row[columns.street]:
            findings.error(source.file, f"line {line}", "its number or street is empty")
        try:
            at = LonLat(*(place if place is not None else _numbers(row, columns.lon, columns.lat)))
        except (InvalidPosition, ValueError) as error:
            findings.error(source.file, f"line {line}", str(error))
        else:
            addresses.append(AddressPoint(row[columns.number], row[columns.street], at))
    return addresses


def _positions(
    source: AddressFile,
    columns: AddressColumns,
    rows: list[tuple[int, dict[str, str]]],
    around: Box | None,
    findings: Findings,
) -> list[tuple[float, float] | None]:
    """Bring the positions of a table to WGS 84, the right way round; None for those that are no numbers."""
    given = [_numbers_or_none(row, columns.lon or "", columns.lat or "") for _, row in rows]
    known = [i for i, place in enumerate(given) if place is not None]
    xy = np.array([given[i] for i in known], dtype=float).reshape(-1, 2)
    if source.crs is not None:
        try:
            to_wgs84 = Transformer.from_crs(CRS.from_user_input(source.crs), CRS.from_epsg(4326), always_xy=True)
        except CRSError:
            findings.error(source.file, "", f"unknown coordinate system {source.crs}")
            return given
        xy = np.column_stack(to_wgs84.transform(xy[:, 0], xy[:, 1]))
    elif len(xy) and not (np.abs(xy) <= 180.0).all(axis=1).any():
        what = "its coordinates are no degrees; say with crs: what they are, as in EPSG:32188"
        findings.error(source.file, "", what)
        return [None] * len(rows)
    points = np.asarray(shapely.points(xy), dtype=object).reshape(-1)
    turned, swapped = put_axes_right(list(points), around=around)
    say_swapped(source.file, swapped, len(rows), findings)
    for i, lon, lat in zip(known, shapely.get_x(turned).tolist(), shapely.get_y(turned).tolist(), strict=True):
        given[i] = lon, lat
    return given


def _numbers_or_none(row: dict[str, str], x: str, y: str) -> tuple[float, float] | None:
    try:
        return _numbers(row, x, y)
    except ValueError:
        return None


def _numbers(row: dict[str, str], x: str, y: str) -> tuple[float, float]:
    """A row's coordinates; French spreadsheets write a decimal comma."""
    return float(row[x].replace(",", ".")), float(row[y].replace(",", "."))
