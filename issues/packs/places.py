"""Reading a pack's places: outline, districts, neighbours, streets and addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import shapely
from shapely.geometry.base import BaseGeometry

from geo.atlas import NeighbourShape
from geo.axes import Box
from geo.coverage import merge
from geo.layers import DistrictShape
from issues.packs.city_sheet import CitySheet, LayerFile, NeighbourFile
from issues.packs.named_places import read_named
from issues.packs.owned import read_owned
from issues.packs.pack import LayerShapes, Places
from issues.packs.polygons import check_versions, named_polygons, outline_of
from issues.packs.problems import Findings
from issues.packs.schema import CITY
from issues.packs.seams import compare_with_outline, sew
from issues.packs.sources import open_source
from issues.packs.streets import read_addresses, read_streets

# A file of a layer as it was read: the districts that can be used, and the codes of all.
_Read = tuple[list[DistrictShape], frozenset[str] | None]


def read_places(folder: Path, city: CitySheet, findings: Findings) -> Places:
    """Read all files of places that `city.yml` names; what cannot be used is among the findings."""
    outline = (
        outline_of(open_source(folder, city.outline, None, findings), city.outline, findings) if city.outline else None
    )
    first = next((layer for layer in city.layers if layer.code == city.responsible_layer), None)
    leading = _read_layer(folder, first, _box(outline), findings) if first else ([], None)
    around = _box(outline if outline is not None else merge([district.polygon for district in leading[0]]))
    neighbours = _read_neighbours(folder, city.neighbours, around, findings) if city.neighbours else []
    files = []
    for layer in city.layers:
        read = leading if layer is first else _read_layer(folder, layer, around, findings)
        files.append(_sewn(layer, read, city.responsible_layer, neighbours, findings))
    if outline is not None:
        _hold_against(outline, city, files, findings)
    layers = _join_versions(files, findings)
    ground = [district.polygon for layer in layers if layer.responsible for district in layer.districts]
    streets, on_ranges = read_streets(folder, city.streets, around, findings) if city.streets else ([], [])
    places = Places(
        layers=layers,
        outline=outline if outline is not None else merge(ground),
        neighbours=neighbours,
        streets=streets,
        addresses=read_addresses(folder, city.addresses, around, findings) if city.addresses else on_ranges,
        owned=read_owned(folder, city, around, findings),
        named=[place for source in city.places for place in read_named(folder, source, around, findings)],
    )
    unread = any(layer.responsible and layer.codes is None for layer in layers)
    if places.outline.is_empty and not unread:
        findings.error(CITY, "responsible_layer", "the city has no ground")
    return places


def _sewn(
    layer: LayerFile, read: _Read, responsible_layer: str, neighbours: Sequence[NeighbourShape], findings: Findings
) -> LayerShapes:
    """Sew the districts of a file together, and give them its days where they have none of their own."""
    shapes, codes = read
    decides = layer.code == responsible_layer
    sewn = [
        replace(
            district,
            valid_from=district.valid_from or layer.valid_from,
            valid_to=district.valid_to or layer.valid_to,
        )
        for district in sew(layer.file, shapes, [other.outline for other in neighbours], findings, responsible=decides)
    ]
    return LayerShapes(layer.code, layer.names, decides, sewn, codes)


def _join_versions(files: Sequence[LayerShapes], findings: Findings) -> list[LayerShapes]:
    """Put the files of a layer together, each for its own days; the first names it."""
    layers: dict[str, LayerShapes] = {}
    for one in files:
        known = layers.setdefault(one.code, one)
        if known is not one:
            districts = [*known.districts, *one.districts]
            check_versions(CITY, districts, findings)
            codes = None if known.codes is None or one.codes is None else known.codes | one.codes
            layers[one.code] = replace(known, districts=districts, codes=codes)
    return list(layers.values())


def _box(ground: BaseGeometry | None) -> Box | None:
    if ground is None or ground.is_empty:
        return None
    west, south, east, north = (float(degrees) for degrees in ground.bounds)
    return west, south, east, north


def _read_layer(folder: Path, layer: LayerFile, around: Box | None, findings: Findings) -> _Read:
    features = open_source(folder, layer, around, findings)
    districts, codes = named_polygons(features, layer, layer.columns, findings)
    check_versions(layer.file, districts, findings)
    return districts, codes


def _hold_against(outline: BaseGeometry, city: CitySheet, layers: Sequence[LayerShapes], findings: Findings) -> None:
    for layer, source in zip(layers, city.layers, strict=True):
        if layer.responsible and layer.districts and not outline.is_empty:
            now = [district for district in layer.districts if district.valid_to is None]
            if now:
                compare_with_outline(source.file, now, shapely.make_valid(outline), findings)


def _read_neighbours(
    folder: Path, source: NeighbourFile, around: Box | None, findings: Findings
) -> list[NeighbourShape]:
    shapes, _ = named_polygons(open_source(folder, source, around, findings), source, source.columns, findings)
    findings.error_if_repeated(source.file, "the code", ((f"neighbour {s.code}", s.code) for s in shapes))
    return [NeighbourShape(shape.code, shape.names, shape.polygon) for shape in shapes]
