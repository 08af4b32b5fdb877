"""Who hears of alerts, and how: by a topic, or directly."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from db.jobs import enqueue
from issues.alerts import Alert, alert_params, joined_before, lock_alert, topics_of
from issues.languages import Languages
from issues.lifecycle import NoticeKind
from issues.telling import Told
from push.queueing import Recipient, queue_notifications
from push.topics import open_topics, settle_topics

_PERSONS_AT_ONCE: Final = 5000
_NOBODY: Final = UUID(int=0)
_LANGUAGES: Final = ("fr", "en")

# Two texts, each read in the order of its index.
_OF_DISTRICT = """
    SELECT DISTINCT person_id FROM subscription
    WHERE city_id = %(city)s AND area IS NULL AND district = %(district)s AND 'alert' = ANY (kinds)
      AND person_id > %(after)s AND created_at <= %(published)s
    ORDER BY person_id LIMIT %(most)s
"""
_OF_CITY = """
    SELECT DISTINCT person_id FROM subscription
    WHERE city_id = %(city)s AND 'alert' = ANY (kinds) AND person_id > %(after)s AND created_at <= %(published)s
    ORDER BY person_id LIMIT %(most)s
"""
# By the topic alone hears who has a device, and none that is not in it for long enough.
_PART = """
WITH part AS ({part}), reached AS (
    SELECT person_id, bool_and(EXISTS (
        SELECT FROM topic_member JOIN topic ON topic.city_id = %(city)s AND topic.id = topic_id
        WHERE topic_member.city_id = %(city)s AND topic.name = ANY(%(topics)s) AND address = push_address
          AND state = 'joined' AND joined_at <= %(joined_before)s
    )) AS by_topic
    FROM part JOIN device USING (person_id) WHERE push_address IS NOT NULL GROUP BY person_id
)
SELECT person_id, coalesce(by_topic, false) FROM part LEFT JOIN reached USING (person_id) ORDER BY person_id
"""


async def tell_alert(
    session: AsyncSession, city_id: int, alert_id: UUID, *, now: datetime, most: int = _PERSONS_AT_ONCE
) -> Told:
    """Tell the next of those who hear of an alert directly, or take back some of what was to be told of it.

    Joins the caller's transaction, as `issues.telling.tell` does.

    Args:
        session: Open transaction of the city; committed by the caller, who asks again while there is more.
        city_id: The city.
        alert_id: The alert.
        now: Time of telling.
        most: How many persons are looked at.
    """
    row = await lock_alert(session, city_id, alert_id)
    if row is None:
        return Told(0, more=False)
    if row.withdrawn_at is not None:
        return Told(0, more=await _take_back(session, row, most=most))
    if row.told_at is not None:
        return Told(0, more=False)
    persons, through = await _next_persons(session, row, most=most)
    queued = await queue_notifications(
        session,
        city_id,
        event_id=alert_id,
        kind=NoticeKind.ALERT,
        params=await alert_params(session, row),
        recipients=[Recipient(person_id, {}) for person_id in persons],
        happened_at=row.published_at,
        safety=row.safety,
        now=now,
        ends_at=row.expires_at,
    )
    if queued:
        await enqueue(session, "push.deliver", {"city_id": city_id})
    row.told_through = through
    row.told_at = now if through is None else None
    await session.flush()
    return Told(queued, more=through is not None)


async def settle_alert_topics(
    session: AsyncSession,
    city_id: int,
    person_id: UUID,
    *,
    jurisdiction_id: str,
    locale: str,
    languages: Languages,
    now: datetime,
) -> None:
    """Have a person's devices be in the topics of the alerts that they asked for, each in its language.

    In none are the devices of people with wishes of their own: a topic rings for all at once. The work of a job that
    every change of a subscription, a device or the wishes queues; the last one sees them all.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        person_id: The person.
        jurisdiction_id: The city's.
        locale: The city's, for devices whose language is not spoken here.
        languages: The languages that there are.
        now: The time.
    """
    connection = await driver_connection(session)
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"topics of {person_id} in {city_id}",)
    )
    places = await _alerts_wanted(session, city_id, person_id)
    wanted = set()
    for address, device_locale in await _addresses(session, person_id) if places else ():
        language = languages.choose(device_locale, None, locale)
        language = language if language in _LANGUAGES else _LANGUAGES[0]
        names = {name: language for place in places for name in topics_of(jurisdiction_id, place, [language])}
        topics = await open_topics(session, city_id, names, now=now)
        wanted |= {(topic_id, address) for topic_id in topics.values()}
    await settle_topics(session, city_id, person_id, wanted, now=now)


async def _alerts_wanted(session: AsyncSession, city_id: int, person_id: UUID) -> Collection[str | None]:
    """List the districts of whose alerts a person wants to hear by topic; None stands for the whole city's."""
    connection = await driver_connection(session)
    cursor = await connection.execute(
        """
        SELECT DISTINCT district FROM subscription
        WHERE city_id = %s AND person_id = %s AND 'alert' = ANY (kinds)
          AND NOT EXISTS (SELECT FROM preference WHERE preference.person_id = subscription.person_id)
        """,
        (city_id, person_id),
    )
    places = {district for (district,) in await cursor.fetchall()}
    return places | {None} if places else places


async def _addresses(session: AsyncSession, person_id: UUID) -> Sequence[tuple[str, str]]:
    connection = await driver_connection(session)
    cursor = await connection.execute(
        """
        SELECT push_address, locale FROM device WHERE person_id = %s AND push_kind IN ('fid', 'token') ORDER BY id
        """,
        (person_id,),
    )
    return await cursor.fetchall()


async def _next_persons(session: AsyncSession, row: Alert, *, most: int) -> tuple[list[UUID], UUID | None]:
    """Find the next who hear directly, and the last who was looked at; None where nobody is left."""
    params = await alert_params(session, row)
    connection = await driver_connection(session)
    cursor = await connection.execute(
        _PART.format(part=_OF_CITY if row.district is None else _OF_DISTRICT),
        {
            "city": row.city_id,
            "district": row.district,
            "after": row.told_through or _NOBODY,
            "published": row.published_at,
            "joined_before": joined_before(row),
            "topics": list(topics_of(params["jurisdiction_id"], row.district, _LANGUAGES)),
            "most": most,
        },
    )
    rows = await cursor.fetchall()
    directly = [person_id for person_id, by_topic in rows if not by_topic]
    return directly, rows[-1][0] if len(rows) == most else None


async def _take_back(session: AsyncSession, row: Alert, *, most: int) -> bool:
    """Let some of what waits be worth nothing any more; answers whether there may be more."""
    connection = await driver_connection(session)
    ended = await connection.execute(
        """
        UPDATE notification SET expires_at = %(withdrawn)s
        WHERE city_id = %(city)s AND id IN (
            SELECT id FROM notification
            WHERE city_id = %(city)s AND event_id = %(alert)s AND expires_at > %(withdrawn)s LIMIT %(most)s
        )
        """,
        {"city": row.city_id, "alert": row.id, "withdrawn": row.withdrawn_at, "most": most},
    )
    return ended.rowcount == most
