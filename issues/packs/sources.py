"""Opening a pack's files of places, and reading what stands in their columns."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from geo.axes import Box, put_axes_right
from geo.files import Feature, UnreadablePlaces, read_features
from issues.packs.city_sheet import SourcedFile, is_file_name
from issues.packs.problems import Findings

_COMPANIONS: Final = {
    ".shp": frozenset({".shp", ".shx", ".dbf", ".prj", ".cpg"}),
    ".tab": frozenset({".tab", ".dat", ".map", ".id", ".ind"}),
}


def open_source(folder: Path, source: SourcedFile, around: Box | None, findings: Findings) -> list[Feature]:
    """Read the places of one of the pack's files, in WGS 84, longitude first; what is wrong is among the findings.

    Args:
        folder: The pack's.
        source: The file.
        around: A box around the city, to tell by whether longitude and latitude are swapped; None if not yet known.
        findings: What is wrong goes there.
    """
    if not is_file_name(source.file):
        return []  # said where the sheet was read
    try:
        read = read_features(folder / source.file, table=source.table, crs=source.crs, encoding=source.encoding)
    except UnreadablePlaces as error:
        findings.error(source.file, "", error.reason)
        return []
    if not read.features:
        findings.error(source.file, "", "there are no places in it")
    for remark in read.remarks:
        findings.note(source.file, "", remark)
    shapes, swapped = put_axes_right([feature.geometry for feature in read.features], around=around)
    say_swapped(source.file, swapped, len(shapes), findings)
    return [replace(feature, geometry=shape) for feature, shape in zip(read.features, shapes, strict=True)]


def with_companions(folder: Path, file: str) -> list[str]:
    """Name a file of the pack and those that belong to it: a shapefile is several, all with one stem."""
    path = folder / file
    suffixes = _COMPANIONS.get(path.suffix.lower())
    if suffixes is None or not path.is_file():
        return [file]
    there = (each for each in path.parent.iterdir() if each.stem == path.stem and each.suffix.lower() in suffixes)
    return sorted(each.relative_to(folder).as_posix() for each in there)


def say_swapped(file: str, swapped: int, places: int, findings: Findings) -> None:
    """Add a warning where places were turned round."""
    if swapped:
        findings.warn(file, "", f"longitude and latitude were swapped in {swapped} of {places} places; put right")


def columns_present(features: Sequence[Feature], file: str, columns: Iterable[str | None], findings: Findings) -> bool:
    """Whether a file has the columns that are asked of it, and at least one place; those it lacks are an error."""
    wanted = [column for column in columns if column is not None]
    if not features or not all(wanted):
        return False  # a column has no name; said where the sheet was read
    there = features[0].properties
    missing = dict.fromkeys(column for column in wanted if column not in there)
    if missing:
        names = ", ".join(there) or "none"
        findings.error(file, "", f"these columns are missing: {', '.join(missing)} (there are: {names})")
    return not missing


def text_of(value: Any) -> str:
    """A property as text; empty where the file has nothing, which some formats say with a not-a-number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def code_of(name: str) -> str:
    """Make a code of a name: `sainte-foy-sillery-cap-rouge` of "Sainte-Foy—Sillery—Cap-Rouge"."""
    plain = unicodedata.normalize("NFKD", name.lower().replace("œ", "oe").replace("æ", "ae"))
    return re.sub(r"[^a-z0-9]+", "-", "".join(c for c in plain if not unicodedata.combining(c))).strip("-")[:64]
