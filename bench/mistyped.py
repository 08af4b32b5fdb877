"""Addresses as people type them: with one typing error or one abbreviation."""

import random
import unicodedata
from collections.abc import Sequence
from typing import Final

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_SHORTER: Final = {
    "Avenue": ("av.", "Ave", "av"),
    "Boulevard": ("boul.", "Blvd", "bd", "boul"),
    "Chemin": ("ch.", "Ch"),
    "Place": ("pl.", "Pl"),
    "Rue": ("r.", "", "rue"),
    "Terrasse": ("terr.",),
    "Croissant": ("crois.",),
    "Est": ("E", "E.", "East"),
    "Ouest": ("O", "O.", "West", "W"),
}
_SAINTS: Final = {"Saint-": ("St-", "St ", "St. "), "Sainte-": ("Ste-", "Ste ")}


def mistype(name: str, chance: random.Random) -> str:
    """Drop, add, change or swap one letter of a street's name, its kind and its heading included."""
    at = chance.choice([at for at, letter in enumerate(name) if letter.isalpha()])
    before, letter, after = name[:at], name[at], name[at + 1 :]
    added, other = chance.choice(_LETTERS), chance.choice(_LETTERS.replace(letter.lower(), ""))
    return chance.choice(
        (
            before + after,
            before + letter + added + after,
            before + other + after,
            before + after[:1] + letter + after[1:],
        )
    )


def abbreviate(name: str, chance: random.Random) -> str:
    """Shorten a street's kind, heading or saint, or leave its accents or hyphens out; without any, its capitals."""
    words = name.split(" ")
    ways = [
        " ".join(filter(None, (*words[:at], shorter, *words[at + 1 :])))
        for at, word in enumerate(words)
        for shorter in _SHORTER.get(word, ())
    ]
    ways += [name.replace(saint, shorter, 1) for saint in _SAINTS if saint in name for shorter in _SAINTS[saint]]
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    ways += [other for other in (plain, name.replace("-", " ")) if other != name]
    return chance.choice(ways) if ways else name.lower()


def type_badly(names: Sequence[str], chance: random.Random) -> list[str]:
    """Mistype or abbreviate one of some names."""
    one = chance.randrange(len(names))
    way = chance.choice((mistype, abbreviate))
    return [way(name, chance) if at == one else name for at, name in enumerate(names)]
