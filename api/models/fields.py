"""Kinds of fields that requests share, and what is refused in them."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, Strict
from pydantic_core import PydanticCustomError

# Control characters (except tab, line feed, carriage return) have no place in words: PostgreSQL cannot keep NUL, and
# terminals and logs obey others. The explicit directions of Unicode (embeddings, overrides, isolates) let a text look
# like another one to whoever reads it at the desk; the plain marks U+200E and U+200F, which keyboards type, stay.
# Surrogates are halves of a character, which no database keeps.
_REFUSED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# What both Python and the driver can hold in every time zone. Phones' clocks are wrong by decades, not by centuries.
_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


def refuse_control_characters(value: str) -> str:
    """Hand a text back unless it holds characters that steer terminals or hide what is written."""
    if _REFUSED.search(value):
        raise PydanticCustomError("control_character", "control characters are not accepted")
    return value


def _refuse_far_times(value: datetime) -> datetime:
    if not _EARLIEST <= value <= _LATEST:
        raise PydanticCustomError("date_out_of_range", "between 1900 and 2200")
    return value


def _refuse_far_days(value: date) -> date:
    if not _EARLIEST.date() <= value <= _LATEST.date():
        raise PydanticCustomError("date_out_of_range", "between 1900 and 2200")
    return value


def is_own_id(value: UUID) -> bool:
    """Whether an id may be one that a caller made: of version 7 or 4 (RFC 9562), which nobody else makes too."""
    return value.version in (4, 7)


def _refuse_other_ids(value: UUID) -> UUID:
    if not is_own_id(value):
        raise PydanticCustomError("own_id", "a UUID of version 7 or 4")
    return value


def _refuse_ids_of_no_photo(value: UUID) -> UUID:
    # Photos of a form have ids that are made here of the form's id and their content (version 5).
    return value if value.version == 5 else _refuse_other_ids(value)


# Limits stand before it, or they are no longer those of a text to Pydantic, and neither are its words for them.
_CLEAN: Final = AfterValidator(refuse_control_characters)
Text = Annotated[str, _CLEAN]
Code = Annotated[str, Field(min_length=1, max_length=100), _CLEAN]
Line = Annotated[str, Field(max_length=500), _CLEAN]
AddressLine = Annotated[str, Field(min_length=1, max_length=200), _CLEAN]
Words = Annotated[str, Field(max_length=5000), _CLEAN]
Note = Annotated[str, Field(max_length=2000), _CLEAN]
StaffNote = Annotated[Note | None, Field(description="Why; for staff only.")]
# 32 random bytes, base64url, with or without padding.
SECRET_PATTERN: Final = r"^[A-Za-z0-9_-]{43}=?$"  # noqa: S105 - the form of a secret, not one
Secret = Annotated[str, Field(pattern=SECRET_PATTERN)]

Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, description="WGS 84 degrees.")]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, description="WGS 84 degrees.")]
Accuracy = Annotated[
    float,
    Field(ge=0, le=100_000, allow_inf_nan=False, description="Metres; the circle holds the true position with 68 %."),
]
Moment = Annotated[AwareDatetime, AfterValidator(_refuse_far_times)]
Day = Annotated[date, AfterValidator(_refuse_far_days)]
OwnId = Annotated[UUID, AfterValidator(_refuse_other_ids)]
"""An id that the caller made, so that what it sends may be sent again."""
CommandId = Annotated[OwnId | None, Field(description="The command's own id: sent again, it is done once.")]
PhotoId = Annotated[UUID, AfterValidator(_refuse_ids_of_no_photo)]
"""The id of a photo that is here, or will be."""
StrictInt = Annotated[int, Strict(), Field(ge=0, le=2_147_483_647)]
Flag = Annotated[bool, Strict()]


class Incoming(BaseModel):
    """What callers send: a field that does not exist is refused, so that a typing error never loses data."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Outgoing(BaseModel):
    """What is answered: built by the code, so it may gain fields."""

    model_config = ConfigDict(frozen=True)
