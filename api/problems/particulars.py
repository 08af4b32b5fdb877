"""What one error adds to its kind of problem: names, allowed statuses, the stored receipt."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from api.language import in_language
from api.listener import Listener
from api.models.places import PlaceProperties
from api.models.reports import ReportReceipt
from api.models.work_orders import WorkOrderOut
from api.problems import refusals
from api.problems.refusals import FieldError
from api.words import ROLE_WORDS, STATUS_WORDS
from db.rates import AllowanceUsedUp
from geo.points import LonLat
from issues.dispatch import StaleWorkOrder
from issues.languages import msgid
from issues.lifecycle import NotAllowed, OrderStatus, TransitionNotAllowed
from issues.limits import Limited
from issues.merging import DEPARTMENTS, DISTRICTS, ENDED, PRIVATE, SERVICES, MergeNeedsConfirmation
from issues.questions import AnswersRefused, QuestionKind, WrongAnswer
from issues.submit import IdAlreadyUsed
from issues.undoing import UndoBlocked

_SWAPPED: Final = msgid("This place lies in no city that takes reports here. Are lat and long exchanged?")
# By whether a neighbour is there, and whether a city of ours is near.
_OUTSIDE: Final = {
    (False, False): msgid("This place lies in no city that takes reports here."),
    (False, True): msgid("This place lies in no city that takes reports here; {nearest} is {metres} m away."),
    (True, False): msgid("This place lies in {neighbour}, which takes no reports here."),
    (True, True): msgid("This place lies in {neighbour}, which takes no reports here; {nearest} is {metres} m away."),
}

_KNOWN_ELSEWHERE: Final = msgid(
    "This place lies in no city that takes reports here. Known to answer for it: {responsible}, {contact}."
)


_ANSWERS: Final = {
    QuestionKind.TEXT: msgid("This has to be a text."),
    QuestionKind.NUMBER: msgid("This has to be a number."),
    QuestionKind.BOOLEAN: msgid("This has to be true or false."),
    QuestionKind.SINGLE: msgid("This has to be one of: {expected}."),
    QuestionKind.MULTIPLE: msgid("These have to be among, each once: {expected}."),
}


RETRY_AFTER_S: Final = 2
RETRY_WHEN_FULL_S: Final = 60  # somebody has to make room first
PHOTO_AWAITED: Final = msgid(
    "The photo that tells the place has not arrived or is still being opened. Send the report again soon."
)


_NO_ADDRESS: Final = msgid("No such address or crossing is known here.")
_WHICH_ADDRESS: Final = msgid("This does not tell one place. Is it one of these? {guesses}")


_DOUBTS: Final = {
    DISTRICTS: msgid("The issues are in different districts."),
    DEPARTMENTS: msgid("The issues are with different departments."),
    SERVICES: msgid("The issues are different kinds of problem."),
    ENDED: msgid("An open issue would be closed with the one that takes it over."),
    PRIVATE: msgid("The issues are private, and of several people."),
}
_ORDER_TRANSITION: Final = msgid("A work order that is {current} cannot become {wanted}.")
_GIVEN_ON: Final = msgid("This issue has been given to somebody else, or put elsewhere, since.")
_NOTHING_LEFT: Final = msgid("All of these reports are in another issue by now, so there is nothing to put back.")


@dataclass(frozen=True, slots=True)
class Particulars:
    """What one error adds to its kind of problem.

    Attributes:
        params: Values for the placeholders of the detail.
        text: The detail, where it is another than the table's.
        errors: The wrong fields; None for those of the table's row, with its detail.
        members: Further members of the document.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    text: str | None = None
    errors: Sequence[FieldError] | None = None
    members: Mapping[str, Any] = field(default_factory=dict)


def no_particulars(_error: Any, _listener: Listener) -> Particulars:
    """Add nothing to what the table says."""
    return Particulars()


@dataclass(frozen=True, slots=True)
class Problem:
    """A kind of refusal.

    Attributes:
        status: HTTP status.
        slug: Its name for programs, the end of `type`.
        title: What kind of problem it is (message id).
        detail: What happened and what to do (message id with placeholders).
        fields: The fields that are wrong.
        particulars: What one error adds.
        retry_after_s: When the same request may succeed, in seconds; or how to tell from the error.
    """

    status: int
    slug: str
    title: str
    detail: str
    fields: tuple[str, ...] = ()
    particulars: Callable[[Any, Listener], Particulars] = no_particulars
    retry_after_s: float | Callable[[Any], float] | None = None

    def wait_s(self, error: Exception) -> float | None:
        """Tell after how many seconds the same request may succeed; None where nobody knows."""
        return self.retry_after_s(error) if callable(self.retry_after_s) else self.retry_after_s


def outside_particulars(error: refusals.OutsideServiceArea, listener: Listener) -> Particulars:
    """Name the city that is there, the nearest one that takes reports, and the likeliest mistake."""
    params: dict[str, Any] = {}
    members: dict[str, Any] = {"neighbour": None, "nearest": None}
    if error.neighbour is not None:
        params["neighbour"] = in_language(error.neighbour.names, listener.language)
        members["neighbour"] = {"code": error.neighbour.code, "name": params["neighbour"]}
    if error.nearest is not None:
        city, metres = error.nearest
        params |= {"nearest": in_language(city.profile.names, listener.language), "metres": round(metres)}
        members["nearest"] = {
            "jurisdiction_id": city.jurisdiction_id,
            "name": params["nearest"],
            "distance_m": params["metres"],
        }
    known = _known_to_answer(error)
    members["responsible"] = None
    if known is not None:
        params |= {"responsible": in_language(known["names"], listener.language), "contact": known["contact"]}
        members["responsible"] = {"name": params["responsible"], "contact": params["contact"]}
    if error.swapped:
        text = _SWAPPED
    elif known is not None:
        text = _KNOWN_ELSEWHERE
    else:
        text = _OUTSIDE[error.neighbour is not None, error.nearest is not None]
    return Particulars(params, text=text, members=members)


def _known_to_answer(error: refusals.OutsideServiceArea) -> Mapping[str, Any] | None:
    """Find who the nearest city's pack says answers there: for its neighbour, else for whatever lies around it."""
    if error.nearest is None:
        return None
    entries = error.nearest[0].profile.settings.get("elsewhere", ())
    code = None if error.neighbour is None else error.neighbour.code
    return next((entry for entry in entries if entry["neighbour"] == code), None)


_USED_UP: Final = {
    Limited.DEVICE_REPORTS: msgid("This device has sent {most} reports within an hour. Send the next one later."),
    Limited.DEVICE_PHOTOS: msgid("This device has sent {most} photos within a day. Send the next one later."),
    Limited.ADDRESS_REPORTS: msgid(
        "{most} reports have come from your network within an hour. Send the next one later."
    ),
}


def used_up_particulars(error: AllowanceUsedUp, _listener: Listener) -> Particulars:
    """Say how much of what may be sent."""
    allowance = error.allowance
    limit = {"kind": allowance.kind, "most": allowance.most, "per_seconds": int(allowance.window.total_seconds())}
    return Particulars({"most": allowance.most}, text=_USED_UP[Limited(allowance.kind)], members={"limit": limit})


def other_city_particulars(error: refusals.PlaceInAnotherCity, listener: Listener) -> Particulars:
    """Name the city in which the place lies."""
    name = in_language(error.city.names, listener.language)
    return Particulars({"city": name}, members={"jurisdiction_id": error.city.jurisdiction_id})


def id_used_particulars(error: IdAlreadyUsed, listener: Listener) -> Particulars:
    """Show the stored receipt to the sender of the first report; nothing to another."""
    if error.receipt is None:
        return Particulars()
    book = listener.cities.by_id(error.receipt.report.city_id)
    receipt = ReportReceipt.of(error.receipt, listener.cities.named(book, listener.language))
    return Particulars(members={"receipt": receipt.model_dump(mode="json", exclude_none=False)})


def answers_particulars(error: AnswersRefused, _listener: Listener) -> Particulars:
    """Name the questions that are not answered as they are asked."""
    return Particulars(errors=[_answer_error(wrong) for wrong in error.wrong])


def _answer_error(wrong: WrongAnswer) -> FieldError:
    field, question = f"attributes.{wrong.code}", wrong.question
    if question is None:
        return FieldError(field, msgid("There is no such question."))
    if wrong.missing:
        return FieldError(field, msgid("This is needed."))
    return FieldError(field, _ANSWERS[question.kind], {"expected": ", ".join(question.choice_codes)})


def stale_order_particulars(error: StaleWorkOrder, listener: Listener) -> Particulars:
    """Show the order as it stands now."""
    book = listener.cities.by_id(error.current.city_id)
    order = WorkOrderOut.of(error.current, listener.cities.named(book, listener.language))
    return Particulars(members={"work_order": order.model_dump(mode="json")})


def transition_particulars(error: TransitionNotAllowed, listener: Listener) -> Particulars:
    """Name the statuses that are allowed."""
    allowed = [status.value for status in error.allowed]
    return Particulars(
        text=_ORDER_TRANSITION if isinstance(error.current, OrderStatus) else None,
        params={
            "current": listener.say(STATUS_WORDS[error.current]),
            "wanted": listener.say(STATUS_WORDS[error.wanted]),
        },
        members={"current": error.current.value, "allowed": allowed},
    )


def confirmation_particulars(error: MergeNeedsConfirmation, listener: Listener) -> Particulars:
    """Say why a merge asks for confirmation."""
    reasons = " ".join(listener.say(_DOUBTS[reason]) for reason in error.reasons)
    return Particulars({"reasons": reasons}, members={"reasons": list(error.reasons)})


def blocked_particulars(error: UndoBlocked, _listener: Listener) -> Particulars:
    """Name the reports that have gone on, and where they are; without any, it is the issue that has."""
    stayed = [{"report_id": str(each.report_id), "issue_id": str(each.issue_id)} for each in error.stayed]
    text = None if error.possible else _NOTHING_LEFT if stayed else _GIVEN_ON
    return Particulars(text=text, members={"stayed": stayed, "force_helps": error.possible})


def position_particulars(error: refusals.PositionNeeded, _listener: Listener) -> Particulars:
    """Name what could have told the position."""
    missing = [FieldError(name, msgid("This is needed.")) for name in ("lat", "long")]
    if error.photo is not None:
        missing.append(FieldError(error.photo, msgid("The photo does not say where it was taken.")))
    if error.guesses is None:
        return Particulars(errors=missing)
    names = " · ".join(guess.place.address for guess in error.guesses)
    missing.append(FieldError("address_string", _WHICH_ADDRESS if names else _NO_ADDRESS, {"guesses": names}))
    guesses = [PlaceProperties.of(guess).model_dump() | _lat_long(guess.place.at) for guess in error.guesses]
    return Particulars(errors=missing, members={"guesses": guesses})


def _lat_long(at: LonLat) -> dict[str, float]:
    return {"lat": at.lat, "long": at.lon}


def photo_particulars(error: refusals.PhotoNotReady, _listener: Listener) -> Particulars:
    """Name the photo."""
    return Particulars(errors=[FieldError(error.photo, PHOTO_AWAITED)])


def role_needed_particulars(error: refusals.RoleNeeded, listener: Listener) -> Particulars:
    """Name those whom the call is for."""
    return Particulars({"roles": ", ".join(listener.say(ROLE_WORDS[role]) for role in error.roles)})


# It hangs on whose report it is, and on no role.
_NO_FEEDBACK: Final = msgid("Only those who reported this problem or follow it can say whether it is fixed.")


def not_allowed_particulars(error: NotAllowed, listener: Listener) -> Particulars:
    """Say whose it is to do, or name the caller's own role; and what was tried."""
    text = _NO_FEEDBACK if error.doing == "feedback" else None
    return Particulars({"role": listener.say(ROLE_WORDS[error.role])}, text=text, members={"doing": error.doing})


def too_large_particulars(error: refusals.BodyTooLarge, _listener: Listener) -> Particulars:
    """Name the limit, and the field that is too long where it is known."""
    field = FieldError(error.field or "body", msgid("This is too long."))
    return Particulars(params={"limit_kb": error.limit_bytes // 1000}, errors=[field])
