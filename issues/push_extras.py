"""What a push carries besides its words: what a tap opens, answers that take one tap, and a picture."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from db.sessions import Database
from issues.feedback import WITHIN
from issues.languages import SOURCE, Languages, msgid
from issues.last_events import LastEvents
from issues.lifecycle import NoticeKind
from issues.notices import LINK_MARKS
from issues.shown_photo import find_shown_photo
from issues.taps import Act, Tap, Taps
from push.channels import AddressKind, Message, PushAction

_ANSWERS: Final = (("fixed", msgid("Fixed"), Act.SAY_FIXED), ("not_fixed", msgid("Not fixed"), Act.SAY_NOT_FIXED))


@dataclass(frozen=True, slots=True)
class PushExtras:
    """Adds them to messages.

    Attributes:
        taps: Signs the answers.
        public_url: Where phones reach this server; None: neither answers nor pictures.
        clock: The time that answers count from.
        links: By jurisdiction, what a tap opens, with `LINK_MARKS` in braces; whoever serves replaces them as packs
            change.
    """

    database: Database
    languages: Languages
    taps: Taps
    public_url: str | None
    clock: Callable[[], datetime]
    links: MutableMapping[str, str | None] = field(default_factory=dict)
    _photos: LastEvents[UUID] = field(default_factory=lambda: LastEvents(kept=256, patience_s=2.0))

    async def add(self, message: Message) -> Message:
        """Give a message all that there is for it. A digest is about no single issue, and letters add the rest."""
        if "issue_id" not in message.params:
            return message
        link = self._link(message)
        if self.public_url is None or message.address_kind is AddressKind.EMAIL:
            return replace(message, link=link)
        photo_id = await self._photo(message)
        image_url = None if photo_id is None else f"{self.public_url.rstrip('/')}/v1/photos/{photo_id}/small"
        return replace(message, link=link, image_url=image_url, actions=self._answers(message, self.public_url))

    def _link(self, message: Message) -> str | None:
        template = self.links.get(message.params.get("jurisdiction_id", ""))
        known: dict[str, Any] = {**message.params, "kind": message.data.get("kind", "")}
        marks = {mark: quote(str(known.get(mark, "")), safe="") for mark in LINK_MARKS}
        return None if template is None else template.format_map(marks)

    def _answers(self, message: Message, public_url: str) -> tuple[PushAction, ...]:
        """What authors are asked once their issue is resolved."""
        if message.data.get("kind") != NoticeKind.RESOLVED or "report_id" not in message.params:
            return ()
        assert message.city_id is not None  # noqa: S101 - a push about an issue is a city's, to somebody
        assert message.person_id is not None  # noqa: S101 - as above
        language = self.languages.choose(message.locale, None, message.params.get("locale") or SOURCE)
        ends_at = self.clock() + WITHIN
        return tuple(
            PushAction(
                code,
                self.languages.translate(language, label),
                self.taps.url(public_url, Tap(act, message.city_id, message.collapse_id, message.person_id, ends_at)),
            )
            for code, label, act in _ANSWERS
        )

    async def _photo(self, message: Message) -> UUID | None:
        return await self._photos.find(message.collapse_id, partial(self._find_photo, message), now=self.clock())

    async def _find_photo(self, message: Message) -> UUID | None:
        assert message.city_id is not None  # noqa: S101 - a push about an issue is a city's
        issue_id, fixed = UUID(message.params["issue_id"]), message.data.get("kind") == NoticeKind.RESOLVED
        async with self.database.transaction(message.city_id) as session:
            photo = await find_shown_photo(session, message.city_id, issue_id, fixed=fixed)
        return None if photo is None else photo.id
