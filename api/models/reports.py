"""Reports on the wire: what is filed, and the receipt for it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from api.cities import NamedCity
from api.models.corrections import CorrectionOut, LocationSource
from api.models.fields import (
    Accuracy,
    Code,
    Incoming,
    Latitude,
    Line,
    Longitude,
    Moment,
    Outgoing,
    OwnId,
    PhotoId,
    Secret,
    Text,
    Words,
)
from api.models.issues import IssueOut, ReasonOut
from issues.events import PublicNote
from issues.lifecycle import Status
from issues.reports import Contact, MatchView, Receipt, ReportView

MOST_PHOTOS = 20
"""Most photos of a report that an operator may allow (`JALON_PHOTOS_PER_REPORT`)."""

Channel = Literal["app", "web", "phone", "counter", "email", "open311", "import"]


def _one_error(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    """Say once that an answer is not accepted, instead of once for each kind of answer that it is not."""
    try:
        return validate(value)
    except ValidationError as error:
        raise PydanticCustomError("answer", "a text, a number, true or false, or a list of texts") from error


_Answer = Annotated[Text, Field(max_length=2000)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
Answer = Annotated[_Answer | _Number | bool | list[_Answer] | None, WrapValidator(_one_error)]
Answers = Annotated[dict[Code, Answer], Field(max_length=50, description="Answers to the service's questions.")]

EXAMPLE: dict[str, Any] = {
    "id": "01936f3e-7b1a-7c3e-9f00-3a2b1c4d5e6f",
    "service_code": "nid-de-poule",
    "lat": 45.5231,
    "long": -73.5817,
    "accuracy_m": 8.0,
    "location_source": "gps",
    "description": "Gros trou devant l'arrêt d'autobus",
    "captured_at": "2026-11-22T08:15:30-05:00",
    "channel": "app",
}


class ContactIn(Incoming):
    """How the city may reach the sender; seen by its staff only."""

    email: Annotated[Text, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    phone: Annotated[Text, Field(max_length=50)] | None = None
    name: Annotated[Text, Field(max_length=200)] | None = None


class ReportIn(Incoming):
    """A report of a problem at a place."""

    # Numbers are numbers and not texts that hold some; JSON's own types say which is which.
    model_config = ConfigDict(strict=True, json_schema_extra={"examples": [EXAMPLE]})

    id: OwnId | None = Field(
        default=None, description="Made by the phone (UUIDv7); sent again, the report is filed once."
    )
    tracking: Secret | None = Field(
        default=None, description="The sender's own secret for reading the report; left out, the server makes one."
    )
    service_code: Code
    lat: Latitude | None = None
    long: Longitude | None = None
    accuracy_m: Accuracy | None = None
    location_source: LocationSource | None = Field(
        default=None, description="Left out: `gps`, or `photo` where the position is a photo's."
    )
    issue_id: UUID | None = Field(
        default=None,
        description="The open issue near by that this is about as well (« Moi aussi »). A report that cannot join it is"
        " filed as if it had come without.",
    )
    address_string: Line | None = None
    description: Words | None = None
    attributes: Answers = Field(default_factory=dict)
    photo_ids: list[PhotoId] = Field(
        default_factory=list, max_length=MOST_PHOTOS, description="At most 6, unless the server is set otherwise."
    )
    captured_at: Moment | None = Field(default=None, description="By the phone's clock: kept, never trusted.")
    channel: Channel = "app"
    contact: ContactIn | None = None


class ContactOut(Outgoing):
    """How the city may reach the sender."""

    email: str | None
    phone: str | None
    name: str | None

    @classmethod
    def of(cls, contact: Contact) -> "ContactOut":
        """Show how to reach a sender, to themselves or to staff."""
        return cls(email=contact.email, phone=contact.phone, name=contact.name)


class ReportRef(Outgoing):
    """The report, as its sender was told."""

    id: UUID
    number: str = Field(examples=["2026-000124"])
    jurisdiction_id: str
    requested_datetime: datetime
    tracking: str | None = Field(
        default=None,
        exclude_if=lambda secret: secret is None,
        description="Only where the server made it, and only once.",
    )


class MatchOut(Outgoing):
    """Why a report joined an issue that was open already."""

    joined: Literal[True] = True
    score: float
    reasons: list[ReasonOut]

    @classmethod
    def of(cls, match: MatchView, city: NamedCity) -> "MatchOut":
        """Put a match on the wire, in the language of the answer."""
        return cls(score=match.score, reasons=[ReasonOut.of(reason, city) for reason in match.reasons])


class ReportReceipt(Outgoing):
    """What became of a report, and why."""

    report: ReportRef
    issue: IssueOut
    match: MatchOut | None = Field(description="`null` where a new issue was opened.")
    near_boundary: bool = Field(description="Whether the position's accuracy reaches another district.")

    @classmethod
    def of(cls, receipt: Receipt, city: NamedCity, *, tracking: str | None = None) -> "ReportReceipt":
        """Tell a sender what became of a report.

        Args:
            receipt: What became of it.
            city: The words of its city.
            tracking: The secret that the server made, in the one answer that shows it.
        """
        report = receipt.report
        return cls(
            report=ReportRef(
                id=report.id,
                number=report.number,
                jurisdiction_id=city.jurisdiction_id,
                requested_datetime=report.received_at,
                tracking=tracking,
            ),
            issue=IssueOut.of(receipt.issue, city),
            match=None if receipt.match is None else MatchOut.of(receipt.match, city),
            near_boundary=receipt.near_boundary,
        )


class ReportOut(ReportRef):
    """A report as its sender and the city's staff may read it; secrets are never shown."""

    service_code: str
    service_name: str
    lat: float
    long: float
    accuracy_m: float | None
    location_source: LocationSource
    address_string: str | None
    description: str | None = Field(description="As first sent, then what was added, each a paragraph of its own.")
    attributes: dict[str, Any]
    photo_ids: list[UUID]
    captured_at: datetime | None
    channel: Channel
    contact: ContactOut
    corrections: list[CorrectionOut] = Field(description="What its sender or the city's staff put right, in order.")
    withdrawn_datetime: datetime | None = Field(description="When it was taken back.")


class NoteOut(Outgoing):
    """What the city wrote to those who reported an issue."""

    event_id: UUID
    at: datetime
    status: Status = Field(description="Of the issue, once this was written.")
    text: str

    @classmethod
    def of(cls, note: PublicNote) -> "NoteOut":
        """Put a note on the wire."""
        return cls(event_id=note.event_id, at=note.at, status=note.status, text=note.text)


class ReportWithIssue(Outgoing):
    """A report and the public state of the issue it is in now."""

    report: ReportOut
    issue: IssueOut
    match: MatchOut | None
    near_boundary: bool
    notes: list[NoteOut] = Field(
        description="What the city wrote to those who reported the issue, oldest first; also where its history is"
        " not public."
    )

    @classmethod
    def of(cls, receipt: Receipt, notes: Iterable[PublicNote], city: NamedCity) -> "ReportWithIssue":
        """Show a report to somebody who may read it."""
        report = receipt.report
        return cls(
            report=ReportOut(
                id=report.id,
                number=report.number,
                jurisdiction_id=city.jurisdiction_id,
                requested_datetime=report.received_at,
                service_code=report.service_code,
                service_name=city.service_name(report.service_code),
                lat=report.at.lat,
                long=report.at.lon,
                accuracy_m=report.accuracy_m,
                location_source=report.location_source,
                address_string=report.address_string,
                description=_all_words(report),
                attributes=dict(report.attributes),
                photo_ids=list(report.photo_ids),
                captured_at=report.captured_at,
                channel=report.channel,
                contact=ContactOut.of(report.contact),
                corrections=[CorrectionOut.of(correction) for correction in report.corrections],
                withdrawn_datetime=report.withdrawn_at,
            ),
            issue=IssueOut.of(receipt.issue, city),
            match=None if receipt.match is None else MatchOut.of(receipt.match, city),
            near_boundary=receipt.near_boundary,
            notes=[NoteOut.of(note) for note in notes],
        )


def _all_words(report: ReportView) -> str | None:
    words = (report.description, *(correction.words for correction in report.corrections))
    return "\n\n".join(each for each in words if each) or None
