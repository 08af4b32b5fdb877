"""Reading places from the files that cities keep them in: GeoJSON, GeoPackage, shapefile and the rest of GDAL's.

Whatever the file's coordinate system, what comes out is WGS 84, longitude first.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from geo.axes import on_earth

_WGS84 = CRS.from_epsg(4326)

# What is looked for in an archive; a shapefile's other parts lie beside it.
_IN_ARCHIVES = (".shp", ".gpkg", ".geojson", ".json", ".kml", ".gml", ".tab", ".fgb")
# What text is read as where the file names an encoding that it does not keep: Windows' own west of Poland.
_WINDOWS = "cp1252"
_REMARKS_AT_MOST = 5


class UnreadablePlaces(Exception):
    """A file of places that cannot be used as a whole.

    Attributes:
        path: The file.
        reason: What is wrong with it, for the person who made it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class CrsUnknown(UnreadablePlaces):
    """Nobody says in which coordinate system a file is; guessing would put a city somewhere else without a word."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One place of a file.

    Attributes:
        number: Its place in the file, counted from 1.
        properties: What the file tells about it.
        geometry: Its shape in WGS 84 degrees, longitude first; None where the file has none that can be read.
    """

    number: int
    properties: Mapping[str, Any]
    geometry: BaseGeometry | None


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """A file of places that was read.

    Attributes:
        features: Its places, in its order.
        columns: What it tells about each, in its order.
        crs: The coordinate system it was in, as it or the caller named it.
        remarks: What was put right or is odd, in words.
    """

    features: Sequence[Feature]
    columns: Sequence[str]
    crs: str
    remarks: Sequence[str]


def read_features(
    path: Path, *, table: str | None = None, crs: str | None = None, encoding: str | None = None
) -> FeatureFile:
    """Read all places of a file, brought to WGS 84.

    Args:
        path: The file; `.gz` and `.zip` are unpacked on the way.
        table: Which table of a file with several, such as a GeoPackage; None for the only or first one.
        crs: The coordinate system, such as `EPSG:32188`, whatever the file says; None for what the file says.
        encoding: That of its texts, whatever the file says.

    Raises:
        UnreadablePlaces: no such file, no format GDAL knows.
        CrsUnknown: no coordinate system is stated, or degrees are stated and no place is in degrees.
    """
    if not path.is_file():
        raise UnreadablePlaces(path, "there is no such file")
    meta, wkb, cells, remarks = _read(path, table, encoding)
    if wkb is None:
        raise UnreadablePlaces(path, "it has no shapes")
    raw = _shapes(wkb, remarks)
    stated = crs or meta["crs"]
    geometries = _to_wgs84(path, raw, stated)
    _refuse_metres(path, geometries, stated)
    columns = [str(name) for name in meta["fields"]]
    rows = zip(*_texts_put_right(cells, remarks), strict=True) if cells else ([] for _ in geometries)
    features = [
        Feature(number, dict(zip(columns, map(_plain, row), strict=True)), geometry)
        for number, (row, geometry) in enumerate(zip(rows, geometries, strict=True), start=1)
    ]
    return FeatureFile(features, columns, stated, remarks)


def is_crs(word: str) -> bool:
    """Whether a word names a coordinate system, as `EPSG:32188` does."""
    try:
        CRS.from_user_input(word)
    except CRSError:
        return False
    return True


def list_tables(path: Path) -> list[str | None]:
    """List the tables of a file that hold places, to be read one by one; [None] where there is only one.

    Raises:
        UnreadablePlaces: no such file, no format GDAL knows.
    """
    try:
        if path.suffix == ".zip":
            inside = _in_archive(path)
            if len(inside) != 1:
                return [PurePosixPath(name).stem for name in inside]
        source, _ = _source(path, None)
        with warnings.catch_warnings(action="ignore"):  # told when the table is read
            tables = pyogrio.list_layers(source)
    except (DataSourceError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise UnreadablePlaces(path, str(error)) from error
    names = [str(name) for name, kind in tables if kind is not None]
    return [*names] if len(names) > 1 else [None]


def _read(path: Path, table: str | None, encoding: str | None) -> tuple[Mapping[str, Any], Any, list[Any], list[str]]:
    """Have GDAL read a file; what it warns of becomes remarks."""
    remarks: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            source, layer = _source(path, table)
            try:
                meta, _, wkb, cells = pyogrio.raw.read(source, layer=layer, force_2d=True, encoding=encoding)
            except UnicodeDecodeError:
                meta, _, wkb, cells = pyogrio.raw.read(source, layer=layer, force_2d=True, encoding=_WINDOWS)
                remarks.append(f"its texts are not in the encoding it states; they were read as {_WINDOWS}")
        except (
            DataSourceError,
            DataLayerError,
            FeatureError,
            GeometryError,
            ValueError,
            LookupError,
            OSError,
        ) as error:
            raise UnreadablePlaces(path, str(error)) from error
        except zipfile.BadZipFile as error:
            raise UnreadablePlaces(path, f"this is no archive: {error}") from error
    said = dict.fromkeys(str(warning.message).partition("\n")[0] for warning in caught)
    remarks += list(said)[:_REMARKS_AT_MOST]
    return meta, wkb, cells, remarks


def _shapes(wkb: np.ndarray, remarks: list[str]) -> np.ndarray:
    """Make shapes; rings that do not end where they began are closed, what cannot be read becomes None."""
    with np.errstate(invalid="ignore"):  # not-a-number is told later, of the place that has it
        shapes = shapely.from_wkb(wkb, on_invalid="ignore")
        lost = shapely.is_missing(shapes) & np.array([each is not None for each in wkb], dtype=bool)
        shapes[lost] = shapely.from_wkb(wkb[lost], on_invalid="fix")
    closed = int((lost & ~shapely.is_missing(shapes)).sum())
    if closed:
        remarks.append(f"{closed} places had rings that did not end where they began; they were closed")
    return shapes


def _source(path: Path, table: str | None) -> tuple[str | Path, str | None]:
    """How GDAL names a file, and the table in it."""
    if path.suffix == ".gz":
        return f"/vsigzip/{path.absolute()}", table
    if path.suffix != ".zip":
        return path, table
    inside = _in_archive(path)
    if not inside:
        raise UnreadablePlaces(path, "there is no file of places in the archive")
    named = [name for name in inside if PurePosixPath(name).stem == table]
    if table is None and len(inside) > 1:
        raise UnreadablePlaces(path, f"there are several files in it; say with table: which one ({', '.join(inside)})")
    return f"/vsizip/{path.absolute()}/{(named or inside)[0]}", None if named else table


def _in_archive(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
    return sorted(name for name in names if PurePosixPath(name).suffix.lower() in _IN_ARCHIVES)


def repair_polygon(shape: BaseGeometry) -> tuple[BaseGeometry, str | None]:
    """Make a published polygon valid.

    Rings that cross or touch themselves are taken for outlines of what they enclose; a hole that is its outline once
    more, and lines and points that are left over, are dropped.

    Returns:
        A valid MultiPolygon (empty where there was no area), and what had been wrong; None if nothing.
    """
    reason = None
    if not shapely.is_valid(shape):
        reason = str(shapely.is_valid_reason(shape))
        once = [_without_doubled_rings(part) for part in shapely.get_parts(shape)]
        shape = shapely.make_valid(shapely.MultiPolygon(once), method="structure", keep_collapsed=False)
    parts = [part for part in shapely.get_parts(shapely.get_parts(shape)) if part.geom_type == "Polygon"]
    return shapely.MultiPolygon(parts), reason


def _without_doubled_rings(polygon: shapely.Polygon) -> shapely.Polygon:
    outline = shapely.normalize(shapely.Polygon(polygon.exterior))
    holes = [ring for ring in polygon.interiors if not shapely.normalize(shapely.Polygon(ring)).equals_exact(outline)]
    return shapely.Polygon(polygon.exterior, holes)


def _plain(value: Any) -> Any:
    """A cell as Python has it; a date or time that is missing becomes None."""
    return value.item() if isinstance(value, np.generic) else value


def _texts_put_right(columns: Sequence[Any], remarks: list[str]) -> list[Any]:
    """Read UTF-8 as UTF-8 that the file passed off as something else, as shapefiles without a `.cpg` do."""
    for codec in ("latin-1", _WINDOWS):
        texts = [cell for column in columns if column.dtype == object for cell in column if isinstance(cell, str)]
        foreign = [text for text in texts if not text.isascii()]
        if foreign and all(_as_utf8(text, codec) is not None for text in foreign):
            remarks.append("its texts are UTF-8 though it does not say so; they were read as such")
            return [
                np.array([_as_utf8(c, codec) if isinstance(c, str) else c for c in column], dtype=object)
                if column.dtype == object
                else column
                for column in columns
            ]
    return list(columns)


def _as_utf8(text: str, codec: str) -> str | None:
    try:
        return text.encode(codec).decode("utf-8")
    except UnicodeError:
        return None


def _to_wgs84(path: Path, geometries: np.ndarray, crs: str | None) -> Sequence[BaseGeometry | None]:
    if crs is None:
        raise CrsUnknown(path, "it does not say in which coordinate system it is; say so with crs:, as in EPSG:32188")
    try:
        stated = CRS.from_user_input(crs)
    except CRSError as error:
        raise UnreadablePlaces(path, f"unknown coordinate system {crs}") from error
    if not stated.equals(_WGS84, ignore_axis_order=True):
        to_wgs84 = Transformer.from_crs(stated, _WGS84, always_xy=True)
        geometries = shapely.transform(geometries, lambda xy: np.column_stack(to_wgs84.transform(xy[:, 0], xy[:, 1])))
    return list(geometries)


def _refuse_metres(path: Path, geometries: Sequence[BaseGeometry | None], crs: str | None) -> None:
    shapes = [shape for shape in geometries if shape is not None and not shape.is_empty]
    if shapes and not any(map(on_earth, _both_ways(shapes))):
        raise CrsUnknown(
            path,
            f"its coordinates cannot be those of {crs}, which it says they are; say with crs: what they are,"
            " as in EPSG:32188",
        )


def _both_ways(shapes: Sequence[BaseGeometry]) -> Iterator[BaseGeometry]:
    yield from shapes
    yield from (shapely.transform(shape, lambda xy: xy[:, ::-1]) for shape in shapes)
