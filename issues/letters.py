"""Letters: what a push says, with the links that a letter can have; text and HTML of one list of parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Final
from uuid import UUID

from geo.minimap import HEIGHT_M, WIDTH_M
from issues.feedback import WITHIN
from issues.languages import SOURCE, Languages, msgid
from issues.letter_enclosures import Enclosures, LetterEnclosures
from issues.lifecycle import NoticeKind
from issues.taps import Act, Tap, Taps
from push.channels import Message
from push.smtp import Letter, Picture

_MAP_SIZE: Final = f' width="{WIDTH_M}" height="{HEIGHT_M}"'
_VERIFY_WITHIN: Final = timedelta(days=2)
_STOP_WITHIN: Final = timedelta(days=400)
_READ_WITHIN: Final = timedelta(days=400)

_VERIFY: Final = msgid("This address is mine: send me news here")
_FIXED: Final = msgid("Yes, it is fixed")
_NOT_FIXED: Final = msgid("No, it is not fixed")
_STOP: Final = msgid("No more e-mails from the city about reports")
_ASK: Final = msgid("Is the problem fixed?")
_MAP: Final = msgid("Map of the place")
_MAP_OF: Final = msgid("Map: {address}")
_PHOTO: Final = msgid("Photo of the problem")
_WROTE: Final = msgid("The city writes:")
_OPEN: Final = msgid("See the report")


@dataclass(frozen=True, slots=True)
class _Link:
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class _Shown:
    """A picture, and its words for those who do not see it."""

    picture: Picture
    words: str
    size: str = ""


@dataclass(frozen=True, slots=True)
class _Quote:
    text: str


_Part = str | _Link | _Quote | _Shown


@dataclass(frozen=True, slots=True)
class Letters:
    """Makes letters of messages.

    Attributes:
        taps: Signs their links.
        public_url: Where residents reach this server.
        clock: The time that links count from.
        enclosures: Finds what to show besides the words of a push; None for letters without.
    """

    languages: Languages
    taps: Taps
    public_url: str
    clock: Callable[[], datetime]
    enclosures: LetterEnclosures | None = None

    async def compose(self, message: Message) -> Letter:
        """Write a letter in its reader's language."""
        language = self.languages.choose(message.locale, None, message.params.get("locale") or SOURCE)
        stop = _Link(self._say(language, _STOP), self._url(message, Act.STOP_EMAIL, _STOP_WITHIN))
        enclosed = await self._enclosed(message)
        parts: list[_Part] = [*message.body.splitlines()]
        if enclosed is not None and enclosed.note is not None:
            parts += [self._say(language, _WROTE), _Quote(enclosed.note)]
        shown = [] if enclosed is None else self._shown(message, enclosed, language)
        parts += shown
        link = message.link
        if link is None and enclosed is not None:  # then everybody may see it
            link = self._url(message, Act.READ_ISSUE, _READ_WITHIN)
        if link is not None:
            parts.append(_Link(self._say(language, _OPEN), link))
        match message.data.get("kind"):
            case "verify-email":
                parts.append(_Link(self._say(language, _VERIFY), self._url(message, Act.VERIFY_EMAIL, _VERIFY_WITHIN)))
            case NoticeKind.RESOLVED if "report_id" in message.params:
                parts += [
                    self._say(language, _ASK),
                    _Link(self._say(language, _FIXED), self._url(message, Act.SAY_FIXED, WITHIN)),
                    _Link(self._say(language, _NOT_FIXED), self._url(message, Act.SAY_NOT_FIXED, WITHIN)),
                ]
        parts.append(stop)
        html = _as_html(message.title, parts, language)
        return Letter(message.title, _as_text(parts), html, stop.url, [one.picture for one in shown])

    async def _enclosed(self, message: Message) -> Enclosures | None:
        """Find what there is to show of what a letter tells of; of several things, and of none, there is nothing."""
        issue_id = message.params.get("issue_id")
        if self.enclosures is None or issue_id is None or message.city_id is None:
            return None
        fixed = message.data.get("kind") == NoticeKind.RESOLVED
        return await self.enclosures.find(
            message.city_id, UUID(issue_id), message.collapse_id, fixed=fixed, now=self.clock()
        )

    def _shown(self, message: Message, found: Enclosures, language: str) -> list[_Shown]:
        where = self._say(language, _MAP)
        if found.address is not None:
            where = self._say(language, _MAP_OF, address=found.address)
        minimap = Picture(f"map.{message.collapse_id}@jalon", "png", found.minimap)
        shown = [_Shown(minimap, where, _MAP_SIZE)]
        if found.photo is not None:
            photo = Picture(f"photo.{message.collapse_id}@jalon", "webp", found.photo)
            shown.append(_Shown(photo, self._say(language, _PHOTO)))
        return shown

    def _say(self, language: str, sentence: str, **values: str) -> str:
        return self.languages.translate(language, sentence, **values)

    def _url(self, message: Message, act: Act, within: timedelta) -> str:
        assert message.city_id is not None  # noqa: S101 - a letter is always a city's, to somebody
        assert message.person_id is not None  # noqa: S101 - as above
        assert message.recipient_id is not None  # noqa: S101 - as above
        match act:
            case Act.VERIFY_EMAIL | Act.STOP_EMAIL:
                subject = message.recipient_id
            case Act.READ_ISSUE:  # crews are told of issues by what is no event of theirs
                subject = UUID(message.params["issue_id"])
            case _:
                subject = message.collapse_id
        tap = Tap(act, message.city_id, subject, message.person_id, self.clock() + within)
        return self.taps.url(self.public_url, tap)


def _as_text(parts: Sequence[_Part]) -> str:
    return "\n\n".join(_part_as_text(part) for part in parts if not isinstance(part, _Shown)) + "\n"


def _part_as_text(part: str | _Link | _Quote) -> str:
    match part:
        case _Link(label, url):
            return f"{label}\n{url}"
        case _Quote(text):
            return "\n".join(f"> {line}".rstrip() for line in text.splitlines())
        case _:
            return part


def _part_as_html(part: _Part) -> str:
    match part:
        case _Link(label, url):
            return f'<p><a href="{escape(url)}">{escape(label)}</a></p>'
        case _Quote(text):
            return f"<blockquote>{'<br>'.join(map(escape, text.splitlines()))}</blockquote>"
        case _Shown(picture, words, size):
            return f'<p><img src="cid:{picture.cid}" alt="{escape(words)}"{size}></p>'
        case _:
            return f"<p>{escape(part)}</p>"


def _as_html(title: str, parts: Sequence[_Part], language: str) -> str:
    shown = "\n".join(map(_part_as_html, parts))
    head = f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
    return f"{head}<body><h1>{escape(title)}</h1>\n{shown}\n</body></html>\n"
