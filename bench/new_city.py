"""From a folder of raw files to the first routed report, with the time it takes: `make bench-city`.

The files are Québec's own, put back into what cities publish: boroughs as a zipped shapefile in MTM zone 7 and
Latin-1, streets as a GeoPackage in Québec Lambert, neighbourhoods as KML in degrees, addresses as a CSV in metres of
UTM zone 19. Making them is not timed. What is: `jalon city init`, `check`, `load` and `test` as an operator types
them, on a private database that is made on the way, then `jalon serve` until it answers, and one report over HTTP.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pyogrio
import shapely
from pyproj import Transformer
from rich.console import Console
from rich.table import Table

from bench.servers import Server, jalon_environment, running
from issues.packs.check import check_pack
from issues.packs.pack import Places

_PACK = Path(__file__).parent.parent / "cities" / "quebec"
_JALON = "import sys; from api.cli import main; sys.argv[0] = 'jalon'; main()"
_AIM_S = 60.0
_CSV_CRS = "EPSG:32619"
# Rue des Jardins, before the city hall.
_REPORT = {"service_code": "nid-de-poule", "lat": 46.8139, "long": -71.2080, "accuracy_m": 8, "location_source": "gps"}


def main() -> None:
    """Make the raw files, go through all steps, and print what each took; ends with 1 beyond the aim."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--keep", type=Path, help="keep the folder of raw files here, to look at")
    arguments = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory(prefix="jalon-new-city-") as folder:
        Path(folder).chmod(0o711)  # as root, the database runs as another user, who has to get in
        raw = Path(folder) / "raw"
        raw.mkdir()
        write_raw_files(raw)
        sizes = {path.name: path.stat().st_size for path in sorted(raw.iterdir())}
        timed = _go_through(raw, Path(folder) / "data", console)
        if arguments.keep:
            shutil.copytree(raw, arguments.keep)
    table = Table("step", "seconds", box=None)
    for step, seconds in timed:
        table.add_row(step, f"{seconds:.1f}")
    whole = sum(seconds for _, seconds in timed)
    console.print(", ".join(f"{name} ({size / 1e6:.1f} MB)" for name, size in sizes.items()))
    console.print(table)
    console.print(f"raw files to the first routed report: {whole:.1f} s (aim: {_AIM_S:.0f} s)")
    sys.exit(0 if whole <= _AIM_S else 1)


def write_raw_files(raw: Path) -> None:
    """Put Québec's pack back into files as cities publish them, in three coordinate systems and degrees."""
    pack = check_pack(_PACK).pack
    assert pack is not None
    places = pack.places
    _write_districts(raw, places)
    lines = [street.line for street in places.streets]
    columns = {"nom_voie": [s.name for s in places.streets], "classe": [s.kind for s in places.streets]}
    _write(raw / "voies_publiques.gpkg", "GPKG", "EPSG:32198", shapes=lines, kind="LineString", columns=columns)
    to_utm = Transformer.from_crs("EPSG:4326", _CSV_CRS, always_xy=True)
    xs, ys = to_utm.transform([a.at.lon for a in places.addresses], [a.at.lat for a in places.addresses])
    with (raw / "adresses.csv").open("w", encoding="cp1252", newline="", errors="replace") as file:
        rows = csv.writer(file, delimiter=";")
        rows.writerow(("no_civique", "nom_rue", "x", "y"))
        for address, x, y in zip(places.addresses, xs, ys, strict=True):
            rows.writerow((address.number, address.street, f"{x:.2f}".replace(".", ","), f"{y:.2f}".replace(".", ",")))


def _write_districts(raw: Path, places: Places) -> None:
    boroughs, quarters = places.layers
    names = {"NOM": [d.names["fr"].replace("—", "-") for d in boroughs.districts]}
    polygons = [d.polygon for d in boroughs.districts]
    shapefile = raw / "arrondissements.shp"
    kind = "MultiPolygon"
    _write(shapefile, "ESRI Shapefile", "EPSG:32187", shapes=polygons, kind=kind, columns=names, encoding="ISO-8859-1")
    with zipfile.ZipFile(raw / "arrondissements.zip", "w") as archive:
        for part in sorted(raw.glob("arrondissements.*")):
            if part.suffix != ".zip":
                archive.write(part, part.name)
                part.unlink()
    names = {"name": [d.names["fr"] for d in quarters.districts]}
    polygons = [d.polygon for d in quarters.districts]
    _write(raw / "quartiers.kml", "KML", "EPSG:4326", shapes=polygons, kind=kind, columns=names)


def _write(
    path: Path,
    driver: str,
    crs: str,
    *,
    shapes: Sequence[Any],
    kind: str,
    columns: dict[str, list[str]],
    **options: str,
) -> None:
    to_crs = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    flat = shapely.transform(
        np.array(shapes, dtype=object), lambda xy: np.column_stack(to_crs.transform(xy[:, 0], xy[:, 1]))
    )
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(flat),
        field_data=[np.array(cells, dtype=object) for cells in columns.values()],
        fields=list(columns),
        geometry_type=kind,
        driver=driver,
        crs=crs,
        **options,
    )


def _go_through(raw: Path, data: Path, console: Console) -> list[tuple[str, float]]:
    """Do the steps one after another, each timed; fails loudly where one does."""
    environment = jalon_environment("", data)
    del environment["JALON_DATABASE_URL"]  # a private database, as on a new machine

    def jalon(*arguments: str) -> None:
        command = [sys.executable, "-c", _JALON, "city", *arguments]
        done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"jalon city {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    named = ["--name", "Québec", "--source", "Ville de Québec", "--licence", "CC BY 4.0"]
    timed = [
        _timed("jalon city init", lambda: jalon("init", str(raw), *named, "--crs", f"adresses.csv={_CSV_CRS}")),
        _timed("jalon city check --map", lambda: jalon("check", str(raw), "--map", str(raw / "map.html"))),
        _timed("jalon city load (and a database)", lambda: jalon("load", str(raw))),
        _timed("jalon city test", lambda: jalon("test", str(raw))),
    ]
    server = Server(environment, raw.parent / "server.log")
    began = time.monotonic()
    with running([server]):
        timed.append(("jalon serve", time.monotonic() - began))
        timed.append(_timed("first report", lambda: _file_report(server.url, console)))
    return timed


def _timed(step: str, do: Callable[[], None]) -> tuple[str, float]:
    began = time.monotonic()
    do()
    return step, time.monotonic() - began


def _file_report(url: str, console: Console) -> None:
    body = json.dumps({**_REPORT, "channel": "web"}).encode()
    headers = {"Content-Type": "application/json", "Accept-Language": "fr"}
    with urlopen(Request(f"{url}/v1/reports", data=body, headers=headers), timeout=30) as answer:
        issue = json.loads(answer.read())["issue"]
    district, department = issue["district"]["name"], issue["department"]["name"]
    console.print(f"report {issue['number']}: {issue['address']}; {district}; {department}")


if __name__ == "__main__":
    main()
