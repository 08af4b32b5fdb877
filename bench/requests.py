"""Requests of phones, written out beforehand so that sending them costs next to nothing."""

import json
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bench.bare import Box
from bench.load import Exchange
from bench.phones import Phone, report_body
from bench.photos import stamp_photo
from db.base import new_id
from geo.points import LonLat

_PLACES = 6  # digits after the point of a degree: 0.1 m


@dataclass(frozen=True, slots=True)
class Senders:
    """Who sends, what about, and from where; drawn anew for each report, all as likely.

    Attributes:
        phones: Registered devices.
        services: Codes of the services they report.
        box: Where they stand.
        rng: Draws.
    """

    phones: Sequence[Phone]
    services: Sequence[str]
    box: Box
    rng: random.Random

    def reports(self, count: int) -> deque[Exchange]:
        """Write reports without a photo: one request each."""
        return deque([self._report(self.rng.choice(self.phones), [])] for _ in range(count))

    def reports_with_photo(self, count: int, jpeg: bytes) -> deque[Exchange]:
        """Write reports each with a photo like no other, sent first; the bytes of the picture are shared."""
        return deque(self._photo_and_report(self.rng.choice(self.phones), jpeg) for _ in range(count))

    def _photo_and_report(self, phone: Phone, jpeg: bytes) -> Exchange:
        photo_id = new_id()
        parts = stamp_photo(jpeg, photo_id.bytes)
        head = _head("PUT", f"/v1/photos/{photo_id}", phone.secret, "image/jpeg", sum(map(len, parts)))
        return [[head, *parts], self._report(phone, [photo_id])]

    def _report(self, phone: Phone, photo_ids: Sequence[UUID]) -> Sequence[bytes]:
        at = LonLat(
            round(self.rng.uniform(self.box.west, self.box.east), _PLACES),
            round(self.rng.uniform(self.box.south, self.box.north), _PLACES),
        )
        return report_request(phone, new_id(), self.rng.choice(self.services), at, photo_ids)


def photo_request(phone: Phone, content: bytes, content_type: str) -> Sequence[bytes]:
    """Write the sending of a photo under an id of its own; its bytes are shared."""
    return [_head("PUT", f"/v1/photos/{new_id()}", phone.secret, content_type, len(content)), content]


def registration_request(phone: Phone) -> Sequence[bytes]:
    """Write the registration of a phone."""
    return _request("PUT", f"/v1/devices/{phone.id}", phone.secret, phone.registration)


def report_request(
    phone: Phone, report_id: UUID, service_code: str, at: LonLat, photo_ids: Sequence[UUID] = ()
) -> Sequence[bytes]:
    """Write a report of a phone."""
    return _request("POST", "/v1/reports", phone.secret, report_body(report_id, service_code, at, photo_ids))


def _request(method: str, path: str, secret: str, body: Mapping[str, Any]) -> Sequence[bytes]:
    content = json.dumps(body).encode()
    return [_head(method, path, secret, "application/json", len(content)), content]


def _head(method: str, path: str, secret: str, content_type: str, length: int) -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n"
        f"Accept-Language: fr-CA\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
