"""Files of open data for other programs: GeoPackage, GeoJSON, CSV, FlatGeobuf."""

import csv
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from issues.open_data import Collection


class ExportFormat(StrEnum):
    """What may be written; the value is how the file's name ends."""

    GPKG = "gpkg"
    GEOJSON = "geojson"
    CSV = "csv"
    FGB = "fgb"


_DRIVERS: Final = {
    ExportFormat.GPKG: "GPKG",
    ExportFormat.GEOJSON: "GeoJSON",
    ExportFormat.FGB: "FlatGeobuf",
}
_UTC: Final = 100  # what GDAL calls it


def write_issues(
    file: Path, export_format: ExportFormat, collection: Collection, rows: Sequence[Sequence[Any]]
) -> None:
    """Write issues to a file, which is replaced.

    Args:
        file: Where to.
        export_format: As what.
        collection: What they are.
        rows: As `open_data.read_all` gives them; none make a file without features.
    """
    names = ["id", *collection.fields]
    if export_format is ExportFormat.CSV:
        _write_csv(file, names, rows)
        return
    columns = list(zip(*rows, strict=True)) if rows else [()] * (len(names) + 1)
    times = [name for name in names if name.endswith("_datetime")]
    pyogrio.raw.write(
        file,
        np.array([bytes(shape) for shape in columns[-1]], dtype=object),
        [_column(name, column) for name, column in zip(names, columns, strict=False)],
        names,
        layer=collection.name,
        driver=_DRIVERS[export_format],
        geometry_type="Point",
        crs="EPSG:4326",
        gdal_tz_offsets={name: np.full(len(rows), _UTC) for name in times},
    )


def _write_csv(file: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write rows as spreadsheets read them, with `lat` and `long` for the place.

    The byte-order mark is for Excel, which takes a file without one for Windows' own letters.
    """
    with file.open("w", encoding="utf-8-sig", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow([*names, "lat", "long"])
        for *values, shape in rows:
            at = shapely.from_wkb(bytes(shape))
            texts = [value.isoformat() if isinstance(value, datetime) else value for value in values]
            writer.writerow([*texts, shapely.get_y(at), shapely.get_x(at)])


def _column(name: str, values: Sequence[Any]) -> NDArray[Any]:
    if name.endswith("_datetime"):
        return np.array([_utc(value) for value in values], dtype="datetime64[ms]")
    return np.array(values, dtype=np.int32 if name.endswith("_count") else object)


def _utc(value: datetime | None) -> np.datetime64:
    return np.datetime64("NaT") if value is None else np.datetime64(int(value.timestamp() * 1000), "ms")
