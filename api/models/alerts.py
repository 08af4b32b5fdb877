"""Public alerts on the wire."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from api.cities import NamedCity
from api.language import in_language
from api.models.fields import Flag, Incoming, Line, Outgoing, Text
from issues.alerts import AlertDeliveries, AlertDraft, AlertView

_EXAMPLE: Final[dict[str, Any]] = {
    "district": "arrondissements:le-plateau-mont-royal",
    "title_fr": "Avis d’ébullition de l’eau",
    "title_en": "Boil-water advisory",
    "text_fr": "Faites bouillir l’eau une minute avant de la boire, jusqu’à nouvel ordre.",
    "text_en": "Boil tap water for one minute before drinking it, until further notice.",
    "safety": True,
    "expires_after_h": 48,
}

_MOST_HOURS: Final = 28 * 24  # FCM keeps nothing longer

_Title = Annotated[Line, Field(min_length=1, max_length=65)]
_Said = Annotated[Text, Field(min_length=1, max_length=500)]


class AlertIn(Incoming):
    """What the city tells a district, or the whole city, in both languages."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    district: Annotated[Text, Field(pattern=r"^[^:]+:.+$", max_length=200)] | None = Field(
        default=None, description="`layer:code`; `null`: the whole city."
    )
    title_fr: _Title
    title_en: _Title
    text_fr: _Said
    text_en: _Said
    safety: Flag = Field(default=False, description="Rings at once also where people want quiet.")
    expires_after_h: Annotated[float, Field(ge=0.25, le=_MOST_HOURS, allow_inf_nan=False)] = Field(
        default=24, description="So long after it is published nobody is told any more."
    )

    @property
    def draft(self) -> AlertDraft:
        """The alert, for the rooms below."""
        return AlertDraft(
            district=self.district,
            titles={"fr": self.title_fr, "en": self.title_en},
            texts={"fr": self.text_fr, "en": self.text_en},
            safety=self.safety,
            expires_after=timedelta(hours=self.expires_after_h),
        )


class AlertOut(Outgoing):
    """What a city told."""

    id: UUID
    jurisdiction_id: str
    district: str | None = Field(description="`layer:code`; `null`: the whole city.")
    title: str
    text: str
    safety: bool
    published_at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None

    @classmethod
    def of(cls, found: AlertView, city: NamedCity) -> Self:
        """Put an alert on the wire, in the caller's language."""
        return cls(**_fields(found, city))


class AlertPushes(Outgoing):
    """How many pushes and letters of an alert stand alike."""

    to: str = Field(description="`topic`: one push for all who hear by it in one language; `person`.")
    state: str
    count: int


class AlertDetailOut(AlertOut):
    """An alert, and for the city's staff what became of its pushes."""

    deliveries: list[AlertPushes] | None = Field(description="For the city's staff; `null` for everybody else.")

    @classmethod
    def of_detail(cls, found: AlertView, city: NamedCity, deliveries: Sequence[AlertDeliveries] | None) -> Self:
        """Put an alert on the wire with what staff see."""
        shown = None if deliveries is None else [_pushes(each) for each in deliveries]
        return cls(**_fields(found, city), deliveries=shown)


def _pushes(counted: AlertDeliveries) -> AlertPushes:
    return AlertPushes(to="topic" if counted.to_topic else "person", state=counted.state, count=counted.count)


def _fields(found: AlertView, city: NamedCity) -> dict[str, Any]:
    draft = found.draft
    return {
        "id": found.id,
        "jurisdiction_id": city.jurisdiction_id,
        "district": draft.district,
        "title": in_language(draft.titles, city.language),
        "text": in_language(draft.texts, city.language),
        "safety": draft.safety,
        "published_at": found.published_at,
        "expires_at": found.expires_at,
        "withdrawn_at": found.withdrawn_at,
    }
