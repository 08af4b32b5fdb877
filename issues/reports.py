"""Reports: what one person sent once, and who may see what of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import Geography, WKBElement
from psycopg.rows import dict_row
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.connections import driver_connection
from db.tenancy import enter_city
from geo.points import LonLat
from issues.city import Cities
from issues.issue import IssueView, read_issue
from issues.match import Match, Reason
from media.photos import Photo


class ReportNotFound(Exception):
    """No report of that id is in the city."""

    def __init__(self, report_id: UUID) -> None:
        super().__init__(report_id)
        self.report_id = report_id


class ReportHome(Base):
    """Where a report lives, and who sent it with what content.

    Its insert is the first write of a submission: simultaneous copies wait for each other on its key.
    """

    __tablename__ = "report_home"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    city_id: Mapped[int]
    sender: Mapped[str]  # 'device:<id>', 'staff:<id>', 'tracking:<hash>' or 'anonymous'
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    tracking_hash: Mapped[bytes] = mapped_column(LargeBinary)


class Report(Base):
    """One report: facts that tell nothing about its sender (those are in `ReportPersonal`)."""

    __tablename__ = "report"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "issue_id"], ["issue.city_id", "issue.id"]),
        UniqueConstraint("city_id", "number"),
        Index("ix_report_city_id_issue_id", "city_id", "issue_id"),
        CheckConstraint("channel IN ('app', 'web', 'phone', 'counter', 'email', 'open311', 'import')", name="channel"),
        CheckConstraint("location_source IN ('gps', 'photo', 'address', 'map')", name="location_source"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]  # '2026-000124': what its sender was told
    issue_id: Mapped[UUID]  # the only truth of which issue a report is in
    service_code: Mapped[str]
    person_id: Mapped[UUID | None]  # None: anonymous, or taken down by staff
    channel: Mapped[str]
    location_source: Mapped[str]
    accuracy_m: Mapped[float | None]
    captured_at: Mapped[datetime | None]  # the phone's clock: kept, never trusted
    received_at: Mapped[datetime]
    near_boundary: Mapped[bool]
    match: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    withdrawn_at: Mapped[datetime | None]  # it stays in its issue, which counts it no more


class ReportPersonal(Base):
    """What a report tells about its sender: exact place, words, contact. Erased without touching the history.

    The words are those first sent, the place the one that was last said to be right; `ReportCorrection` has the rest.
    """

    __tablename__ = "report_personal"
    __table_args__ = (ForeignKeyConstraint(["city_id", "report_id"], ["report.city_id", "report.id"]),)

    city_id: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    place: Mapped[WKBElement] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))
    address_string: Mapped[str | None]
    description: Mapped[str | None]
    attributes: Mapped[dict[str, Any]]
    name: Mapped[str | None]
    email: Mapped[str | None]
    phone: Mapped[str | None]


class ReportCorrection(Base):
    """What a correction says or replaces, as personal as the report itself, hence not in the event it goes with.

    `place`, `accuracy_m` and `location_source` are those before a place was corrected.
    """

    __tablename__ = "report_correction"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "event_id"], ["event.city_id", "event.id"]),
        ForeignKeyConstraint(["city_id", "report_id"], ["report.city_id", "report.id"]),
        Index("ix_report_correction_city_id_report_id", "city_id", "report_id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    report_id: Mapped[UUID]
    words: Mapped[str | None]  # added to those that were there
    place: Mapped[WKBElement | None] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))
    accuracy_m: Mapped[float | None]
    location_source: Mapped[str | None]


class ReportPhoto(Base):
    """A photo a report names; no foreign key, for it may arrive later."""

    __tablename__ = "report_photo"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "report_id"], ["report.city_id", "report.id"]),
        Index("ix_report_photo_photo_id", "photo_id"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    photo_id: Mapped[UUID]


@dataclass(frozen=True, slots=True)
class MatchView:
    """Why a report joined its issue: the score (0 to 1) and each factor's part in it."""

    score: float
    reasons: tuple[Reason, ...]

    @classmethod
    def of(cls, match: Match) -> "MatchView":
        """Keep what an answer tells of a match."""
        return cls(match.score, match.reasons)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "MatchView":
        """Read a match as `to_json` wrote it."""
        return cls(stored["score"], tuple(Reason(**reason) for reason in stored["reasons"]))

    def to_json(self) -> dict[str, Any]:
        """Write a match for the report's row."""
        reasons = [
            {"factor": reason.factor, "value": reason.value, "unit": reason.unit, "weight": reason.weight}
            for reason in self.reasons
        ]
        return {"score": self.score, "reasons": reasons}


@dataclass(frozen=True, slots=True)
class FormerPlace:
    """Where a report was said to be before its place was corrected; as in `ReportView`."""

    at: LonLat
    accuracy_m: float | None
    location_source: str


@dataclass(frozen=True, slots=True)
class CorrectionView:
    """A correction of a report.

    Attributes:
        words: Added by it; None where none were.
        former_place: The place that it replaced; None where it left the place alone.
    """

    event_id: UUID
    at: datetime
    words: str | None
    former_place: FormerPlace | None


@dataclass(frozen=True, slots=True)
class Contact:
    """How the city may reach the sender of a report; all of it is optional."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class ReportView:
    """A report with everything its sender wrote: for its sender and for staff, never for the public.

    Attributes:
        at: Exact position in WGS 84, as last corrected.
        description: As first sent; words added since are in `corrections`.
        accuracy_m: As sent; None where the phone gave none.
        captured_at: The phone's clock: kept, never trusted.
        photo_ids: Those that are its own; what another report or order of its sender had named before is left out.
        match: Why it joined its issue; None where it opened one.
        corrections: In the order in which they came.
        withdrawn_at: When its sender took it back; None for nearly all.
    """

    id: UUID
    city_id: int
    number: str
    issue_id: UUID
    service_code: str
    person_id: UUID | None
    channel: str
    location_source: str
    at: LonLat
    accuracy_m: float | None
    address_string: str | None
    description: str | None
    attributes: Mapping[str, Any]
    contact: Contact
    photo_ids: tuple[UUID, ...]
    captured_at: datetime | None
    received_at: datetime
    near_boundary: bool
    match: MatchView | None
    corrections: tuple[CorrectionView, ...] = ()
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a report: whether it is new, the issue it is in, and why.

    Attributes:
        created: False where the same report had been received before.
        match: Why it joined; None where it opened the issue.
        near_boundary: Whether the position's accuracy reached another district.
    """

    created: bool
    report: ReportView
    issue: IssueView
    match: MatchView | None
    near_boundary: bool


@dataclass(frozen=True, slots=True)
class Home:
    """Where a report lives, and what tells its sender from others."""

    city_id: int
    sender: str
    fingerprint: bytes
    tracking_hash: bytes


@dataclass(frozen=True, slots=True)
class Release:
    """Who may see a photo besides its uploader.

    Attributes:
        public: Whether anybody may.
        city_id: The city whose staff may; None while it belongs to no report or order.
    """

    public: bool
    city_id: int | None


_REPORT = """
SELECT r.number, r.issue_id, r.service_code, r.person_id, r.channel, r.location_source, r.accuracy_m, r.captured_at,
       r.received_at, r.near_boundary, r.match, r.withdrawn_at, p.address_string, p.description, p.attributes,
       p.name, p.email, p.phone,
       ST_X(p.place::geometry) AS lon, ST_Y(p.place::geometry) AS lat,
       ARRAY(SELECT f.photo_id FROM report_photo f
             WHERE f.city_id = r.city_id AND f.report_id = r.id
               AND EXISTS (SELECT FROM photo_claim c
                           WHERE c.photo_id = f.photo_id AND c.city_id = r.city_id AND c.target_id = r.id)
             ORDER BY f.position) AS photo_ids,
       (SELECT jsonb_agg(jsonb_build_object(
                   'event_id', c.event_id, 'at', e.at, 'words', c.words, 'accuracy_m', c.accuracy_m,
                   'location_source', c.location_source,
                   'lon', ST_X(c.place::geometry), 'lat', ST_Y(c.place::geometry)) ORDER BY e.seq)
        FROM report_correction c JOIN event e ON e.city_id = c.city_id AND e.id = c.event_id
        WHERE c.city_id = r.city_id AND c.report_id = r.id) AS corrections
FROM report r JOIN report_personal p ON p.city_id = r.city_id AND p.report_id = r.id
WHERE r.city_id = %s AND r.id = %s
"""
# A photo of a work order is as public as the least public of its issues; one of a report taken back is not at all.
_CLAIM_IS_PRIVATE = """
SELECT EXISTS (SELECT FROM report r JOIN issue i ON i.city_id = r.city_id AND i.id = r.issue_id
               WHERE r.city_id = %(city_id)s AND r.id = %(target_id)s AND (i.private OR r.withdrawn_at IS NOT NULL))
    OR EXISTS (SELECT FROM work_order_issue w JOIN issue i ON i.city_id = w.city_id AND i.id = w.issue_id
               WHERE w.city_id = %(city_id)s AND w.work_order_id = %(target_id)s AND i.private)
"""


async def find_report_home(session: AsyncSession, report_id: UUID) -> Home | None:
    """Find the city and the sender of a report; needs no city named; None where the id is unknown."""
    connection = await driver_connection(session)
    cursor = await connection.execute(
        "SELECT city_id, sender, fingerprint, tracking_hash FROM report_home WHERE id = %s", (report_id,)
    )
    row = await cursor.fetchone()
    return None if row is None else Home(row[0], row[1], bytes(row[2]), bytes(row[3]))


async def read_receipt(session: AsyncSession, city_id: int, report_id: UUID) -> Receipt:
    """Read a report and the issue it is in now, as a receipt that is not new.

    Args:
        session: A transaction in the report's city.
        city_id: The city.
        report_id: The report; who may see it is for the caller to decide, by its `person_id` or `Home`.

    Raises:
        ReportNotFound: the city has no such report.
    """
    connection = await driver_connection(session)
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_REPORT, (city_id, report_id))
    row = await cursor.fetchone()
    if row is None:
        raise ReportNotFound(report_id)
    issue = await read_issue(session, city_id, row["issue_id"])
    assert issue is not None  # noqa: S101 - a foreign key holds it
    report = _view_of(city_id, report_id, row)
    return Receipt(created=False, report=report, issue=issue, match=report.match, near_boundary=report.near_boundary)


async def photo_release(session: AsyncSession, photo: Photo, *, cities: Cities) -> Release:
    """Decide who may see a photo's safe copies besides its uploader.

    The public may once the photo is ready, the first report or order of its own uploader that named it has no
    private issue, and the city shows photos. The original is for staff only, whatever this says.

    Args:
        session: An open transaction; left in the photo's city, so ask this last.
        photo: The photo.
        cities: The cities loaded now.
    """
    connection = await driver_connection(session)
    cursor = await connection.execute(
        "SELECT city_id, target_id FROM photo_claim WHERE photo_id = %s AND sender = %s", (photo.id, photo.uploader)
    )
    claim = await cursor.fetchone()
    if claim is None:
        return Release(public=False, city_id=None)
    city_id, target_id = claim
    city = cities.by_id(city_id)
    if photo.state != "ready" or city is None or not city.settings.photos_public:
        return Release(public=False, city_id=city_id)
    await enter_city(session, city_id)
    cursor = await connection.execute(_CLAIM_IS_PRIVATE, {"city_id": city_id, "target_id": target_id})
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - EXISTS always answers
    return Release(public=not row[0], city_id=city_id)


def _view_of(city_id: int, report_id: UUID, row: dict[str, Any]) -> ReportView:
    at = LonLat(row.pop("lon"), row.pop("lat"))
    match, photo_ids = row.pop("match"), tuple(row.pop("photo_ids"))
    contact = Contact(row.pop("name"), row.pop("email"), row.pop("phone"))
    corrections = tuple(_correction_of(stored) for stored in row.pop("corrections") or ())
    return ReportView(
        city_id=city_id,
        id=report_id,
        at=at,
        match=None if match is None else MatchView.read(match),
        contact=contact,
        photo_ids=photo_ids,
        corrections=corrections,
        **row,
    )


def _correction_of(stored: Mapping[str, Any]) -> CorrectionView:
    source = stored["location_source"]
    return CorrectionView(
        event_id=UUID(stored["event_id"]),
        at=datetime.fromisoformat(stored["at"]),
        words=stored["words"],
        former_place=None
        if source is None
        else FormerPlace(LonLat(stored["lon"], stored["lat"]), stored["accuracy_m"], source),
    )
