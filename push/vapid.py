"""Who we are to push services: a signature of this installation's own (VAPID, RFC 8292)."""

from datetime import datetime, timedelta
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from push.encryption import public_point, to_base64url

PURPOSE: Final = "vapid"
"""Under which the installation keeps the key."""

# The standard allows a day at most; half of it leaves room for clocks that are wrong.
_VALID_FOR: Final = timedelta(hours=12)


class VapidKey:
    """The key that browsers subscribe for: whoever else knows their endpoint cannot push to them."""

    def __init__(self, private_key: bytes) -> None:
        """Take the 32 bytes of a private key of P-256."""
        self._key = ec.derive_private_key(int.from_bytes(private_key, "big"), ec.SECP256R1())
        self.public_key = to_base64url(public_point(self._key.public_key()))

    def authorize(self, origin: str, *, contact: str, now: datetime) -> str:
        """Write the ``Authorization`` for requests to one push service, and to no other.

        Args:
            origin: Scheme, host and port of the endpoint.
            contact: Whom its operators may write to: ``mailto:...`` or ``https://...``.
            now: Time of sending.
        """
        claims = {"aud": origin, "exp": int((now + _VALID_FOR).timestamp()), "sub": contact}
        return f"vapid t={jwt.encode(claims, self._key, algorithm='ES256')}, k={self.public_key}"
