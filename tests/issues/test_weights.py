"""The file that holds what factors are worth."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.closeness import scatter_m
from issues.weights import (
    ANY_KIND,
    Curve,
    WeightsUnreadable,
    built_in_weights,
    parse_weights,
    starting_weights,
    write_weights,
)
from issues.words import likeness


@pytest.mark.parametrize(("value", "expected"), [(-1, 2.0), (0, 2.0), (5, 1.0), (10, 0.0), (15, -1.0), (99, -2.0)])
def test_a_curve_is_straight_between_its_points_and_level_beyond(value, expected):
    assert Curve((0, 10, 20), (2, 0, -2)).of(value) == pytest.approx(expected)


@pytest.mark.parametrize(("at", "log_odds"), [((), ()), ((0, 1), (0,)), ((1, 1), (0, 0)), ((0,), (float("nan"),))])
def test_refuses_what_is_no_curve(at, log_odds):
    with pytest.raises(ValueError, match=r"curve|rise"):
        Curve(at, log_odds)


@pytest.mark.parametrize("weights", [built_in_weights, starting_weights])
def test_what_is_written_can_be_read_again(weights):
    text = write_weights(weights(), heading="of a test\n\nsecond")

    assert text.startswith("# of a test\n#\n# second\n")
    assert write_weights(parse_weights(text, where="test"), heading="of a test\n\nsecond") == text


@pytest.mark.parametrize("weights", [built_in_weights, starting_weights])
def test_nearer_and_fresher_speak_for_it_in_every_table(weights):
    for kind in weights().kinds.values():
        for curve in (kind.distance, kind.age, kind.house_numbers):
            assert list(curve.log_odds) == sorted(curve.log_odds, reverse=True)
        assert kind.house_numbers.log_odds[-1] >= kind.other_street
        assert kind.repeated >= 0.0


def test_the_distances_of_any_are_those_of_bayes_rule():
    # Two positions of 10 m, a thing of 4 m, others of its kind anywhere within 60 m; as whole numbers beyond 40 m.
    curve = starting_weights().kinds[ANY_KIND].distance
    variance = scatter_m(10.0, 10.0, extent_m=4.0) ** 2

    for metres, log_odds in list(zip(curve.at, curve.log_odds, strict=True))[:5]:
        expected = math.log(60.0**2 / (2.0 * variance)) - metres**2 / (2.0 * variance)
        assert log_odds == pytest.approx(expected, abs=0.02)


def test_an_unknown_kind_has_the_numbers_for_any():
    weights = built_in_weights()

    assert weights.of_kind("balloon") is weights.kinds[ANY_KIND]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[kinds.any]", "[kinds.some]", "any is missing"),
        ("bias = ", "bios = ", "no factor"),
        ("beside_street = ", "beside_street = -", "negative"),
        ("[judged]", "[judged", "line"),
        ("same = 0", "same = 'x' # 0", "could not convert"),
        ("crowding = ", "crowds = ", "no factor"),
        ("same_service = ", "service = ", "same_service is missing"),
    ],
)
def test_says_what_is_wrong_with_a_file(old, new, problem):
    text = write_weights(starting_weights(), heading="").replace(old, new, 1)

    with pytest.raises(WeightsUnreadable, match=rf"mine\.toml: .*{problem}"):
        parse_weights(text, where="mine.toml")


@pytest.mark.parametrize(
    ("one", "other", "least", "most"),
    [
        ("Lampadaire brisé", "lampadaire brise", 1.0, 1.0),
        ("gros trou devant l'arrêt", "gros tou devant l'arret", 0.7, 0.99),
        ("street light out", "light out on street", 0.7, 0.99),
        ("nid-de-poule", "graffiti on wall", 0.0, 0.1),
        ("", "graffiti", 0.0, 0.0),
        ("!!!", "!!!", 0.0, 0.0),
    ],
)
def test_words_are_alike_in_spite_of_accents_slips_and_order(one, other, least, most):
    assert least <= likeness(one, other) <= most


@given(st.text(), st.text())
def test_likeness_is_a_share_and_does_not_care_which_is_first(one, other):
    assert 0.0 <= likeness(one, other) == likeness(other, one) <= 1.0
