"""Links to originals: what was signed is believed, for ten minutes."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issues.originals import LINK_LASTS, LinkNotValid, OriginalLink, read_link, write_link

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PHOTO_ID = UUID("01936f3e-8000-7000-8000-000000000001")
READER = "staff:01936f3e-9000-7000-8000-000000000001"
KEY = b"k" * 32
LINK = OriginalLink(PHOTO_ID, READER, 1, NOON + LINK_LASTS)
PROOF = write_link(LINK, KEY)


def test_a_link_lasts_ten_minutes_at_most():
    assert timedelta(minutes=10) >= LINK_LASTS


@pytest.mark.parametrize(
    ("later", "valid"), [(timedelta(0), True), (LINK_LASTS - timedelta(seconds=1), True), (LINK_LASTS, False)]
)
def test_a_link_is_valid_until_it_ends(later, valid):
    if valid:
        assert read_link(PHOTO_ID, PROOF, KEY, now=NOON + later) == LINK
    else:
        with pytest.raises(LinkNotValid):
            read_link(PHOTO_ID, PROOF, KEY, now=NOON + later)


@pytest.mark.parametrize(
    ("photo_id", "key"), [(UUID(int=1), KEY), (PHOTO_ID, b"l" * 32)], ids=["another photo", "another key"]
)
def test_a_link_is_for_its_photo_and_of_this_installation(photo_id, key):
    with pytest.raises(LinkNotValid):
        read_link(photo_id, PROOF, key, now=NOON)


@given(st.integers(0, len(PROOF) - 1), st.characters(codec="utf-8"))
def test_a_link_with_any_other_character_is_not_valid(position, character):
    changed = PROOF[:position] + character + PROOF[position + 1 :]
    if changed != PROOF:
        with pytest.raises(LinkNotValid):
            read_link(PHOTO_ID, changed, KEY, now=NOON)


@given(st.text())
def test_what_nobody_signed_is_not_valid(proof):
    with pytest.raises(LinkNotValid):
        read_link(PHOTO_ID, proof, KEY, now=NOON)
