"""Files of districts, streets and addresses as no city should keep them, and some do."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio
import shapely

from tests.issues.packs.small_pack import EAST_SIDE, WEST_SIDE, geojson

W, S = -73.70, 45.50


def _ring(*corners) -> list[list[float]]:
    return [[W + 0.05 * corner[0], S + 0.05 * corner[1], *corner[2:]] for corner in corners]


def _polygon(*rings) -> dict:
    return {"type": "Polygon", "coordinates": list(rings)}


def _circle(vertices: int, wave: float) -> list[list[float]]:
    """A ring around the middle whose line goes to and fro across itself."""
    turns = [2.0 * math.pi * i / vertices for i in range(vertices)]
    radii = [0.02 + wave * math.sin(turn * 1_000.0) for turn in turns]
    corners = [
        [W + 0.025 + radius * math.cos(turn + wave * math.cos(turn * 700.0)), S + 0.025 + radius * math.sin(turn)]
        for turn, radius in zip(turns, radii, strict=True)
    ]
    return [*corners, corners[0]]


SQUARE = _ring((0, 0), (1, 0), (1, 1), (0, 1), (0, 0))

# The geometry of one district beside a sound one.
GEOMETRIES = {
    "bow-tie": _polygon(_ring((0, 0), (1, 1), (1, 0), (0, 1), (0, 0))),
    "duplicate ring": _polygon(SQUARE, SQUARE),
    "ring twice round": _polygon(SQUARE[:-1] * 2 + SQUARE[:1]),
    "no area": _polygon(_ring((0, 0), (1, 1), (0, 0), (0, 0))),
    "spike": _polygon(_ring((0, 0), (1, 0), (1, 1), (0.5, 1), (0.5, 3), (0.5, 1), (0, 1), (0, 0))),
    "part without area": {"type": "MultiPolygon", "coordinates": [[SQUARE], [_ring((2, 2), (2, 2), (2, 2), (2, 2))]]},
    "parts that overlap": {"type": "MultiPolygon", "coordinates": [[SQUARE], [SQUARE]]},
    "hole outside": _polygon(SQUARE, _ring((3, 3), (4, 3), (4, 4), (3, 3))),
    "hole across the edge": _polygon(SQUARE, _ring((0.5, 0.5), (2, 0.5), (0.5, 0.7), (0.5, 0.5))),
    "not closed": _polygon(SQUARE[:-1]),
    "two points": _polygon(_ring((0, 0), (1, 1))),
    "no points": _polygon([]),
    "no rings": _polygon(),
    "nan": _polygon(_ring((0, 0), (1, math.nan), (1, 1), (0, 0))),
    "infinite": _polygon(_ring((0, 0), (1, math.inf), (1, 1), (0, 0))),
    "enormous": _polygon([[1e308, 1e308], [-1e308, 1e308], [1e308, -1e308], [1e308, 1e308]]),
    "3D": _polygon([[x, y, 41.5] for x, y in SQUARE]),
    "3D here and there": _polygon([SQUARE[0] + [1.0], *SQUARE[1:]]),
    "texts for numbers": _polygon([["a", "b"], ["c", "d"], ["e", "f"], ["a", "b"]]),
    "metres": _polygon([[299_000, 5_040_000], [300_000, 5_040_000], [300_000, 5_041_000], [299_000, 5_040_000]]),
    "swapped": _polygon([[y, x] for x, y in SQUARE]),
    "a point": {"type": "Point", "coordinates": SQUARE[0]},
    "a collection": {
        "type": "GeometryCollection",
        "geometries": [_polygon(SQUARE), {"type": "Point", "coordinates": SQUARE[0]}],
    },
    "an empty collection": {"type": "GeometryCollection", "geometries": []},
    "null": None,
    "no such type": {"type": "Circle", "coordinates": SQUARE[0], "radius": 5},
    "100 000 vertices that cross": _polygon(_circle(100_000, 0.002)),
}  # fmt: skip


def write_geometry(folder: Path, name: str) -> None:
    """Give the district in the west one of the geometries."""
    east = json.loads(geojson(EAST_SIDE))["features"]
    west = {"type": "Feature", "properties": WEST_SIDE[1], "geometry": GEOMETRIES[name]}
    (folder / "secteurs.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [west, *east]}))


def _write_latin_1(folder: Path) -> None:
    text = geojson((WEST_SIDE[0], {"code": "ouest", "nom": "Orée-des-Bois"}), EAST_SIDE)
    (folder / "secteurs.geojson").write_bytes(text.encode("latin-1") if "é" in text else _escaped(text))


def _escaped(text: str) -> bytes:
    return json.dumps(json.loads(text), ensure_ascii=False).encode("latin-1")


def _write_shapefile(path: Path, *, crs: str | None, encoding: str = "UTF-8") -> None:
    shapes = np.array([shapely.to_wkb(side[0]) for side in (WEST_SIDE, EAST_SIDE)], dtype=object)
    fields = [np.array(["ouest", "est"], dtype=object), np.array(["Orée", "Est"], dtype=object)]
    pyogrio.raw.write(
        path, geometry=shapes, field_data=fields, fields=["code", "nom"], geometry_type="Polygon", crs=crs,
        driver="ESRI Shapefile", encoding=encoding,
    )  # fmt: skip


def _archive(folder: Path, *, without: str = "", twice: bool = False) -> None:
    _write_shapefile(folder / "a.shp", crs="EPSG:4326")
    with zipfile.ZipFile(folder / "secteurs.geojson", "w") as archive:
        for path in sorted(folder.glob("a.*")):
            if path.suffix != without:
                archive.write(path, path.name)
                if twice:
                    archive.write(path, f"b{path.suffix}")
            path.unlink()
    (folder / "secteurs.geojson").rename(folder / "secteurs.zip")
    _say(folder, "secteurs.geojson", "secteurs.zip")


def _say(folder: Path, old: str, new: str) -> None:
    city = folder / "city.yml"
    city.write_text(city.read_text().replace(old, new, 1))


def _raw(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _kept_as(name: str, content: bytes) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(content)
        _say(folder, "secteurs.geojson", name)

    return write


def _features(*geometries, **properties) -> bytes:
    features = [{"type": "Feature", "properties": properties, "geometry": each} for each in geometries]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


# Whole files that are wrong, by what is wrong with them.
FILES: dict[str, Callable[[Path], object]] = {
    "latin-1 that says UTF-8": _write_latin_1,
    "an archive without its index": lambda folder: _archive(folder, without=".shx"),
    "an archive without its table": lambda folder: _archive(folder, without=".dbf"),
    "an archive without its coordinate system": lambda folder: _archive(folder, without=".prj"),
    "an archive without an encoding": lambda folder: _archive(folder, without=".cpg"),
    "an archive of two": lambda folder: _archive(folder, twice=True),
    "an archive cut short": _kept_as("secteurs.zip", b"PK\x03\x04\x14\x00\x00\x00"),
    "a GeoPackage of nothing": _kept_as("secteurs.gpkg", b"SQLite format 3\x00" + bytes(84)),
    "KML of nothing": _kept_as("secteurs.kml", b"<kml xmlns='http://www.opengis.net/kml/2.2'><Document/></kml>"),
    "KML cut short": _kept_as("secteurs.kml", b"<kml><Document><Placemark><name>Ou"),
    "no features": _raw("secteurs.geojson", _features()),
    "features without properties": _raw("secteurs.geojson", _features(_polygon(SQUARE))),
    "properties of all kinds": _raw(
        "secteurs.geojson", _features(_polygon(SQUARE), code={"a": [1]}, nom=["x", None, 1e400])
    ),
    "one geometry": _raw("secteurs.geojson", json.dumps(_polygon(SQUARE)).encode()),
    "streets that are areas": _raw("rues.geojson", _features(_polygon(SQUARE), nom="Rue A", genre="x")),
    "streets without length": _raw(
        "rues.geojson", _features({"type": "LineString", "coordinates": [SQUARE[0]] * 2}, nom="Rue A", genre="x")
    ),
    "streets that lead nowhere": _raw(
        "rues.geojson", _features({"type": "LineString", "coordinates": []}, None, nom="Rue A", genre="x")
    ),
    "addresses with zeros": _raw("adresses.csv", b"numero,rue,lat,lon\n1,Rue A,45.5,-73.6\x00\n"),
    "addresses with an endless cell": _raw(
        "adresses.csv", b'numero,rue,lat,lon\n1,"' + b"x" * 200_000 + b'",45.5,-73.6\n'
    ),
    "addresses that are not numbers": _raw("adresses.csv", b"numero,rue,lat,lon\n1,Rue A,nan,inf\n2,Rue A,,\n"),
    "addresses in another alphabet": _raw("adresses.csv", "numero,rue,lat,lon\n1,Montée,45.5,-73.6\n".encode("cp850")),
    "addresses in rows of all lengths": _raw("adresses.csv", b"numero,rue,lat,lon\n1\n1,2,3,4,5,6,7\n,,,\n"),
    "20 000 wrong addresses": _raw("adresses.csv", b"numero,rue,lat,lon\n" + b"1,Rue A,145.5,-73.6\n" * 20_000),
    "neighbours that are streets": lambda folder: (folder / "voisines.geojson").write_bytes(
        (folder / "rues.geojson").read_bytes()
    ),
}
