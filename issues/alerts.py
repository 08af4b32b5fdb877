"""Public alerts: what a city tells a district, or the whole city, to those who asked to hear of such things.

Most of them hear by a topic: one message to FCM for each language, whoever many there are. A person hears directly, as
of an issue, where their devices are not all in the topic, or where they have wishes of their own, which a topic does
not know: quiet hours, a digest, e-mail first. A topic is told nothing but what everybody may read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote
from uuid import UUID

from psycopg.rows import class_row
from sqlalchemy import Index, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.connections import driver_connection
from db.jobs import enqueue
from geo.cities import City
from issues.lifecycle import NoticeKind
from push.queueing import queue_topics
from push.topics import topics_with_members

TELL_ALERT: Final = "push.tell_alert"
"""The job that tells those who hear directly, and that takes back what is not out yet of an alert that is withdrawn."""

# Who joined just before hears directly as well: FCM takes a moment, clocks differ, and one copy replaces the other.
_JOINED_BEFORE: Final = timedelta(minutes=1)


class Alert(Base):
    """An alert that a city published."""

    __tablename__ = "alert"
    __table_args__ = (Index("ix_alert_current", "city_id", "expires_at"),)

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    district: Mapped[str | None]  # 'layer:code'; None: the whole city
    title_fr: Mapped[str]
    title_en: Mapped[str]
    text_fr: Mapped[str]
    text_en: Mapped[str]
    safety: Mapped[bool]
    expires_at: Mapped[datetime]
    published_at: Mapped[datetime]
    published_by: Mapped[str]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by: Mapped[str | None]
    told_at: Mapped[datetime | None]  # when all had been told, or nobody was to be any more
    told_through: Mapped[UUID | None]  # the last person who was, while others are still to be


@dataclass(frozen=True, slots=True)
class AlertDraft:
    """What a city wants to tell.

    Attributes:
        district: 'layer:code'; None for the whole city.
        titles: By language, as are the `texts`.
        safety: Whether it rings also where people want quiet.
        expires_after: So long after it was published it is told to nobody.
    """

    district: str | None
    titles: Mapping[str, str]
    texts: Mapping[str, str]
    safety: bool
    expires_after: timedelta


@dataclass(frozen=True, slots=True)
class AlertView:
    """An alert as everybody may see it; `withdrawn_at` is None while it stands."""

    id: UUID
    draft: AlertDraft
    published_at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class AlertDeliveries:
    """How many pushes and letters of an alert stand alike; those to topics by themselves."""

    to_topic: bool
    state: str
    count: int


@dataclass(eq=False)
class AlertNotFound(Exception):
    """The city has published no alert of this id."""

    alert_id: UUID


@dataclass(eq=False)
class AlertIdTaken(Exception):
    """Another alert of the city has this id, or it was withdrawn."""

    alert_id: UUID


async def publish_alert(
    session: AsyncSession, city_id: int, alert_id: UUID, draft: AlertDraft, *, actor: str, now: datetime
) -> tuple[AlertView, bool]:
    """Publish an alert: tell the topics, and have a job tell those who hear directly; done once for an id.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        alert_id: Made by whoever publishes it.
        draft: What it says, and where; the city has the district.
        actor: Who publishes it.
        now: When.

    Returns:
        The alert, and whether this call published it.

    Raises:
        AlertIdTaken: another alert has this id, or it was withdrawn.
    """
    connection = await driver_connection(session)
    # Of two calls for one id at once, the later waits here, and then sees what the earlier published.
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"alert {alert_id} of {city_id}",)
    )
    row = await lock_alert(session, city_id, alert_id)
    if row is not None:
        if row.withdrawn_at is not None or view_of(row).draft != draft:
            raise AlertIdTaken(alert_id)
        return view_of(row), False
    row = Alert(
        city_id=city_id,
        id=alert_id,
        district=draft.district,
        title_fr=draft.titles["fr"],
        title_en=draft.titles["en"],
        text_fr=draft.texts["fr"],
        text_en=draft.texts["en"],
        safety=draft.safety,
        expires_at=now + draft.expires_after,
        published_at=now,
        published_by=actor,
    )
    session.add(row)
    await session.flush()
    params = await alert_params(session, row)
    topic_ids = await topics_with_members(
        session,
        city_id,
        topics_of(params["jurisdiction_id"], draft.district, tuple(draft.titles)),
        joined_before=joined_before(row),
    )
    await queue_topics(
        session,
        city_id,
        event_id=alert_id,
        kind=NoticeKind.ALERT,
        params=params,
        topic_ids=topic_ids,
        expires_at=row.expires_at,
        now=now,
    )
    await enqueue(session, "push.deliver", {"city_id": city_id})
    await enqueue(session, TELL_ALERT, {"city_id": city_id, "alert_id": str(alert_id)})
    return view_of(row), True


async def withdraw_alert(
    session: AsyncSession, city_id: int, alert_id: UUID, *, actor: str, now: datetime
) -> AlertView:
    """Take an alert back: what is not out yet is not sent any more; again, nothing is done.

    Raises:
        AlertNotFound: the city has published none of this id.
    """
    row = await lock_alert(session, city_id, alert_id)
    if row is None:
        raise AlertNotFound(alert_id)
    if row.withdrawn_at is None:
        row.withdrawn_at, row.withdrawn_by = now, actor
        await session.flush()
        await enqueue(session, TELL_ALERT, {"city_id": city_id, "alert_id": str(alert_id)})
    return view_of(row)


async def list_alerts(session: AsyncSession, city_id: int, *, now: datetime, most: int = 100) -> Sequence[AlertView]:
    """List a city's alerts that stand, the latest first."""
    rows = await session.scalars(
        select(Alert)
        .where(Alert.city_id == city_id, Alert.expires_at > now, Alert.withdrawn_at.is_(None))
        .order_by(Alert.published_at.desc(), Alert.id.desc())
        .limit(most)
    )
    return [view_of(row) for row in rows]


async def find_alert(session: AsyncSession, city_id: int, alert_id: UUID) -> AlertView:
    """Find an alert, also one that is over or withdrawn.

    Raises:
        AlertNotFound: the city has published none of this id.
    """
    row = await session.get(Alert, (city_id, alert_id))
    if row is None:
        raise AlertNotFound(alert_id)
    return view_of(row)


async def count_alert_deliveries(session: AsyncSession, city_id: int, alert_id: UUID) -> Sequence[AlertDeliveries]:
    """Count what became of an alert's pushes and letters, for the city's staff."""
    connection = await driver_connection(session)
    cursor = connection.cursor(row_factory=class_row(AlertDeliveries))
    await cursor.execute(
        """
        SELECT topic.id IS NOT NULL AS to_topic, state, count(*) AS count
        FROM notification
        JOIN delivery ON delivery.city_id = %(city)s AND delivery.notification_id = notification.id
        LEFT JOIN topic ON topic.city_id = %(city)s AND topic.id = delivery.device_id
        WHERE notification.city_id = %(city)s AND notification.event_id = %(alert)s
        GROUP BY 1, 2 ORDER BY 1 DESC, 2
        """,
        {"city": city_id, "alert": alert_id},
    )
    return await cursor.fetchall()


def topics_of(jurisdiction_id: str, district: str | None, languages: Sequence[str]) -> dict[str, str]:
    """Name the topics that hear of a district's alerts, or of the whole city's; answers with the language of each.

    An alert goes to the topics of one place, and a device hears of a place in one language: so it hears once.
    """
    parts = [jurisdiction_id, *([] if district is None else district.split(":", 1))]
    place = "~".join(quote(part, safe="").replace("~", "%7E") for part in parts)
    return {f"{place}~{language}": language for language in languages}


def joined_before(row: Alert) -> datetime:
    """Until when a device must have joined a topic to hear of an alert by the topic alone."""
    return row.published_at - _JOINED_BEFORE


async def alert_params(session: AsyncSession, row: Alert) -> dict[str, str]:
    """Put together what is told of an alert."""
    city = (await session.execute(select(City.jurisdiction_id, City.locale).where(City.id == row.city_id))).one()
    return {
        "jurisdiction_id": city.jurisdiction_id,
        "locale": city.locale,
        "title_fr": row.title_fr,
        "title_en": row.title_en,
        "text_fr": row.text_fr,
        "text_en": row.text_en,
    }


async def lock_alert(session: AsyncSession, city_id: int, alert_id: UUID) -> Alert | None:
    """Lock an alert; None where the city has none of this id."""
    query = select(Alert).where(Alert.city_id == city_id, Alert.id == alert_id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


def view_of(row: Alert) -> AlertView:
    """See a row as others do."""
    draft = AlertDraft(
        row.district,
        {"fr": row.title_fr, "en": row.title_en},
        {"fr": row.text_fr, "en": row.text_en},
        row.safety,
        row.expires_at - row.published_at,
    )
    return AlertView(row.id, draft, row.published_at, row.expires_at, row.withdrawn_at)
