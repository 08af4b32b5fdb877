"""Swapped axes: what lies where no city can, and right once turned round, is turned round; nothing else is."""

from __future__ import annotations

import pytest
import shapely

from geo.axes import on_earth, put_axes_right

AT_LAVAL = (-73.8, 45.5, -73.5, 45.7)


@pytest.mark.parametrize(
    ("given", "around", "expected"),
    [
        ((45.5, -73.6), None, (-73.6, 45.5)),  # beyond the southernmost city
        ((32.7, -117.1), None, (-117.1, 32.7)),  # not on earth
        ((-73.6, 45.5), None, (-73.6, 45.5)),
        ((9.19, 45.46), None, (9.19, 45.46)),  # both ways are possible: left
        ((9.19, 45.46), (45.0, 9.0, 46.0, 10.0), (45.46, 9.19)),
        ((-73.6, 45.5), AT_LAVAL, (-73.6, 45.5)),
        ((45.5, -73.6), AT_LAVAL, (-73.6, 45.5)),
        ((-71.2, 46.8), AT_LAVAL, (-71.2, 46.8)),  # elsewhere, and no better turned round
        ((299_000.0, 5_040_000.0), AT_LAVAL, (299_000.0, 5_040_000.0)),
        ((-73.6, 95.5), None, (-73.6, 95.5)),
    ],
)
def test_turns_round_only_what_then_lies_right(given, around, expected):
    (shape,), swapped = put_axes_right([shapely.Point(given)], around=around)

    assert (shape.x, shape.y) == expected
    assert swapped == (given != expected)


def test_nothing_and_what_has_no_place_stay():
    shapes = [None, shapely.Point(), shapely.Point(float("nan"), 1.0), shapely.Point(45.5, -73.6)]

    turned, swapped = put_axes_right(shapes, around=AT_LAVAL)

    assert swapped == 1
    assert turned[0] is None
    assert turned[1].is_empty
    assert turned[2] is not None
    assert not on_earth(turned[2])


def test_no_shapes_at_all():
    assert put_axes_right([], around=None) == ([], 0)
