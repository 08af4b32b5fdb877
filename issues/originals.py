"""Originals of photos: for staff, through links that end in minutes, each reading written into the history."""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select, union
from sqlalchemy.ext.asyncio import AsyncSession

from db.signing import signing_key
from issues.actors import Actor
from issues.event_kinds import EventKind
from issues.events import NewEvent, append_event
from issues.issue import lock_issues
from issues.reports import Report
from issues.staff import find_staff
from issues.work_orders import WorkOrderIssue
from media.photos import Photo, PhotoClaim

LINK_LASTS: Final = timedelta(minutes=10)
"""How long a link to an original works."""

_PURPOSE: Final = "originals"


class LinkNotValid(Exception):
    """A link to an original was not made here, is another photo's, or has ended; or its reader has left."""


@dataclass(frozen=True, slots=True)
class OriginalLink:
    """Leave to read one original for a while, without any other secret.

    Attributes:
        reader: Who asked for it: 'staff:<id>' or 'key:<id>'.
        city_id: The city that they work for, and that the photo belongs to.
    """

    photo_id: UUID
    reader: str
    city_id: int
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of an original, and the issues whose histories tell it."""

    link: OriginalLink
    issue_ids: set[UUID]


def write_link(link: OriginalLink, key: bytes) -> str:
    """Write a link's proof: what it allows, signed (HMAC-SHA-256); the photo's id goes beside it."""
    terms = f"{int(link.ends_at.timestamp())}.{link.city_id}.{link.reader}"
    return f"{terms}.{_sign(link.photo_id, terms, key)}"


def read_link(photo_id: UUID, proof: str, key: bytes, *, now: datetime) -> OriginalLink:
    """Read what a proof allows.

    Raises:
        LinkNotValid: it was not signed with this key for this photo, or has ended.
    """
    terms, _, signature = proof.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _sign(photo_id, terms, key).encode()):
        raise LinkNotValid
    ends, city_id, reader = terms.split(".")
    link = OriginalLink(photo_id, reader, int(city_id), datetime.fromtimestamp(int(ends), UTC))
    if now >= link.ends_at:
        raise LinkNotValid
    return link


async def offer_original(session: AsyncSession, photo_id: UUID, *, reader: Actor, city_id: int, now: datetime) -> str:
    """Make the proof with which a member of the staff may read an original for `LINK_LASTS`.

    Whether the photo belongs to the reader's city is for the caller to have found out.
    """
    link = OriginalLink(photo_id, reader.sender, city_id, now + LINK_LASTS)
    return write_link(link, await signing_key(session, _PURPOSE))


async def open_original(session: AsyncSession, photo: Photo, proof: str, *, now: datetime) -> Reading:
    """Let the holder of a proof read an original; enters the city that it belongs to.

    Raises:
        LinkNotValid: the proof does not allow it.
    """
    link = read_link(photo.id, proof, await signing_key(session, _PURPOSE), now=now)
    if await find_staff(session, link.city_id, UUID(link.reader.partition(":")[2])) is None:
        raise LinkNotValid
    issue_ids = await _issues_of(session, link.city_id, photo)
    if not issue_ids:
        raise LinkNotValid  # it belongs to nothing (any more) whose history could tell
    return Reading(link, issue_ids)


async def note_reading(session: AsyncSession, reading: Reading, *, now: datetime) -> None:
    """Write who reads an original into the history of each issue it belongs to.

    Joins the transaction that it was opened in, which has to have committed before a byte goes out.
    """
    link = reading.link
    await lock_issues(session, link.city_id, reading.issue_ids)
    for issue_id in sorted(reading.issue_ids):
        data = {"photo_id": str(link.photo_id)}
        event = NewEvent(issue_id, EventKind.ORIGINAL_READ, link.reader, now, public=False, data=data)
        await append_event(session, link.city_id, event)


async def _issues_of(session: AsyncSession, city_id: int, photo: Photo) -> set[UUID]:
    claim = select(PhotoClaim.target_id).where(
        PhotoClaim.photo_id == photo.id, PhotoClaim.sender == photo.uploader, PhotoClaim.city_id == city_id
    )
    target = claim.scalar_subquery()
    reports = select(Report.issue_id).where(Report.city_id == city_id, Report.id == target)
    orders = select(WorkOrderIssue.issue_id).where(
        WorkOrderIssue.city_id == city_id, WorkOrderIssue.work_order_id == target
    )
    return set((await session.scalars(union(reports, orders))).all())


def _sign(photo_id: UUID, terms: str, key: bytes) -> str:
    digest = hmac.digest(key, f"{photo_id}\n{terms}".encode(), "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
