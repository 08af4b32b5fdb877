"""Webhooks on the wire."""

from base64 import b64encode
from datetime import datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from api.models.fields import Incoming, Outgoing, Text
from issues.event_kinds import EventKind
from issues.webhooks import WebhookView

_EXAMPLE: Final[dict[str, Any]] = {"url": "https://requetes.example.org/jalon", "kinds": ["issue.status"]}
_KINDS: Final = "\n".join(f"* `{kind}`: {kind.meaning}" for kind in EventKind)
_REPLAY_EXAMPLE: Final[dict[str, Any]] = {"event_id": "01936f3e-b000-7000-8000-000000000001"}


class WebhookIn(Incoming):
    """Where to post what happens, and of which kinds."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    url: Annotated[Text, Field(min_length=1, max_length=2048, description="https, on the Internet.")]
    kinds: Annotated[list[EventKind], Field(min_length=1, max_length=len(EventKind))] | None = Field(
        default=None, description=f"Of events, as in an issue's history; `null`: all.\n\n{_KINDS}"
    )


class ReplayIn(Incoming):
    """From where to tell everything again."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPLAY_EXAMPLE]})

    event_id: UUID = Field(description="The first event that is told again.")


class WebhookOut(Outgoing):
    """A webhook and how it fares."""

    id: UUID
    jurisdiction_id: str
    url: str
    kinds: list[str] | None
    failures: int = Field(description="In a row.")
    last_error: str | None
    gone_at: datetime | None = Field(description="When its receiver said that it wants no more (410).")
    created_at: datetime
    secret: str | None = Field(description="What events are signed with (standard-webhooks); shown once.")

    @classmethod
    def of(cls, found: WebhookView, *, jurisdiction_id: str, with_secret: bool = False) -> Self:
        """Put a webhook on the wire."""
        return cls(
            id=found.id,
            jurisdiction_id=jurisdiction_id,
            url=found.url,
            kinds=found.kinds,
            failures=found.failures,
            last_error=found.last_error,
            gone_at=found.gone_at,
            created_at=found.created_at,
            secret=f"whsec_{b64encode(found.secret).decode()}" if with_secret else None,
        )
