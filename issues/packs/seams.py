"""How the districts of a layer fit together and into the city: gaps, overlaps, slivers, and what lies outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import shapely
from shapely.geometry.base import BaseGeometry

from geo.coverage import area_m2, as_multi, close_gaps, find_overlaps, is_narrow, merge
from geo.layers import DistrictShape
from issues.packs.problems import Findings

# What drawing by hand leaves between two districts; anything wider may be meant.
_GAP_M = 10.0
# Below this, nobody's house stands in it.
_SLIVER_M2 = 1_000.0


def sew(
    file: str,
    districts: list[DistrictShape],
    around: Sequence[BaseGeometry],
    findings: Findings,
    *,
    responsible: bool,
) -> list[DistrictShape]:
    """Close the narrow gaps between districts, and say where they overlap or leave wider ones.

    Args:
        file: Of the districts.
        districts: Those of one layer.
        around: Neighbouring cities: what lies between the districts and them is a gap too.
        findings: What is wrong goes there.
        responsible: Whether the layer decides who answers for a place; others, such as parks, have gaps by nature.
    """
    if any(district.valid_from or district.valid_to for district in districts):
        return districts  # versions of one district lie on each other; seams are for layers of one time
    ground = [district.polygon for district in districts]
    _say_overlaps(file, districts, findings)
    sewn = close_gaps(ground, around=around, width_m=_GAP_M)
    if sewn.closed:
        what = (
            f"{_counted(sewn.closed, 'gap')} between districts given to a district beside it:"
            f" {sum(map(area_m2, sewn.closed)):.0f} m2 in all, nowhere wider than {_GAP_M:.0f} m"
        )
        findings.note(file, "", what, merge(sewn.closed))
    for gap in sewn.left:
        say = findings.warn if responsible else findings.note
        say(file, "", f"a gap of {area_m2(gap):.0f} m2 between districts is too wide to be closed", gap)
    return [replace(district, polygon=polygon) for district, polygon in zip(districts, sewn.polygons, strict=True)]


def _say_overlaps(file: str, districts: Sequence[DistrictShape], findings: Findings) -> None:
    slivers = []
    for overlap in find_overlaps([district.polygon for district in districts], at_least_m2=1.0):
        if overlap.area_m2 < _SLIVER_M2:
            slivers.append(overlap.shape)
            continue
        pair = f"{districts[overlap.first].code}, {districts[overlap.second].code}"
        what = f"they overlap by {overlap.area_m2:.0f} m2; the smaller district has it"
        findings.warn(file, pair, what, overlap.shape)
    if slivers:
        together = merge(slivers)
        lying = f"{_counted(slivers, 'sliver')} in two districts at once, {area_m2(together):.0f} m2 in all"
        what = f"{lying}: the smaller district has what lies in both"
        findings.note(file, "", what, together)


def _counted(shapes: Sequence[BaseGeometry], noun: str) -> str:
    return f"{len(shapes)} {noun}{'' if len(shapes) == 1 else 's'}"


def compare_with_outline(
    file: str, districts: Sequence[DistrictShape], outline: BaseGeometry, findings: Findings
) -> None:
    """Say which districts reach beyond the city's outline, and what of the city lies in none of them."""
    shapely.prepare(outline)
    for district in districts:
        beyond = _wide(shapely.difference(district.polygon, outline))
        if not beyond.is_empty:
            what = f"{area_m2(beyond):.0f} m2 of it lie outside the city's outline"
            findings.warn(file, district.code, what, beyond)
    uncovered = _wide(shapely.difference(outline, merge([district.polygon for district in districts])))
    if not uncovered.is_empty:
        what = f"{area_m2(uncovered):.0f} m2 of the city lie in no district"
        findings.warn(file, "", what, uncovered)


def _wide(ground: BaseGeometry) -> BaseGeometry:
    """Leave out of a shape what two drawings of one border leave between them."""
    parts = shapely.get_parts(as_multi(ground))
    return as_multi(merge([part for part in parts if area_m2(part) >= _SLIVER_M2 and not is_narrow(part, _GAP_M)]))
