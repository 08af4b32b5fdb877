"""Addresses as people and clerks type them, read far enough to tell whether two lie on one street, and how near.

Pure. It knows the habits of North American and French addresses (`123 N Main St`, `6-8 W Broadway`, `1234, rue
Saint-Denis`, `INTERSECTION Dudley St & Dunmore St`); what it cannot read has no number, and a street of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Of a range (6-8) the first number counts; a letter or a half behind it (12A, 12 1/2) does not.
# Letters from E on make ordinals: 5e Avenue has no number.
_NUMBER: Final = re.compile(r"^(\d{1,6})(?:\s*-\s*\d+)?[A-Da-d]?(?:\s+1/2)?[\s,]+")
_CROSSING: Final = re.compile(r"\s+(?:&|/|AND|ET)\s+")
_NO_WORD: Final = re.compile(r"[^A-Z0-9&/ ]+")

# Kinds of streets are written or left out as people please, in either language. Where both addresses have one, 50th
# Place is not 50th Street, nor 4e Avenue 4e Rue. Directions are never left out: N and S Main Street are apart.
_KINDS: Final = {
    word: kind
    for kind, words in {
        "alley": "ALLEY RUELLE",
        "avenue": "AV AVE AVENUE",
        "boulevard": "BL BLVD BOUL BOULEVARD",
        "circle": "CIR CIRCLE",
        "court": "COURT CT",
        "drive": "DR DRIVE",
        "hill": "COTE",
        "lane": "LANE LN",
        "parkway": "PARKWAY PKWY",
        "passage": "PASSAGE",
        "place": "PL PLACE",
        "plaza": "PLAZA PLZ",
        "quay": "QUAI",
        "rise": "MONTEE",
        "road": "CH CHEMIN HWY RD ROAD ROUTE",
        "square": "SQ SQUARE",
        "street": "RUE ST STREET",
        "terrace": "TER TERR TERRACE TERRASSE",
        "way": "WAY",
    }.items()
    for word in words.split()
}
# St is a saint as well as a street: saints go, however they are written.
_LITTLE_WORDS: Final = frozenset({"DE", "DES", "DU", "LA", "LE", "LES", "D", "L", "SAINT", "SAINTE", "STE"})
_SAID_SHORTER: Final = {"NORTH": "N", "SOUTH": "S", "EAST": "E", "WEST": "W"}

_BLOCK: Final = 100


@dataclass(frozen=True, slots=True)
class CivicAddress:
    """A street, by the words that tell it from others, and the number of a house on it (None at a crossing).

    `kinds` are what it is besides, a street or an avenue, as far as that was written.
    """

    street: str
    number: int | None
    kinds: frozenset[str] = frozenset()


def read_address(text: str | None) -> CivicAddress | None:
    """Read an address; None where there is no street in it.

    Of "12, rue Saint-Denis, Montréal" only what stands before the city counts: nothing after the next comma, and
    after two blanks, which stand for commas in some exports.
    """
    if not text or not text.strip():
        return None
    plain = _without_accents(text.strip()).upper().removeprefix("INTERSECTION OF ").removeprefix("INTERSECTION ")
    plain = re.split(r"\s{2,}", plain)[0]
    numbered = _NUMBER.match(plain)
    number = int(numbered[1]) if numbered else None
    rest = (plain[numbered.end() :] if numbered else plain).split(",")[0]
    names = [_NO_WORD.sub(" ", name).split() for name in _CROSSING.split(rest)]
    street = " & ".join(sorted(filter(None, map(_telling, names))))
    kinds = frozenset(_KINDS[word] for words in names for word in words if word in _KINDS)
    # Digits alone are a number that lost its street.
    return CivicAddress(street, number, kinds) if street and not street.isdigit() else None


def numbers_apart(one: CivicAddress, other: CivicAddress) -> int | None:
    """How far apart two house numbers of one street are; None on different streets or where one is unknown.

    The same crossing is 0 apart.
    """
    if not _on_one_street(one, other):
        return None
    if one.number is None or other.number is None:
        return 0 if one.number == other.number else None
    return abs(one.number - other.number)


def same_block(one: CivicAddress, other: CivicAddress) -> bool:
    """Whether two numbers of one street share their hundreds, which many cities begin anew at each crossing."""
    if not _on_one_street(one, other) or one.number is None or other.number is None:
        return False
    return one.number // _BLOCK == other.number // _BLOCK


def _on_one_street(one: CivicAddress, other: CivicAddress) -> bool:
    if one.street != other.street:
        return False
    return not one.kinds or not other.kinds or not one.kinds.isdisjoint(other.kinds)


def _telling(words: Sequence[str]) -> str:
    telling = [word for word in words if word not in _KINDS and word not in _LITTLE_WORDS]
    # A street may be called nothing but Place or St.
    return " ".join(_SAID_SHORTER.get(word, word) for word in (telling or words))


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
