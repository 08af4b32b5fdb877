"""The review queue on the wire."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from api.cities import NamedCity
from api.models.fields import CommandId, Flag, Incoming, Outgoing, StaffNote
from api.models.issues import IssueOut, ReasonOut, issue_facts, photo_link
from geo.points import distance_m
from issues.issue import IssueView
from issues.pairs import PairState
from issues.review import PairView

CONFIRM_EXAMPLE: dict[str, Any] = {
    "id": "01936f3e-b000-7000-8000-000000000005",
    "note": "Le même trou, vu des deux côtés de la rue",
}
REJECT_EXAMPLE: dict[str, Any] = {"id": "01936f3e-b000-7000-8000-000000000006", "note": "Deux trous"}


class ConfirmIn(Incoming):
    """Two issues are one problem."""

    model_config = ConfigDict(json_schema_extra={"examples": [CONFIRM_EXAMPLE]})

    id: CommandId = None
    note: StaffNote = None
    confirm: Flag = Field(default=False, description="Merge also across districts, departments or kinds of problem.")


class RejectIn(Incoming):
    """Two issues are two problems."""

    model_config = ConfigDict(json_schema_extra={"examples": [REJECT_EXAMPLE]})

    id: CommandId = None
    note: StaffNote = None


class PairedIssueOut(IssueOut):
    """One of the two issues of a match."""

    photo: str | None = Field(description="A small photo of it.")

    @classmethod
    def of_pair(cls, issue: IssueView, city: NamedCity, photo_id: UUID | None) -> "PairedIssueOut":
        """Say what is known of an issue, in the language of the answer."""
        facts = issue_facts(issue, city)
        return cls(**facts, lat=issue.at.lat, long=issue.at.lon, photo=photo_link(photo_id))


class PossibleMatchOut(Outgoing):
    """Two issues that may be one problem."""

    id: UUID
    state: PairState
    score: float = Field(description="How likely they are one problem, when the later report came.")
    reasons: list[ReasonOut]
    distance_m: float
    issues: list[PairedIssueOut] = Field(description="The one that was opened first would take the other over.")
    made_datetime: datetime
    decided_datetime: datetime | None
    decided_by: str | None

    @classmethod
    def of(cls, pair: PairView, city: NamedCity, photos: Mapping[UUID, UUID]) -> "PossibleMatchOut":
        """Put a pair on the wire, in the language of the answer; photos by the ids of issues."""
        one, other = pair.issues
        return cls(
            id=pair.id,
            state=pair.state,
            score=pair.score,
            reasons=[ReasonOut.of(reason, city, of_pair=True) for reason in pair.reasons],
            distance_m=round(distance_m(one.at, other.at), 1),
            issues=[PairedIssueOut.of_pair(issue, city, photos.get(issue.id)) for issue in pair.issues],
            made_datetime=pair.made_at,
            decided_datetime=pair.decided_at,
            decided_by=pair.decided_by,
        )
