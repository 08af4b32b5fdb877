"""Who is responsible: the first rule that holds."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from geo.owners import ROAD, OwnedNearby
from issues.routing import (
    Beside,
    Circumstances,
    Day,
    Hours,
    Moment,
    Needs,
    RouteRule,
    Season,
    district_key,
    find_rule,
)
from issues.rule_rows import read_conditions, write_conditions

PLATEAU = ["arrondissements:plateau", "quartiers:mile-end"]
HOLIDAYS = {date(2026, 12, 25)}
WEEKDAYS = frozenset({Day.MONDAY, Day.TUESDAY, Day.WEDNESDAY, Day.THURSDAY, Day.FRIDAY})


def local(year, month, day, hour=12, minute=0):
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo("America/Toronto"))


def rule(department, *, service=None, group=None, layer=None, district=None, crew=None, **conditions):
    return RouteRule(service, group, layer, district, department, crew, **conditions)


def department_of(rules, here):
    found = find_rule(rules, here)
    return None if found is None else found.department_code


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
    assert department_of(rules, Circumstances(PLATEAU)) == expected


def test_no_rule_means_nobody():
    assert find_rule([], Circumstances(PLATEAU)) is None
    assert find_rule([rule("x", layer="arrondissements")], Circumstances([])) is None


@pytest.mark.parametrize(
    ("owner", "metres", "expected"),
    [("mtmd", 8.0, "mtmd"), ("mtmd", 20.0, "mtmd"), ("mtmd", 20.01, "else"), ("ville", 8.0, "else")],
)
def test_a_road_decides_where_it_is_the_nearest_and_near_enough(owner, metres, expected):
    rules = [rule("mtmd", beside=Beside(ROAD, frozenset({"mtmd"}), 20.0)), rule("else")]
    here = Circumstances(PLATEAU, {ROAD: OwnedNearby(ROAD, owner, "Autoroute 15", metres)})

    assert department_of(rules, here) == expected
    assert department_of(rules, Circumstances(PLATEAU)) == "else"


def test_an_asset_may_be_anybodys():
    rules = [rule("eau", beside=Beside("borne", frozenset(), 5.0)), rule("else")]

    assert department_of(rules, Circumstances([], {"borne": OwnedNearby("borne", "ville", "", 3.0)})) == "eau"
    assert department_of(rules, Circumstances([], {ROAD: OwnedNearby(ROAD, "ville", "", 3.0)})) == "else"


@pytest.mark.parametrize(
    ("when", "hours", "holds"),
    [
        (local(2026, 11, 23, 8, 0), Hours(WEEKDAYS, 480, 990), True),  # a Monday
        (local(2026, 11, 23, 16, 29), Hours(WEEKDAYS, 480, 990), True),
        (local(2026, 11, 23, 16, 30), Hours(WEEKDAYS, 480, 990), False),
        (local(2026, 11, 22, 12, 0), Hours(WEEKDAYS, 480, 990), False),  # a Sunday
        (local(2026, 12, 25, 12, 0), Hours(WEEKDAYS, 480, 990), False),  # a Friday, but a holiday
        (local(2026, 12, 25, 12, 0), Hours(frozenset({Day.HOLIDAY})), True),
        (local(2026, 11, 23, 3, 0), Hours(), True),
        # The night of Friday goes on into Saturday, and that of Sunday is not among the days.
        (local(2026, 11, 28, 5, 59), Hours(WEEKDAYS, 1080, 360), True),
        (local(2026, 11, 28, 6, 0), Hours(WEEKDAYS, 1080, 360), False),
        (local(2026, 11, 28, 18, 0), Hours(WEEKDAYS, 1080, 360), False),
        (local(2026, 11, 23, 5, 0), Hours(WEEKDAYS, 1080, 360), False),
        (local(2026, 12, 26, 2, 0), Hours(frozenset({Day.HOLIDAY}), 1080, 360), True),
    ],
)
def test_hours_count_in_the_citys_time_and_run_on_after_midnight(when, hours, holds):
    here = Circumstances([], moment=Moment.of(when, HOLIDAYS))

    assert department_of([rule("nuit", hours=hours), rule("else")], here) == ("nuit" if holds else "else")


@pytest.mark.parametrize(
    ("day", "season", "holds"),
    [
        ((11, 15), Season((11, 15), (3, 31)), True),
        ((11, 14), Season((11, 15), (3, 31)), False),
        ((1, 1), Season((11, 15), (3, 31)), True),
        ((3, 31), Season((11, 15), (3, 31)), True),
        ((4, 1), Season((11, 15), (3, 31)), False),
        ((6, 24), Season((6, 24), (6, 24)), True),
        ((6, 25), Season((6, 24), (6, 24)), False),
    ],
)
def test_a_season_comes_every_year_both_days_included(day, season, holds):
    here = Circumstances([], moment=Moment.of(local(2027, *day), ()))

    assert department_of([rule("hiver", season=season), rule("else")], here) == ("hiver" if holds else "else")


def test_only_what_rules_look_at_is_needed():
    near, farther = Beside(ROAD, frozenset({"mtmd"}), 15.0), Beside(ROAD, frozenset({"ville"}), 25.0)

    assert Needs.of([rule("x")]) == Needs({}, time=False)
    assert Needs.of([rule("x", beside=near), rule("y", beside=farther)]) == Needs({ROAD: 25.0}, time=False)
    assert Needs.of([rule("x", season=Season((1, 1), (2, 1)))]).time


@pytest.mark.parametrize(
    "conditions",
    [
        {"beside": None, "hours": None, "season": None},
        {
            "beside": Beside(ROAD, frozenset({"mtmd", "ville"}), 15.5),
            "hours": Hours(WEEKDAYS, 480, 990),
            "season": Season((11, 15), (3, 31)),
        },
    ],
)
def test_conditions_are_stored_and_read_back(conditions):
    assert read_conditions(write_conditions(rule("x", **conditions))) == conditions


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
