"""How alike two descriptions are, in whatever language, with accents and slips of the finger or without."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_LONGEST = 400  # characters that are read; more would say the same again


def likeness(one: str, other: str) -> float:
    """The share of three-letter pieces that two texts have in common (Dice), 0 to 1; 0 where one has no letters.

    One wrong letter in a word of eight leaves more than half of its pieces, and the order of words hardly counts.
    """
    pieces, others = _pieces(one), _pieces(other)
    if not pieces or not others:
        return 0.0
    return 2.0 * len(pieces & others) / (len(pieces) + len(others))


# A report is compared with each of its candidates in turn.
@lru_cache(maxsize=1024)
def _pieces(text: str) -> frozenset[str]:
    plain = unicodedata.normalize("NFKD", text[:_LONGEST].casefold())
    letters = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return frozenset(f" {word} "[start : start + 3] for word in letters.split() for start in range(max(1, len(word))))
