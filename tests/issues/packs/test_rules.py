"""Rules of who is responsible, as a pack writes them: each is tried before the pack is loaded."""

from __future__ import annotations

import pytest
import shapely

from geo.owners import ROAD
from issues.packs.check import check_pack
from issues.packs.city_sheet import StreetOwner
from issues.packs.problems import Severity
from issues.packs.reach import share_out
from issues.routing import Beside, Day, Hours, RouteRule, Season
from tests.issues.packs.small_pack import geojson

NEVER = "this rule can never match: earlier ones take all that it is for"
WHOLE = """\
rules:
  - names: {fr: Routes du ministère, en: Provincial roads}
    services: group:voirie
    districts: [ouest, secteurs:est]
    road: {owner: mtmd, within_m: 15}
    department: ministere
  - services: [graffiti]
    hours: {days: mon tue wed thu fri, from: 16:30, to: "08:00"}
    season: {from: 11-15, to: 03-31}
    department: travaux-publics
    crew: voirie-1
  - {services: chaussee, asset: {kind: borne, owner: ville, within_m: 5}, department: travaux-publics}
"""


@pytest.fixture
def ruled(folder, spoil):
    """The pack with a ministry's road, the city's hydrant, and whatever rules a test writes."""
    lines = [shapely.LineString([(lon, 45.50), (lon, 45.55)]) for lon in (-73.66, -73.64)]
    features = [(lines[0], {"nom": "Rue A", "genre": "residential"}), (lines[1], {"nom": "", "genre": "motorway"})]
    (folder / "rues.geojson").write_text(geojson(*features))
    (folder / "bornes.geojson").write_text(geojson((shapely.Point(-73.66, 45.51), {"id": "B1"})))
    owners = "owners: [{owner: mtmd, kinds: [motorway]}, {owner: ville}]"
    spoil("city.yml", "kind: genre}, ", "kind: genre}, " + owners + ", ")
    assets = (
        "assets:\n  - {kind: borne, owner: ville, file: bornes.geojson, columns: {name: id}, source: V, licence: V}\n"
    )
    spoil("city.yml", "neighbours:", assets + "neighbours:")
    spoil(
        "departments.yml", "  - code: centre-311", "  - {code: ministere, names: {fr: M, en: M}}\n  - code: centre-311"
    )

    def write(rules: str):
        (folder / "routes.yml").write_text(rules)
        return check_pack(folder)

    return write


def wrong(report):
    return [
        (problem.file, problem.where, problem.what) for problem in report.problems if problem.severity is Severity.ERROR
    ]


@pytest.mark.parametrize(
    ("name", "kind", "owner"),
    [
        ("Autoroute Henri-IV", "rue", "mtmd"),
        ("AUTOROUTE 15", "", "mtmd"),
        ("Route 138", "rue", "mtmd"),
        ("Route 1385", "rue", "ville"),
        ("Rue de l’Autoroute", "rue", "ville"),
        ("Bretelle", "rampe", "mtmd"),
        ("Autoroute", "rue", "mtmd"),
        ("", "rue", "ville"),
    ],
)
def test_whose_a_street_is_follows_from_its_name_or_kind(name, kind, owner):
    owners = [
        StreetOwner(owner="mtmd", names=["Autoroute", "Route 138"]),
        StreetOwner(owner="mtmd", kinds=["rampe"]),
        StreetOwner(owner="ville"),
    ]

    assert next(each.owner for each in owners if each.fits(name, kind)) == owner


def test_rules_come_before_the_lines_of_the_table_and_keep_all_conditions(ruled):
    report = ruled(WHOLE)

    assert wrong(report) == []
    first, _, nightly, hydrant, *_, last = report.pack.routes
    assert first == RouteRule(
        None, "voirie", "secteurs", "ouest", "ministere", None,
        beside=Beside(ROAD, frozenset({"mtmd"}), 15.0),
        origin="routes.yml, rule 1",
        names={"fr": "Routes du ministère", "en": "Provincial roads"},
    )  # fmt: skip
    working_days = frozenset({Day.MONDAY, Day.TUESDAY, Day.WEDNESDAY, Day.THURSDAY, Day.FRIDAY})
    assert nightly.hours == Hours(working_days, 16 * 60 + 30, 8 * 60)
    assert (nightly.season, nightly.crew_code) == (Season((11, 15), (3, 31)), "voirie-1")
    assert hydrant.beside == Beside("borne", frozenset({"ville"}), 5.0)
    assert (last.origin, last.department_code) == ("routes.csv, line 4", "centre-311")


def test_owners_are_told_by_the_kind_of_street_nameless_ones_too(ruled):
    owned = ruled(WHOLE).pack.places.owned

    assert [(thing.kind, thing.owner, thing.name) for thing in owned] == [
        (ROAD, "ville", "Rue A"),
        (ROAD, "mtmd", ""),
        ("borne", "ville", "B1"),
    ]


def test_rules_alone_will_do(ruled, folder):
    (folder / "routes.csv").unlink()

    assert wrong(ruled("rules: [{services: '*', department: centre-311}]")) == []


@pytest.mark.parametrize(
    ("rules", "where", "what"),
    [
        ("{road: {owner: hydro}, department: ministere}", "rule 1", "no road belongs to hydro"),
        ("{asset: {kind: banc}, department: ministere}", "rule 1", "city.yml tells the owner of no asset banc"),
        ("{services: piscine, department: ministere}", "rule 1", "there is no service piscine"),
        ("{districts: nord, department: ministere}", "rule 1", "there is no district nord in secteurs"),
        ("{department: hydro}", "rule 1", "there is no department hydro"),
        (
            "{hours: {from: 25:00}, department: ministere}",
            "line 2, rules[0].hours.from",
            "a time of day, such as 17:30",
        ),
        ("{season: {from: 02-30, to: 03-01}, department: ministere}", "line 2, rules[0].season.from", "such as 11-15"),
        # Whatever the first takes, always, everywhere, is gone for those after it.
        (
            """{services: chaussee, department: ministere}
  - {services: chaussee, hours: {days: sun}, department: ministere}""",
            "rule 2",
            NEVER,
        ),
        # Together two rules take all that is left for a third.
        (
            """{services: graffiti, hours: {from: 08:00, to: 16:00}, department: ministere}
  - {services: graffiti, hours: {from: 16:00, to: 08:00}, department: ministere}
  - {services: graffiti, season: {from: 01-01, to: 02-01}, department: ministere}""",
            "rule 3",
            NEVER,
        ),
    ],
)
def test_a_rule_that_leads_nowhere_or_never_matches_is_an_error(ruled, rules, where, what):
    said = wrong(ruled(f"rules:\n  - {rules}"))

    assert [(file, at) for file, at, text in said if what in text] == [("routes.yml", where)], said


@pytest.mark.parametrize(
    ("last", "nobodys"),
    [
        ([RouteRule(None, None, None, None, "311", None)], set()),
        ([RouteRule(None, None, "secteurs", None, "311", None)], {None}),
        ([RouteRule(None, None, "secteurs", "est", "311", None)], {None, "ouest"}),
        # By day somebody is there, by night nobody.
        ([RouteRule(None, None, None, None, "311", None, hours=Hours(frozenset(), 480, 990))], {None, "est", "ouest"}),
        # All days but holidays leave holidays.
        (
            [RouteRule(None, None, None, None, "311", None, hours=Hours(frozenset(Day) - {Day.HOLIDAY}))],
            {None, "est", "ouest"},
        ),
        ([RouteRule(None, None, None, None, "311", None, hours=Hours(frozenset(Day)))], set()),
        # Two halves of a year, and a year but for a day.
        (
            [
                RouteRule(None, None, None, None, "311", None, season=Season((3, 1), (10, 31))),
                RouteRule(None, None, None, None, "311", None, season=Season((11, 1), (2, 29))),
            ],
            set(),
        ),
        ([RouteRule(None, None, None, None, "311", None, season=Season((3, 1), (2, 28)))], {None, "est", "ouest"}),
    ],
)
def test_rules_leave_somebody_where_and_when_they_do_not_hold(last, nobodys):
    beside = RouteRule(None, None, None, None, "mtmd", None, beside=Beside(ROAD, frozenset({"mtmd"}), 20.0))
    rules = list(enumerate([beside, *last]))

    share = share_out(
        rules,
        layers={"secteurs": frozenset({"est", "ouest"})},
        responsible="secteurs",
        owners={ROAD: frozenset({"mtmd", "ville"})},
    )

    assert share.nobodys == nobodys
    assert share.reached == set(range(len(rules)))
