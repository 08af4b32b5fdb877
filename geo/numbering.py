"""Where a civic number is on its street, told from the numbers that are known there.

Pure. Numbers rise along a street, so one that is not known lies between its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from geo.points import LonLat, distance_m

ADDRESS_ACCURACY_M: Final = 15.0
# Two neighbours farther apart than this and their numbers allow are of two streets with one name.
_NEIGHBOURS_M: Final = 60.0
_METRES_A_NUMBER: Final = 10.0
# As many numbers past the last one, a street may have ended.
_NUMBERS_BEYOND: Final = 100
# Beside the last known number: a lot of 4 m for each number of one side.
_METRES_BEYOND: Final = 2.0


@dataclass(frozen=True, slots=True)
class KnownNumber:
    """A civic number at its position: `civic` is the number that `written` begins with."""

    civic: int
    written: str
    at: LonLat


@dataclass(frozen=True, slots=True)
class PlacedNumber:
    """Where a number is.

    Attributes:
        written: The number, as the city writes it where it is known.
        at: Its position.
        accuracy_m: How far from there it may be, in metres.
        is_known: Whether it is one of the known ones.
        is_between: Whether known ones lie on both sides; never where it is known itself.
    """

    written: str
    at: LonLat
    accuracy_m: float
    is_known: bool = False
    is_between: bool = False


def place_number(number: int, known: Sequence[KnownNumber]) -> list[PlacedNumber]:
    """Place a number by the known ones: itself, else between its neighbours, else beside the nearer one.

    Args:
        number: The number asked for.
        known: Those of one street that are it, and the nearest below and above, in any order.

    Returns:
        Several where the number is known more than once, none where no known one is near enough.
    """
    exact = [
        PlacedNumber(each.written, each.at, ADDRESS_ACCURACY_M, is_known=True) for each in known if each.civic == number
    ]
    if exact:
        return exact
    below = next((each for each in known if each.civic < number), None)
    above = next((each for each in known if each.civic > number), None)
    if below and above and _are_neighbours(below, above):
        share = (number - below.civic) / (above.civic - below.civic)
        accuracy_m = ADDRESS_ACCURACY_M + min(share, 1.0 - share) * distance_m(below.at, above.at)
        return [PlacedNumber(str(number), _between(below.at, above.at, share), accuracy_m, is_between=True)]
    nearest = min(filter(None, (below, above)), key=lambda each: abs(each.civic - number), default=None)
    if nearest is None or abs(nearest.civic - number) > _NUMBERS_BEYOND:
        return []
    accuracy_m = ADDRESS_ACCURACY_M + _METRES_BEYOND * abs(nearest.civic - number)
    return [PlacedNumber(str(number), nearest.at, accuracy_m)]


def _are_neighbours(below: KnownNumber, above: KnownNumber) -> bool:
    return distance_m(below.at, above.at) <= _NEIGHBOURS_M + _METRES_A_NUMBER * (above.civic - below.civic)


def _between(one: LonLat, other: LonLat, share: float) -> LonLat:
    # A street's houses are so near to each other that degrees are straight between them.
    return LonLat(one.lon + share * (other.lon - one.lon), one.lat + share * (other.lat - one.lat))
