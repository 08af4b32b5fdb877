"""How the French of a Québec city is set, in every text that people are shown; and that both languages are whole."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[1]
TRANSLATIONS = sorted(ROOT.glob("*/locales/fr.po"))
SHEETS = sorted(ROOT.glob("cities/*/*.yml"))

# What the Office québécois de la langue française asks for; a colon inside code, a time or an address stays as it is.
MISTAKES = {
    "a straight apostrophe": re.compile(r"'"),
    "a straight quotation mark": re.compile(r'"'),
    "a space before ; ? or !": re.compile(r"\s[;?!]"),
    "a colon without its no-break space": re.compile(r"(?<!\u00a0):(?=\s|$)(?<!Authorization:)"),
    "a guillemet without its no-break space": re.compile(r"«(?!\u00a0)|(?<!\u00a0)»"),
    "a number that may part from its unit": re.compile(r"[\d}] (?:m|km|ko|Mo|px)\b"),
    "three full stops": re.compile(r"\.\.\."),
    "a space too many": re.compile(r"  |^\s|\s$"),
    "the city as an office without its capital": re.compile(r"\b[Ll]a ville\b"),
}


def translations(path: Path) -> list[tuple[str, str]]:
    with path.open("rb") as file:
        return [(str(message.id), str(message.string)) for message in read_po(file) if message.id]


def names_in(content: object) -> Iterator[dict[str, str]]:
    """Every text of a sheet that is given by language."""
    if isinstance(content, dict):
        if content.keys() & {"fr", "en"} and all(isinstance(text, str) for text in content.values()):
            yield content
        for below in content.values():
            yield from names_in(below)
    elif isinstance(content, list):
        for below in content:
            yield from names_in(below)


def names_of(path: Path) -> list[dict[str, str]]:
    return list(names_in(yaml.safe_load(path.read_text(encoding="utf-8"))))


def mistakes_in(text: str) -> list[str]:
    return [mistake for mistake, pattern in MISTAKES.items() if pattern.search(text)]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("L'arrêt", "a straight apostrophe"),
        ("Quoi ?", "a space before ; ? or !"),
        ("Quoi\u00a0?", "a space before ; ? or !"),
        ("Ici : là", "a colon without its no-break space"),
        ("Ici: là", "a colon without its no-break space"),
        ("« ici »", "a guillemet without its no-break space"),
        ("à {metres} m", "a number that may part from its unit"),
        ("La ville agit.", "the city as an office without its capital"),
    ],
)
def test_mistakes_are_seen(text, mistake):
    assert mistake in mistakes_in(text)


def test_what_is_right_is_left_alone():
    right = "Où? Ici\u00a0: «\u00a0là\u00a0»; à 5\u00a0m, à 08:15, par Authorization: Bearer."

    assert mistakes_in(right) == []


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.parent.parent.name)
def test_translations_are_set_as_in_quebec(path):
    wrong = {text: found for _, text in translations(path) if (found := mistakes_in(text))}

    assert wrong == {}


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.parent.parent.name)
def test_no_translation_is_missing_or_in_doubt(path):
    with path.open("rb") as file:
        unsure = [message.id for message in read_po(file) if message.id and (message.fuzzy or not message.string)]

    assert unsure == []
    assert "#~" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.parent.parent.name)
def test_requete_is_an_issue_and_nothing_else(path):
    wrong = [(english, french) for english, french in translations(path) if "requête" in french.lower()]

    assert [pair for pair in wrong if not re.search(r"issue", pair[0], re.IGNORECASE)] == []


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_names_in_city_packs_are_in_both_languages_and_set_as_in_quebec(path):
    names = names_of(path)

    assert names
    assert [name for name in names if name.keys() != {"fr", "en"} or not all(name.values())] == []
    assert {name["fr"]: found for name in names if (found := mistakes_in(name["fr"]))} == {}
