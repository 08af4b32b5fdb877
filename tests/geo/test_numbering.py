"""Numbers between known numbers: nearer to the nearer one, and nowhere rather than far off."""

import pytest

from geo.numbering import ADDRESS_ACCURACY_M, KnownNumber, place_number
from geo.points import LonLat, distance_m, offset

WEST = LonLat(-73.58, 45.52)


def known(number, metres_east):
    return KnownNumber(number, str(number), offset(WEST, east_m=metres_east, north_m=0.0))


def test_a_known_number_is_where_it_is():
    [placed] = place_number(100, [known(98, 0), KnownNumber(100, "100A", WEST), known(104, 60)])

    assert (placed.written, placed.at, placed.accuracy_m, placed.is_known) == ("100A", WEST, ADDRESS_ACCURACY_M, True)


def test_a_number_known_twice_is_at_both_places():
    assert len(place_number(100, [known(100, 0), known(100, 3000)])) == 2


def test_a_number_between_two_is_between_them_in_proportion():
    [placed] = place_number(125, [known(200, 100), known(100, 0)])

    assert distance_m(placed.at, offset(WEST, east_m=25.0, north_m=0.0)) < 0.1
    assert placed.accuracy_m == pytest.approx(ADDRESS_ACCURACY_M + 25.0, abs=0.1)
    assert (placed.written, placed.is_known, placed.is_between) == ("125", False, True)


@pytest.mark.parametrize(
    ("number", "accuracy_m"), [(110, ADDRESS_ACCURACY_M + 20.0), (200, ADDRESS_ACCURACY_M + 200.0)]
)
def test_a_number_past_the_last_is_beside_it_the_less_precisely_the_farther(number, accuracy_m):
    [placed] = place_number(number, [known(100, 0)])

    assert (placed.at, placed.accuracy_m, placed.is_between) == (known(100, 0).at, accuracy_m, False)


@pytest.mark.parametrize("numbers", [[], [known(100, 0)]])
def test_far_past_the_last_or_without_any_it_is_nowhere(numbers):
    assert place_number(201, numbers) == []


def test_neighbours_of_two_streets_with_one_name_are_not_joined():
    [placed] = place_number(104, [known(100, 0), known(102 + 4, 5000)])

    assert placed.at == known(106, 5000).at
    assert not placed.is_between
