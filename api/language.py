"""The language of an answer: the person's choice, then what the request asks for, then the city's."""

from collections.abc import Callable, Mapping
from typing import Final

FALLBACK: Final = "fr"

Say = Callable[..., str]
"""Translates a message id with its values into the language of one answer."""


def in_language(names: Mapping[str, str], language: str) -> str:
    """Pick a name from those by language; French, then any other, where the wanted one is missing."""
    return names.get(language) or names.get(FALLBACK) or next(iter(names.values()), "")
