"""Who is responsible: the first rule that holds."""

import pytest

from issues.routing import Responsible, RouteRule, district_key, find_responsible

PLATEAU = ["arrondissements:plateau", "quartiers:mile-end"]


def rule(department, *, service=None, group=None, layer=None, district=None, crew=None):
    return RouteRule(service, group, layer, district, department, crew)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([rule("any")], "any"),
        ([rule("first"), rule("second")], "first"),
        ([rule("here", layer="arrondissements", district="plateau"), rule("else")], "here"),
        ([rule("there", layer="arrondissements", district="verdun"), rule("else")], "else"),
        ([rule("other layer", layer="quartiers", district="plateau"), rule("else")], "else"),
        ([rule("any district", layer="quartiers"), rule("else")], "any district"),
        ([rule("no such layer", layer="secteurs"), rule("else")], "else"),
        # A layer whose name begins like another's is another layer.
        ([rule("begins alike", layer="quartier"), rule("else")], "else"),
    ],
)
def test_the_first_rule_whose_conditions_hold_decides(rules, expected):
    assert find_responsible(rules, districts=PLATEAU) == Responsible(expected, None)


def test_no_rule_means_nobody():
    assert find_responsible([], districts=PLATEAU) is None
    assert find_responsible([rule("x", layer="arrondissements")], districts=[]) is None


def test_the_crew_comes_with_the_department():
    assert find_responsible([rule("voirie", crew="equipe-1")], districts=[]) == Responsible("voirie", "equipe-1")


@pytest.mark.parametrize(
    ("given", "concerns"),
    [
        (rule("x"), True),
        (rule("x", service="pothole"), True),
        (rule("x", service="light"), False),
        (rule("x", group="roads"), True),
        (rule("x", group="lights"), False),
        (rule("x", service="pothole", group="lights"), False),
    ],
)
def test_a_rule_concerns_a_service_or_its_group(given, concerns):
    assert given.concerns("pothole", "roads") is concerns


def test_a_district_is_named_with_its_layer():
    assert district_key("arrondissements", "plateau") == PLATEAU[0]
