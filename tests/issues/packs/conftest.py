"""A small, spotless pack on disk, to spoil in one way at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely

from tests.issues.packs.small_pack import (
    ADDRESSES,
    CITY,
    DEPARTMENTS,
    EAST_SIDE,
    ROUTES,
    SERVICES,
    WEST_SIDE,
    district,
    geojson,
)


@pytest.fixture
def folder(tmp_path) -> Path:
    """The pack's folder."""
    (tmp_path / "city.yml").write_text(CITY)
    (tmp_path / "services.yml").write_text(SERVICES)
    (tmp_path / "departments.yml").write_text(DEPARTMENTS)
    (tmp_path / "routes.csv").write_text(ROUTES)
    (tmp_path / "adresses.csv").write_text(ADDRESSES)
    (tmp_path / "secteurs.geojson").write_text(geojson(WEST_SIDE, EAST_SIDE))
    (tmp_path / "voisines.geojson").write_text(geojson(district("voisine", -73.60, -73.55)))
    street = shapely.LineString([(-73.66, 45.50), (-73.66, 45.55)])
    (tmp_path / "rues.geojson").write_text(geojson((street, {"nom": "Rue A", "genre": "residential"})))
    return tmp_path


@pytest.fixture
def spoil(folder):
    """Change a text in one of the pack's files."""

    def replace(name: str, old: str, new: str) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return replace
