"""The worker's part in addresses: another geocoder is asked for those that the cities' own data do not know.

Whoever files a report never waits for it: the report says from the start what is near the place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import select

from db.jobs import Job, JobTable
from db.sessions import Database
from geo.cities import City
from issues.addresses import Unaddressed, ask_later, next_unaddressed, note_address

if TYPE_CHECKING:  # loaded where an operator names one
    from api.other_geocoders import OtherGeocoder

_log = structlog.get_logger(__name__)

LOOK_UP: Final = "issues.look_up_addresses"
_EVERY_FIVE_SECONDS: Final = "* * * * * */5"
# The rule of the public Nominatim: one question a second. Of all workers one asks at a time, for such a job neither
# waits nor runs twice; and it rests before each question, so that two jobs do not meet either.
_REST_S: Final = 1.0
# Then it is another city's turn.
_AT_A_TIME: Final = 5


def address_jobs(
    database: Database,
    other: OtherGeocoder,
    *,
    clock: Callable[[], datetime],
    rest: Callable[[float], Awaitable[object]],
) -> JobTable:
    """Name the job that asks for addresses.

    Args:
        database: Where the issues are.
        other: Whom to ask.
        clock: Tells the time.
        rest: Waits for so many seconds.
    """

    async def look_up(_job: Job) -> None:
        async with database.transaction() as session:
            cities = (await session.execute(select(City.id, City.locale).order_by(City.id))).all()
        for city_id, locale in cities:
            for _ in range(_AT_A_TIME):
                async with database.transaction(city_id) as session:
                    issue = await next_unaddressed(session, city_id, now=clock())
                if issue is None:
                    break
                await rest(_REST_S)
                language = locale.partition("-")[0]  # Photon knows no countries
                if not await look_up_one(database, other, issue, language, clock=clock):
                    return

    table = JobTable()
    table.every(_EVERY_FIVE_SECONDS, LOOK_UP, look_up)
    return table


async def look_up_one(
    database: Database, other: OtherGeocoder, issue: Unaddressed, language: str, *, clock: Callable[[], datetime]
) -> bool:
    """Ask for an issue's address and write it; answers whether it makes sense to ask for another one now.

    No transaction is open meanwhile. What fails is asked again later; the issue says what is near it until then.
    """
    from api.other_geocoders import GeocoderFailed, GeocoderRests  # noqa: PLC0415 - as above

    try:
        address = await other.address_at(issue.at, language)
    except GeocoderRests:
        return False
    except GeocoderFailed:
        async with database.transaction(issue.city_id) as session:
            await ask_later(session, issue, now=clock())
        return False
    async with database.transaction(issue.city_id) as session:
        await note_address(session, issue, address, now=clock())
    _log.info("address_looked_up", city_id=issue.city_id, issue_id=str(issue.issue_id), known=address is not None)
    return True
