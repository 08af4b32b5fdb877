"""What a notice says on a phone: short, plain, and nothing that a stranger may not read on a locked screen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from issues.languages import SOURCE, Languages, msgid
from issues.lifecycle import NoticeKind

# Title and body. The service's name, the number and the status are all that they may tell.
_SENTENCES: Mapping[NoticeKind, tuple[str, str]] = {
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
}
# Where the city wrote to residents why.
_WITH_REASON: Mapping[NoticeKind, str] = {
    NoticeKind.DECLINED: msgid("The city will not act on report {number}. Open it to read why."),
}
# Of a private service not even the name is shown.
_UNNAMED = msgid("Update")


@dataclass(frozen=True, slots=True)
class NoticeTexts:
    """The words of notices in every language of the house."""

    languages: Languages

    def render(self, kind: str, params: Mapping[str, Any], locale: str) -> tuple[str, str]:
        """Write the title and the body of a notice.

        Args:
            kind: A `NoticeKind`.
            params: `number`; `note` where the city wrote something with it that residents may read; the service's
                name in each language as `service_<language>`, where it may be shown; the city's `locale`, for people
                whose language is not spoken here.
            locale: Of the device that shows it, such as `fr-CA`.
        """
        language = self.languages.choose(locale, None, params.get("locale", SOURCE))
        title, body = _SENTENCES[NoticeKind(kind)]
        if "note" in params:
            body = _WITH_REASON.get(NoticeKind(kind), body)
        service = self._service(params, language)
        return (
            self.languages.translate(language, title, service=service),
            self.languages.translate(language, body, number=params["number"]),
        )

    def _service(self, params: Mapping[str, Any], language: str) -> str:
        for spoken in (language, *self.languages.spoken):
            if name := params.get(f"service_{spoken}"):
                return str(name)
        return self.languages.translate(language, _UNNAMED)
