"""Reading whose a pack's roads and assets are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import shapely

from geo.axes import Box, on_earth
from geo.files import Feature
from geo.owners import ROAD, OwnedShape
from issues.packs.city_sheet import AssetFile, CitySheet, StreetFile
from issues.packs.positions import open_positioned, place_in
from issues.packs.problems import Findings
from issues.packs.schema import CODE_PATTERN
from issues.packs.sources import code_of, columns_present, open_source, text_of

_CODE: Final = re.compile(CODE_PATTERN)


def read_owned(folder: Path, city: CitySheet, around: Box | None, findings: Findings) -> list[OwnedShape]:
    """Read the pieces of road whose owner a pack tells, and its assets, with theirs."""
    owned = list(_roads(folder, city.streets, around)) if city.streets else []
    for source in city.assets:
        owned += _assets(folder, source, around, findings)
    return owned


def _roads(folder: Path, source: StreetFile, around: Box | None) -> Iterator[OwnedShape]:
    """Roads without a name count too: ramps belong to whoever has the motorway.

    What is wrong with the file was said where its streets were read.
    """
    columns = source.columns
    if not source.owners and columns.owner is None:
        return
    for feature in open_source(folder, source, around, Findings()):
        name = _text(feature, columns.name)
        owner = _code(_text(feature, columns.owner)) or _owner_of(source, name, _text(feature, columns.kind))
        if owner and feature.geometry is not None and on_earth(feature.geometry):
            for line in shapely.get_parts(feature.geometry):
                yield OwnedShape(ROAD, owner, name, shapely.to_wkb(line))


def _owner_of(source: StreetFile, name: str, kind: str) -> str:
    return next((each.owner for each in source.owners if each.fits(name, kind)), "")


def _assets(folder: Path, source: AssetFile, around: Box | None, findings: Findings) -> Iterator[OwnedShape]:
    columns = source.columns
    features = open_positioned(folder, source, columns, around, findings)
    if features and not columns_present(features, source.file, (columns.owner, columns.name), findings):
        return
    ownerless = 0
    for feature in features:
        owner = _code(_text(feature, columns.owner)) or source.owner
        if feature.geometry is None or not on_earth(feature.geometry):
            findings.error(source.file, place_in(source.file, feature), "it is nowhere in longitudes and latitudes")
        elif owner:
            yield OwnedShape(source.kind, owner, _text(feature, columns.name), shapely.to_wkb(feature.geometry))
        else:
            ownerless += 1
    if ownerless:
        findings.warn(source.file, "", f"nobody owns {ownerless} of these; say owner, or columns: {{owner: ...}}")


def _code(owner: str) -> str:
    """An owner as rules name them: a code as it is, else one made of the name, `hydro-quebec` of "Hydro-Québec"."""
    return owner if _CODE.fullmatch(owner) else code_of(owner)


def _text(feature: Feature, column: str | None) -> str:
    return text_of(feature.properties.get(column)) if column else ""
