"""What Pydantic and FastAPI find wrong with a request, in words for the person who sent it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

from api.problems.refusals import FieldError
from issues.languages import msgid

# By the type of Pydantic's error; placeholders are the names in its context.
_TEXTS: Final[Mapping[str, str]] = {
    "missing": msgid("This is needed."),
    "extra_forbidden": msgid("There is no such field."),
    "control_character": msgid("Control characters are not accepted."),
    "date_out_of_range": msgid("This has to lie between the years 1900 and 2200."),
    "answer": msgid("An answer is a finite number, true or false, or texts without control characters."),
    "push_address": msgid("A push address has a fid or a token (fcm), or else endpoint, p256dh and auth."),
    "push_keys": msgid("p256dh and auth have to be those of a push subscription."),
    "district": msgid("A district is written layer:code, as in the answer of /v1/where."),
    "time_zone": msgid("This has to be a time zone such as America/Toronto."),
    "needs_time_zone": msgid("Quiet hours, digests and most a day need a time_zone."),
    "wall_time": msgid("This has to be hours and minutes such as 22:00."),
    "quiet_hours": msgid("Quiet hours begin and end at different times."),
    "weekday": msgid("A weekly digest has a weekday, and a daily one has none."),
    "channels": msgid("Each channel may stand here once."),
    "area": msgid("An area is a closed ring that does not cross itself, at most a degree across."),
    "one_place": msgid("A subscription has one place: a district, an area or a circle."),
    "alert_place": msgid("Alerts are of a district or, without a place, of the whole city."),
    "own_id": msgid("An id that you make has to be a UUID of version 7 or 4."),
    "finite_number": msgid("This has to be a finite number."),
    "greater_than_equal": msgid("This has to be {ge} or more."),
    "less_than_equal": msgid("This has to be {le} or less."),
    "string_too_long": msgid("This may have at most {max_length} characters."),
    "string_too_short": msgid("This has to have at least {min_length} characters."),
    "string_pattern_mismatch": msgid("This has another form than expected."),
    "too_long": msgid("There may be at most {max_length} of these."),
    "too_short": msgid("There have to be at least {min_length} of these."),
    "literal_error": msgid("This has to be one of: {expected}."),
    "enum": msgid("This has to be one of: {expected}."),
    "timezone_aware": msgid("This time needs its offset from UTC, such as -05:00 or Z."),
}
# By the start of the type, for families of errors that mean the same to whoever reads them.
_FAMILIES: Final = (
    ("uuid_", msgid("This has to be an id (UUID).")),
    ("float_", msgid("This has to be a number.")),
    ("int_", msgid("This has to be a whole number.")),
    ("bool_", msgid("This has to be true or false.")),
    ("datetime_", msgid("This has to be a time such as 2026-11-22T08:15:30-05:00.")),
    ("date_", msgid("This has to be a day such as 2026-11-24.")),
    ("string_", msgid("This has to be a text.")),
    ("tuple_", msgid("This has to be a list.")),
    ("list_", msgid("This has to be a list.")),
    ("dict_", msgid("This has to be an object.")),
    ("model_", msgid("This has to be an object.")),
)
_EMPTY: Final = msgid("This may not be empty.")
_OTHERWISE: Final = msgid("This is not accepted.")

# A choice as Python writes it, and as its sender does.
_IN_JSON: Final[Mapping[str, str]] = {"True": "true", "False": "false"}

# FastAPI puts the place in front of the field's name.
_PLACES: Final = frozenset({"body", "query", "path", "header", "cookie"})


def field_errors(errors: Sequence[ErrorDetails | Mapping[str, Any]]) -> list[FieldError]:
    """Name the fields that a validation refused, and say why."""
    return [
        FieldError(
            field_name(error["loc"]),
            _text(error["type"], error.get("ctx", {})),
            {name: _plain(value) for name, value in error.get("ctx", {}).items()},
        )
        for error in errors
    ]


def is_unreadable(errors: Sequence[ErrorDetails | Mapping[str, Any]]) -> bool:
    """Whether the body is no JSON at all, as against JSON with wrong fields."""
    return any(error["type"] == "json_invalid" for error in errors)


def is_other_media_type(errors: Sequence[ErrorDetails | Mapping[str, Any]]) -> bool:
    """Whether a body was not read because its Content-Type does not say that it is JSON."""
    return any(tuple(error["loc"]) == ("body",) and isinstance(error.get("input"), bytes) for error in errors)


def field_name(location: Sequence[str | int]) -> str:
    """Write where a value stands as people would: `contact.email`, `photo_ids[2]`; `body` for the whole."""
    parts = list(location)
    if len(parts) > 1 and parts[0] in _PLACES:
        parts = parts[1:]
    name = ""
    for part in parts:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name or "body"


def _text(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "string_too_short" and context["min_length"] == 1:
        return _EMPTY
    if kind in _TEXTS:
        return _TEXTS[kind]
    return next((text for start, text in _FAMILIES if kind.startswith(start)), _OTHERWISE)


def _plain(value: object) -> object:
    """Write a limit without its ".0", and a choice without Pydantic's English between its words."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return _IN_JSON.get(value, value.replace(" or ", ", ").replace("'", ""))
    return value
