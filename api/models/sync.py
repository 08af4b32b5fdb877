"""A phone's outbox on the wire: many calls in one."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field

from api.models.fields import Code, Incoming, Outgoing, OwnId, Secret
from api.models.problems import ProblemDocument

MOST_ITEMS = 100

_REPORT = "01936f3e-a000-7000-8000-000000000001"
EXAMPLE: dict[str, Any] = {
    "items": [
        {
            "id": _REPORT,
            "kind": "report",
            "body": {"service_code": "lampadaire", "lat": 45.5240, "long": -73.5820, "description": "Éteint"},
        },
        {
            "id": "01936f3e-a000-7000-8000-000000000002",
            "kind": "correction",
            "target": _REPORT,
            "body": {"add_description": "Depuis trois jours"},
        },
    ]
}


class SyncKind(StrEnum):
    """What an item of an outbox is."""

    REPORT = "report"
    CORRECTION = "correction"
    LEAVE = "leave"
    FOLLOW = "follow"
    UNFOLLOW = "unfollow"
    STATUS = "status"
    WORK_ORDER = "work_order"


class SyncItem(Incoming):
    """One call that waited in an outbox."""

    id: OwnId = Field(description="The report's id, or the command's own: sent again, it is done once.")
    kind: SyncKind
    target: UUID | None = Field(
        default=None,
        description="The report to correct or that leaves, the issue to follow or bring to a status, the work order.",
    )
    jurisdiction_id: Code | None = Field(default=None, description="As in the call of its kind.")
    tracking: Secret | None = Field(
        default=None, description="Of a report that was filed with this secret instead of a device."
    )
    body: dict[str, Any] = Field(
        default_factory=dict, description="As in the call of its kind; its `id` may be left out."
    )


class SyncIn(Incoming):
    """An outbox, in the order in which things were done."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    items: Annotated[list[SyncItem], Field(max_length=MOST_ITEMS)]


class SyncEnvelope(Incoming):
    """The same, its items not looked at yet: one that is wrong does not stop the others."""

    items: Annotated[list[Any], Field(max_length=MOST_ITEMS)]


class SyncResult(Outgoing):
    """What became of one item."""

    id: UUID | None = Field(description="The item's; `null` where it has none that is an id.")
    status: int = Field(description="As the call of its kind would have answered.")
    final: bool = Field(description="Whether the item may leave the outbox; if not, it is sent again as it is.")
    retry_after: int | None = Field(description="Seconds to wait before that, where the server says so.")
    body: dict[str, Any] | None = Field(description="The answer of the call of its kind, where it went well.")
    problem: ProblemDocument | None = Field(description="Why not, where it did not.")


class SyncOut(Outgoing):
    """What became of each item, in the order in which they came."""

    items: list[SyncResult]
