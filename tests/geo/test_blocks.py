"""Between which crossings of its street a position lies, on streets drawn in metres."""

import pytest
import shapely

from geo.blocks import Block, block_of

# Rue Longue runs east in two pieces; A crosses at 0, B ends in it at 100, C crosses at 300; D only comes near.
LONG = [shapely.LineString([(-50, 0), (100, 0)]), shapely.LineString([(100, 0), (400, 0)])]
OTHERS = [
    ("A", shapely.LineString([(0, -50), (0, 50)])),
    ("B", shapely.LineString([(100, 1), (100, 80)])),
    ("C", shapely.LineString([(300, -50), (300, 50)])),
    ("D", shapely.LineString([(-50, 20), (400, 20)])),
]


@pytest.mark.parametrize(
    ("east", "block"),
    [
        (50, Block("L", ends=("A", "B"))),
        (200, Block("L", ends=("B", "C"))),
        (110, Block("L", crossing="B")),
        (120, Block("L", ends=("B", "C"))),
        (-40, Block("L", ends=("A",))),
        (390, Block("L", ends=("C",))),
    ],
)
def test_a_position_is_between_the_nearest_crossings_or_at_one(east, block):
    assert block_of(shapely.Point(east, 8), "L", LONG, OTHERS) == block


def test_a_street_that_crosses_twice_is_named_once():
    loop = shapely.LineString([(0, 0), (0, 30), (200, 30), (200, 0)])

    assert block_of(shapely.Point(100, 3), "L", LONG, [("Croissant", loop)]) == Block("L", ends=("Croissant",))


def test_without_a_crossing_there_is_the_street_alone():
    assert block_of(shapely.Point(50, 8), "L", LONG, []) == Block("L")


def test_of_two_stretches_the_nearer_one_counts():
    apart = [*LONG, shapely.LineString([(-50, 200), (400, 200)])]
    far = ("E", shapely.LineString([(60, 190), (60, 250)]))

    assert block_of(shapely.Point(50, 8), "L", apart, [*OTHERS, far]) == Block("L", ends=("A", "B"))
