"""The reports that stood in the demo's cities before the story: drawn services, recent days.

In Montréal, places and hours of day are those of the city's published 311 requests (`cities/montreal/samples`); a
request that the city recorded for several requesters becomes that many reports. In Laval, places are the middles of
streets, and hours are drawn. Services, days and what became of the issues are drawn from a fixed seed, so that every
demo shows the same cities.
"""

import csv
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from db.credentials import hash_secret
from db.sessions import Database
from geo.points import LonLat, offset
from issues.actors import Actor
from issues.city import CityBook
from issues.lifecycle import Status
from issues.reports import find_report_home
from issues.status import change_status
from issues.submission import Submission
from issues.submit import submit_report
from media.photos import receive_photo
from media.store import PhotoStore

_SEED = 311
_REQUESTS = 180
_REQUESTS_ON_STREETS = 40
_DAYS = 30
_PHOTO_EVERY = 15
_PHOTOS = ("cracked-curb.jpg", "broken-gully.jpg", "worn-marking.jpg")
_IDS = UUID("6a3f0d0e-0311-5d3c-9b1e-6d6f6e747265")
# What people report, by how often; codes of the packs' services, of which a city may lack some.
_SERVICES = {
    "nid-de-poule": 24,
    "lampadaire": 14,
    "depot-sauvage": 12,
    "graffiti": 12,
    "trottoir": 8,
    "marquage": 6,
    "arbre": 6,
    "feu-de-circulation": 5,
    "panneau": 5,
    "fuite-eau": 4,
    "rats": 4,
}
# What became of an issue, by how often; each is a way through the statuses.
_COURSES: dict[tuple[Status, ...], int] = {
    (): 5,
    (Status.ACKNOWLEDGED,): 3,
    (Status.ACKNOWLEDGED, Status.RESOLVED): 3,
    (Status.ACKNOWLEDGED, Status.DECLINED): 1,
}

_LONGEST_COURSE_DAYS = 3
_MOST_PEOPLE = 4
_MIDDLES = """
SELECT ST_X(middle), ST_Y(middle)
FROM (SELECT id, ST_LineInterpolatePoint(line::geometry, 0.5) AS middle FROM street WHERE city_id = %s) AS street
ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where, at what hour of the day, and by how many people something is reported."""

    at: LonLat
    hour: time
    people: int = 1


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A report of the background, before anything of it is stored."""

    id: UUID
    service_code: str
    at: LonLat
    received_at: datetime
    photo: str | None
    course: tuple[Status, ...]


async def file_background(
    database: Database,
    store: PhotoStore,
    city: CityBook,
    spots: Sequence[Spot],
    photos: Path,
    *,
    agent: Actor,
    now: datetime,
    advance: Callable[[int, int], None],
) -> int:
    """File the background's reports, unless they are there; answers how many there are.

    Every report is a transaction of its own under an id that is always the same, so an interrupted run is
    continued by the next.

    Args:
        database: Where to file them, as the server does.
        store: Where their photos go.
        city: Which one.
        spots: Where its reports are from, as `published_spots` or `street_spots` gives them.
        photos: Folder with those that some reports have.
        agent: Who acknowledged and resolved.
        now: The end of the drawn days.
        advance: Told how many of how many are done.
    """
    drawn = sorted(_draw(spots, city, now), key=lambda report: report.received_at)
    async with database.transaction() as session:
        if await find_report_home(session, drawn[-1].id) is not None:
            return len(drawn)
    for done, report in enumerate(drawn, start=1):
        await _file(database, store, city, report, photos=photos, agent=agent)
        advance(done, len(drawn))
    return len(drawn)


def published_spots(requests: Path, city: CityBook) -> list[Spot]:
    """Read the places and hours of a city's published requests."""
    with requests.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    found = [Spot(_place(row), _hour(row), min(int(row["requesters"]), _MOST_PEOPLE)) for row in rows]
    dice = random.Random(_SEED)  # noqa: S311 - the same city in every demo
    return dice.sample([spot for spot in found if city.map.contains(spot.at)], _REQUESTS)


async def street_spots(session: AsyncSession, city: CityBook) -> list[Spot]:
    """Draw places on a city's streets, and hours of the day."""
    connection = await driver_connection(session)
    cursor = await connection.execute(_MIDDLES, (city.id,))
    middles = [LonLat(lon, lat) for lon, lat in await cursor.fetchall()]
    dice = random.Random(_SEED)  # noqa: S311 - as above
    return [
        Spot(at, time(dice.randint(7, 21), dice.randint(0, 59))) for at in dice.sample(middles, _REQUESTS_ON_STREETS)
    ]


def _draw(spots: Sequence[Spot], city: CityBook, now: datetime) -> Iterator[_Drawn]:
    dice = random.Random(_SEED)  # noqa: S311 - as above
    ids = uuid5(_IDS, city.jurisdiction_id)
    services = {code: weight for code, weight in _SERVICES.items() if code in city.catalogue.services}
    today = city.local_date(now)
    for index, spot in enumerate(spots):
        [service] = dice.choices(list(services), list(services.values()))
        [course] = dice.choices(list(_COURSES), list(_COURSES.values()))
        day = today - timedelta(days=dice.randint(_LONGEST_COURSE_DAYS, _DAYS))
        received_at = datetime.combine(day, spot.hour, tzinfo=city.timezone)
        photo = _PHOTOS[index // _PHOTO_EVERY % len(_PHOTOS)] if index % _PHOTO_EVERY == 0 else None
        for copy in range(spot.people):
            yield _Drawn(
                id=uuid5(ids, f"{index}/{copy}"),
                service_code=service,
                at=offset(spot.at, east_m=dice.gauss(0, 3), north_m=dice.gauss(0, 3)),
                received_at=received_at + timedelta(hours=3 * copy),
                photo=photo if copy == 0 else None,
                course=course if copy == spot.people - 1 else (),
            )


def _place(row: dict[str, str]) -> LonLat:
    return LonLat(float(row["long"]), float(row["lat"]))


def _hour(row: dict[str, str]) -> time:
    return time.fromisoformat(row["created"].partition("T")[2])


async def _file(
    database: Database, store: PhotoStore, city: CityBook, report: _Drawn, *, photos: Path, agent: Actor
) -> None:
    sender = f"device:{uuid5(report.id, 'device')}"
    photo_id = uuid5(report.id, "photo")
    if report.photo is not None:
        photo = photos / report.photo
        await receive_photo(
            database,
            store,
            photo_id,
            _chunks(photo),
            uploader=sender,
            announced_bytes=photo.stat().st_size,
            now=report.received_at,
        )
    submission = Submission(
        id=report.id,
        sender=sender,
        person_id=None,
        tracking_hash=hash_secret(str(report.id)),
        service_code=report.service_code,
        at=report.at,
        accuracy_m=8.0,
        location_source="gps",
        address_string=None,
        description=None,
        attributes={},
        photo_ids=(photo_id,) if report.photo is not None else (),
        captured_at=report.received_at,
        channel="app",
    )
    async with database.transaction() as session:
        receipt = await submit_report(session, submission, city=city, now=report.received_at)
        if receipt.issue.status is Status.RECEIVED:
            for days, status in enumerate(report.course, start=1):
                await change_status(
                    session,
                    city.id,
                    receipt.issue.id,
                    status,
                    actor=agent,
                    now=report.received_at + timedelta(days=days),
                )


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    yield path.read_bytes()  # noqa: ASYNC240 - a local file of the clone
