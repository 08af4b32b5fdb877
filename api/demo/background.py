"""The reports that stood in Montréal before the story: real places and hours, drawn services, recent days.

Places and hours of day are those of the city's published 311 requests (`cities/montreal/samples`); a request that
the city recorded for several requesters becomes that many reports. Services, days and what became of the issues
are drawn from a fixed seed, so that every demo shows the same city.
"""

import csv
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from uuid import UUID, uuid5

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
_DAYS = 30
_PHOTO_EVERY = 15
_PHOTOS = ("cracked-curb.jpg", "broken-gully.jpg", "worn-marking.jpg")
_IDS = UUID("6a3f0d0e-0311-5d3c-9b1e-6d6f6e747265")
# What people report, by how often; codes of the pack's services.
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
    samples: Path,
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
        city: Montréal.
        samples: Folder with `requests-311.csv` and `photos/`.
        agent: Who acknowledged and resolved.
        now: The end of the drawn days.
        advance: Told how many of how many are done.
    """
    drawn = sorted(_draw(samples / "requests-311.csv", city, now), key=lambda report: report.received_at)
    async with database.transaction() as session:
        if await find_report_home(session, drawn[-1].id) is not None:
            return len(drawn)
    for done, report in enumerate(drawn, start=1):
        await _file(database, store, city, report, samples=samples, agent=agent)
        advance(done, len(drawn))
    return len(drawn)


def _draw(requests: Path, city: CityBook, now: datetime) -> Iterator[_Drawn]:
    dice = random.Random(_SEED)  # noqa: S311 - the same city in every demo
    with requests.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if city.map.contains(_place(row))]
    today = city.local_date(now)
    for index, row in enumerate(dice.sample(rows, _REQUESTS)):
        at = _place(row)
        [service] = dice.choices(list(_SERVICES), list(_SERVICES.values()))
        [course] = dice.choices(list(_COURSES), list(_COURSES.values()))
        day = today - timedelta(days=dice.randint(_LONGEST_COURSE_DAYS, _DAYS))
        hour = time.fromisoformat(row["created"].partition("T")[2])
        received_at = datetime.combine(day, hour, tzinfo=city.timezone)
        photo = _PHOTOS[index // _PHOTO_EVERY % len(_PHOTOS)] if index % _PHOTO_EVERY == 0 else None
        copies = min(int(row["requesters"]), 4)
        for copy in range(copies):
            yield _Drawn(
                id=uuid5(_IDS, f"{index}/{copy}"),
                service_code=service,
                at=offset(at, east_m=dice.gauss(0, 3), north_m=dice.gauss(0, 3)),
                received_at=received_at + timedelta(hours=3 * copy),
                photo=photo if copy == 0 else None,
                course=course if copy == copies - 1 else (),
            )


def _place(row: dict[str, str]) -> LonLat:
    return LonLat(float(row["long"]), float(row["lat"]))


async def _file(
    database: Database, store: PhotoStore, city: CityBook, report: _Drawn, *, samples: Path, agent: Actor
) -> None:
    sender = f"device:{uuid5(report.id, 'device')}"
    photo_id = uuid5(report.id, "photo")
    if report.photo is not None:
        photo = samples / "photos" / report.photo
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
