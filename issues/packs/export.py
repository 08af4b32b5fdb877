"""Writing a checked pack out again: whatever its files were, as GeoJSON and CSV in WGS 84, as it would be loaded."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import shapely
import yaml
from shapely.geometry.base import BaseGeometry

from issues.packs.pack import Pack
from issues.packs.rules import RULES
from issues.packs.schema import CITY, DEPARTMENTS, POINTS, ROUTES, SERVICES
from issues.packs.sources import with_companions

# A centimetre.
_DECIMALS = 7


def export_pack(folder: Path, pack: Pack) -> dict[str, bytes]:
    """Write a pack anew, with its rings repaired, its gaps closed and its places in WGS 84.

    Args:
        folder: Where it was read.
        pack: As `check` made it.

    Returns:
        The content of each file by its name: a pack that says the same in files that any program reads.
    """
    files = {
        f"{layer.code}.geojson.gz": _zip(_collection((d.polygon, _district(d)) for d in layer.districts))
        for layer in pack.places.layers
    }
    if pack.city.outline:
        files["outline.geojson.gz"] = _zip(_collection([(pack.places.outline, {})]))
    if pack.places.neighbours:
        of = ((other.outline, {"code": other.code, **_named(other.names)}) for other in pack.places.neighbours)
        files["neighbours.geojson.gz"] = _zip(_collection(of))
    if pack.places.streets and not _with_owners(pack):
        lines = ((street.line, {"name": street.name, "kind": street.kind}) for street in pack.places.streets)
        files["streets.geojson.gz"] = _zip(_collection(lines))
    if pack.places.addresses:
        files["addresses.csv.gz"] = _zip(_addresses(pack))
    if pack.places.named:
        shapes = ((place.shape, {"name": place.name}) for place in pack.places.named)
        files["places.geojson.gz"] = _zip(_collection(shapes))
    owned = [name for file in _with_owners(pack) for name in with_companions(folder, file)]
    sheets = [SERVICES, DEPARTMENTS, ROUTES, RULES, POINTS, "SOURCES.md", *owned]
    kept = {name: (folder / name).read_bytes() for name in sheets if (folder / name).is_file()}
    return {CITY: _city(pack).encode(), **kept, **files}


def _city(pack: Pack) -> str:
    sheet = pack.city.model_dump(mode="json", exclude_unset=True)
    by_code = {layer.code: layer for layer in pack.places.layers}
    sheet["layers"] = list({layer["code"]: layer for layer in reversed(sheet["layers"])}.values())[::-1]
    for layer in sheet["layers"]:  # the versions of a layer are in one file
        for day in ("valid_from", "valid_to"):
            layer.pop(day, None)
        dated = any(d.valid_from or d.valid_to for d in by_code[layer["code"]].districts)
        columns = {"code": "code", "names": {"fr": "name_fr", "en": "name_en"}}
        days = {"valid_from": "valid_from", "valid_to": "valid_to"} if dated else {}
        _point_to(layer, f"{layer['code']}.geojson.gz", columns | days)
    named = {"code": "code", "names": {"fr": "name_fr", "en": "name_en"}}
    if sheet.get("outline"):
        _point_to(sheet["outline"], "outline.geojson.gz", None)
    if sheet.get("neighbours"):
        _point_to(sheet["neighbours"], "neighbours.geojson.gz", named)
    if sheet.get("streets") and not _with_owners(pack):
        _point_to(sheet["streets"], "streets.geojson.gz", {"name": "name", "kind": "kind"})
    if pack.places.addresses:  # also those that were told by the ranges of streets
        addresses = sheet.get("addresses") or {key: sheet["streets"][key] for key in ("source", "licence")}
        columns = {"number": "number", "street": "street", "lon": "lon", "lat": "lat"}
        sheet["addresses"] = addresses
        _point_to(addresses, "addresses.csv.gz", columns)
    if pack.places.named:
        [place, *_] = sheet["places"]
        sheet["places"] = [place]
        _point_to(place, "places.geojson.gz", {"name": "name"})
    return yaml.safe_dump(sheet, allow_unicode=True, sort_keys=False, width=120)


def _with_owners(pack: Pack) -> list[str]:
    """The files that tell whose a road or an asset is: roads without a name count there, so they stay as they are."""
    if not pack.places.owned:
        return []
    return [source.file for source in (pack.city.streets, *pack.city.assets) if source]


def _point_to(source: dict[str, Any], file: str, columns: Mapping[str, Any] | None) -> None:
    """Have an entry of `city.yml` name the file that was written for it."""
    for key in ("table", "crs", "encoding", "columns"):
        source.pop(key, None)
    source["file"] = file
    if columns is not None:
        source["columns"] = dict(columns)


def _district(district: Any) -> dict[str, Any]:
    days = {
        "valid_from": None if district.valid_from is None else district.valid_from.isoformat(),
        "valid_to": None if district.valid_to is None else district.valid_to.isoformat(),
    }
    return {"code": district.code, **_named(district.names), **days}


def _named(names: Mapping[str, str]) -> dict[str, str]:
    return {f"name_{language}": name for language, name in names.items()}


def _collection(features: Iterable[tuple[BaseGeometry, Mapping[str, Any]]]) -> str:
    lines = []
    for shape, properties in features:
        rounded = shapely.transform(shape, lambda degrees: degrees.round(_DECIMALS))
        feature = {"type": "Feature", "properties": properties, "geometry": json.loads(shapely.to_geojson(rounded))}
        lines.append(json.dumps(feature, ensure_ascii=False, separators=(",", ":")))
    return '{"type":"FeatureCollection","features":[\n' + ",\n".join(lines) + "\n]}\n"


def _addresses(pack: Pack) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("number", "street", "lon", "lat"))
    for address in pack.places.addresses:
        at = (round(address.at.lon, _DECIMALS), round(address.at.lat, _DECIMALS))
        rows.writerow((address.number, address.street, *at))
    return text.getvalue()


def _zip(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)
