"""How often each channel gave which answer: counted in the database, since a worker has no page of numbers."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import BigInteger
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.connections import driver_connection

NO_CHANNEL: Final = "none"
"""Of a device that is gone, or takes no pushes any more."""

Outcomes = Mapping[tuple[str, str], int]
"""How many, by channel (a kind of address) and what became of them."""


class PushOutcome(Base):
    """How many deliveries of a city had an outcome by a channel, ever."""

    __tablename__ = "push_outcome"

    city_id: Mapped[int] = mapped_column(primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


async def count_outcomes(session: AsyncSession, city_id: int, outcomes: Outcomes) -> None:
    """Count outcomes; the last thing a transaction does, since others that count wait for its end."""
    if not outcomes:
        return
    connection = await driver_connection(session)
    ordered = sorted(outcomes.items())  # so that nobody waits in a circle
    await connection.execute(
        """
        INSERT INTO push_outcome (city_id, channel, outcome, count)
        SELECT %(city)s, channel, outcome, count
        FROM unnest(%(channels)s::text[], %(outcomes)s::text[], %(counts)s::bigint[]) AS seen (channel, outcome, count)
        ON CONFLICT (city_id, channel, outcome) DO UPDATE SET count = push_outcome.count + excluded.count
        """,
        {
            "city": city_id,
            "channels": [channel for (channel, _), _ in ordered],
            "outcomes": [outcome for (_, outcome), _ in ordered],
            "counts": [count for _, count in ordered],
        },
    )


async def read_outcomes(session: AsyncSession, city_id: int) -> Outcomes:
    """Read how often each channel of a city had which outcome."""
    connection = await driver_connection(session)
    cursor = await connection.execute(
        "SELECT channel, outcome, count FROM push_outcome WHERE city_id = %s ORDER BY channel, outcome", (city_id,)
    )
    return {(channel, outcome): count for channel, outcome, count in await cursor.fetchall()}
