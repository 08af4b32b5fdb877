"""The map in process and PostGIS give one answer, on the real ground of Montréal."""

from __future__ import annotations

import random
from datetime import date

import pytest

from bench.edges import draw_anywhere, draw_on_edges, find_faults
from geo.cities import load_atlas
from geo.districts import districts_of_points

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize("accuracy_m", [0.0, 12.0, 450.0])
async def test_postgis_gives_the_answers_of_the_map(session, montreal, accuracy_m):
    city = (await load_atlas(session)).by_id(montreal)
    assert city is not None
    draw = random.Random(20261122)
    points = [*draw_anywhere(city, 800, draw), *draw_on_edges(city, 1200, draw)]

    faults = await find_faults(session, city, points, accuracy_m=accuracy_m, on=TODAY)

    assert (faults.different, faults.ownerless) == ([], [])
    assert faults.inside > 1000


async def test_no_positions_have_no_answers(session, montreal):
    assert await districts_of_points(session, montreal, [], accuracy_m=5.0, on=TODAY) == []
