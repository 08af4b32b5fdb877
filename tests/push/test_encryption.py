"""Only the device reads what is sent to it: the standards' examples, and what is no key."""

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis.strategies import binary

from push.channels import PushKeys
from push.encryption import KeysRefused, check_keys, encrypt
from tests.push.push_service import Browser, from_unpadded, point_of, private_key, unpadded

# RFC 8291, section 5 and appendix A.
TEXT = b"When I grow up, I want to be a watermelon"
RECEIVER = Browser(private_key("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), from_unpadded("BTBZMqHH6r4Tts7J_aSIgg"))
SENDER = private_key("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
SALT = from_unpadded("DGv6ra1nlYgDCS1FRnbzlw")
BODY = from_unpadded(
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
    "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_example_of_the_standard_comes_out_byte_for_byte():
    assert unpadded(RECEIVER.point) == RECEIVER.keys.p256dh
    assert encrypt(TEXT, RECEIVER.keys, salt=SALT, sender_key=SENDER) == BODY


def test_the_tests_own_decryption_reads_the_example_of_the_standard():
    assert RECEIVER.decrypt(BODY) == TEXT


@given(text=binary(min_size=1, max_size=3000))
def test_the_device_reads_what_was_sent_and_nobody_else_does(text):
    body = encrypt(text, RECEIVER.keys)

    assert RECEIVER.decrypt(body) == text
    with pytest.raises(InvalidTag):
        Browser(auth=RECEIVER.auth).decrypt(body)


def test_no_two_messages_are_alike():
    assert encrypt(TEXT, RECEIVER.keys) != encrypt(TEXT, RECEIVER.keys)


POINT = point_of(SENDER.public_key())


@pytest.mark.parametrize(
    ("point", "auth"),
    [
        (POINT[:-1], bytes(16)),
        (POINT + b"\0", bytes(16)),
        (b"\2" + POINT[1:33], bytes(16)),  # compressed
        (b"\4" + bytes(64), bytes(16)),  # not on the curve
        (b"", bytes(16)),
        (POINT, bytes(15)),
        (POINT, b""),
    ],
)
def test_what_is_no_key_is_refused(point, auth):
    with pytest.raises(KeysRefused):
        check_keys(PushKeys(unpadded(point), unpadded(auth)))


@pytest.mark.parametrize("text", ["clé", "B*", "A", "+/+/"])
def test_what_is_not_base64url_is_refused(text):
    with pytest.raises(KeysRefused):
        check_keys(PushKeys(text, unpadded(bytes(16))))
