"""What somebody sends as a report, and by what two of them are the same."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from geo.points import LonLat
from issues.match import assumed_accuracy_m
from issues.reports import Contact

ANONYMOUS = "anonymous"
# Those who can prove who they are: they have a name in events, and may send photos ahead of a report.
_KNOWN_SENDERS = ("device:", "staff:", "key:")


def fingerprint_of(
    service_code: str, sent_at: LonLat | None, description: str | None, photo_ids: Sequence[UUID]
) -> bytes:
    """Hash the content of a report as it was sent; `sent_at` is None where no position came with it."""
    position = None if sent_at is None else [sent_at.lat, sent_at.lon]
    content = [service_code, position, description, [str(photo_id) for photo_id in photo_ids]]
    return sha256(json.dumps(content, separators=(",", ":")).encode()).digest()


def photo_uploader(sender: str, report_id: UUID) -> str:
    """As whose photos those of a report are kept: its sender's; those of an anonymous one are the report's own."""
    return sender if sender.startswith(_KNOWN_SENDERS) else f"report:{report_id}"


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody sent as a report, validated.

    Attributes:
        id: Made by the sender, so that it may be sent twice.
        sender: `device:<id>`, `staff:<id>`, `key:<id>`, `tracking:<hash>` or `anonymous`.
        person_id: The author, who will hear of the issue; None for anonymous ones and those taken down by staff.
        tracking_hash: SHA-256 of the secret with which anybody may read the report.
        at: Position in WGS 84 degrees.
        accuracy_m: Radius that holds the true position with 68 %; None where it came without.
        location_source: `gps`, `photo`, `address` or `map`.
        captured_at: The phone's clock: kept, never trusted.
        position_sent: False where the position was worked out here (from the photo, from an address); it is then no
            part of what makes two submissions the same.
        issue_id: The issue that the sender says it is about; None where they do not say.
    """

    id: UUID
    sender: str
    person_id: UUID | None
    tracking_hash: bytes
    service_code: str
    at: LonLat
    accuracy_m: float | None
    location_source: str
    address_string: str | None
    description: str | None
    attributes: Mapping[str, Any]
    photo_ids: tuple[UUID, ...]
    captured_at: datetime | None
    channel: str
    contact: Contact = field(default_factory=Contact)
    position_sent: bool = True
    issue_id: UUID | None = None

    def fingerprint(self) -> bytes:
        """Hash the content that two submissions of one id must share."""
        sent_at = self.at if self.position_sent else None
        return fingerprint_of(self.service_code, sent_at, self.description, self.photo_ids)

    @property
    def likely_accuracy_m(self) -> float:
        """The accuracy to reckon with (metres), also where none was sent."""
        return assumed_accuracy_m(self.location_source) if self.accuracy_m is None else self.accuracy_m

    @property
    def actor(self) -> str:
        """Who filed it, as events say it: a tracking secret leaves no trace there."""
        return self.sender if self.sender.startswith(_KNOWN_SENDERS) else ANONYMOUS

    @property
    def photo_uploader(self) -> str:
        """Whose photos it may name."""
        return photo_uploader(self.sender, self.id)
