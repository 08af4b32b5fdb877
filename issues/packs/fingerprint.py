"""The hash that a pack is known by: told without checking the pack, which takes seconds."""

from __future__ import annotations

import hashlib
from pathlib import Path

import psycopg

from issues.packs.city_sheet import CitySheet
from issues.packs.problems import Findings
from issues.packs.rules import RULES
from issues.packs.schema import CITY, DEPARTMENTS, FORMAT_VERSION, ROUTES, SERVICES
from issues.packs.sheets import read_sheet
from issues.packs.sources import with_companions


def fingerprint(folder: Path, city: CitySheet) -> str:
    """Get one hash over all files of a pack and the way they are read."""
    sources = [*city.layers, *city.assets, *city.places, city.outline, city.neighbours, city.streets, city.addresses]
    places = [name for source in sources if source for name in with_companions(folder, source.file)]
    names = {CITY, SERVICES, DEPARTMENTS, RULES, ROUTES, *places}
    whole = hashlib.sha256(f"{FORMAT_VERSION}".encode())
    for name in sorted(names):
        path = folder / name
        content = path.read_bytes() if path.is_file() else b""
        whole.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\0".encode())
    return whole.hexdigest()


def is_loaded(connection: psycopg.Connection, folder: Path) -> bool:
    """Tell whether a pack's city stands in the database as its files say; false where they cannot be read."""
    city = read_sheet(folder, CITY, CitySheet, Findings())
    if city is None:
        return False
    query = "SELECT EXISTS (SELECT FROM city WHERE jurisdiction_id = %s AND pack_sha256 = %s)"
    found = connection.execute(query, (city.jurisdiction_id, fingerprint(folder, city)))
    return found.fetchone() == (True,)
