"""From a report on the wire to a submission: its id, its sender, its place and city."""

from dataclasses import dataclass
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller
from api.cities import CitiesInForce
from api.deps import city_asked_for
from api.geocoding import look_for
from api.models.fields import is_own_id
from api.models.reports import ReportIn
from api.problems.refusals import FieldError, InvalidFields, PhotoNotReady, PositionNeeded, TokenOfAnotherCity
from db.base import new_id
from db.credentials import hash_secret, new_secret
from geo.geocode import sure_place
from geo.points import LonLat
from issues.city import CityBook
from issues.languages import msgid
from issues.placing import IMPORT
from issues.reports import Contact, Receipt
from issues.submission import ANONYMOUS, Submission, fingerprint_of, photo_uploader
from issues.submit import find_repeat
from media.photos import PhotoState, find_photo, taken_place

_KEYS: Final = uuid5(NAMESPACE_URL, "urn:jalon:idempotency-key")
_NEEDED: Final = msgid("This is needed.")
_NOT_YOURS: Final = msgid("Only the city's staff and its keys bring reports from elsewhere.")
_OWN_ID: Final = msgid("An id that you make has to be a UUID of version 7 or 4.")


@dataclass(frozen=True, slots=True)
class Filing:
    """Who files which report.

    Attributes:
        id_given: Whether the id came with the request, so that the same report sent again has it too.
        sender: As in `Submission.sender`.
        tracking: The secret for reading the report.
        tracking_made: Whether it was made here, so that the sender has to be told.
    """

    report: ReportIn
    caller: Caller
    id: UUID
    id_given: bool
    sender: str
    tracking: str
    tracking_made: bool

    @property
    def photo_uploader(self) -> str:
        """As whose photos those that come with the report are kept."""
        return photo_uploader(self.sender, self.id)

    @property
    def first_photo(self) -> str:
        """The field that the first photo came in, for telling what is wrong with it."""
        return "photo_ids[0]" if self.report.photo_ids else "photos[0]"

    @property
    def tracking_hash(self) -> bytes:
        """SHA-256 of the secret for reading the report."""
        return hash_secret(self.tracking)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a report is, and how that is known."""

    at: LonLat
    accuracy_m: float | None
    source: str
    sent: bool


def settle_filing(report: ReportIn, caller: Caller, *, idempotency_key: str | None) -> Filing:
    """Settle the id, the sender and the tracking secret of a report.

    The id is the body's, else the `Idempotency-Key` (or, where that is no UUID, one made of sender and key), else new.

    Raises:
        InvalidFields: the key is a UUID of a kind that callers do not make; or the report is an import, which is judged
            by the day that it claims, and its sender does not work for a city.
    """
    if report.channel == IMPORT and caller.city_id is None:
        raise InvalidFields([FieldError("channel", _NOT_YOURS)])
    if caller.is_known:
        sender = caller.actor.sender
    elif report.tracking is not None:
        sender = f"tracking:{hash_secret(report.tracking).hex()}"
    else:
        sender = ANONYMOUS
    given = report.id or _id_of_key(idempotency_key, sender)
    return Filing(
        report=report,
        caller=caller,
        id=given or new_id(),
        id_given=given is not None,
        sender=sender,
        tracking=report.tracking or new_secret(),
        tracking_made=report.tracking is None,
    )


def _id_of_key(key: str | None, sender: str) -> UUID | None:
    if not key:
        return None
    try:
        given = UUID(key)
    except ValueError:
        return uuid5(_KEYS, f"{sender}\n{key}")
    if not is_own_id(given):
        raise InvalidFields([FieldError("Idempotency-Key", _OWN_ID)])
    return given


def sent_position(report: ReportIn) -> Position | None:
    """Get the position that came with a report; None where none came.

    Raises:
        InvalidFields: half of one came.
    """
    if report.lat is None and report.long is None:
        return None
    if report.lat is None or report.long is None:
        raise InvalidFields([FieldError("lat" if report.lat is None else "long", _NEEDED)])
    return Position(LonLat(report.long, report.lat), report.accuracy_m, report.location_source or "gps", sent=True)


async def photo_position(session: AsyncSession, filing: Filing, photo_ids: tuple[UUID, ...]) -> Position:
    """Take a report's position from its first photo: one that it names, or that came in its form.

    Raises:
        PhotoNotReady: the photo has not arrived (from this sender) or is not decoded yet.
        PositionNeeded: there is no photo, or it does not say where it was taken.
    """
    if not photo_ids:
        raise PositionNeeded
    field = filing.first_photo
    photo = await find_photo(session, photo_ids[0])
    # Somebody else's photo is treated as one that has not arrived: an id must not show that a photo is there.
    if photo is None or photo.uploader != filing.photo_uploader or photo.state == PhotoState.PENDING:
        raise PhotoNotReady(field)
    taken = await taken_place(session, photo.id)
    if taken is None:
        raise PositionNeeded(photo=field)
    return Position(LonLat(taken.lon, taken.lat), taken.accuracy_m, "photo", sent=False)


async def address_position(
    session: AsyncSession,
    filing: Filing,
    cities: CitiesInForce,
    *,
    jurisdiction_id: str | None,
    unplaced: PositionNeeded,
) -> Position:
    """Take a report's position from its address.

    Args:
        session: The request's transaction.
        filing: The report.
        cities: All cities served.
        jurisdiction_id: The city that the request names; None for looking in all.
        unplaced: What is wrong so far, raised again where the address is no help.

    Raises:
        PositionNeeded: there is no address, or it does not tell one place; the best guesses come with it.
        TokenOfAnotherCity, JurisdictionUnknown: see `api.deps.city_asked_for`.
    """
    address = filing.report.address_string
    if not address:
        raise unplaced
    named = filing.caller.city_id is not None or jurisdiction_id is not None
    only_in = city_asked_for(cities, filing.caller, jurisdiction_id) if named else None
    guesses = await look_for(session, cities.current, address, only_in=only_in)
    place = sure_place([guess.place for guess in guesses])
    if place is None:
        raise PositionNeeded(photo=unplaced.photo, guesses=guesses)
    return Position(place.at, place.accuracy_m, "address", sent=False)


async def find_filed(session: AsyncSession, filing: Filing, photo_ids: tuple[UUID, ...]) -> Receipt | None:
    """Find what became of a report that was received before, also where nobody could say today where it lies.

    Returns:
        None where its id is new.

    Raises:
        IdAlreadyUsed: the id is another report's.
    """
    report, position = filing.report, sent_position(filing.report)
    return await find_repeat(
        session,
        filing.id,
        sender=filing.sender,
        tracking_hash=filing.tracking_hash,
        fingerprint=fingerprint_of(
            report.service_code, None if position is None else position.at, report.description, photo_ids
        ),
    )


def city_of(cities: CitiesInForce, caller: Caller, at: LonLat) -> CityBook:
    """Find the city of a report.

    Raises:
        OutsideServiceArea: it lies in none.
        TokenOfAnotherCity: staff of one city report a place in another.
    """
    city = cities.at(at)
    if caller.city_id not in (None, city.id):
        raise TokenOfAnotherCity(["lat", "long"])
    return city


def make_submission(filing: Filing, position: Position, photo_ids: tuple[UUID, ...]) -> Submission:
    """Put together what `submit_report` takes."""
    report, contact = filing.report, filing.report.contact
    return Submission(
        id=filing.id,
        sender=filing.sender,
        person_id=filing.caller.actor.person_id,
        tracking_hash=filing.tracking_hash,
        service_code=report.service_code,
        at=position.at,
        accuracy_m=position.accuracy_m,
        location_source=position.source,
        address_string=report.address_string,
        description=report.description,
        attributes=report.attributes,
        photo_ids=photo_ids,
        captured_at=report.captured_at,
        channel=report.channel,
        contact=Contact() if contact is None else Contact(contact.name, contact.email, contact.phone),
        position_sent=position.sent,
        issue_id=report.issue_id,
    )
