"""Corrections of reports on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, Strict

from api.models.fields import Accuracy, CommandId, Incoming, Latitude, Longitude, Outgoing, Words
from issues.reports import CorrectionView, FormerPlace

LocationSource = Literal["gps", "photo", "address", "map"]

EXAMPLE: dict[str, Any] = {
    "id": "01936f3e-9c00-7000-8000-000000000002",
    "add_description": "C'est du côté nord, devant le dépanneur",
    "lat": 45.5232,
    "long": -73.5816,
    "accuracy_m": 5.0,
    "location_source": "map",
}
WITHDRAWAL_EXAMPLE: dict[str, Any] = {"withdrawn": True}


class ReportChange(Incoming):
    """What is to change in a report; what is left out stays, and what was sent first is never lost."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE, WITHDRAWAL_EXAMPLE]})

    id: CommandId = None
    add_description: Words | None = Field(default=None, description="Words to add to those that are there.")
    lat: Annotated[Latitude, Strict()] | None = Field(
        default=None, description="With `long`: where it is after all. Senders have 15 minutes from receipt."
    )
    long: Annotated[Longitude, Strict()] | None = None
    accuracy_m: Annotated[Accuracy, Strict()] | None = None
    location_source: LocationSource | None = Field(default=None, description="Left out: `map`.")
    withdrawn: Literal[True] | None = Field(default=None, description="Takes the report back; goes with nothing else.")


class FormerPlaceOut(Outgoing):
    """Where a report was said to be before."""

    lat: float
    long: float
    accuracy_m: float | None
    location_source: LocationSource

    @classmethod
    def of(cls, place: FormerPlace) -> "FormerPlaceOut":
        """Put a former place on the wire."""
        source: Any = place.location_source
        return cls(lat=place.at.lat, long=place.at.lon, accuracy_m=place.accuracy_m, location_source=source)


class CorrectionOut(Outgoing):
    """A correction of a report."""

    event_id: UUID = Field(description="Of the event in the issue's history.")
    at: datetime
    added_description: str | None
    former_place: FormerPlaceOut | None = Field(description="The place that it replaced.")

    @classmethod
    def of(cls, correction: CorrectionView) -> "CorrectionOut":
        """Put a correction on the wire."""
        former = correction.former_place
        return cls(
            event_id=correction.event_id,
            at=correction.at,
            added_description=correction.words,
            former_place=None if former is None else FormerPlaceOut.of(former),
        )
