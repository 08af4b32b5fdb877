"""The small map around a place as PNG, for mail programs: hardly one of them shows an SVG."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Final

from PIL import Image, ImageDraw

from geo.minimap import HEIGHT_M, WIDTH_M, streets_of

# Drawn so many times as large and made small again, which is what gives smooth lines.
_TIMES: Final = 3
_COLOURS: Final = 32
_GROUND, _STREET, _EDGE, _PIN, _WHITE = "#f2efe9", "#ffffff", "#7a5195", "#c8102e", "#ffffff"
_EDGE_M: Final = 3

_Line = list[tuple[float, float]]


def paint_minimap(paths: Sequence[tuple[str, str, str]]) -> bytes:
    """Paint what `geo.minimap.find_paths` found, in the middle of it a pin; 480 by 320 pixels, some kilobytes."""
    picture = Image.new("RGB", (WIDTH_M * _TIMES, HEIGHT_M * _TIMES), _GROUND)
    draw = ImageDraw.Draw(picture)
    for width, path in streets_of(paths):
        for line in lines_of(path):
            draw.line([_pixel(point) for point in line], fill=_STREET, width=width * _TIMES, joint="curve")
    for path in (path for sort, _, path in paths if sort == "edge"):
        for line in lines_of(path):
            draw.line([_pixel(point) for point in line], fill=_EDGE, width=_EDGE_M * _TIMES, joint="curve")
    _paint_pin(draw)
    written = BytesIO()
    picture.reduce(_TIMES).quantize(_COLOURS).save(written, "PNG", optimize=True)
    return written.getvalue()


def lines_of(path: str) -> Iterator[_Line]:
    """Read the lines of a path as PostGIS writes them (ST_AsSVG, relative): ``M x y l dx dy dx dy ...``."""
    for part in path.split("M")[1:]:
        numbers = [float(number) for number in part.replace("l", " ").split()]
        x, y, line = 0.0, 0.0, []
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + dx, y + dy
            line.append((x, y))
        yield line


def _paint_pin(draw: ImageDraw.ImageDraw) -> None:
    """Paint the pin that the SVG has: a drop with its point at the place, and a hole."""
    for more, colour in ((2, _WHITE), (0, _PIN)):
        draw.polygon([_pixel(point) for point in ((0, more), (-9 - more, -16), (9 + more, -16))], fill=colour)
        draw.ellipse(_around((0, -23), 11 + more), fill=colour)
    draw.ellipse(_around((0, -23), 4), fill=_WHITE)


def _around(middle: tuple[float, float], radius: float) -> tuple[float, float, float, float]:
    x, y = middle
    return (*_pixel((x - radius, y - radius)), *_pixel((x + radius, y + radius)))


def _pixel(point: tuple[float, float]) -> tuple[float, float]:
    return (point[0] + WIDTH_M / 2) * _TIMES, (point[1] + HEIGHT_M / 2) * _TIMES
