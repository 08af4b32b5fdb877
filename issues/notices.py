"""What a notice says on a phone: short, plain, and nothing that a stranger may not read on a locked screen."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from issues.languages import SOURCE, Languages, msgid
from issues.lifecycle import NoticeKind

LINK_MARKS: Final = frozenset({"issue_id", "report_id", "number", "kind", "jurisdiction_id"})
"""What a city's link may name of what a push is about; empty where there is none."""

# As `push.digests` and `push.emails` call them, which know a database and so cannot be asked here.
DIGEST: Final = "digest"
VERIFY: Final = "verify-email"
ASSIGNED: Final = "assigned"
"""Kind of what a crew's members are told of their work; residents are told nothing of that kind."""

# Title and body. The service's name, the number and the status are all that they may tell.
_SENTENCES: Mapping[str, tuple[str, str]] = {
    NoticeKind.ACKNOWLEDGED: (
        msgid("{service}: report acknowledged"),
        msgid("The city has read report {number} and will follow it up."),
    ),
    NoticeKind.SCHEDULED: (
        msgid("{service}: work scheduled"),
        msgid("The work for report {number} is planned."),
    ),
    NoticeKind.POSTPONED: (
        msgid("{service}: work put off"),
        msgid("The work for report {number} is no longer scheduled. The report stays open."),
    ),
    NoticeKind.RESOLVED: (
        msgid("{service}: problem fixed"),
        msgid("The problem of report {number} is fixed."),
    ),
    NoticeKind.DECLINED: (
        msgid("{service}: report declined"),
        msgid("The city will not act on report {number}."),
    ),
    NoticeKind.TRANSFERRED: (
        msgid("{service}: report passed on"),
        msgid("Report {number} has been passed on to those responsible for it."),
    ),
    NoticeKind.REOPENED: (
        msgid("{service}: report open again"),
        msgid("The city has reopened report {number}."),
    ),
    NoticeKind.NOTE: (
        msgid("{service}: message from the city"),
        msgid("The city has written about report {number}. Open it to read the message."),
    ),
    NoticeKind.OPENED: (
        msgid("{service}: new report nearby"),
        msgid("Somebody reported this in a place that you follow. It has the number {number}."),
    ),
    ASSIGNED: (
        msgid("{service}: work for your crew"),
        msgid("Planned for {day}, for report {number}."),
    ),
}
# Where the city wrote to residents why.
_WITH_REASON: Mapping[str, str] = {
    NoticeKind.DECLINED: msgid("The city will not act on report {number}. Open it to read why."),
}
# Of a private service not even the name is shown.
_UNNAMED = msgid("Update")
_VERIFY = (
    msgid("Is this your e-mail address?"),
    msgid("Somebody asked that the city's news about their reports be sent here. If it was not you, do nothing."),
)
_DIGEST = msgid("{count} updates from the city")
_DIGEST_LINE = msgid("{title} ({number})")
_DIGEST_REST = msgid("and {count} more")
_DIGEST_LINES = 4


OwnWords = Mapping[str, Mapping[str, Mapping[str, str] | None]]
"""A city's own words: by kind, the `title` and the `body` in each language."""


@dataclass(frozen=True, slots=True)
class NoticeTexts:
    """The words of notices in every language of the house.

    Attributes:
        own: By jurisdiction, the words that a city's pack has of its own; whoever serves replaces them as packs change.
    """

    languages: Languages
    own: MutableMapping[str, OwnWords] = field(default_factory=dict)

    def render(self, kind: str, params: Mapping[str, Any], locale: str) -> tuple[str, str]:
        """Write the title and the body of a notice.

        Args:
            kind: A `NoticeKind`, `ASSIGNED`, or a digest of several.
            params: Of an alert, its title and its text in each language, as `title_<language>` and `text_<language>`.
                Of a digest, the `items`, each with its `kind` and its params, and their `count`. Of others
                `number`; `note` where the city wrote something with it that residents may read; the service's
                name in each language as `service_<language>`, where it may be shown; the `day` of work; the city's
                `locale`, for people whose language is not spoken here.
            locale: Of the device that shows it, such as `fr-CA`.
        """
        language = self.languages.choose(locale, None, params.get("locale") or SOURCE)
        if kind == DIGEST:
            return self._digest(params, language)
        if kind == VERIFY:
            title, body = _VERIFY
            return self.languages.translate(language, title), self.languages.translate(language, body)
        return self._single(kind, params, language)

    def _single(self, kind: str, params: Mapping[str, Any], language: str) -> tuple[str, str]:
        if kind == NoticeKind.ALERT:
            return self._named("title", params, language) or "", self._named("text", params, language) or ""
        title, body = _SENTENCES[kind]
        if "note" in params:
            body = _WITH_REASON.get(kind, body)
        values = {"service": self._service(params, language), "number": params["number"]}
        values["day"] = params.get("day", "")
        own = self.own.get(params.get("jurisdiction_id", ""), {}).get(kind, {})
        return (
            self._say(language, title, (own.get("title") or {}).get(language), values),
            self._say(language, body, (own.get("body") or {}).get(language), values),
        )

    def _say(self, language: str, sentence: str, own: str | None, values: Mapping[str, str]) -> str:
        return self.languages.translate(language, sentence, **values) if own is None else own.format_map(values)

    def _digest(self, params: Mapping[str, Any], language: str) -> tuple[str, str]:
        items, say = params["items"], self.languages.translate
        lines = [self._digest_line(item, language) for item in items[:_DIGEST_LINES]]
        if (rest := params["count"] - len(lines)) > 0:
            lines.append(say(language, _DIGEST_REST, count=rest))
        return say(language, _DIGEST, count=params["count"]), "\n".join(lines)

    def _digest_line(self, item: Mapping[str, Any], language: str) -> str:
        title, _ = self._single(item["kind"], item, language)
        if "number" not in item:
            return title
        return self.languages.translate(language, _DIGEST_LINE, title=title, number=item["number"])

    def _service(self, params: Mapping[str, Any], language: str) -> str:
        return self._named("service", params, language) or self.languages.translate(language, _UNNAMED)

    def _named(self, what: str, params: Mapping[str, Any], language: str) -> str | None:
        """Find something in a language, or in another one that there is."""
        for spoken in (language, *self.languages.spoken):
            if name := params.get(f"{what}_{spoken}"):
                return str(name)
        return None
