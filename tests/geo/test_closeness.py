"""Closeness: positions of any accuracy compared with those of one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.closeness import compare_at_accuracy, scatter_m

distances_m = st.floats(0.0, 100_000.0)
accuracies_m = st.floats(0.0, 5_000.0)
extents_m = st.floats(0.0, 100.0)


def compare(distance_m, accuracy_a_m, accuracy_b_m, *, extent_m=4.0):
    return compare_at_accuracy(distance_m, accuracy_a_m, accuracy_b_m, extent_m=extent_m, accuracy_m=10.0)


@given(distances_m, accuracies_m, accuracies_m, extents_m)
def test_nothing_is_ever_gained_by_an_accuracy_alone(distance_m, accuracy_a_m, accuracy_b_m, extent_m):
    metres, log_odds = compare(distance_m, accuracy_a_m, accuracy_b_m, extent_m=extent_m)

    assert metres >= 0.0
    assert log_odds <= 0.0


@given(distances_m, accuracies_m, accuracies_m)
def test_does_not_care_which_is_first(distance_m, accuracy_a_m, accuracy_b_m):
    assert compare(distance_m, accuracy_a_m, accuracy_b_m) == pytest.approx(
        compare(distance_m, accuracy_b_m, accuracy_a_m)
    )


@given(distances_m, accuracies_m, accuracies_m, accuracies_m)
def test_a_vaguer_position_makes_distances_smaller_and_takes_more(distance_m, one_m, other_m, accuracy_b_m):
    precise_m, vague_m = sorted((one_m, other_m))
    precise, vague = compare(distance_m, precise_m, accuracy_b_m), compare(distance_m, vague_m, accuracy_b_m)

    assert vague[0] <= precise[0]
    assert vague[1] <= precise[1]


@given(distances_m, extents_m)
def test_positions_of_that_accuracy_stay_as_they_are(distance_m, extent_m):
    assert compare(distance_m, 10.0, 10.0, extent_m=extent_m) == (distance_m, 0.0)


def test_the_numbers_are_those_of_the_formula():
    # Twice the scatter: half the distance, four times the area.
    metres, log_odds = compare(30.0, 20.0, 20.0, extent_m=0.0)

    assert metres == pytest.approx(15.0)
    assert log_odds == pytest.approx(-math.log(4.0))


def test_scatter_adds_up_errors_and_extent():
    # An accuracy of 15.096 m is a standard deviation of 10 m.
    accuracy_m = 10.0 * math.sqrt(-2.0 * math.log(0.32))

    assert scatter_m(accuracy_m, accuracy_m, extent_m=5.0) == pytest.approx(15.0)


def test_no_accuracy_is_believed_below_the_floor():
    assert compare(6.0, 0.1, 0.1) == compare(6.0, 5.0, 5.0)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_refuses_lengths_that_are_none(bad):
    with pytest.raises(ValueError, match="length"):
        compare(bad, 5.0, 5.0)
    with pytest.raises(ValueError, match="length"):
        compare(1.0, bad, 5.0)
