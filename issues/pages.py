"""Pages of lists, and the opaque cursors that lead from one to the next."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")

# Far more than any cursor of ours has; a longer one is not worth decoding.
_LONGEST = 512
_LARGEST_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A part of a list, and the cursor of the part after it (None at the end)."""

    items: tuple[Item, ...]
    next_cursor: str | None


@dataclass(eq=False)
class InvalidCursor(Exception):
    """A cursor that this list never gave out."""

    cursor: str


def write_cursor(kind: str, *place: object) -> str:
    """Write down where a page of a list ended: the values of its last item that the list is sorted by."""
    text = json.dumps([kind, *map(str, place)], separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, kind: str, *readers: Callable[[str], Any]) -> list[Any]:
    """Read back the values of a cursor.

    Args:
        cursor: As the caller sent it, so anything at all.
        kind: The list it has to be from.
        readers: What makes each value of its text; raises ValueError where it is none.

    Raises:
        InvalidCursor: it is not from this list.
    """
    if len(cursor) > _LONGEST:
        raise InvalidCursor(cursor)
    try:
        found_kind, *place = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        values = [read(value) for read, value in zip(readers, place, strict=True)]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidCursor(cursor) from error
    if found_kind != kind:
        raise InvalidCursor(cursor)
    return values


def read_text(text: str) -> str:
    """Read a text that the database can hold; raises ValueError for any other, such as one with a NUL."""
    if not text.isprintable():
        raise ValueError(text)
    return text


def read_number(text: str) -> int:
    """Read a number that the database can hold (less than 2^63 either way); raises ValueError for any other."""
    number = int(text)
    if not -_LARGEST_NUMBER <= number <= _LARGEST_NUMBER:
        raise ValueError(text)
    return number
