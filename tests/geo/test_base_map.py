"""The base map of a city as a PMTiles file, as GDAL reads it."""

from datetime import date

import pyogrio
import pytest
import shapely

from geo.base_map import FIRST_ZOOM, LAST_ZOOM, find_base_map, make_base_map, read_piece, tiles_over

TODAY = date(2026, 11, 23)


@pytest.fixture
async def laval(owner, cities):
    """Laval's number, its map, and what was told while it was drawn."""
    city = cities.by_jurisdiction("laval.ca")
    told = []
    async with owner.transaction() as session:
        found = await make_base_map(session, city.id, on=TODAY, progress=lambda done, of: told.append((done, of)))
    return city.id, found, told


async def test_a_base_map_has_the_districts_streets_and_names_of_its_city(session, laval, tmp_path):
    city_id, found, told = laval
    file = tmp_path / "laval.pmtiles"

    file.write_bytes(await read_piece(session, city_id, found.sha256, start=0, length=found.length))

    assert sorted(name for name, _ in pyogrio.list_layers(file)) == ["districts", "names", "streets"]
    streets, _, lines, (_, names, kinds) = pyogrio.raw.read(file, layer="streets")
    assert list(streets["fields"])[1:] == ["name", "kind"]
    assert "Boulevard de la Concorde Ouest" in set(names)
    assert shapely.length(shapely.from_wkb(lines)).min() > 0.0
    assert "residential" in set(kinds)
    _, _, _, (_, _, from_afar) = pyogrio.raw.read(file, layer="streets", ZOOM_LEVEL="11")
    assert {"motorway", "secondary"} <= set(from_afar) <= {"motorway", "trunk", "primary", "secondary"}
    _, _, [at], columns = pyogrio.raw.read(file, layer="names")
    assert ([column[0] for column in columns[-2:]], shapely.from_wkb(at).geom_type) == (["Laval", "Laval"], "Point")
    assert told[:1] + told[-1:] == [(0, len(told) - 1), (len(told) - 1, len(told) - 1)]


async def test_a_piece_is_of_the_map_that_was_found_or_of_none(session, laval):
    city_id, found, _ = laval

    assert await find_base_map(session, city_id) == found
    assert await read_piece(session, city_id, found.sha256, start=0, length=7) == b"PMTiles"
    assert await read_piece(session, city_id, "another", start=0, length=7) is None
    assert await find_base_map(session, -1) is None


def test_only_tiles_that_a_city_reaches_are_drawn():
    corner = shapely.Polygon([(-73.8, 45.5), (-73.6, 45.5), (-73.8, 45.7)])

    tiles = tiles_over(corner)

    deepest = [tile for tile in tiles if tile.z == LAST_ZOOM]
    assert {tile.z for tile in tiles} == set(range(FIRST_ZOOM, LAST_ZOOM + 1))
    assert all(corner.intersects(shapely.box(*tile.bounds)) for tile in tiles)
    assert len(deepest) < 0.7 * (0.2 / (360 / 2**LAST_ZOOM)) ** 2 * 1.45
