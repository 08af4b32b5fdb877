"""Messages that only the device can read: RFC 8291, in one record of RFC 8188.

Every message has a key pair and a salt of its own, so that nothing is learned from two of them.
"""

import os
from base64 import b64decode, urlsafe_b64encode
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from push.channels import PushKeys

ENCODING: Final = "aes128gcm"

# What every push service has to take (RFC 8030, section 7.2), and so also the size of the one record.
_RECORD_BYTES: Final = 4096
_LAST_RECORD: Final = b"\x02"


class KeysRefused(ValueError):
    """Nothing can be encrypted for these keys."""


def check_keys(keys: PushKeys) -> None:
    """Refuse keys that nothing can be encrypted for.

    Raises:
        KeysRefused: no point of P-256, or no secret of 16 bytes.
    """
    _read_keys(keys)


def encrypt(
    text: bytes, keys: PushKeys, *, salt: bytes | None = None, sender_key: ec.EllipticCurvePrivateKey | None = None
) -> bytes:
    """Encrypt a message into the body of a request with ``Content-Encoding: aes128gcm``.

    Args:
        text: The message.
        keys: The device's.
        salt: 16 bytes; random unless an example of the standard is followed, as is the next.
        sender_key: Used for this message alone.

    Raises:
        KeysRefused: the device's keys are none.
    """
    receiver_key, auth = _read_keys(keys)
    salt = salt or os.urandom(16)
    sender_key = sender_key or ec.generate_private_key(ec.SECP256R1())
    receiver_point, sender_point = public_point(receiver_key), public_point(sender_key.public_key())
    secret = _derive(
        sender_key.exchange(ec.ECDH(), receiver_key),
        salt=auth,
        info=b"WebPush: info\0" + receiver_point + sender_point,
        length=32,
    )
    content_key = _derive(secret, salt=salt, info=b"Content-Encoding: aes128gcm\0", length=16)
    nonce = _derive(secret, salt=salt, info=b"Content-Encoding: nonce\0", length=12)
    header = salt + _RECORD_BYTES.to_bytes(4, "big") + bytes([len(sender_point)]) + sender_point
    return header + AESGCM(content_key).encrypt(nonce, text + _LAST_RECORD, None)


def public_point(key: ec.EllipticCurvePublicKey) -> bytes:
    """Write a public key as an uncompressed point: 65 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def to_base64url(value: bytes) -> str:
    """Write bytes in base64url without padding, as Web Push does everywhere."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _read_keys(keys: PushKeys) -> tuple[ec.EllipticCurvePublicKey, bytes]:
    try:
        point, auth = _from_base64url(keys.p256dh), _from_base64url(keys.auth)
        if len(point) != 65 or len(auth) != 16:
            raise KeysRefused
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point), auth
    except ValueError as error:
        raise KeysRefused from error


def _from_base64url(value: str) -> bytes:
    return b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)


def _derive(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(secret)
