"""Civic ranges: numbers spread along a piece of street, each on its own side."""

from __future__ import annotations

from itertools import pairwise

import pytest
import shapely

from geo.points import LonLat, distance_m
from geo.ranges import CivicRange, place_ranges

SOUTH = LonLat(-71.2, 46.8)
# 200 m to the north.
NORTHWARDS = shapely.LineString([(SOUTH.lon, SOUTH.lat), (SOUTH.lon, SOUTH.lat + 0.0018)])


def numbers_along(line, first, last, *, left):
    return [(civic, at) for _, civic, at in place_ranges([CivicRange(line, first, last, left)])]


@pytest.mark.parametrize(("left", "is_west"), [(True, True), (False, False)])
def test_numbers_stand_on_their_side_and_rise_along_the_street(left, is_west):
    numbers = list(numbers_along(NORTHWARDS, 100, 140, left=left))

    assert (numbers[0][0], numbers[-1][0]) == (100, 140)
    assert all(civic % 2 == 0 for civic, _ in numbers)
    assert [at.lat for _, at in numbers] == sorted(at.lat for _, at in numbers)
    assert all((at.lon < SOUTH.lon) is is_west for _, at in numbers)
    assert all(5.0 < distance_m(at, LonLat(SOUTH.lon, at.lat)) < 10.0 for _, at in numbers)


def test_numbers_may_fall_along_the_street():
    numbers = list(numbers_along(NORTHWARDS, 139, 101, left=True))

    assert (numbers[0][0], numbers[-1][0]) == (139, 101)
    assert [civic for civic, _ in numbers] == sorted((civic for civic, _ in numbers), reverse=True)


def test_numbers_are_no_nearer_to_each_other_than_a_phone_can_tell():
    numbers = list(numbers_along(NORTHWARDS, 1, 999, left=True))

    assert all(distance_m(one[1], other[1]) > 14.0 for one, other in pairwise(numbers))


@pytest.mark.parametrize(
    ("line", "first", "last", "expected"),
    [
        (NORTHWARDS, 7, 7, [7]),
        (NORTHWARDS, 7, 8, [7, 8]),
        (shapely.LineString([(-71.2, 46.8), (-71.2, 46.80005)]), 2, 10, [2, 10]),
    ],
)
def test_short_ranges_and_short_streets(line, first, last, expected):
    assert [civic for civic, _ in numbers_along(line, first, last, left=True)] == expected


def test_two_streets_have_a_house_each_on_the_corner():
    eastwards = shapely.LineString([(SOUTH.lon, SOUTH.lat), (SOUTH.lon + 0.0026, SOUTH.lat)])
    corner = [CivicRange(NORTHWARDS, 2, 40, left=False), CivicRange(eastwards, 1, 39, left=True)]

    first = {i: at for i, _, at in reversed(list(place_ranges(corner)))}

    assert distance_m(first[0], first[1]) > 5.0
    assert first[0].lat > first[1].lat


def test_each_number_names_its_range():
    ranges = [CivicRange(NORTHWARDS, 2, 4, left=True), CivicRange(NORTHWARDS, 9, 9, left=False)]

    assert [(i, civic) for i, civic, _ in place_ranges(ranges)] == [(0, 2), (0, 4), (1, 9)]
    assert list(place_ranges([])) == []
