"""Work orders on the wire."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from api.cities import NamedCity
from api.models.fields import Code, CommandId, Day, Incoming, Note, Outgoing, OwnId, PhotoId, StrictInt
from api.models.issues import DistrictOut
from issues.lifecycle import OrderStatus, Status
from issues.work_orders import WorkOrderView

EXAMPLE: dict[str, Any] = {
    "issue_ids": ["01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f"],
    "crew": "voirie-1",
    "planned_on": "2030-11-25",
}
CHANGE_EXAMPLE: dict[str, Any] = {"version": 1, "status": "in_progress"}

Photos = Annotated[list[PhotoId], Field(max_length=20)]


class WorkOrderIn(Incoming):
    """A job for a crew on a day."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: OwnId | None = Field(default=None, description="The order's id; sent again, it is planned once.")
    issue_ids: Annotated[list[UUID], Field(min_length=1, max_length=100)]
    crew: Code
    planned_on: Day = Field(description="Today, in the city, or later.")
    tour_position: StrictInt | None = Field(default=None, description="Left out: last of the crew's day.")
    note: Note | None = None


class WorkOrderChange(Incoming):
    """What is to change in a work order; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [CHANGE_EXAMPLE]})

    id: CommandId = None
    version: StrictInt = Field(description="The version that the caller has seen.")
    status: OrderStatus | None = None
    crew: Code | None = None
    planned_on: Day | None = None
    tour_position: StrictInt | None = None
    note: Note | None = Field(default=None, description="An empty text takes the note away.")
    photo_ids: Photos = Field(default_factory=list, description="Added to those that are there.")


class OrderIssueOut(Outgoing):
    """An issue that an order fixes."""

    id: UUID
    number: str
    service_code: str
    service_name: str
    status: Status


class OrderPhotoOut(Outgoing):
    """A photo of the place before or after the work."""

    id: UUID
    state: Literal["pending", "ready", "rejected"] | None = Field(description="`null` until it has arrived.")


class WorkOrderProperties(Outgoing):
    """A work order, but for its position."""

    id: UUID
    jurisdiction_id: str
    status: OrderStatus
    version: int
    crew: str
    crew_name: str
    planned_on: date
    tour_position: int
    address: str | None
    district: DistrictOut | None
    note: str | None
    issue_ids: list[UUID]
    issues: list[OrderIssueOut]
    photo_ids: list[UUID]
    photos: list[OrderPhotoOut]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, order: WorkOrderView, city: NamedCity) -> "WorkOrderProperties":
        """Say what is known of a work order, in the language of the answer."""
        return cls(**_facts(order, city))


class WorkOrderOut(WorkOrderProperties):
    """A work order."""

    lat: float
    long: float

    @classmethod
    def of(cls, order: WorkOrderView, city: NamedCity) -> "WorkOrderOut":
        """Say what is known of a work order, in the language of the answer."""
        return cls(**_facts(order, city), lat=order.at.lat, long=order.at.lon)


def _facts(order: WorkOrderView, city: NamedCity) -> dict[str, Any]:
    return {
        "id": order.id,
        "jurisdiction_id": city.jurisdiction_id,
        "status": order.status,
        "version": order.version,
        "crew": order.crew_code,
        "crew_name": city.crew_name(order.crew_code),
        "planned_on": order.planned_on,
        "tour_position": order.tour_position,
        "address": order.address,
        "district": _district(order, city),
        "note": order.note,
        "issue_ids": list(order.issue_ids),
        "issues": [
            OrderIssueOut(
                id=issue.id,
                number=issue.number,
                service_code=issue.service_code,
                service_name=city.service_name(issue.service_code),
                status=issue.status,
            )
            for issue in order.issues
        ],
        "photo_ids": list(order.photo_ids),
        "photos": [OrderPhotoOut(id=photo.id, state=photo.state) for photo in order.photos],
        "created_at": order.created_at,
        "updated_at": order.updated_at,
    }


def _district(order: WorkOrderView, city: NamedCity) -> DistrictOut | None:
    if order.layer is None or order.district_code is None:
        return None
    name = city.district_name(f"{order.layer}:{order.district_code}")
    return DistrictOut(layer=order.layer, code=order.district_code, name=name)
