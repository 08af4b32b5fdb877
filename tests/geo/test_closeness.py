"""Closeness: a probability that behaves like one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.closeness import probability_same_place

distances_m = st.floats(0.0, 100_000.0)
accuracies_m = st.floats(0.0, 5_000.0)


@given(distances_m, accuracies_m, accuracies_m)
def test_is_a_probability(distance_m, accuracy_a_m, accuracy_b_m):
    assert 0.0 <= probability_same_place(distance_m, accuracy_a_m, accuracy_b_m) <= 1.0


@given(distances_m, distances_m, accuracies_m, accuracies_m)
def test_never_rises_with_distance(one_m, other_m, accuracy_a_m, accuracy_b_m):
    near_m, far_m = sorted((one_m, other_m))

    assert probability_same_place(near_m, accuracy_a_m, accuracy_b_m) >= probability_same_place(
        far_m, accuracy_a_m, accuracy_b_m
    )


@given(distances_m, accuracies_m, accuracies_m)
def test_does_not_care_which_is_first(distance_m, accuracy_a_m, accuracy_b_m):
    assert probability_same_place(distance_m, accuracy_a_m, accuracy_b_m) == pytest.approx(
        probability_same_place(distance_m, accuracy_b_m, accuracy_a_m)
    )


@given(accuracies_m, accuracies_m, accuracies_m)
def test_at_one_spot_precise_positions_say_more(one_m, other_m, accuracy_b_m):
    precise_m, vague_m = sorted((one_m, other_m))

    assert probability_same_place(0.0, precise_m, accuracy_b_m) >= probability_same_place(0.0, vague_m, accuracy_b_m)


@given(st.floats(5.0, 50.0), st.floats(5.0, 50.0), st.floats(5.0, 50.0))
def test_far_apart_precise_positions_say_more(one_m, other_m, accuracy_b_m):
    precise_m, vague_m = sorted((one_m, other_m))

    assert probability_same_place(200.0, precise_m, accuracy_b_m) <= probability_same_place(
        200.0, vague_m, accuracy_b_m
    )


@pytest.mark.parametrize(
    ("distance_m", "accuracy_m", "at_least", "at_most"),
    [
        (0.0, 5.0, 0.95, 1.0),
        (6.0, 8.0, 0.90, 1.0),
        (15.0, 8.0, 0.6, 0.95),
        (40.0, 8.0, 0.0, 0.01),
        (40.0, 30.0, 0.4, 0.8),
        (400.0, 30.0, 0.0, 1e-9),
        (0.0, 2000.0, 0.0, 0.01),
    ],
)
def test_agrees_with_common_sense(distance_m, accuracy_m, at_least, at_most):
    assert at_least <= probability_same_place(distance_m, accuracy_m, accuracy_m) <= at_most


def test_the_odds_are_those_of_the_formula():
    # Accuracy 1.5096 m is a standard deviation of 1 m; both, and nothing else: a variance of 2 m2.
    accuracy_m = math.sqrt(-2.0 * math.log(0.32))

    probability = probability_same_place(2.0, accuracy_m, accuracy_m, extent_m=0.0, separation_m=10.0, floor_m=0.0)

    odds = (10.0**2 / (2.0 * 2.0)) * math.exp(-(2.0**2) / (2.0 * 2.0))
    assert probability == pytest.approx(odds / (1.0 + odds))


def test_no_accuracy_is_believed_below_the_floor():
    assert probability_same_place(6.0, 0.1, 0.1) == probability_same_place(6.0, 5.0, 5.0)


@pytest.mark.parametrize(("distance_m", "expected"), [(0.0, 1.0), (0.001, 0.0)])
def test_exact_positions_are_one_place_only_at_one_spot(distance_m, expected):
    assert probability_same_place(distance_m, 0.0, 0.0, extent_m=0.0, floor_m=0.0) == expected


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_refuses_lengths_that_are_none(bad):
    with pytest.raises(ValueError, match="length"):
        probability_same_place(bad, 5.0, 5.0)


@pytest.mark.parametrize(("prior", "separation_m"), [(0.0, 60.0), (1.0, 60.0), (0.5, 0.0), (0.5, math.nan)])
def test_refuses_a_prior_or_separation_that_decides_alone(prior, separation_m):
    with pytest.raises(ValueError, match=r"prior|separation_m"):
        probability_same_place(1.0, 5.0, 5.0, prior=prior, separation_m=separation_m)
