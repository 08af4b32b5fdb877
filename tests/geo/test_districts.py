"""The map in process and PostGIS give one answer, on the real ground of Montréal."""

from __future__ import annotations

import random
from datetime import date

import pytest
import shapely

from geo.cities import load_atlas
from geo.districts import districts_of_points
from geo.points import LonLat

TODAY = date(2026, 11, 22)


def positions(city, seed):
    """Positions all over the city, on the corners of its districts, on their edges, and around them."""
    draw = random.Random(seed)
    rings = [shapely.get_coordinates(district.polygon) for layer_map in city.layers for district in layer_map.districts]
    corners = [draw.choice(ring) for ring in rings for _ in range(6)]
    edges = [(ring[i] + ring[i + 1]) / 2 for ring in rings for i in [draw.randrange(len(ring) - 1)] * 4]
    around = [(lon + draw.gauss(0, 4e-4), lat + draw.gauss(0, 4e-4)) for lon, lat in corners]
    anywhere = [(draw.uniform(-73.98, -73.47), draw.uniform(45.40, 45.71)) for _ in range(800)]
    return [LonLat(float(lon), float(lat)) for lon, lat in (*corners, *edges, *around, *anywhere)]


@pytest.mark.parametrize("accuracy_m", [0.0, 12.0, 450.0])
async def test_postgis_gives_the_answers_of_the_map(session, montreal, accuracy_m):
    city = (await load_atlas(session)).by_id(montreal)
    points = positions(city, seed=20261122)

    by_map = [city.districts_at(point, accuracy_m=accuracy_m, on=TODAY) for point in points]
    by_postgis = await districts_of_points(session, montreal, points, accuracy_m=accuracy_m, on=TODAY)

    assert len(points) > 2000
    different = [
        (point, ours, theirs)
        for point, ours, theirs in zip(points, by_map, by_postgis, strict=True)
        if not same(ours, theirs, accuracy_m)
    ]
    assert different == []
    assert sum(bool(answers) for answers in by_map) > 1000


def same(ours, theirs, accuracy_m):
    return len(ours) == len(theirs) and all(
        (a.layer, a.code, a.names) == (b.layer, b.code, b.names) and same_edge(a, b, accuracy_m)
        for a, b in zip(ours, theirs, strict=True)
    )


def same_edge(a, b, accuracy_m):
    """The same distance to the next district; where one sees none, the other sees it at the very limit."""
    tolerance_m = 0.01 + 0.001 * accuracy_m
    if a.edge_m is None or b.edge_m is None:
        seen_m = a.edge_m if b.edge_m is None else b.edge_m
        return seen_m is None or abs(seen_m - accuracy_m) <= tolerance_m
    return abs(a.edge_m - b.edge_m) <= tolerance_m


async def test_no_positions_have_no_answers(session, montreal):
    assert await districts_of_points(session, montreal, [], accuracy_m=5.0, on=TODAY) == []
