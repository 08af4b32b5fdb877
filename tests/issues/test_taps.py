"""Signed links: whoever changes one holds nothing."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis.strategies import integers

from issues.taps import Act, Tap, TapRefused, Taps
from tests.issues.towns import NOON

TAPS = Taps(b"key")
TAP = Tap(Act.SAY_FIXED, 3, UUID(int=1), UUID(int=2), NOON + timedelta(days=1))
TOKEN = TAPS.sign(TAP)


def test_a_link_says_what_was_signed_until_it_ends():
    assert TAPS.read(TOKEN, now=NOON) == TAP
    with pytest.raises(TapRefused):
        TAPS.read(TOKEN, now=TAP.ends_at)


@given(integers(0, len(TOKEN) - 2), integers(1, 63))
def test_a_link_that_was_changed_anywhere_is_refused(at, by):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = letters[(letters.index(TOKEN[at]) + by) % 64]

    with pytest.raises(TapRefused):
        TAPS.read(TOKEN[:at] + changed + TOKEN[at + 1 :], now=NOON)


@pytest.mark.parametrize("token", ["", "x", "é", TOKEN[:-4], TOKEN + "AAAA", Taps(b"other").sign(TAP)], ids=range(6))
def test_what_was_not_signed_here_is_refused(token):
    with pytest.raises(TapRefused):
        TAPS.read(token, now=NOON)
