"""Pauses on the wire."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from api.cities import NamedCity
from api.language import in_language
from api.models.fields import Code, Day, Incoming, Line, Outgoing
from issues.deadlines import Pause
from issues.pauses import PauseView
from issues.rescheduling import Rescheduled

_EXAMPLE: Final[dict[str, Any]] = {
    "begins": "2030-01-15",  # far ahead: days that are over are refused
    "ends": "2030-01-16",
    "service_codes": ["nid-de-poule"],
    "reason_fr": "Tempête de neige",
    "reason_en": "Snowstorm",
}

_Reason = Annotated[Line, Field(min_length=1)]


class PauseIn(Incoming):
    """When clocks stand still, for what, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    begins: Day = Field(description="The first day, on the city's own calendar.")
    ends: Day = Field(description="The last day.")
    service_codes: Annotated[list[Code], Field(max_length=500)] = Field(default=[], description="None: all services.")
    reason_fr: _Reason
    reason_en: _Reason

    @property
    def pause(self) -> Pause:
        """The days and services."""
        return Pause(self.begins, self.ends, frozenset(self.service_codes))

    @property
    def reasons(self) -> dict[str, str]:
        """Why, by language."""
        return {"fr": self.reason_fr, "en": self.reason_en}


class PauseOut(Outgoing):
    """When a city's clocks stand still, and why."""

    id: UUID
    jurisdiction_id: str
    begins: date
    ends: date = Field(description="The last day.")
    service_codes: list[str] = Field(description="None: all services.")
    reason: str
    declared_at: datetime

    @classmethod
    def of(cls, found: PauseView, city: NamedCity) -> Self:
        """Put a pause on the wire."""
        return cls(**_fields(found, city))


class PauseChangeOut(PauseOut):
    """A pause that was declared or taken back, and what that did."""

    issues_moved: int = Field(description="Open issues that have another deadline for it.")

    @classmethod
    def of_change(cls, done: Rescheduled, city: NamedCity) -> Self:
        """Put a change on the wire."""
        return cls(**_fields(done.pause, city), issues_moved=done.moved)


def _fields(found: PauseView, city: NamedCity) -> dict[str, Any]:
    return {
        "id": found.id,
        "jurisdiction_id": city.jurisdiction_id,
        "begins": found.pause.begins,
        "ends": found.pause.ends,
        "service_codes": sorted(found.pause.service_codes),
        "reason": in_language(found.reasons, city.language),
        "declared_at": found.declared_at,
    }
