"""Which rules of who is responsible decide anything, and where they leave anybody without.

Every service is tried in every district, beside things of every owner, at every hour and season that rules tell
apart: the rules share out what is left of them, in their order. A rule that gets nothing can never match.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from itertools import product

import numpy as np
from numpy.typing import NDArray

from geo.owners import OwnedNearby
from issues.routing import WEEK, Beside, Circumstances, Day, Moment, RouteRule, district_key

_Taken = NDArray[np.bool_]
_NEW_YEAR = (1, 1)
_LEAP_YEAR = [date(2000, 1, 1) + timedelta(days=n) for n in range(366)]
_EVERY_DATE = [(day.month, day.day) for day in _LEAP_YEAR]


@dataclass(frozen=True, slots=True)
class Share:
    """What the rules about a service leave.

    Attributes:
        reached: Numbers of the rules that decide somewhere, at some time.
        nobodys: Districts of the responsible layer (None for outside all) where nobody is responsible, always or at
            times.
    """

    reached: frozenset[int]
    nobodys: frozenset[str | None]


def share_out(
    rules: Sequence[tuple[int, RouteRule]],
    *,
    layers: Mapping[str, frozenset[str]],
    responsible: str,
    owners: Mapping[str, frozenset[str]],
) -> Share:
    """Give every case that rules tell apart to the first rule that holds there.

    Args:
        rules: The rules about one service, in order, each with a number.
        layers: The codes of the districts of each layer.
        responsible: The layer that decides who answers for a place.
        owners: Who owns things of each kind.
    """
    asked = [layer for layer in layers if layer == responsible or any(rule.layer == layer for _, rule in rules)]
    # Each axis is one thing that rules ask for, with the cases that they tell apart.
    axes: list[Sequence[Circumstances]] = [_places(layer, layers[layer]) for layer in asked]
    besides = [rule.beside for _, rule in rules if rule.beside is not None]
    kinds = sorted({beside.kind for beside in besides})
    axes += [_things([b for b in besides if b.kind == kind], owners.get(kind, frozenset())) for kind in kinds]
    axes.append(list(_moments([rule for _, rule in rules])))
    left = np.ones([len(axis) for axis in axes], dtype=bool)
    reached = set()
    for number, rule in rules:
        taken = left & _where_it_holds(rule, asked, kinds, axes)
        if taken.any():
            reached.add(number)
            left &= ~taken
    place = asked.index(responsible)
    codes = [None, *sorted(layers[responsible])]
    lost = np.moveaxis(left, place, 0).reshape(len(codes), -1).any(axis=1)
    return Share(frozenset(reached), frozenset(codes[i] for i in np.flatnonzero(lost)))


def _where_it_holds(
    rule: RouteRule, layers: Sequence[str], kinds: Sequence[str], axes: Sequence[Sequence[Circumstances]]
) -> _Taken:
    """Try a rule's conditions one by one, each along its own axis."""
    parts = [_only(rule, districts=rule.layer == layer) for layer in layers]
    parts += [_only(rule, beside=rule.beside is not None and rule.beside.kind == kind) for kind in kinds]
    parts.append(_only(rule, time=True))
    masks: list[_Taken] = [
        np.array([part.holds(here) for here in axis], dtype=bool) for part, axis in zip(parts, axes, strict=True)
    ]
    return reduce(np.logical_and.outer, masks)


def _only(rule: RouteRule, *, districts: bool = False, beside: bool = False, time: bool = False) -> RouteRule:
    """A rule with only some of its conditions."""
    return RouteRule(
        None,
        None,
        rule.layer if districts else None,
        rule.district_code if districts else None,
        rule.department_code,
        rule.crew_code,
        rule.beside if beside else None,
        rule.hours if time else None,
        rule.season if time else None,
    )


def _places(layer: str, codes: frozenset[str]) -> list[Circumstances]:
    """Nowhere in the layer, then each of its districts."""
    return [Circumstances(()), *(Circumstances((district_key(layer, code),)) for code in sorted(codes))]


def _things(besides: Sequence[Beside], owners: frozenset[str]) -> list[Circumstances]:
    """No such thing around, then one of each owner at each distance that rules tell apart."""
    kind, reaches = besides[0].kind, sorted({beside.within_m for beside in besides})
    near = (OwnedNearby(kind, owner, "", metres) for owner, metres in product(sorted(owners), reaches))
    return [Circumstances(()), *(Circumstances((), {kind: thing}) for thing in near)]


def _moments(rules: Sequence[RouteRule]) -> Iterator[Circumstances]:
    """One moment of each stretch of time in which the same rules hold."""
    hours = [rule.hours for rule in rules if rule.hours is not None]
    seasons = [rule.season for rule in rules if rule.season is not None]
    minutes = sorted({0, *(each for one in hours for each in (one.begins, one.ends))})
    dates = {_NEW_YEAR, *(each for one in seasons for each in (one.begins, one.ends, _next(one.ends)))}
    days = _DAYS_WITH_BEFORE if hours else _DAYS_WITH_BEFORE[:1]
    for (day, before), minute, on in product(days, minutes, sorted(dates)):
        yield Circumstances((), {}, Moment(day, before, minute, on))


# Each day with what may come before it: the day of the week before, or a holiday; before a holiday, anything.
_DAYS_WITH_BEFORE = [
    (day, before)
    for day, before in product(Day, Day)
    if Day.HOLIDAY in {day, before} or WEEK.index(day) == (WEEK.index(before) + 1) % len(WEEK)
]


def _next(day: tuple[int, int]) -> tuple[int, int]:
    """The day after, in a leap year."""
    return _EVERY_DATE[(_EVERY_DATE.index(day) + 1) % len(_EVERY_DATE)]
