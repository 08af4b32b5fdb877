"""Signed links: one tap in a letter or a push does one thing, without signing in; pure.

Whoever holds the link may do what it says, until it ends, and nothing else. It holds ids, no address and no name.
"""

import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

PURPOSE: Final = "taps"
"""Under which the installation keeps the key."""

_FORM: Final = struct.Struct(">BII16s16s")
_SIGNATURE_BYTES: Final = 16


class Act(IntEnum):
    """What a link does; numbers stand in links that are out there, and keep their meaning."""

    VERIFY_EMAIL = 1
    STOP_EMAIL = 2
    SAY_FIXED = 3
    SAY_NOT_FIXED = 4
    READ_ISSUE = 5


@dataclass(frozen=True, slots=True)
class Tap:
    """What a link does.

    Attributes:
        subject: The e-mail address's id, the event that feedback is about, or the issue to read.
        person_id: Who taps.
        ends_at: In whole seconds.
    """

    act: Act
    city_id: int
    subject: UUID
    person_id: UUID
    ends_at: datetime


class TapRefused(Exception):
    """A link that was not signed here, or has ended."""


class Taps:
    """Signs links, and reads them again."""

    def __init__(self, key: bytes) -> None:
        """Take the key that only this installation has."""
        self._key = key

    def sign(self, tap: Tap) -> str:
        """Write what a link does as a part of a URL."""
        packed = _FORM.pack(tap.act, tap.city_id, int(tap.ends_at.timestamp()), tap.subject.bytes, tap.person_id.bytes)
        return urlsafe_b64encode(packed + self._signature(packed)).rstrip(b"=").decode()

    def url(self, public_url: str, tap: Tap) -> str:
        """Write the link, to a server that residents reach at `public_url`."""
        return f"{public_url.rstrip('/')}/t/{self.sign(tap)}"

    def read(self, token: str, *, now: datetime) -> Tap:
        """Read what a link does.

        Raises:
            TapRefused: it was not signed here, or has ended.
        """
        try:
            whole = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (Base64Error, ValueError) as error:
            raise TapRefused from error
        packed, signature = whole[: _FORM.size], whole[_FORM.size :]
        if not hmac.compare_digest(signature, self._signature(packed)):
            raise TapRefused
        act, city_id, ends, subject, person = _FORM.unpack(packed)
        tap = Tap(Act(act), city_id, UUID(bytes=subject), UUID(bytes=person), datetime.fromtimestamp(ends, UTC))
        if tap.ends_at <= now:
            raise TapRefused
        return tap

    def _signature(self, packed: bytes) -> bytes:
        return hmac.digest(self._key, packed, "sha256")[:_SIGNATURE_BYTES]
