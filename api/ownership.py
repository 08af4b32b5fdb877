"""Whose is this place, and why: what `GET /v1/where` explains, in the words of one language."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

from api.cities import NamedCity
from api.language import in_language
from api.models.places import (
    CrewRef,
    DepartmentRef,
    NearThing,
    OtherDistrict,
    OtherResponsible,
    PlacedDistrict,
    ResponsibleOut,
    RuleOut,
)
from geo.layers import DistrictAnswer
from geo.owners import ROAD, OwnedNearby
from geo.points import LonLat
from issues.languages import msgid
from issues.placing import place_report
from issues.possibilities import (
    Possibility,
    circumstances_of,
    districts_possible,
    others_responsible,
    owners_possible,
)
from issues.routing import Circumstances, RouteRule, district_key

_IN_DISTRICT = msgid("The place lies in {district}.")
_IN_GAP = msgid("The place lies in no district; {district} is the nearest, {metres} m away.")
_BESIDE_ROAD = msgid("{road}, a road of {owner}, is the nearest: {metres} m away.")
_BESIDE_NAMELESS_ROAD = msgid("The nearest road, {metres} m away, is one of {owner}.")
_BESIDE_ASSET = msgid("Something that belongs to {owner} is {metres} m away ({kind}).")
_AT_THIS_HOUR = msgid("The rule is for this hour of this day.")
_IN_THIS_SEASON = msgid("The rule is for this time of year.")
_FOR_ALL = msgid("The rule is for everywhere in the city.")
_AT_LINE = msgid("{file}, line {number}")
_AT_RULE = msgid("{file}, rule {number}")
_MAY_LIE_IN = msgid("{district} is {metres} m away, within the accuracy of the position.")
_MAY_BE_BESIDE = msgid("Within its accuracy, the position may be nearer to or farther from what belongs to {owner}.")

# As `issues.packs.routes` writes it.
_ORIGIN: Final = re.compile(r"(?P<file>.+), (?P<unit>line|rule) (?P<number>\d+)")


def place_district(
    answer: DistrictAnswer, city: NamedCity, *, at: LonLat, accuracy_m: float, on: date
) -> PlacedDistrict:
    """Tell of the district that a position lies in how near its edge is, and which others may have it."""
    layer = city.book.map.layer(answer.layer)
    others = layer.others_within(at, answer, metres=accuracy_m, on=on)
    return PlacedDistrict(
        layer=answer.layer,
        code=answer.code,
        name=city.district_name(district_key(answer.layer, answer.code)),
        responsible=answer.layer == city.book.map.responsible_layer,
        near_boundary=answer.near_boundary,
        edge_m=round(layer.edge_m(at, answer, on=on), 1),
        gap_m=None if answer.gap_m is None else round(answer.gap_m, 1),
        others=[
            OtherDistrict(code=code, name=city.district_name(district_key(answer.layer, code)), distance_m=round(m, 1))
            for code, m in others
        ],
    )


def explain_owner(
    service_code: str, at: LonLat, *, accuracy_m: float, city: NamedCity, now: datetime
) -> ResponsibleOut:
    """Tell who is responsible for a service at a place, as a report received now would have it, and why.

    Raises:
        ServiceNotOffered: the city has no such service, or not at this place.
    """
    book = city.book
    placed = place_report(service_code, at, accuracy_m=accuracy_m, city=book, received_at=now)
    local = now.astimezone(book.timezone)
    needs = book.catalogue.needs_of(placed.service)
    here = circumstances_of(placed.districts, needs, at=at, city=book, local=local)
    answers = book.map.districts_at(at, accuracy_m=accuracy_m, on=local.date())
    possible = [
        *districts_possible(placed.service, here, answers, at=at, accuracy_m=accuracy_m, city=book, on=local.date()),
        *owners_possible(placed.service, here, at=at, accuracy_m=accuracy_m, city=book),
    ]
    return ResponsibleOut(
        service_code=service_code,
        department=_department(placed.rule, city),
        crew=_crew(placed.rule, city),
        rule=_rule(placed.rule, city),
        reasons=list(_reasons(placed.rule, here, answers, city)),
        things=[_thing(thing, city) for thing in here.things.values()],
        near_boundary=placed.near_boundary,
        others=[
            OtherResponsible(
                department=_department(other.rule, city),
                crew=_crew(other.rule, city),
                rule=_rule(other.rule, city),
                distance_m=round(other.metres, 1),
                reason=_reason_of(other, city),
            )
            for other in others_responsible(placed.rule, possible)
        ],
    )


def _reasons(rule: RouteRule, here: Circumstances, answers: list[DistrictAnswer], city: NamedCity) -> Iterator[str]:
    """Put into words what a rule looked at and found."""
    for answer in answers:
        if rule.layer == answer.layer:
            text = _IN_DISTRICT if answer.gap_m is None else _IN_GAP
            metres = round(answer.gap_m or 0.0, 1)
            yield city.say(text, district=city.district_name(district_key(answer.layer, answer.code)), metres=metres)
    if rule.beside is not None:
        yield _beside(here.things[rule.beside.kind], city)
    if rule.hours is not None:
        yield city.say(_AT_THIS_HOUR)
    if rule.season is not None:
        yield city.say(_IN_THIS_SEASON)
    if rule.layer is None and rule.beside is None:
        yield city.say(_FOR_ALL)


def _beside(thing: OwnedNearby, city: NamedCity) -> str:
    text = _BESIDE_ASSET if thing.kind != ROAD else _BESIDE_ROAD if thing.name else _BESIDE_NAMELESS_ROAD
    owner = city.department_name(thing.owner)
    return city.say(text, road=thing.name, kind=thing.kind, owner=owner, metres=round(thing.metres, 1))


def _reason_of(other: Possibility, city: NamedCity) -> str:
    if other.thing is not None:
        return city.say(_MAY_BE_BESIDE, owner=city.department_name(other.thing.owner))
    assert other.district is not None  # noqa: S101 - it is about one or the other
    return city.say(_MAY_LIE_IN, district=city.district_name(other.district), metres=round(other.metres, 1))


def _department(rule: RouteRule, city: NamedCity) -> DepartmentRef:
    return DepartmentRef(code=rule.department_code, name=city.department_name(rule.department_code))


def _crew(rule: RouteRule, city: NamedCity) -> CrewRef | None:
    return None if rule.crew_code is None else CrewRef(code=rule.crew_code, name=city.crew_name(rule.crew_code))


def _rule(rule: RouteRule, city: NamedCity) -> RuleOut:
    return RuleOut(origin=_origin(rule.origin, city), name=in_language(rule.names, city.language) or None)


def _origin(written: str, city: NamedCity) -> str:
    found = _ORIGIN.fullmatch(written)
    if found is None:
        return written
    text = _AT_LINE if found["unit"] == "line" else _AT_RULE
    return city.say(text, file=found["file"], number=found["number"])


def _thing(thing: OwnedNearby, city: NamedCity) -> NearThing:
    return NearThing(
        kind=thing.kind or "road",
        owner=city.department_name(thing.owner),
        name=thing.name or None,
        distance_m=round(thing.metres, 1),
    )
