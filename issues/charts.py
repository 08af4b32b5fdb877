"""Pictures of what a replay showed: whether probabilities can be believed, and where matching erred."""

from __future__ import annotations

import math
from collections.abc import Sequence
from io import BytesIO
from itertools import pairwise
from typing import Final

from PIL import Image, ImageDraw

from geo.points import LonLat
from issues.assessment import Assessment
from issues.evaluation import Bin

_SIDE: Final = 640
_MARGIN: Final = 60
_INK: Final = "#222222"
_GRID: Final = "#dddddd"
_RIGHT: Final = "#b8c4cc"
_WRONG: Final = "#d1495b"
_MISSED: Final = "#2e86ab"


def reliability_diagram(bins: Sequence[Bin], *, title: str) -> bytes:
    """Draw scores (across) against the shares that were duplicates (up); on the diagonal, they can be believed.

    Returns:
        A PNG. Dots grow with the reports they stand for.
    """
    image, draw = _sheet(title)
    for tenth in range(11):
        across, up = _at(tenth / 10, tenth / 10)
        draw.line((across, _MARGIN, across, _SIDE - _MARGIN), fill=_GRID)
        draw.line((_MARGIN, up, _SIDE - _MARGIN, up), fill=_GRID)
        draw.text((across - 8, _SIDE - _MARGIN + 6), f"{tenth / 10:.1f}", fill=_INK)
        draw.text((_MARGIN - 28, up - 6), f"{tenth / 10:.1f}", fill=_INK)
    draw.line((*_at(0, 0), *_at(1, 1)), fill=_INK)
    places = [_at(part.mean_score, part.share) for part in bins]
    for one, other in pairwise(places):
        draw.line((*one, *other), fill=_MISSED, width=2)
    most = max((part.count for part in bins), default=1)
    for part, place in zip(bins, places, strict=True):
        _dot(draw, place, 3 + 5 * part.count / most, _MISSED)
    draw.text((_SIDE // 2 - 20, _SIDE - 24), "score", fill=_INK)
    draw.text((8, _MARGIN - 24), "share of duplicates", fill=_INK)
    return _png(image)


def error_map(found: Assessment, *, title: str) -> bytes:
    """Draw where reports were wrongly called duplicates (red) or not recognised (blue), north up; the rest is grey.

    Returns:
        A PNG. A degree of longitude is as long as it is there, so shapes are true.
    """
    image, draw = _sheet(title)
    groups = ((found.right, _RIGHT, 2.0), (found.missed, _MISSED, 3.0), (found.wrong, _WRONG, 3.0))
    points = [verdict.trial.report.at for verdicts, *_ in groups for verdict in verdicts]
    if points:
        frame = _Frame(points)
        for verdicts, colour, radius in groups:
            for verdict in verdicts:
                _dot(draw, frame.at(verdict.trial.report.at), radius, colour)
    legend = f"right {len(found.right)}, wrongly called {len(found.wrong)} (red), missed {len(found.missed)} (blue)"
    draw.text((_MARGIN, _SIDE - 24), legend, fill=_INK)
    return _png(image)


class _Frame:
    """Fits positions into the sheet, keeping shapes: a degree of longitude is shorter than one of latitude."""

    def __init__(self, points: Sequence[LonLat]) -> None:
        self._west, self._north = min(point.lon for point in points), max(point.lat for point in points)
        self._narrowing = math.cos(math.radians(self._north))
        width = (max(point.lon for point in points) - self._west) * self._narrowing
        height = self._north - min(point.lat for point in points)
        self._scale = (_SIDE - 2 * _MARGIN) / max(width, height, 1e-6)

    def at(self, point: LonLat) -> tuple[float, float]:
        """Where a position lies on the sheet."""
        east, south = (point.lon - self._west) * self._narrowing, self._north - point.lat
        return _MARGIN + east * self._scale, _MARGIN + south * self._scale


def _sheet(title: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (_SIDE, _SIDE), "white")
    draw = ImageDraw.Draw(image)
    draw.text((_MARGIN, 12), title, fill=_INK)
    return image, draw


def _at(share_across: float, share_up: float) -> tuple[float, float]:
    inner = _SIDE - 2 * _MARGIN
    return _MARGIN + share_across * inner, _SIDE - _MARGIN - share_up * inner


def _dot(draw: ImageDraw.ImageDraw, place: tuple[float, float], radius: float, colour: str) -> None:
    across, up = place
    draw.ellipse((across - radius, up - radius, across + radius, up + radius), fill=colour)


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
