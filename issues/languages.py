"""The languages that people are answered in, and how one is chosen.

Source sentences are English; each language is a gettext file beside the package whose sentences it translates
(`fr.po`). The files are read as they are, at start, so there is nothing to compile and nothing to forget.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from babel.messages.pofile import read_po
from babel.numbers import format_decimal

LOCALES = Path(__file__).parent / "locales"

SOURCE = "en"

# One choice of an Accept-Language header (RFC 9110, 12.5.4): a language range or '*', and how much it is wanted.
_RANGE = re.compile(r"\s*([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*|\*)\s*(?:;\s*[qQ]\s*=\s*([01](?:\.\d{0,3})?)\s*)?")
# Browsers send a handful; a header of thousands is not worth reading to its end.
_MOST_RANGES = 20


@dataclass(frozen=True, slots=True)
class Languages:
    """The sentences of the house in every language it speaks.

    Attributes:
        catalogues: By language other than the source's, the translation of each sentence.
    """

    catalogues: Mapping[str, Mapping[str, str]]

    @property
    def spoken(self) -> tuple[str, ...]:
        """The languages there are, French first."""
        return tuple(sorted({*self.catalogues, SOURCE}, key=lambda language: (language != "fr", language)))

    def translate(self, language: str, sentence: str, **values: object) -> str:
        """Put a sentence into a language; where that lacks it, the sentence stays English.

        Args:
            language: One of `spoken`, or a locale of it such as `fr-CA`.
            sentence: As it stands in the code; `{name}` marks the place of a value.
            values: What goes there; never read for marks of its own. Fractions are written as the language does.
        """
        known = self.catalogues.get(_language_of(language), {})
        code = _language_of(language) if known else SOURCE
        written = {
            name: format_decimal(value, locale=code) if isinstance(value, float) else value
            for name, value in values.items()
        }
        return (known.get(sentence) or sentence).format_map(written)

    def choose(self, choice: str | None, accept_language: str | None, default: str) -> str:
        """Choose the language of an answer.

        Args:
            choice: What the person once chose, such as a device's locale; None where unknown.
            accept_language: The request's header, which counts where the choice is not spoken here.
            default: The city's locale, for everybody else.
        """
        spoken = self.spoken
        if choice is not None and _language_of(choice) in spoken:
            return _language_of(choice)  # most people made one, and reading headers takes its time
        for language in (*_wanted(accept_language, spoken), default):
            if _language_of(language) in spoken:
                return _language_of(language)
        return spoken[0]


def load_languages(folders: Iterable[Path]) -> Languages:
    """Read the translations in some folders, each holding one file per language, such as `fr.po`."""
    catalogues: dict[str, dict[str, str]] = {}
    for path in sorted(path for folder in folders for path in folder.glob("*.po")):
        catalogue = catalogues.setdefault(path.stem, {})
        with path.open("rb") as file:
            for message in read_po(file, locale=path.stem, abort_invalid=True):
                if isinstance(message.id, str) and isinstance(message.string, str) and message.id:
                    catalogue[message.id] = message.string
    return Languages(catalogues)


def msgid(sentence: str) -> str:
    """Mark a sentence that is kept somewhere before it is translated, so that translators are shown it."""
    return sentence


def _wanted(accept_language: str | None, spoken: Sequence[str]) -> list[str]:
    """List the languages that a header asks for, most wanted first; what cannot be read is passed over."""
    weights: dict[str, float] = {}
    for part in (accept_language or "").split(",", _MOST_RANGES)[:_MOST_RANGES]:
        found = _RANGE.fullmatch(part)
        if found is not None:
            weights.setdefault(_language_of(found[1]), float(found[2] or 1))
    others = weights.pop("*", 0.0)
    # '*' stands for whatever the header does not name.
    weights = {**{language: others for language in spoken if language not in weights}, **weights}
    # Sorting keeps the order of equals: that of the header.
    return sorted((language for language, weight in weights.items() if weight > 0), key=lambda one: -weights[one])


def _language_of(locale: str) -> str:
    return locale.replace("_", "-").partition("-")[0].lower()
