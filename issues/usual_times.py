"""How long similar issues took: quantiles from a city's own closed issues, worked out now and then and held in process.

Never part of receiving a report: the worker works them out, and processes that serve read the few rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Double, ForeignKey, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base

WORK_OUT: Final = "issues.usual_times"
"""The worker's job."""

# What fewer issues did says little, and might tell about one person's.
_AT_LEAST: Final = 10
_LOOK_BACK: Final = timedelta(days=365)
_DAY_S: Final = 86_400.0


class UsualTimeRow(Base):
    """How long issues of a service took in a district, or in the whole city."""

    __tablename__ = "usual_time"

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    service_code: Mapped[str] = mapped_column(primary_key=True)
    district: Mapped[str] = mapped_column(primary_key=True)  # of the responsible layer, 'layer:code'; '' for the city
    issues: Mapped[int]
    low_s: Mapped[float] = mapped_column(Double)  # one in five was quicker
    high_s: Mapped[float] = mapped_column(Double)  # one in five was slower
    computed_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class UsualTime:
    """How long three in five similar issues took.

    Attributes:
        low_s: From so many seconds, and `high_s` to so many.
        issues: How many there were.
    """

    low_s: float
    high_s: float
    issues: int

    @property
    def days(self) -> tuple[int, int]:
        """In days, at least one each."""
        return max(1, round(self.low_s / _DAY_S)), max(1, round(self.high_s / _DAY_S))


@dataclass(frozen=True, slots=True)
class UsualTimes:
    """The usual times of all cities.

    Attributes:
        computed_at: When the newest were worked out; None where there are none.
        times: By city, service and district ('' for the whole city).
    """

    computed_at: datetime | None
    times: Mapping[tuple[int, str, str], UsualTime]

    def of(self, city_id: int, service_code: str, district: str | None) -> UsualTime | None:
        """How long issues of a service usually took in a district, else in the city; None where too few are known."""
        return self.times.get((city_id, service_code, district or "")) or self.times.get((city_id, service_code, ""))


NONE_KNOWN: Final = UsualTimes(None, {})

# The first time that an issue was resolved counts; what was declined or transferred took no work. Merged issues were
# dealt with under another number.
_WORK_OUT = text(
    """
    WITH done AS (
        SELECT issue.service_code, issue.layer || ':' || issue.district_code AS district,
               extract(epoch FROM min(event.at) - issue.opened_at)::float8 AS took_s
        FROM event JOIN issue ON issue.city_id = event.city_id AND issue.id = event.issue_id
        WHERE event.city_id = :city AND event.kind = 'issue.status' AND event.data ->> 'to' = 'resolved'
          AND event.at >= :since AND issue.merged_into IS NULL
        GROUP BY issue.city_id, issue.id
    )
    INSERT INTO usual_time (city_id, service_code, district, issues, low_s, high_s, computed_at)
    SELECT :city, service_code, coalesce(district, ''), count(*),
           percentile_cont(0.2) WITHIN GROUP (ORDER BY took_s),
           percentile_cont(0.8) WITHIN GROUP (ORDER BY took_s), :now
    FROM done GROUP BY GROUPING SETS ((service_code, district), (service_code))
    HAVING count(*) >= :at_least AND (grouping(district) = 1 OR district IS NOT NULL)
    """
)


async def work_out_usual_times(session: AsyncSession, city_id: int, *, now: datetime) -> int:
    """Work out how long a city's issues took within the last year; answers with how many times are known.

    Args:
        session: Open transaction of the city; committed by the caller.
        city_id: The city.
        now: When this is done.
    """
    await session.execute(text("DELETE FROM usual_time WHERE city_id = :city"), {"city": city_id})
    values = {"city": city_id, "since": now - _LOOK_BACK, "at_least": _AT_LEAST, "now": now}
    await session.execute(_WORK_OUT, values)
    known = await session.scalars(select(func.count()).where(UsualTimeRow.city_id == city_id))
    return known.one()


async def load_usual_times(session: AsyncSession, *, known: UsualTimes = NONE_KNOWN) -> UsualTimes:
    """Read the usual times of all cities; `known` itself, after one short query, where they are no older."""
    newest = (await session.scalars(select(func.max(UsualTimeRow.computed_at)))).one()
    if newest == known.computed_at:
        return known
    rows = await session.scalars(select(UsualTimeRow))
    return UsualTimes(
        newest,
        {(row.city_id, row.service_code, row.district): UsualTime(row.low_s, row.high_s, row.issues) for row in rows},
    )
