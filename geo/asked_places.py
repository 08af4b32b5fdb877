"""Questions for a place, as people type them: a number and a street, a crossing, or a street alone.

Pure. `geo.geocode` looks for what was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from geo.street_words import plain_words, tells_street

_POSTAL_CODE: Final = re.compile(r"\b[a-z]\d[a-z][ -]?\d[a-z]\d\b", re.IGNORECASE)
_FLAT: Final = re.compile(
    r"(?:\b(?:app|appt|apt|appartement|apartment|bureau|suite|unit|unité|local)\b\.?\s*#?|(?<=\w)[\s,]*#)\s*(?:\d\w{0,5}|[a-z])\b",
    re.IGNORECASE,
)
# Of two numbers, one is the house: 5-1234 has its flat before it, 1234-5 behind, 1234-1238 is a range.
_NUMBER: Final = re.compile(r"^(?:(\d{1,5})\s*-\s*)?(\d{1,6})\s?([a-d]?)(?:\s+1/2)?(?=[\s,])[\s,]+", re.IGNORECASE)
_DIGITS: Final = re.compile(r"[0-9]{1,6}")
_ANGLE: Final = re.compile(
    r"^(?:à|a|at)?\s*(?:l['’]\s*|the\s+)?(?:angle|coin|intersection|corner)\s+(?:(?:de|des|du|of)\s+)?(?:(?:la|le|the)\s+)?",
    re.IGNORECASE,
)
_CROSSING: Final = re.compile(
    r"\s*[&/@+]\s*|\s*,?\s+(?:et|and|at|coin|angle|corner|près\s+de|near)\s+(?:de\s+(?:la\s+)?|du\s+|of\s+)?",
    re.IGNORECASE,
)
_RANGE_SPANS: Final = 100


@dataclass(frozen=True, slots=True)
class AskedPlace:
    """A place that was asked for.

    Attributes:
        street: The name of the street, as typed.
        number: The civic number; None where none came.
        crossing: The name of the other street, as typed; None where it is not a crossing.
        town: What stood behind the street, such as the city; '' where nothing did.
    """

    street: str
    number: int | None = None
    crossing: str | None = None
    town: str = ""


def read_place(text: str) -> AskedPlace | None:
    """Read a question; None where no street is in it.

    Of flats, suites and postal codes nothing is kept: they tell no place that streets and numbers do not.
    """
    plain = _FLAT.sub(" ", _POSTAL_CODE.sub(" ", text)).strip(" ,;.")
    found = _NUMBER.match(plain)
    number, rest = None, plain
    if found and _names_street(plain[found.end() :]):
        number, rest = _house_number(found), plain[found.end() :]
    rest, _, town = (part.strip() for part in _behind_comma(rest))
    sides = [side for side in _CROSSING.split(_ANGLE.sub("", rest)) if tells_street(plain_words(side))]
    if not sides:
        return None
    # Who gives a number and a crossing says twice where it is; the number says it better.
    crossing = sides[1] if len(sides) > 1 and number is None else None
    return AskedPlace(sides[0], number, crossing, town)


def leading_number(text: str) -> int | None:
    """Read the digits that a civic number begins with: 1053 of `1053A`; None where there are none."""
    found = _DIGITS.match(text)
    return int(found[0]) if found else None


def part_town(asked: AskedPlace, towns: Iterable[str]) -> tuple[AskedPlace, str | None]:
    """Find which of some towns a question names, behind a comma or at its very end, and take it out.

    Args:
        asked: The question.
        towns: Names of towns, in plain words (`plain_words`) with one blank between.

    Returns:
        The question without the town, and the longest name that fits; None where none does. `Boulevard Laval` is a
        street: a town is one only where a street is left before it.
    """
    behind = f"{' '.join(plain_words(asked.town))} "
    last = asked.street if asked.crossing is None else asked.crossing
    words = plain_words(last)
    for town in sorted(towns, key=len, reverse=True):
        if behind.startswith(f"{town} "):
            return asked, town
        before = len(words) - len(town.split())
        if not asked.town and before > 0 and words[before:] == town.split() and tells_street(words[:before]):
            rest = " ".join(words[:before])
            without = replace(asked, street=rest) if asked.crossing is None else replace(asked, crossing=rest)
            return without, town
    return asked, None


def _names_street(text: str) -> bool:
    """Whether more than a kind is left: `16 Rue` is a street, not number 16."""
    return tells_street(plain_words(_CROSSING.split(text.partition(",")[0])[0]))


def _house_number(found: re.Match[str]) -> int:
    second = int(found[2])
    first = second if found[1] is None else int(found[1])
    return second if second - first > _RANGE_SPANS else first


def _behind_comma(text: str) -> tuple[str, str, str]:
    """Part a street from the town behind it; the first street of `Rachel, coin Berri` has its crossing there."""
    street, comma, town = text.partition(",")
    return (text, "", "") if _CROSSING.match(f" {town.strip()}") and town.strip() else (street, comma, town)
