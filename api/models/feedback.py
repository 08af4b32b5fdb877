"""What people say of a repair, and their e-mail address, on the wire."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from api.models.fields import Flag, Incoming, Outgoing, Text
from issues.feedback import FeedbackCount
from issues.lifecycle import Status
from push.emails import EmailView

_EXAMPLE: Final[dict[str, Any]] = {"fixed": True, "satisfaction": 4}
_EMAIL_EXAMPLE: Final[dict[str, Any]] = {"address": "anna@example.org"}

# What SMTP servers take without extensions; a letter then shows whether somebody reads it.
_ADDRESS: Final = r"^[A-Za-z0-9.!#$%&*+/=?^_`{|}~-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}$"

Satisfaction = Annotated[int, Field(ge=1, le=5, strict=True, description="From 1 to 5, the best.")]


class FeedbackIn(Incoming):
    """Whether the problem is fixed; where it is not, within 14 days, the issue is opened again."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    fixed: Flag
    satisfaction: Satisfaction | None = None


class FeedbackOut(Outgoing):
    """What feedback came to."""

    issue_id: UUID
    jurisdiction_id: str
    status: Status
    reopened: bool


class FeedbackCountOut(Outgoing):
    """What people said of one time that an issue was resolved."""

    event_id: UUID
    at: datetime
    fixed: int
    not_fixed: int
    satisfaction: float | None = Field(description="The mean of those who said, from 1 to 5.")

    @classmethod
    def of(cls, count: FeedbackCount) -> Self:
        """Put a count on the wire."""
        return cls.model_validate(asdict(count))


class EmailIn(Incoming):
    """Where to send letters."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EMAIL_EXAMPLE]})

    address: Annotated[Text, Field(max_length=254, pattern=_ADDRESS)]


class EmailOut(Outgoing):
    """An address, and whether letters go there."""

    address: str
    jurisdiction_id: str
    verified: bool = Field(description="Whether its owner tapped the link that was sent there.")
    refused: bool = Field(description="Its server says that there is no such address; name it again to try again.")

    @classmethod
    def of(cls, found: EmailView, *, jurisdiction_id: str) -> Self:
        """Put an address on the wire."""
        return cls(
            address=found.address, jurisdiction_id=jurisdiction_id, verified=found.verified, refused=found.refused
        )
