"""Reading places from the files that cities keep them in: GeoJSON, GeoPackage, shapefile and the rest of GDAL's.

Whatever the file's coordinate system, what comes out is WGS 84, longitude first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

_WGS84 = CRS.from_epsg(4326)


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


@dataclass(frozen=True, slots=True)
class Feature:
    """One place of a file.

    Attributes:
        number: Its place in the file, counted from 1.
        properties: What the file tells about it.
        geometry: Its shape in WGS 84 degrees, longitude first; None where the file has none.
    """

    number: int
    properties: Mapping[str, Any]
    geometry: BaseGeometry | None


def read_features(path: Path, *, table: str | None = None) -> list[Feature]:
    """Read all places of a file, brought to WGS 84.

    Args:
        path: The file; a `.gz` is unpacked on the way.
        table: Which table of a file with several, such as a GeoPackage; None for the only or first one.

    Raises:
        UnreadablePlaces: no such file, no format GDAL knows, or no coordinate system stated.
    """
    if not path.is_file():
        raise UnreadablePlaces(path, "there is no such file")
    source = f"/vsigzip/{path.absolute()}" if path.suffix == ".gz" else path
    try:
        meta, _, wkb, columns = pyogrio.raw.read(source, layer=table, force_2d=True)
    except (DataSourceError, DataLayerError, FeatureError, GeometryError, ValueError) as error:
        raise UnreadablePlaces(path, str(error)) from error
    if wkb is None:
        raise UnreadablePlaces(path, "it has no shapes")
    geometries = _to_wgs84(path, shapely.from_wkb(wkb), meta["crs"])
    names = [str(name) for name in meta["fields"]]
    rows = zip(*columns, strict=True) if columns else ([] for _ in geometries)
    return [
        Feature(number, dict(zip(names, map(_plain, row), strict=True)), geometry)
        for number, (row, geometry) in enumerate(zip(rows, geometries, strict=True), start=1)
    ]


def repair_polygon(shape: BaseGeometry) -> tuple[BaseGeometry, str | None]:
    """Make a published polygon valid.

    Rings that cross or touch themselves are taken for outlines of what they enclose; lines and points that are
    left over are dropped.

    Returns:
        A valid MultiPolygon (empty where there was no area), and what had been wrong; None if nothing.
    """
    reason = None
    if not shapely.is_valid(shape):
        reason = str(shapely.is_valid_reason(shape))
        shape = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    parts = [part for part in shapely.get_parts(shapely.get_parts(shape)) if part.geom_type == "Polygon"]
    return shapely.MultiPolygon(parts), reason


def on_earth(shape: BaseGeometry) -> bool:
    """Whether all of a shape has longitudes and latitudes that exist (false for metres taken for degrees)."""
    west, south, east, north = shape.bounds
    return -180.0 <= west <= east <= 180.0 and -90.0 <= south <= north <= 90.0


def _plain(value: Any) -> Any:
    """A cell as Python has it; a date or time that is missing becomes None."""
    return value.item() if isinstance(value, np.generic) else value


def _to_wgs84(path: Path, geometries: np.ndarray, crs: str | None) -> Sequence[BaseGeometry | None]:
    if crs is None:
        raise UnreadablePlaces(path, "it does not say in which coordinate system it is")
    try:
        stated = CRS.from_user_input(crs)
    except CRSError as error:
        raise UnreadablePlaces(path, f"unknown coordinate system {crs}") from error
    if not stated.equals(_WGS84, ignore_axis_order=True):
        to_wgs84 = Transformer.from_crs(stated, _WGS84, always_xy=True)
        geometries = shapely.transform(geometries, lambda xy: np.column_stack(to_wgs84.transform(xy[:, 0], xy[:, 1])))
    return list(geometries)
