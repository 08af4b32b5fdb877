"""Merging, splitting, leaving and undoing on the wire."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field

from api.cities import NamedCity
from api.models.fields import CommandId, Flag, Incoming, Outgoing, StaffNote
from api.models.issues import IssueOut
from issues.regrouping import Regrouping, Stayed

MERGE_EXAMPLE: dict[str, Any] = {
    "id": "01936f3e-b000-7000-8000-000000000001",
    "issue_ids": ["01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e70"],
    "note": "Le même trou, vu des deux côtés de la rue",
}
SPLIT_EXAMPLE: dict[str, Any] = {
    "id": "01936f3e-b000-7000-8000-000000000002",
    "report_ids": ["01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e71"],
    "note": "Un autre trou, dix mètres plus loin",
}
UNDO_EXAMPLE: dict[str, Any] = {
    "id": "01936f3e-b000-7000-8000-000000000003",
    "event_id": "01936f3e-b000-7000-8000-000000000001",
}
LEAVE_EXAMPLE: dict[str, Any] = {"id": "01936f3e-b000-7000-8000-000000000004"}

_MOST = 200


class MergeIn(Incoming):
    """Issues that are the same problem as another."""

    model_config = ConfigDict(json_schema_extra={"examples": [MERGE_EXAMPLE]})

    id: CommandId = None
    issue_ids: Annotated[list[UUID], Field(min_length=1, max_length=_MOST, description="The issues to take over.")]
    note: StaffNote = None
    confirm: Flag = Field(
        default=False,
        description="Merge also across districts, departments or kinds of problem, into a closed issue, or private"
        " reports of several people.",
    )


class SplitIn(Incoming):
    """Reports that are about another problem than their issue."""

    model_config = ConfigDict(json_schema_extra={"examples": [SPLIT_EXAMPLE]})

    id: CommandId = None
    report_ids: Annotated[
        list[UUID], Field(min_length=1, max_length=_MOST, description="The reports that get an issue of their own.")
    ]
    note: StaffNote = None


class UndoIn(Incoming):
    """A merge, a split, a leave or a re-routing to be undone."""

    model_config = ConfigDict(json_schema_extra={"examples": [UNDO_EXAMPLE]})

    id: CommandId = None
    event_id: UUID = Field(description="From the history of the issue.")
    force: Flag = Field(default=False, description="Put back what can be, where some reports have gone on since.")


class LeaveIn(Incoming):
    """A report that is not about the same problem as its issue."""

    model_config = ConfigDict(json_schema_extra={"examples": [LEAVE_EXAMPLE]})

    id: CommandId = None


class StayedOut(Outgoing):
    """A report that was not put back, and the issue that it is in."""

    report_id: UUID
    issue_id: UUID

    @classmethod
    def of(cls, stayed: Stayed) -> "StayedOut":
        """Put one on the wire."""
        return cls(report_id=stayed.report_id, issue_id=stayed.issue_id)


class RegroupingOut(Outgoing):
    """What a merge, a split or an undo came to."""

    event_id: UUID | None = Field(description="What may be undone; `null` where there was nothing to do.")
    issue: IssueOut
    issues: list[IssueOut] = Field(description="All others that took part: emptied, opened, or back again.")
    stayed: list[StayedOut] = Field(description="Reports that an undo left where they are.")

    @classmethod
    def of(cls, regrouping: Regrouping, city: NamedCity) -> "RegroupingOut":
        """Say what a command came to, in the language of the answer."""
        return cls(
            event_id=regrouping.event_id,
            issue=IssueOut.of(regrouping.issue, city),
            issues=[IssueOut.of(issue, city) for issue in regrouping.others],
            stayed=[StayedOut.of(stayed) for stayed in regrouping.stayed],
        )
