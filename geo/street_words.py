"""The words of a street's name: what tells it from others, and how near two names are to each other.

Pure. People write `boul. St-Laurent`, `Saint Laurent Blvd` and `Boulevard Saint-Laurent`; all are read as the kind
`boulevard` and the words `st laurent`. The words of a city's streets are stored when its pack is loaded, those of a
question are read by the same functions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_NO_WORD: Final = re.compile(r"[^a-z0-9]+")
# 10e, 1re, 2nd, 16ieme, however the letters came out.
_ORDINAL: Final = re.compile(r"0*(\d+)[a-z]{0,4}")
# What canonical decomposition leaves whole.
_LETTERS: Final = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "ß": "ss", "đ": "d"})

_KIND_WORDS: Final = {
    "allee": "allee all",
    "autoroute": "autoroute aut expressway",
    "avenue": "avenue avenues av ave aven",
    "boulevard": "boulevard boulevards boul boulv blvd bd bl",
    "carrefour": "carrefour",
    "cercle": "cercle circle cir",
    "chemin": "chemin ch chem road rd",
    "cour": "court ct",
    "croissant": "croissant crois croiss crescent cres",
    "esplanade": "esplanade espl",
    "impasse": "impasse imp",
    "montee": "montee mtee",
    "passage": "passage pass",
    "place": "place pl plaza",
    "promenade": "promenade prom drive dr",
    "quai": "quai",
    "rang": "rang rg",
    "route": "route rte highway hwy",
    "rue": "rue rues street streets str st r",
    "ruelle": "ruelle lane ln alley",
    "sentier": "sentier trail",
    "square": "square sq carre",
    "terrasse": "terrasse terr tsse terrace",
    "voie": "voie way",
}
KINDS: Final = {word: kind for kind, words in _KIND_WORDS.items() for word in words.split()}
# Before a name these are a saint, a doctor and a yard; after it, a street, a drive and a court.
_ONLY_BEHIND: Final = frozenset({"st", "str", "dr", "court", "ct", "way", "street", "road", "rd", "ln", "lane"})
HEADINGS: Final = {
    word: heading
    for heading, words in {
        "est": "est east e",
        "ouest": "ouest west o w",
        "nord": "nord north n",
        "sud": "sud south s",
    }.items()
    for word in words.split()
}

_LITTLE_WORDS: Final = frozenset({"de", "des", "du", "d", "la", "le", "les", "l", "the", "of", "a", "au", "aux"})
_SAID_SHORTER: Final = {
    "saint": "st",
    "sainte": "st",
    "ste": "st",
    "docteur": "dr",
    "mount": "mont",
    "mt": "mont",
    "monseigneur": "mgr",
    "premier": "1",
    "premiere": "1",
    "first": "1",
    "deuxieme": "2",
    "second": "2",
    "troisieme": "3",
    "third": "3",
}

# How much likeness is left where two names differ in more than their words.
_OTHER_KIND: Final = 0.85
_OTHER_HEADING: Final = 0.75
_HEADING_TOO_MANY: Final = 0.93
_HEADING_UNSAID: Final = 0.97
_GUESSED: Final = 0.97


@dataclass(frozen=True, slots=True)
class StreetWords:
    """A street's name, taken apart.

    Attributes:
        words: What tells the street from others, in small letters without accents: `st denis`, `cote st catherine`.
        kind: What kind of street it is, in one word for both languages; None where it does not say.
        heading: `est`, `ouest`, `nord`, `sud`; None where it does not say.
        guessed: Whether kind or heading were misspelt, and guessed.
    """

    words: str
    kind: str | None = None
    heading: str | None = None
    guessed: bool = False


def plain_words(text: str) -> list[str]:
    """Take a text's words: small letters and digits, without accents and signs."""
    bare = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return _NO_WORD.sub(" ", "".join(c for c in bare if not unicodedata.combining(c))).split()


def tells_street(words: Sequence[str]) -> bool:
    """Whether some plain words can tell a street from others, unlike `rue de la`; `avenue de l esplanade` can."""
    telling = [word for word in words if word not in _LITTLE_WORDS]
    return len(telling) > 1 or any(word not in KINDS for word in telling)


@lru_cache(maxsize=16_384)
def read_street(name: str) -> StreetWords:
    """Read the name of a street as it stands; without a word left, `words` is empty."""
    return _read(plain_words(name), KINDS, HEADINGS, _LITTLE_WORDS)


def street_readings(name: str) -> Iterator[StreetWords]:
    """Read a name that somebody typed: as it stands, then, where that differs, with a misspelt kind or heading."""
    words = plain_words(name)
    first = _read(words, KINDS, HEADINGS, _LITTLE_WORDS)
    if not first.words:
        return
    yield first
    outer = {words[0], words[-1]}
    second = _read(
        words,
        KINDS | _misspelt(outer, KINDS),
        HEADINGS | _misspelt(outer, HEADINGS),
        _LITTLE_WORDS.union(_misspelt(set(words[:2]), dict.fromkeys(_LITTLE_WORDS, ""))),
    )
    if second.words and second != first:
        yield StreetWords(second.words, second.kind, second.heading, guessed=True)


def place_words(name: str) -> str:
    """Read the name of a place that is no street: `parc fontaine` of `Parc La Fontaine`, '' where no word is left."""
    words = plain_words(name)
    return " ".join(_one_spelling(word) for word in words if word not in _LITTLE_WORDS)


def name_likeness(one: str, other: str) -> float:
    """Tell how near the words of two names are to each other: 1 for the same, 0 for nothing in common."""
    one, other = one.replace(" ", ""), other.replace(" ", "")
    longest, apart = max(len(one), len(other), 1), abs(len(one) - len(other))
    # Counting is dear, and so much longer a word is another one.
    return 1.0 - (apart if apart * 2 > longest else edits(one, other)) / longest


def likeness(asked: StreetWords, street: StreetWords) -> float:
    """Tell how near a street is to the one asked for: 1 for the same, 0 for nothing in common."""
    like = name_likeness(asked.words, street.words)
    if asked.kind is not None and street.kind != asked.kind:
        like *= _OTHER_KIND
    if asked.heading != street.heading:
        if asked.heading is None:
            like *= _HEADING_UNSAID
        else:
            like *= _HEADING_TOO_MANY if street.heading is None else _OTHER_HEADING
    return like * _GUESSED if asked.guessed else like


@lru_cache(maxsize=16_384)
def edits(one: str, other: str) -> int:
    """Count the letters to add, drop, change or swap with the next between two words (optimal string alignment)."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        row = [i]
        for j, against in enumerate(other, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != against))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == against:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


def _read(
    words: list[str], kinds: Mapping[str, str], headings: Mapping[str, str], little_words: AbstractSet[str]
) -> StreetWords:
    """Take off the kind and the heading, in French or in English order, as long as a word is left."""
    rest, kind, heading = list(words), None, None
    if len(rest) > 1 and rest[0] in kinds and rest[0] not in _ONLY_BEHIND:
        kind = kinds[rest.pop(0)]
    if len(rest) > 1 and rest[-1] in headings:
        heading = headings[rest.pop()]
    if kind is None and len(rest) > 1 and rest[-1] in kinds:
        kind = kinds[rest.pop()]
    if heading is None and len(rest) > 1:
        # English says the heading first (`E Rachel St`), or before the kind (`Rachel East Street`).
        if rest[0] in headings and (len(rest[0]) == 1 or rest[0] in {"east", "west", "north", "south"}):
            heading = headings[rest.pop(0)]
        elif rest[-1] in headings:
            heading = headings[rest.pop()]
    telling = [word for word in rest if word not in little_words] or rest
    return StreetWords(" ".join(map(_one_spelling, telling)), kind, heading)


def _one_spelling(word: str) -> str:
    ordinal = _ORDINAL.fullmatch(word)
    return ordinal[1] if ordinal else _SAID_SHORTER.get(word, word)


def _misspelt(words: AbstractSet[str], known: Mapping[str, str]) -> dict[str, str]:
    """Guess which words are meant to be known ones: one letter away from one of three or more."""
    return {
        word: meaning
        for word in words - known.keys()
        if len(word) > 1
        for right, meaning in known.items()
        if len(right) > 2 and abs(len(right) - len(word)) < 2 and edits(word, right) == 1
    }
