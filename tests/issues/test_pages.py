"""Cursors: given out, taken back, and made up."""

import base64
import json
from datetime import date
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from issues.pages import InvalidCursor, read_cursor, read_number, read_text, write_cursor


def encoded(value) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def test_a_cursor_comes_back_as_it_was_given_out():
    place = (date(2026, 11, 24), "voirie-1", -3, uuid4())

    cursor = write_cursor("orders", *place)

    assert read_cursor(cursor, "orders", date.fromisoformat, read_text, read_number, UUID) == list(place)


@given(st.text() | st.builds(encoded, st.recursive(st.none() | st.integers() | st.text(), st.lists)))
@example("")
@example("AAAA")
@example("é")
@example("\ud800")
@example("=" * 2000)
@example(encoded(["issues"]))
@example(encoded(["issues", 5]))
@example(encoded(["issues", "not an id"]))
@example(encoded(["other", str(uuid4())]))
@example(encoded(["issues", str(uuid4()), "more"]))
@example(base64.urlsafe_b64encode(b"[" * 300).decode())
def test_a_made_up_cursor_is_refused_whatever_it_is(cursor):
    with pytest.raises(InvalidCursor):
        read_cursor(cursor, "issues", UUID)


@pytest.mark.parametrize("text", ["\x00", "\ud800", "a\nb"])
def test_a_text_that_the_database_cannot_hold_is_refused(text):
    with pytest.raises(InvalidCursor):
        read_cursor(encoded(["list", text]), "list", read_text)


@pytest.mark.parametrize("number", [2**63, -(2**63)])
def test_a_number_that_the_database_cannot_hold_is_refused(number):
    with pytest.raises(InvalidCursor):
        read_cursor(encoded(["list", str(number)]), "list", read_number)
