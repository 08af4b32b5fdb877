"""How much somebody may do within a while: counted in PostgreSQL, in the statement or transaction of what is counted.

It stands here because reports (`issues`) and photos (`media`) are both counted, and neither may import the other; what
may be done how often is the city's to say (`issues.limits`).

A window's counts are rows of their own, written with what they count: what is taken back is not counted. One sender's
count is a single row, so it is exact. One that many senders share (an address) is spread over rows by connection, so
that nobody waits for the others; those who are at it at the same moment may then go beyond the limit by as many as
they are.

Rows hold no device and no address, but a keyed hash of both with the window: no two windows can be told to be of one
sender, and with the window the row goes too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection
from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.connections import driver_connection

PURPOSE: Final = "rates"
"""What the key of the hashes is for; see `db.signing`."""

FORGET_RATES: Final = "db.forget_rates"
"""Kind of the job that deletes the counts of windows that are over; comes by the clock, without a payload."""


class RateCount(Base):
    """How often something was done within one window.

    Unlogged: after a crash of the server everybody begins anew, which harms nobody.
    """

    __tablename__ = "rate_count"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012 - as SQLAlchemy says

    subject: Mapped[UUID] = mapped_column(primary_key=True)  # hash of who does what, and when
    shard: Mapped[int] = mapped_column(primary_key=True)  # 0, or the connection's where many share the count
    count: Mapped[int]
    ends_at: Mapped[datetime]  # no part of an index: counting on rewrites the row in its place


@dataclass(frozen=True, slots=True)
class Allowance:
    """What somebody may do within the window that is running.

    Attributes:
        kind: What is counted, for telling the caller.
        subject: Hash of who, what and when.
        most: How often it may be done.
        window: How long a window is.
        ends_at: When this one is over.
        shared: Whether many senders are counted together.
    """

    kind: str
    subject: UUID
    most: int
    window: timedelta
    ends_at: datetime
    shared: bool


class AllowanceUsedUp(Exception):
    """Somebody has done as much as they may for now.

    Attributes:
        allowance: Of what.
        wait_s: Seconds until it begins anew.
    """

    def __init__(self, allowance: Allowance, wait_s: float) -> None:
        super().__init__(allowance.kind)
        self.allowance = allowance
        self.wait_s = wait_s


def allow(
    kind: str, sender: str, *, most: int, window: timedelta, key: bytes, now: datetime, shared: bool = False
) -> Allowance:
    """Tell what a sender may do now.

    Each sender's windows begin at a moment of their own, so that those who have to wait do not come back together.

    Args:
        kind: What is counted.
        sender: Who does it, in any words that are always the same; kept only as a hash.
        most: How often.
        window: Within how long.
        key: Of the hash; see `PURPOSE`.
        now: The time.
        shared: Whether many are behind the sender.
    """
    whole_s = int(window.total_seconds())
    whom = blake2b(f"{kind}\n{sender}".encode(), key=key).digest()
    shift_s = int.from_bytes(whom[:8], "big") % whole_s
    number = (int(now.timestamp()) + shift_s) // whole_s
    return Allowance(
        kind=kind,
        subject=UUID(bytes=blake2b(b"%d" % number, key=whom, digest_size=16).digest()),
        most=most,
        window=window,
        ends_at=datetime.fromtimestamp((number + 1) * whole_s - shift_s, UTC),
        shared=shared,
    )


_SHARDS: Final = 64


@cache
def counting_after(first: str, allowances: int) -> str:
    """Write the part of a statement that counts, once, if the part before it found something.

    Takes the values of `counting_values`. Its last part, `beyond`, has one row with one column, `subjects`: which
    allowances are used up, NULL where none is; the transaction is then to be rolled back.

    Each allowance has parameters of its own: of an array the planner would not know how long it is, and make a new plan
    every time, which takes longer than all else that is done here.

    Args:
        first: Name of the part before, a constant.
        allowances: How many are counted.
    """
    if not allowances:
        return "beyond AS (SELECT NULL::uuid[] AS subjects)"
    return f"""
allowance (subject, most, shared, ends_at) AS (VALUES {_allowance_rows(allowances)}), counted AS (
    INSERT INTO rate_count AS rate (subject, shard, count, ends_at)
    SELECT subject, CASE WHEN shared THEN 1 + pg_backend_pid() %% {_SHARDS} ELSE 0 END, 1, ends_at
    FROM {first}, allowance
    ON CONFLICT (subject, shard) DO UPDATE SET count = rate.count + 1
    RETURNING subject, shard, count
), beyond AS (
    SELECT array_agg(subject) AS subjects
    FROM counted JOIN allowance USING (subject)
    WHERE most - count < CASE
        WHEN shared THEN (SELECT coalesce(sum(other.count), 0) FROM rate_count AS other
                          WHERE other.subject = counted.subject AND other.shard <> counted.shard)
        ELSE 0 END
)"""  # noqa: S608 - made of constants


@cache
def _looking(allowances: int) -> str:
    return f"""
SELECT array_agg(subject) FROM (VALUES {_allowance_rows(allowances)}) AS allowance (subject, most, shared, ends_at)
WHERE most < %(more)s::bigint
    + (SELECT coalesce(sum(count), 0) FROM rate_count WHERE rate_count.subject = allowance.subject)
"""  # noqa: S608 - made of constants


def _allowance_rows(allowances: int) -> str:
    return ", ".join(
        f"(%(subject_{n})s::uuid, %(most_{n})s::bigint, %(shared_{n})s::boolean, %(ends_at_{n})s::timestamptz)"
        for n in range(allowances)
    )


def counting_values(allowances: Sequence[Allowance]) -> dict[str, Any]:
    """Get the values that `counting_after` takes."""
    return {
        f"{name}_{n}": value
        for n, allowance in enumerate(allowances)
        for name, value in (
            ("subject", allowance.subject),
            ("most", allowance.most),
            ("shared", allowance.shared),
            ("ends_at", allowance.ends_at),
        )
    }


def refuse_used_up(subjects: Sequence[UUID] | None, allowances: Sequence[Allowance], *, now: datetime) -> None:
    """Refuse what would be too much, by the answer of a statement that counted or looked.

    Raises:
        AllowanceUsedUp: one is; of several, the one that takes longest to begin anew.
    """
    used_up = [allowance for allowance in allowances if subjects is not None and allowance.subject in subjects]
    if used_up:
        last = max(used_up, key=lambda allowance: allowance.ends_at)
        raise AllowanceUsedUp(last, (last.ends_at - now).total_seconds())


async def count_use(session: AsyncSession, allowances: Sequence[Allowance], *, now: datetime) -> None:
    """Count something that is being done in the caller's transaction, which has to be rolled back where it is refused.

    Raises:
        AllowanceUsedUp: it would be too much.
    """
    if allowances:
        connection = await driver_connection(session)
        counting = f"WITH this AS (SELECT), {counting_after('this', len(allowances))} SELECT subjects FROM beyond"  # noqa: S608 - as above
        refuse_used_up(await _ask(connection, counting, counting_values(allowances)), allowances, now=now)


async def look_ahead(session: AsyncSession, allowances: Sequence[Allowance], *, now: datetime, more: int = 1) -> None:
    """See, without counting, whether so much more may be done: before something is received that costs much.

    Raises:
        AllowanceUsedUp: it would be too much.
    """
    if allowances:
        connection = await driver_connection(session)
        subjects = await _ask(connection, _looking(len(allowances)), counting_values(allowances) | {"more": more})
        refuse_used_up(subjects, allowances, now=now)


async def forget_rates(session: AsyncSession, *, now: datetime) -> None:
    """Delete the counts of windows that are over."""
    await session.execute(delete(RateCount).where(RateCount.ends_at <= now))


async def _ask(connection: AsyncConnection, statement: str, values: dict[str, Any]) -> Sequence[UUID] | None:
    row = await (await connection.execute(statement, values, prepare=True)).fetchone()
    assert row is not None  # noqa: S101 - without GROUP BY there is always one
    return row[0]  # type: ignore[no-any-return]  # rows of psycopg have no types
