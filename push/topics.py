"""Topics: what FCM tells many devices in one message, because each of them joined.

FCM is told of each device that joins or leaves, after the transaction that had it so: a row says where the device is to
be, and stays due until FCM has taken it. What FCM refuses for a device's sake is not tried again; its person is told
directly then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, new_id
from db.connections import driver_connection
from db.sessions import Database

AT_ONCE: Final = 100
"""So many devices are told of in one go: as many as Firebase's library does at a time."""

TOPICS_OF: Final = "push.topics_of"
"""The job that finds out anew which topics a person's devices are to be in."""

# Longer than telling them can take.
_LEASE_S: Final = 60.0
_FIRST_WAIT_S: Final = 10.0
_LONGEST_WAIT_S: Final = 3600.0
# The device is gone, another project's, or no such thing: asked again, FCM would say the same.
_REFUSALS: Final = frozenset({"UNREGISTERED", "NOT_FOUND", "INVALID_ARGUMENT", "SENDER_ID_MISMATCH"})


class Topic(Base):
    """Something that devices hear of in one language."""

    __tablename__ = "topic"
    __table_args__ = (UniqueConstraint("city_id", "name"),)

    city_id: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]  # as FCM knows it
    locale: Mapped[str]
    created_at: Mapped[datetime]


class TopicMember(Base):
    """Whether an address is to hear of a topic, and whether FCM knows."""

    __tablename__ = "topic_member"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "topic_id"], ["topic.city_id", "topic.id"]),
        CheckConstraint("state IN ('joining', 'joined', 'leaving', 'refused')", name="state"),
        Index("ix_topic_member_person", "city_id", "person_id"),
        Index(
            "ix_topic_member_due",
            "city_id",
            "topic_id",
            "due_at",
            postgresql_where=text("state IN ('joining', 'leaving')"),
        ),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    topic_id: Mapped[UUID] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)  # kept until it has left, also of a device that is gone
    person_id: Mapped[UUID]
    state: Mapped[str]
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime]  # while somebody tells FCM: when they must be done
    joined_at: Mapped[datetime | None]
    last_error: Mapped[str | None]


@dataclass(frozen=True, slots=True)
class Change:
    """Devices that join or leave one topic, to be told to FCM by one caller until a time.

    Attributes:
        tries: How often each was told, this time included.
    """

    topic_id: UUID
    name: str
    joins: bool
    tries: Sequence[int]
    addresses: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TopicBacklog:
    """Devices that have yet to join or leave: how many, since when the first, and what FCM last said."""

    waiting: int
    overdue_s: float
    error: str | None


class TopicProvider(Protocol):
    """Whoever keeps topics for us."""

    async def change_topic(self, topic: str, addresses: Sequence[str], *, joins: bool) -> Sequence[str | None]:
        """Have devices hear of a topic, or no more; answers for each with None, or a word for why not."""
        ...


async def open_topics(
    session: AsyncSession, city_id: int, names: Mapping[str, str], *, now: datetime
) -> Mapping[str, UUID]:
    """Find topics, or make them.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        names: The language of each, by name.
        now: When those are made that there were not.

    Returns:
        The id of each, by name.
    """
    ordered = sorted(names)
    connection = await driver_connection(session)
    await connection.execute(
        """
        INSERT INTO topic (city_id, id, name, locale, created_at)
        SELECT %(city)s, id, name, locale, %(now)s
        FROM unnest(%(ids)s::uuid[], %(names)s::text[], %(locales)s::text[]) AS made (id, name, locale)
        ON CONFLICT (city_id, name) DO NOTHING
        """,
        {
            "city": city_id,
            "now": now,
            "ids": [new_id() for _ in ordered],
            "names": ordered,
            "locales": [names[name] for name in ordered],
        },
    )
    found = await connection.execute(
        "SELECT name, id FROM topic WHERE city_id = %s AND name = ANY(%s)", (city_id, ordered)
    )
    return dict(await found.fetchall())


async def topics_with_members(
    session: AsyncSession, city_id: int, names: Collection[str], *, joined_before: datetime
) -> list[UUID]:
    """Find which topics anybody has been in since before a time: the others need no message."""
    connection = await driver_connection(session)
    found = await connection.execute(
        """
        SELECT id FROM topic WHERE city_id = %(city)s AND name = ANY(%(names)s) AND EXISTS (
            SELECT FROM topic_member
            WHERE city_id = %(city)s AND topic_id = topic.id AND state = 'joined' AND joined_at <= %(before)s
        )
        ORDER BY id
        """,
        {"city": city_id, "names": list(names), "before": joined_before},
    )
    return [topic_id for (topic_id,) in await found.fetchall()]


async def settle_topics(
    session: AsyncSession, city_id: int, person_id: UUID, wanted: Collection[tuple[UUID, str]], *, now: datetime
) -> None:
    """Have a person's addresses be in the topics that they are wanted in, and in no others.

    One at a time for a person: an older wish must not come last.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        person_id: The person.
        wanted: Pairs of a topic and an address. An address that was another person's is theirs now.
        now: From now on FCM is to be told.
    """
    ordered = sorted(wanted)
    asked = {
        "city": city_id,
        "person": person_id,
        "now": now,
        "topics": [topic_id for topic_id, _ in ordered],
        "addresses": [address for _, address in ordered],
    }
    connection = await driver_connection(session)
    await connection.execute(
        """
        INSERT INTO topic_member (city_id, topic_id, address, person_id, state, due_at)
        SELECT %(city)s, topic_id, address, %(person)s, 'joining', %(now)s
        FROM unnest(%(topics)s::uuid[], %(addresses)s::text[]) AS wanted (topic_id, address)
        ON CONFLICT (city_id, topic_id, address) DO UPDATE SET
            person_id = excluded.person_id, tries = 0, due_at = greatest(topic_member.due_at, excluded.due_at),
            state = CASE WHEN topic_member.state = 'joined' THEN 'joined' ELSE 'joining' END
        """,
        asked,
    )
    await connection.execute(
        """
        UPDATE topic_member SET state = 'leaving', tries = 0, due_at = greatest(due_at, %(now)s)
        WHERE city_id = %(city)s AND person_id = %(person)s AND state <> 'leaving' AND NOT EXISTS (
            SELECT FROM unnest(%(topics)s::uuid[], %(addresses)s::text[]) AS wanted (topic_id, address)
            WHERE wanted.topic_id = topic_member.topic_id AND wanted.address = topic_member.address
        )
        """,
        asked,
    )


async def keep_topics(
    database: Database,
    city_id: int,
    provider: TopicProvider,
    *,
    clock: Callable[[AsyncSession], Awaitable[datetime]],
    stop: asyncio.Event | None = None,
) -> int:
    """Tell FCM of all in a city who are due to join or leave, until it is in trouble; answers how many that were.

    No transaction is open while FCM is told. Nobody else tells of the same for a minute; who is killed leaves them to
    others then.

    Args:
        database: Where topics are; each step takes a short transaction of its own.
        city_id: The city.
        provider: Who is told.
        clock: Gives the time, aware of its zone: the database's, which all share.
        stop: Set it to have the run end after those it is at.
    """
    told = 0
    while stop is None or not stop.is_set():
        async with database.transaction(city_id) as session:
            change = await _take_change(session, city_id, now=await clock(session))
        if change is None:
            break
        answers = await provider.change_topic(change.name, change.addresses, joins=change.joins)
        async with database.transaction(city_id) as session:
            await _record_change(session, city_id, change, answers, now=await clock(session))
        told += len(answers)
        if all(answer is not None and answer not in _REFUSALS for answer in answers):
            break
    return told


async def topic_backlog(session: AsyncSession, city_id: int, *, now: datetime) -> TopicBacklog:
    """Count the devices of a city that FCM has yet to be told of."""
    connection = await driver_connection(session)
    cursor = await connection.execute(
        """
        SELECT count(*), extract(epoch FROM %s - min(due_at))::float8, max(last_error) FROM topic_member
        WHERE city_id = %s AND state IN ('joining', 'leaving')
        """,
        (now, city_id),
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - a count always gives its row
    return TopicBacklog(row[0], max(0.0, row[1] or 0.0), row[2])


async def _take_change(session: AsyncSession, city_id: int, *, now: datetime) -> Change | None:
    connection = await driver_connection(session)
    cursor = await connection.execute(
        """
        WITH first AS (
            SELECT topic_id, state FROM topic_member
            WHERE city_id = %(city)s AND state IN ('joining', 'leaving') AND due_at <= %(now)s
            ORDER BY topic_id, due_at LIMIT 1
        ), taken AS (
            SELECT topic_id, address FROM topic_member JOIN first USING (topic_id, state)
            WHERE city_id = %(city)s AND state IN ('joining', 'leaving') AND due_at <= %(now)s
            ORDER BY due_at LIMIT %(most)s
            FOR UPDATE OF topic_member SKIP LOCKED
        )
        UPDATE topic_member AS member SET due_at = %(until)s, tries = tries + 1
        FROM taken JOIN topic ON topic.city_id = %(city)s AND topic.id = taken.topic_id
        WHERE member.city_id = %(city)s AND member.topic_id = taken.topic_id AND member.address = taken.address
        RETURNING member.topic_id, name, state = 'joining', member.address, tries
        """,
        {"city": city_id, "now": now, "until": now + timedelta(seconds=_LEASE_S), "most": AT_ONCE},
    )
    rows = await cursor.fetchall()
    if not rows:
        return None
    topic_id, name, joins, *_ = rows[0]
    return Change(topic_id, name, joins, [row[4] for row in rows], [row[3] for row in rows])


async def _record_change(
    session: AsyncSession, city_id: int, change: Change, answers: Sequence[str | None], *, now: datetime
) -> None:
    """Record what FCM said; who was to be elsewhere meanwhile is due again at once."""
    answered = list(zip(change.addresses, answers, change.tries, strict=True))
    failed = [(address, error, tries) for address, error, tries in answered if error and error not in _REFUSALS]
    connection = await driver_connection(session)
    told = {
        "city": city_id,
        "topic": change.topic_id,
        "state": "joining" if change.joins else "leaving",
        "now": now,
        "all": change.addresses,
        "done": [address for address, error, _ in answered if error is None],
        "refused": [address for address, error, _ in answered if error in _REFUSALS],
        "failed": [address for address, _, _ in failed],
        "errors": [error for _, error, _ in failed],
        "dues": [now + timedelta(seconds=_wait_s(tries)) for _, _, tries in failed],
    }
    for statement in (*(_JOINED if change.joins else _LEFT), *_STILL_DUE):
        await connection.execute(statement, told)


_JOINED: Final = (
    """
    UPDATE topic_member SET state = 'joined', joined_at = %(now)s, due_at = %(now)s, last_error = NULL
    WHERE city_id = %(city)s AND topic_id = %(topic)s AND state = 'joining' AND address = ANY(%(done)s)
    """,
    """
    UPDATE topic_member SET state = 'refused', due_at = %(now)s
    WHERE city_id = %(city)s AND topic_id = %(topic)s AND state = 'joining' AND address = ANY(%(refused)s)
    """,
)
# Who is gone need not leave.
_LEFT: Final = (
    """
    DELETE FROM topic_member
    WHERE city_id = %(city)s AND topic_id = %(topic)s AND state = 'leaving'
      AND address = ANY(%(done)s::text[] || %(refused)s::text[])
    """,
)
_STILL_DUE: Final = (
    """
    UPDATE topic_member AS member SET due_at = failed.due_at, last_error = failed.error
    FROM unnest(%(failed)s::text[], %(errors)s::text[], %(dues)s::timestamptz[]) AS failed (address, error, due_at)
    WHERE city_id = %(city)s AND topic_id = %(topic)s AND state = %(state)s AND member.address = failed.address
    """,
    """
    UPDATE topic_member SET due_at = %(now)s
    WHERE city_id = %(city)s AND topic_id = %(topic)s AND state IN ('joining', 'leaving') AND state <> %(state)s
      AND address = ANY(%(all)s)
    """,
)


def _wait_s(tries: int) -> float:
    return float(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(tries - 1, 20)))
