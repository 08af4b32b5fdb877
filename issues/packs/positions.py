"""Reading things with a position: from a file of places, or from a table with two columns of coordinates."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from geo.axes import Box, put_axes_right
from geo.files import Feature
from issues.packs.city_sheet import PositionColumns, SourcedFile, is_file_name
from issues.packs.problems import Findings
from issues.packs.sheets import read_rows
from issues.packs.sources import open_source, say_swapped

_TABLES = (".csv", ".tsv", ".txt")
_Rows = list[tuple[int, dict[str, str]]]


def open_positioned(
    folder: Path, source: SourcedFile, columns: PositionColumns, around: Box | None, findings: Findings
) -> list[Feature]:
    """Read the places of a file, or of a table by its columns of coordinates, in WGS 84, longitude first.

    Args:
        folder: The pack's.
        source: The file.
        columns: Where a table has its coordinates, and what else is read of it.
        around: A box around the city, to tell by whether longitude and latitude are swapped; None if not yet known.
        findings: What is wrong goes there.

    Returns:
        Each with its number (of a table the line), and without a shape where its coordinates are no numbers.
    """
    if not is_table(source.file):
        return open_source(folder, source, around, findings)
    if not is_file_name(source.file):
        return []  # said where the sheet was read
    x, y = columns.lon, columns.lat
    if x is None or y is None:
        findings.error(source.file, "", "say in columns, by lon and lat, which of its columns hold the position")
        return []
    needed = tuple(column for column in columns.model_dump().values() if column is not None)
    if not all(needed):
        return []  # said where the sheet was read
    rows = list(read_rows(folder, source.file, needed, findings, encoding=source.encoding))
    places = _in_wgs84(source, [_numbers(row, x, y) for _, row in rows], around, findings)
    return [
        Feature(line, row, None if place is None else shapely.Point(place))
        for (line, row), place in zip(rows, places, strict=True)
    ]


def is_table(file: str) -> bool:
    """Whether a file is text in columns."""
    return PurePosixPath(file.lower().removesuffix(".gz")).suffix in _TABLES


def place_in(file: str, feature: Feature) -> str:
    """How people find a feature in its file."""
    return f"{'line' if is_table(file) else 'feature'} {feature.number}"


def _in_wgs84(
    source: SourcedFile, given: list[tuple[float, float] | None], around: Box | None, findings: Findings
) -> list[tuple[float, float] | None]:
    """Bring the positions of a table to WGS 84, the right way round; None for those that are no numbers."""
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
        return [None] * len(given)
    points = np.asarray(shapely.points(xy), dtype=object).reshape(-1)
    turned, swapped = put_axes_right(list(points), around=around)
    say_swapped(source.file, swapped, len(given), findings)
    for i, lon, lat in zip(known, shapely.get_x(turned).tolist(), shapely.get_y(turned).tolist(), strict=True):
        given[i] = lon, lat
    return given


def _numbers(row: dict[str, str], x: str, y: str) -> tuple[float, float] | None:
    """A row's coordinates; French spreadsheets write a decimal comma."""
    try:
        return float(row[x].replace(",", ".")), float(row[y].replace(",", "."))
    except ValueError:
        return None
