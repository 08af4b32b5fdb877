"""Issues on the wire."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from api.cities import NamedCity
from api.models.fields import CommandId, Flag, Incoming, Note, Outgoing
from issues.deadlines import Expected
from issues.deliveries import DeliveryCount
from issues.event_kinds import EventKind
from issues.events import EventView
from issues.issue import IssueView
from issues.languages import msgid
from issues.lifecycle import OPEN, Status
from issues.match import Reason
from issues.near import NearIssue
from issues.reasons import sentence_of
from issues.usual_times import UsualTime

EXAMPLE: dict[str, Any] = {"status": "acknowledged", "note": "Une équipe passera cette semaine.", "public": True}


class DistrictOut(Outgoing):
    """A district: a named polygon of a layer."""

    layer: str
    code: str
    name: str


class DepartmentOut(Outgoing):
    """Who answers for an issue."""

    code: str
    name: str


_USUALLY_A_DAY = msgid("Similar ones took a day or less.")
_USUALLY_DAYS = msgid("Similar ones took about {high} days.")
_USUALLY_FROM_TO = msgid("Similar ones took {low} to {high} days.")


class UsualTimeOut(Outgoing):
    """How long three in five similar issues took, within the last year."""

    low_days: int
    high_days: int
    issues: int = Field(description="How many there were.")
    text: str = Field(description="The same in words.", examples=["Des cas semblables ont pris de 3 à 6 jours."])

    @classmethod
    def of(cls, usual: UsualTime, city: NamedCity) -> "UsualTimeOut":
        """Tell it in the language of the answer."""
        low, high = usual.days
        sentence = _USUALLY_A_DAY if high == 1 else _USUALLY_DAYS if low == high else _USUALLY_FROM_TO
        text = city.say(sentence, low=low, high=high)
        return cls(low_days=low, high_days=high, issues=usual.issues, text=text)


class IssueProperties(Outgoing):
    """An issue, but for its position."""

    id: UUID
    number: str = Field(examples=["2026-000123"])
    jurisdiction_id: str = Field(examples=["montreal.ca"])
    status: Status
    service_code: str
    service_name: str
    address: str | None
    district: DistrictOut | None = Field(description="Of the layer that decides who is responsible.")
    districts: list[DistrictOut]
    department: DepartmentOut
    report_count: int
    near_boundary: bool
    requested_datetime: datetime = Field(description="When its first report was received.")
    updated_datetime: datetime
    expected_datetime: datetime | None = Field(
        description="By when the city wants to have dealt with it; null where it tells `usual_time` instead."
    )
    usual_time: UsualTimeOut | None = Field(
        description="How long similar issues took, of one that is open; null where too little is known, or not told."
    )
    merged_into: UUID | None = Field(description="The issue that its reports are in now.")

    @classmethod
    def of(cls, issue: IssueView, city: NamedCity) -> "IssueProperties":
        """Say what is known of an issue, in the language of the answer."""
        return cls(**issue_facts(issue, city))


class IssueOut(IssueProperties):
    """An issue."""

    lat: float
    long: float

    @classmethod
    def of(cls, issue: IssueView, city: NamedCity) -> "IssueOut":
        """Say what is known of an issue, in the language of the answer."""
        return cls(**issue_facts(issue, city), lat=issue.at.lat, long=issue.at.lon)


def issue_facts(issue: IssueView, city: NamedCity) -> dict[str, Any]:
    """Say what is known of an issue but for its position, by the names of `IssueProperties`."""
    district = None if issue.district_code is None else f"{issue.layer}:{issue.district_code}"
    tells_deadline = city.book.settings.expected is not Expected.HISTORY
    usual = city.usual_time(issue.service_code, district) if issue.status in OPEN else None
    return {
        "id": issue.id,
        "number": issue.number,
        "jurisdiction_id": city.jurisdiction_id,
        "status": issue.status,
        "service_code": issue.service_code,
        "service_name": city.service_name(issue.service_code),
        "address": issue.address,
        "district": None if district is None else _district(district, city),
        "districts": [_district(key, city) for key in issue.districts],
        "department": DepartmentOut(code=issue.department_code, name=city.department_name(issue.department_code)),
        "report_count": issue.report_count,
        "near_boundary": issue.near_boundary,
        "requested_datetime": issue.opened_at,
        "updated_datetime": issue.updated_at,
        "expected_datetime": issue.expected_at if tells_deadline else None,
        "usual_time": None if usual is None else UsualTimeOut.of(usual, city),
        "merged_into": issue.merged_into,
    }


def _district(key: str, city: NamedCity) -> DistrictOut:
    layer, _, code = key.partition(":")
    return DistrictOut(layer=layer, code=code, name=city.district_name(key))


class ReasonOut(Outgoing):
    """A factor's part in a score."""

    factor: str = Field(examples=["distance"])
    value: float
    unit: str = Field(description="UCUM: `m`, `d`, or `1` where it has none.")
    weight: float = Field(description="Its share of the evidence; negative where it speaks against.")
    text: str = Field(description="The same in words, in the caller's language.", examples=["À 4\u00a0m"])

    @classmethod
    def of(cls, reason: Reason, city: NamedCity, *, of_pair: bool = False) -> "ReasonOut":
        """Put a reason on the wire, in the language of the answer."""
        sentence, values = sentence_of(reason, of_pair=of_pair)
        text = city.say(sentence, **values)
        return cls(factor=reason.factor, value=reason.value, unit=reason.unit, weight=reason.weight, text=text)


def photo_link(photo_id: UUID | None) -> str | None:
    """Where the small copy of a photo is; None for none."""
    return None if photo_id is None else f"/v1/photos/{photo_id}/small"


class NearIssueProperties(IssueProperties):
    """An issue that a report may be about."""

    distance_m: float
    score: float
    reasons: list[ReasonOut]
    came_back: bool = Field(
        description="It was fixed a short while ago: the problem may be back. A report never joins it by itself."
    )
    photo: str | None = Field(description="A small photo of it that everybody may see.")

    @classmethod
    def of_near(cls, near: NearIssue, city: NamedCity) -> "NearIssueProperties":
        """Say how likely an issue is meant, and why."""
        return cls(
            **issue_facts(near.issue, city),
            distance_m=round(near.distance_m, 1),
            score=near.score,
            reasons=[ReasonOut.of(reason, city) for reason in near.reasons],
            came_back=near.came_back,
            photo=photo_link(near.photo_id),
        )


class EventOut(Outgoing):
    """Something that happened to an issue."""

    id: UUID
    issue_id: UUID
    jurisdiction_id: str
    kind: str = Field(examples=[EventKind.STATUS], description="One of those that a webhook may name.")
    at: datetime
    actor: str = Field(description="`resident`, `staff` or `system`; staff of the city see who.")
    public: bool
    note: str | None
    note_public: bool
    data: dict[str, Any]
    cause: UUID | None
    undoes: UUID | None = Field(description="The event that this one undid; for staff.")

    @classmethod
    def of(cls, event: EventView, city: NamedCity) -> "EventOut":
        """Put an event on the wire, as far as the caller may see it."""
        return cls(
            id=event.id,
            issue_id=event.issue_id,
            jurisdiction_id=city.jurisdiction_id,
            kind=event.kind,
            at=event.at,
            actor=event.actor,
            public=event.public,
            note=event.note,
            note_public=event.note_public,
            data=dict(event.data),
            cause=event.cause,
            undoes=event.undoes,
        )


class StatusIn(Incoming):
    """A change of an issue's status, or a note about it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: CommandId = None
    status: Status
    note: Note | None = None
    public: Flag = Field(default=False, description="Whether residents may read the note, and are told of it.")


class StatusOut(Outgoing):
    """What a change of status came to."""

    status: Status = Field(description="What the command brought; on a repeat the issue may have moved on since.")
    event_id: UUID | None = Field(description="`null` where the issue was in that status already and no note came.")
    issue: IssueOut


class FollowOut(Outgoing):
    """Whether a person hears about an issue."""

    issue_id: UUID
    jurisdiction_id: str
    following: bool


class DeliveryOut(Outgoing):
    """How many pushes about one event of an issue stand alike."""

    event_id: UUID
    at: datetime = Field(description="Of the event.")
    kind: str = Field(description="What was told.", examples=["resolved"])
    state: Literal["queued", "sent", "forgotten", "dead", "expired", "superseded", "held", "bundled", "unneeded"]
    count: int
    sent_at: datetime | None = Field(description="When the last of them was sent.")
    last_error: str | None = Field(description="One of the reasons why those that were not sent were not.")

    @classmethod
    def of(cls, count: DeliveryCount) -> Self:
        """Say how many stand alike."""
        return cls.model_validate(asdict(count))
