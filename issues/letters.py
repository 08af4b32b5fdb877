"""Letters: what a push says, with the links that a letter can have; text and HTML of one list of parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Final

from issues.languages import SOURCE, Languages, msgid
from issues.taps import Act, Tap, Taps
from push.channels import Message
from push.smtp import Letter

FEEDBACK_WITHIN: Final = timedelta(days=14)

_VERIFY_WITHIN: Final = timedelta(days=2)
_STOP_WITHIN: Final = timedelta(days=400)

_VERIFY: Final = msgid("This address is mine: send me news here")
_FIXED: Final = msgid("Yes, it is fixed")
_NOT_FIXED: Final = msgid("No, it is not fixed")
_STOP: Final = msgid("No more e-mails from the city about reports")
_ASK: Final = msgid("Is the problem fixed?")


@dataclass(frozen=True, slots=True)
class _Link:
    label: str
    url: str


_Part = str | _Link


@dataclass(frozen=True, slots=True)
class Letters:
    """Makes letters of messages.

    Attributes:
        taps: Signs their links.
        public_url: Where residents reach this server.
        clock: The time that links count from.
    """

    languages: Languages
    taps: Taps
    public_url: str
    clock: Callable[[], datetime]

    def compose(self, message: Message) -> Letter:
        """Write a letter in its reader's language."""
        language = self.languages.choose(message.locale, None, message.params.get("locale") or SOURCE)
        stop = _Link(self._say(language, _STOP), self._url(message, Act.STOP_EMAIL, _STOP_WITHIN))
        parts: list[_Part] = [*message.body.splitlines()]
        match message.data.get("kind"):
            case "verify-email":
                parts.append(_Link(self._say(language, _VERIFY), self._url(message, Act.VERIFY_EMAIL, _VERIFY_WITHIN)))
            case "resolved" if "report_id" in message.params:
                parts += [
                    self._say(language, _ASK),
                    _Link(self._say(language, _FIXED), self._url(message, Act.SAY_FIXED, FEEDBACK_WITHIN)),
                    _Link(self._say(language, _NOT_FIXED), self._url(message, Act.SAY_NOT_FIXED, FEEDBACK_WITHIN)),
                ]
        parts.append(stop)
        return Letter(message.title, _as_text(parts), _as_html(message.title, parts, language), stop.url)

    def _say(self, language: str, sentence: str) -> str:
        return self.languages.translate(language, sentence)

    def _url(self, message: Message, act: Act, within: timedelta) -> str:
        assert message.city_id is not None  # noqa: S101 - a letter is always a city's, to somebody
        assert message.person_id is not None  # noqa: S101 - as above
        assert message.recipient_id is not None  # noqa: S101 - as above
        of_issue = act in (Act.SAY_FIXED, Act.SAY_NOT_FIXED)
        subject = message.collapse_id if of_issue else message.recipient_id
        tap = Tap(act, message.city_id, subject, message.person_id, self.clock() + within)
        return f"{self.public_url.rstrip('/')}/t/{self.taps.sign(tap)}"


def _as_text(parts: Sequence[_Part]) -> str:
    return "\n\n".join(f"{part.label}\n{part.url}" if isinstance(part, _Link) else part for part in parts) + "\n"


def _as_html(title: str, parts: Sequence[_Part], language: str) -> str:
    shown = "\n".join(
        f'<p><a href="{escape(part.url)}">{escape(part.label)}</a></p>'
        if isinstance(part, _Link)
        else f"<p>{escape(part)}</p>"
        for part in parts
    )
    head = f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
    return f"{head}<body><h1>{escape(title)}</h1>\n{shown}\n</body></html>\n"
