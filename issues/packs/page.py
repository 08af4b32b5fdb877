"""What checking a pack found, as one HTML file with a map: opened from disk, it needs no network and no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import shapely
from shapely.geometry.base import BaseGeometry

from geo.axes import on_earth
from geo.coverage import area_m2, merge
from geo.points import MetresPerDegree
from issues.packs.pack import Places
from issues.packs.problems import Problem, Severity

_WIDTH, _TALLEST = 1000.0, 1200.0
# Half a pixel: what is finer is not seen, and a border of 100 000 points is drawn by a thousand.
_FINEST = 0.5

_STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 1rem; color: #1a1a1a; background: #fff; max-width: 75rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .2rem .6rem; vertical-align: top }
tr:nth-child(even) { background: #f4f4f4 } svg { width: 100%; height: auto; border: 1px solid #ccc }
.district { fill: #eef3f7; stroke: #51708a; stroke-width: 1 } .other { fill: none; stroke: #b9c7d3; stroke-width: .5 }
.outline { fill: none; stroke: #1a1a1a; stroke-width: 2 } text { font-size: 11px; text-anchor: middle }
.error { fill: #b00020; stroke: #b00020; color: #b00020 } .warning { fill: #b35900; stroke: #b35900; color: #b35900 }
.note { fill: #2e6b34; stroke: #2e6b34; color: #2e6b34 } .found { fill-opacity: .35 }
.pin { fill-opacity: 0; stroke-width: 2 }
a:target .pin, a:hover .pin { stroke-width: 6 } td.error, td.warning, td.note { font-weight: 600 }
"""


class _Paper:
    """A flat sheet that a city is drawn on, true to shape in its middle."""

    def __init__(self, ground: BaseGeometry) -> None:
        west, south, east, north = ground.bounds
        self._west, self._north = west, north
        degree = MetresPerDegree.around((south + north) / 2.0)
        narrow, low = max(east - west, 1e-6), max(north - south, 1e-6)
        self._x = min(_WIDTH / narrow, _TALLEST / low * degree.lon / degree.lat)
        self._y = self._x * degree.lat / degree.lon
        self.width, self.height = self._x * narrow, self._y * low

    def lay(self, shape: BaseGeometry) -> BaseGeometry:
        """A shape in pixels from the upper left corner."""
        flat = shapely.transform(shape, lambda degrees: (degrees - (self._west, self._north)) * (self._x, -self._y))
        return shapely.simplify(flat, _FINEST, preserve_topology=False)

    def path(self, shape: BaseGeometry, kind: str, title: str = "") -> str:
        """A shape's rings and lines as an SVG path; empty where it is too small to be seen."""
        parts = shapely.get_parts(shapely.get_parts(self.lay(shape)))
        lines = [
            line
            for part in parts
            for line in ([part.exterior, *part.interiors] if part.geom_type == "Polygon" else [part])
        ]
        drawn = "".join(
            "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in line.coords) for line in lines if not line.is_empty
        )
        said = f"<title>{escape(title)}</title>" if title else ""
        return f'<path class="{kind}" fill-rule="evenodd" d="{drawn}">{said}</path>' if drawn else ""


def findings_page(title: str, problems: Sequence[Problem], places: Places | None) -> str:
    """Draw what was found over a city's districts, with a table of all of it below.

    Args:
        title: What was checked.
        problems: What was found; those with a shape on earth are on the map too, by their number.
        places: The city's, as far as they could be read.
    """
    rows = "\n".join(_row(number, problem) for number, problem in enumerate(problems, start=1))
    counts = {kind: sum(problem.severity == kind for problem in problems) for kind in ("error", "warning", "note")}
    told = ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(title)}</title><style>{_STYLE}</style></head><body>
<h1>{escape(title)}</h1><p>{told}</p>
{_map(problems, places)}
<table><thead><tr><th>#<th><th>file<th>where<th>what<th>m²</tr></thead><tbody>
{rows or '<tr><td colspan="6">Nothing is wrong.</td></tr>'}
</tbody></table></body></html>
"""


def _row(number: int, problem: Problem) -> str:
    size = area_m2(problem.shape) if _is_ground(problem.shape) and problem.shape is not None else 0.0
    here = f'<a href="#f{number}">{number}</a>' if _is_ground(problem.shape) else str(number)
    cells = "".join(f"<td>{escape(text)}</td>" for text in (problem.file, problem.where, problem.what))
    kind = problem.severity.value
    return f'<tr><td>{here}</td><td class="{kind}">{kind}</td>{cells}<td>{f"{size:.0f}" if size else ""}</td></tr>'


def _is_ground(shape: BaseGeometry | None) -> bool:
    return shape is not None and not shape.is_empty and on_earth(shape)


def _map(problems: Sequence[Problem], places: Places | None) -> str:
    found = [(number, p) for number, p in enumerate(problems, start=1) if _is_ground(p.shape)]
    shapes = [district.polygon for layer in places.layers for district in layer.districts] if places else []
    if not shapes:
        return "<p>There is no ground that could be drawn.</p>"
    outline = places.outline if places and not places.outline.is_empty else merge(shapes)
    paper = _Paper(outline)
    drawn = [
        paper.path(d.polygon, "district" if layer.responsible else "other", f"{layer.code}:{d.code} {d.names['fr']}")
        for layer in sorted(places.layers if places else (), key=lambda layer: layer.responsible, reverse=True)
        for d in layer.districts
    ]
    drawn.append(paper.path(outline, "outline"))
    worst_on_top = sorted(found, key=lambda each: list(Severity)[::-1].index(each[1].severity))
    drawn += [_mark(paper, number, problem) for number, problem in worst_on_top]
    size = f"0 0 {paper.width:.0f} {paper.height:.0f}"
    return f'<svg viewBox="{size}" role="img" overflow="visible">{"".join(drawn)}</svg>'


def _mark(paper: _Paper, number: int, problem: Problem) -> str:
    """What was found, and a ring with its number around its middle: slivers are too thin to be seen by themselves."""
    shape = problem.shape if problem.shape is not None else shapely.Point()
    middle = paper.lay(shapely.Point(problem.at or (0.0, 0.0)))
    what = f"{problem.where} {problem.what}".strip()
    x, y = middle.bounds[:2]
    ring = f'<circle class="pin" cx="{x:.1f}" cy="{y:.1f}" r="9"/>'
    label = f'<text x="{x:.1f}" y="{y + 4:.1f}" stroke="none">{number}</text>'
    ground = paper.path(shape, "found")
    return f'<a id="f{number}" class="{problem.severity.value}">{ground}{ring}{label}<title>{escape(what)}</title></a>'
