"""Who wants to hear of a district, a drawn area or a circle, whoever reports what there.

The place that somebody draws may be their home, so it goes with their device, and is shown to nobody else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from geoalchemy2 import Geometry, WKBElement
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from sqlalchemy import CheckConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.connections import driver_connection
from db.jobs import enqueue
from geo.points import LonLat
from issues.lifecycle import NoticeKind
from push.topics import TOPICS_OF

MOST: Final = 50
"""So many subscriptions may a person have in a city."""

Ring = Sequence[LonLat]


class Subscription(Base):
    """A person's wish to hear of what happens in a place."""

    __tablename__ = "subscription"
    __table_args__ = (
        # Of the whole city only its alerts are told.
        CheckConstraint(
            "num_nonnulls(district, area) = 1 OR num_nonnulls(district, area) = 0 AND kinds = '{alert}'", name="place"
        ),
        Index("ix_subscription_person", "city_id", "person_id"),
        # In the order in which people are told.
        Index("ix_subscription_district", "city_id", "district", "person_id", postgresql_where=text("area IS NULL")),
        Index("ix_subscription_alerts", "city_id", "person_id", postgresql_where=text("'alert' = ANY (kinds)")),
        Index("ix_subscription_area", "city_id", "area", postgresql_using="gist"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID]
    district: Mapped[str | None]  # 'layer:code'
    area: Mapped[WKBElement | None] = mapped_column(Geometry("POLYGON", srid=4326, spatial_index=False))
    drawn: Mapped[dict[str, Any] | None]  # the area as its person drew it, to be shown again
    services: Mapped[list[str] | None] = mapped_column(ARRAY(Text))  # None: all
    kinds: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Circle:
    """All that lies within some metres of a place."""

    at: LonLat
    radius_m: float


@dataclass(frozen=True, slots=True)
class SubscriptionView:
    """What a person wants to hear of; one of the first three says where, and none that it is the whole city.

    Attributes:
        district: 'layer:code'.
        area: A ring of positions, the last the first again.
        services: Of which services; None for all.
        kinds: What of them.
    """

    id: UUID
    district: str | None
    area: Ring | None
    circle: Circle | None
    services: tuple[str, ...] | None
    kinds: tuple[NoticeKind, ...]


@dataclass(eq=False)
class SubscriptionNotFound(Exception):
    """The person has no such subscription in the city."""

    id: UUID


class TooManySubscriptions(Exception):
    """A person has as many subscriptions as they may."""


_WRITE = """
INSERT INTO subscription (city_id, id, person_id, district, area, drawn, services, kinds, created_at)
VALUES (%(city)s, %(id)s, %(person)s, %(district)s,
        coalesce(
            ST_SetSRID(ST_GeomFromText(%(polygon)s::text), 4326),
            ST_Buffer(
                ST_Point(%(lon)s::float8, %(lat)s::float8, 4326)::geography, %(radius_m)s, 'quad_segs=16'
            )::geometry
        ),
        %(drawn)s, %(services)s, %(kinds)s, %(now)s)
ON CONFLICT (city_id, id) DO UPDATE SET
    district = excluded.district, area = excluded.area, drawn = excluded.drawn, services = excluded.services,
    kinds = excluded.kinds
WHERE subscription.person_id = excluded.person_id
RETURNING xmax = 0
"""


async def subscribe(
    session: AsyncSession, city_id: int, person_id: UUID, wanted: SubscriptionView, *, now: datetime
) -> bool:
    """Have a person hear of a place from now on, or change what they hear.

    Returns:
        Whether the subscription is new.

    Raises:
        SubscriptionNotFound: the id is somebody else's.
        TooManySubscriptions: the person has `MOST` others.
    """
    connection = await driver_connection(session)
    cursor = await connection.execute(
        "SELECT count(*) FROM subscription WHERE city_id = %s AND person_id = %s AND id <> %s",
        (city_id, person_id, wanted.id),
    )
    if ((await cursor.fetchone()) or (0,))[0] >= MOST:
        raise TooManySubscriptions
    circle, drawn = wanted.circle, _drawn(wanted)
    cursor = await connection.execute(
        _WRITE,
        {
            "city": city_id,
            "id": wanted.id,
            "person": person_id,
            "district": wanted.district,
            "polygon": None if wanted.area is None else _polygon(wanted.area),
            "lon": None if circle is None else circle.at.lon,
            "lat": None if circle is None else circle.at.lat,
            "radius_m": None if circle is None else circle.radius_m,
            "drawn": None if drawn is None else Jsonb(drawn),
            "services": None if wanted.services is None else list(wanted.services),
            "kinds": [str(kind) for kind in wanted.kinds],
            "now": now,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        raise SubscriptionNotFound(wanted.id)
    await enqueue(session, TOPICS_OF, {"person_id": str(person_id)})
    return bool(row[0])


async def list_subscriptions(session: AsyncSession, city_id: int, person_id: UUID) -> list[SubscriptionView]:
    """List what a person hears of in a city, the oldest first."""
    connection = await driver_connection(session)
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        """
        SELECT id, district, drawn, services, kinds FROM subscription
        WHERE city_id = %s AND person_id = %s ORDER BY created_at, id
        """,
        (city_id, person_id),
    )
    return [_view(row) for row in await cursor.fetchall()]


async def find_subscription(
    session: AsyncSession, city_id: int, person_id: UUID, subscription_id: UUID
) -> SubscriptionView:
    """Find one of a person's subscriptions.

    Raises:
        SubscriptionNotFound: they have none of that id.
    """
    for found in await list_subscriptions(session, city_id, person_id):
        if found.id == subscription_id:
            return found
    raise SubscriptionNotFound(subscription_id)


async def unsubscribe(session: AsyncSession, city_id: int, person_id: UUID, subscription_id: UUID | None) -> None:
    """End one of a person's subscriptions in a city, or all of them; what is ended already may be ended again."""
    connection = await driver_connection(session)
    await connection.execute(
        "DELETE FROM subscription WHERE city_id = %s AND person_id = %s AND (id = %s OR %s)",
        (city_id, person_id, subscription_id, subscription_id is None),
    )
    await enqueue(session, TOPICS_OF, {"person_id": str(person_id)})


def _drawn(wanted: SubscriptionView) -> dict[str, Any] | None:
    if wanted.circle is not None:
        return {"lon": wanted.circle.at.lon, "lat": wanted.circle.at.lat, "radius_m": wanted.circle.radius_m}
    return None if wanted.area is None else {"ring": [[at.lon, at.lat] for at in wanted.area]}


def _polygon(ring: Ring) -> str:
    return f"POLYGON(({','.join(f'{at.lon!r} {at.lat!r}' for at in ring)}))"


def _view(row: dict[str, Any]) -> SubscriptionView:
    drawn = row["drawn"] or {}
    ring = drawn.get("ring")
    return SubscriptionView(
        id=row["id"],
        district=row["district"],
        area=None if ring is None else [LonLat(lon, lat) for lon, lat in ring],
        circle=Circle(LonLat(drawn["lon"], drawn["lat"]), drawn["radius_m"]) if "radius_m" in drawn else None,
        services=None if row["services"] is None else tuple(row["services"]),
        kinds=tuple(NoticeKind(kind) for kind in row["kinds"]),
    )
