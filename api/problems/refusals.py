"""Situations that only the edge knows: who is calling, what the body is, which city is meant."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException

from api.geocoding import NamedPlace
from geo.atlas import CityMap, NeighbourShape
from geo.points import LonLat
from issues.actors import Role
from issues.city import CityBook
from issues.corrections import ReportWithdrawn
from issues.issue import IssueMerged, IssueNotFound
from issues.merging import MixedPrivacy
from issues.reports import ReportNotFound
from issues.splitting import ReportNotInIssue


class SignInNeeded(Exception):
    """The call is for known callers, and no secret came with it."""


class SecretUnknown(Exception):
    """The Authorization header holds no secret that stands for anybody (any more)."""


class RoleNeeded(Exception):
    """The caller is known, but the call is for others.

    Attributes:
        roles: Whom it is for.
    """

    def __init__(self, roles: Sequence[Role]) -> None:
        super().__init__(roles)
        self.roles = roles


class TokenOfAnotherCity(Exception):
    """A staff member or key of one city acts in another.

    Attributes:
        fields: What names the other city in the request.
    """

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(fields)
        self.fields = fields


class JurisdictionNeeded(Exception):
    """Several cities are loaded and the request does not say which one it means.

    Attributes:
        jurisdiction_ids: Those to choose from.
    """

    def __init__(self, jurisdiction_ids: Sequence[str]) -> None:
        super().__init__(jurisdiction_ids)
        self.jurisdiction_ids = jurisdiction_ids


class JurisdictionUnknown(Exception):
    """No city of this installation has the jurisdiction id asked for."""


@dataclass(eq=False)
class OutsideServiceArea(Exception):
    """A position lies in no city of this installation.

    Attributes:
        at: The position.
        neighbour: The city that is there, where a pack knows it.
        nearest: The nearest loaded city and the metres to it, where one is near.
        swapped: Whether the position would lie in a city with latitude and longitude exchanged.
    """

    at: LonLat
    neighbour: NeighbourShape | None
    nearest: tuple[CityMap, float] | None
    swapped: bool


class PlaceInAnotherCity(Exception):
    """A report's place was put right to one in another city, which is for that city to hear of.

    Attributes:
        city: The other city.
    """

    def __init__(self, city: CityBook) -> None:
        super().__init__(city.jurisdiction_id)
        self.city = city


class ReportNotYetHere(ReportNotFound):
    """What corrects a report came, and the report has not: it may still be on its way."""


class PositionNeeded(Exception):
    """A report comes without a position, and nothing else tells where it is.

    Attributes:
        photo: The field of the photo that was asked for its position, in vain; None where there was none to ask.
        guesses: Where its address may be, best first; None where it has no address.
    """

    def __init__(self, *, photo: str | None = None, guesses: Sequence[NamedPlace] | None = None) -> None:
        super().__init__(photo)
        self.photo = photo
        self.guesses = guesses


class PhotoNotReady(Exception):
    """A report takes its position from a photo that has not arrived or is not decoded yet.

    Attributes:
        photo: The photo's field.
    """

    def __init__(self, photo: str) -> None:
        super().__init__(photo)
        self.photo = photo


class EmailNotOffered(Exception):
    """The operator has set up no e-mail."""


class NoEmail(Exception):
    """The caller has named no e-mail address."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """A field that is wrong, and why.

    Attributes:
        field: Its name, nested ones with dots and positions: `contact.email`, `photo_ids[2]`.
        text: Why, as a message id (English) with placeholders.
        params: Values for the placeholders.
    """

    field: str
    text: str
    params: Mapping[str, Any] = dataclass_field(default_factory=dict)


class InvalidFields(Exception):
    """Fields of the request are wrong.

    Attributes:
        errors: All of them.
    """

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__(errors)
        self.errors = errors


class PartRefused(Exception):
    """One part of a request is refused, for what would be refused as a body, or in the address, by itself.

    Attributes:
        field: The part, such as `photos[0]`.
        why: What is wrong with it.
    """

    def __init__(self, field: str, why: Exception) -> None:
        super().__init__(field)
        self.field = field
        self.why = why


@contextmanager
def naming(field: str, ids: Sequence[UUID]) -> Iterator[None]:
    """Have the answer name the one of the listed issues or reports that something is wrong with, not the address.

    Raises:
        PartRefused: in place of an error about an issue or a report that is one of these.
    """
    try:
        yield
    except (IssueNotFound, IssueMerged, MixedPrivacy, ReportNotFound, ReportNotInIssue, ReportWithdrawn) as error:
        wrong = error.issue_id if isinstance(error, IssueNotFound | IssueMerged | MixedPrivacy) else error.report_id
        if wrong not in ids:
            raise
        raise PartRefused(f"{field}[{list(ids).index(wrong)}]", error) from error


class MalformedBody(Exception):
    """The body cannot be read as what it says it is."""


class BodyOverrun(HTTPException):
    """More bytes came than the request announced.

    An `HTTPException`, since FastAPI takes any other error during the reading of a body for malformed JSON.
    """

    def __init__(self) -> None:
        super().__init__(400)


class BodyTooLarge(HTTPException):
    """The body has more bytes than the call accepts; see `BodyOverrun` about its base.

    Attributes:
        limit_bytes: Most bytes accepted.
        last_part: What was still within the limit, of the piece that went beyond.
        field: The field that makes it so large, where that is known.
    """

    def __init__(self, limit_bytes: int, *, last_part: bytes = b"", field: str | None = None) -> None:
        super().__init__(413)
        self.limit_bytes = limit_bytes
        self.last_part = last_part
        self.field = field


class BodyStalled(HTTPException):
    """Nothing came of a body for too long, or so little that it would take for ever; see `BodyOverrun` about its base.

    Attributes:
        stall_s: How long it was waited for, in seconds.
    """

    def __init__(self, stall_s: float) -> None:
        super().__init__(408)
        self.stall_s = stall_s


class BodyUndecodable(HTTPException):
    """The body is not compressed as it says, or was cut off; see `BodyOverrun` about its base."""

    def __init__(self) -> None:
        super().__init__(400)


class EncodingNotSupported(HTTPException):
    """The body comes in an encoding that is not taken for such a body; see `BodyOverrun` about its base.

    Attributes:
        accepted: What is taken.
    """

    def __init__(self, accepted: Sequence[str]) -> None:
        super().__init__(415, headers={"Accept-Encoding": ", ".join(accepted)})
        self.accepted = accepted


class MediaTypeNotSupported(Exception):
    """The body is of a kind that the call does not take.

    Attributes:
        accepted: What it takes.
    """

    def __init__(self, accepted: Sequence[str]) -> None:
        super().__init__(accepted)
        self.accepted = accepted


class TusVersionNotSupported(Exception):
    """The request speaks another version of tus than is spoken here, or does not say which."""


class ChecksumUnreadable(Exception):
    """A checksum came that is none, or of a kind that is not taken."""


class SenderStalled(Exception):
    """Nothing came of a body for too long.

    Attributes:
        stall_s: For how long, in seconds.
    """

    def __init__(self, stall_s: float) -> None:
        super().__init__(stall_s)
        self.stall_s = stall_s


class TooBusy(Exception):
    """As much is going on as may at once."""


class TooManyPhotosWaiting(Exception):
    """So many photos wait to be made safe that another would wait too long."""


class OutOfTime(Exception):
    """The time for a call was over before this part of it was done."""


class BaseMapNotMade(Exception):
    """The city has no base map yet."""


class RangeNotSatisfiable(Exception):
    """What is there ends before the range that is asked for.

    Attributes:
        length: Of all of it, in bytes.
    """

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length


class NothingHere(Exception):
    """What the address names does not exist, or not for this caller."""


class PhotoNotFound(Exception):
    """There is no such photo, or not for this caller, which look the same."""


class MethodNotAllowed(Exception):
    """The address takes other methods."""
