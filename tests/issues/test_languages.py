"""Languages: which one an answer is in, and that none lacks a sentence."""

import string
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

from issues.languages import LOCALES, Languages, load_languages

ROOT = Path(__file__).parents[2]
PACKAGES = ["api", "db", "geo", "issues", "media", "push"]
# The calls by which a sentence in code is translated, and which of their arguments it is.
CALLS = {"msgid": None, "translate": (2,)}


@pytest.fixture(scope="module")
def languages() -> Languages:
    return load_languages([LOCALES])


def sentences_in_code(package: str) -> set[str]:
    found = extract_from_dir(ROOT / package, [("**.py", "python")], {}, CALLS, strip_comment_tags=True)
    return {sentence for _, _, sentence, _, _ in found if isinstance(sentence, str)}


def translations(package: str, language: str) -> dict[str, str]:
    path = ROOT / package / "locales" / f"{language}.po"
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file) if message.id}


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def test_sentences_in_code_are_found():
    assert "{service}: problem fixed" in sentences_in_code("issues")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_sentence_in_code_is_translated_into_french_and_no_other(package):
    assert sentences_in_code(package) == translations(package, "fr").keys()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_translation_says_something_with_the_same_values(package):
    for sentence, translation in translations(package, "fr").items():
        assert translation.strip(), sentence
        assert placeholders(translation) == placeholders(sentence), sentence


def test_french_comes_first_among_the_languages_spoken(languages):
    assert languages.spoken == ("fr", "en")


@pytest.mark.parametrize(
    ("choice", "header", "default", "chosen"),
    [
        (None, None, "fr-CA", "fr"),
        (None, None, "en-CA", "en"),
        (None, None, "de", "fr"),
        (None, "en-CA,en;q=0.9,fr;q=0.8", "fr-CA", "en"),
        (None, "fr;q=0.2,en;q=0.3", "fr-CA", "en"),
        (None, "de,es;q=0.9,en;q=0.1", "fr-CA", "en"),
        (None, "de, es", "fr-CA", "fr"),
        (None, "EN", "fr-CA", "en"),
        (None, "en;Q=1.000", "fr-CA", "en"),
        (None, "en ; q = 0.5", "fr-CA", "en"),
        (None, "*", "en-CA", "fr"),
        (None, "*;q=0.1, en;q=0", "en-CA", "fr"),
        (None, "fr;q=0, *", "fr-CA", "en"),
        (None, "en;q=0", "fr-CA", "fr"),
        (None, "en;q=2,fr;q=x,;;,,", "fr-CA", "fr"),
        (None, "", "en", "en"),
        (None, ",".join(["de"] * 50 + ["en"]), "fr-CA", "fr"),
        ("en-CA", "fr", "fr-CA", "en"),
        ("en_CA", "fr", "fr-CA", "en"),
        ("fr-CA", "en", "en", "fr"),
        ("de", "en", "fr-CA", "en"),
    ],
)
def test_the_persons_choice_then_the_request_then_the_city_decides(languages, choice, header, default, chosen):
    assert languages.choose(choice, header, default) == chosen


@given(st.text())
def test_any_header_leads_to_a_language_that_is_spoken(languages, header):
    assert languages.choose(None, header, "fr-CA") in languages.spoken


def test_a_sentence_without_translation_stays_english(languages):
    assert languages.translate("fr", "No such {thing}", thing="x") == "No such x"


@pytest.mark.parametrize(("language", "written"), [("fr-CA", "11,1 m"), ("en", "11.1 m"), ("de", "11.1 m")])
def test_fractions_are_written_as_the_language_does(languages, language, written):
    assert languages.translate(language, "{metres} m", metres=11.1) == written


def test_a_value_is_never_read_for_marks_of_its_own(languages):
    assert languages.translate("en", "{service}", service="{number}") == "{number}"
