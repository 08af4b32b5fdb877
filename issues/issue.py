"""Issues: the real-world problems that reports are about."""

from datetime import datetime
from uuid import UUID

from geoalchemy2 import Geography, WKBElement
from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.tenancy import CURRENT_CITY

# Which statuses are open is decided here for the index and in `issues.lifecycle` for people; a test holds them equal.
OPEN_SQL = "status IN ('received', 'acknowledged', 'scheduled', 'in_progress') AND merged_into IS NULL"

# What searches by place or text reads this view. Under row-level security PostgreSQL may not use an index for an
# operator that is not leakproof, and no PostGIS, array or LIKE operator is; the view has its owner's rights and
# names the city itself: same isolation, and the index. Only SELECT is granted: a writable view would not check.
ISSUE_MAP_SQL = f"""
CREATE VIEW issue_map AS
SELECT city_id, id, number, service_code, status, place, accuracy_m, address, layer, district_code, districts,
       department_code, crew_code, near_boundary, private, report_count, opened_at, last_report_at, updated_at,
       expected_at, merged_into
FROM issue
WHERE city_id = {CURRENT_CITY}
"""


class Issue(Base):
    """A problem with its status, place, owner and deadline."""

    __tablename__ = "issue"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "service_code"], ["service.city_id", "service.code"]),
        ForeignKeyConstraint(["city_id", "department_code"], ["department.city_id", "department.code"]),
        CheckConstraint(
            "status IN ('received', 'acknowledged', 'scheduled', 'in_progress',"
            " 'resolved', 'closed', 'declined', 'transferred')",
            name="status",
        ),
        # Neighbours of a report: open issues of a service around a place.
        Index(
            "ix_issue_open_place",
            "city_id",
            "service_code",
            "place",
            postgresql_using="gist",
            postgresql_where=text(OPEN_SQL),
        ),
        # Maps: everything in a box. Geography compares boxes in three dimensions; a box on a map is a planar one.
        Index("ix_issue_map", "city_id", text("(place::geometry)"), postgresql_using="gist"),
        Index("ix_issue_districts", "districts", postgresql_using="gin"),
        Index("ix_issue_city_id_updated_at", "city_id", "updated_at", "id"),
    )

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]  # of the report that opened it
    service_code: Mapped[str]
    status: Mapped[str]
    place: Mapped[WKBElement] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))
    accuracy_m: Mapped[float]
    address: Mapped[str | None]
    layer: Mapped[str | None]  # the responsible layer and its district, None where no district has the place
    district_code: Mapped[str | None]
    districts: Mapped[list[str]] = mapped_column(ARRAY(Text))  # 'layer:code' of every layer
    department_code: Mapped[str]
    crew_code: Mapped[str | None]
    near_boundary: Mapped[bool]
    private: Mapped[bool]  # its service's, at opening
    report_count: Mapped[int]
    opened_at: Mapped[datetime]
    last_report_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    expected_at: Mapped[datetime | None]
    merged_into: Mapped[UUID | None]
