"""Small towns to file reports in: two boroughs, a handful of services, few streets."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from db.base import new_id
from db.connections import driver_connection
from db.sessions import Database
from geo.points import LonLat, offset
from issues.catalogue import Service
from issues.city import CityBook, load_cities
from issues.submission import Submission
from issues.submit import submit_report

NOON = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)  # a Monday, at noon in Québec
NEXT_DAY = NOON + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Town:
    """Where a town lies: a box of boroughs `ouest` and `est`, which meet at its middle."""

    jurisdiction_id: str
    west: float
    south: float = 45.50
    side: float = 0.1
    settings: dict = field(default_factory=lambda: {"photos": "public", "holidays": ["2026-11-24"]})

    @property
    def middle(self) -> LonLat:
        """Inside `est`, a kilometre from the border with `ouest`."""
        return LonLat(self.west + self.side / 2 + 0.013, self.south + self.side / 2)

    def box(self, from_share: float, to_share: float) -> str:
        """A slice of the box between two shares of its width."""
        west, east = self.west + self.side * from_share, self.west + self.side * to_share
        south, north = self.south, self.south + self.side
        return f"SRID=4326;MULTIPOLYGON((({west} {south},{east} {south},{east} {north},{west} {north},{west} {south})))"


ESSAI = Town("essai.ca", -73.60)
AILLEURS = Town("ailleurs.ca", -72.60)

# code, group, private, siblings, radius_m, window_days, joins, offered
SERVICES = [
    ("nid-de-poule", "voirie", False, ["chaussee"], 25.0, 60, "automatic", True),
    ("chaussee", "voirie", False, [], 35.0, 60, "automatic", True),
    ("trottoir", "voirie", False, [], 25.0, 60, "automatic", True),
    ("lampadaire", "eclairage", False, [], 100.0, 30, "automatic", True),
    ("graffiti", "proprete", False, [], 25.0, 60, "ask", True),
    ("bruit", "nuisances", True, [], 25.0, 60, "automatic", True),
    ("neige", "hiver", False, [], 25.0, 60, "automatic", False),
    ("piste", "parcs", False, [], 25.0, 60, "automatic", True),
]
# service, group, layer, district, department, crew
ROUTES = [
    (None, "voirie", "arrondissements", "est", "voirie-est", "equipe-est"),
    (None, "voirie", None, None, "voirie", "equipe-1"),
    ("piste", None, "arrondissements", "ouest", "parcs", None),
    ("lampadaire", None, None, None, "eclairage", None),
    ("graffiti", None, None, None, "parcs", None),
    ("bruit", None, None, None, "voirie", None),
    ("neige", None, None, None, "voirie", None),
]


def words(code: str) -> Jsonb:
    """Names in both languages, made of a code."""
    return Jsonb({"fr": code, "en": f"{code} (en)"})


async def build(session: AsyncSession, town: Town) -> int:
    """Write a town's rows as the owner of the tables; answers with its number."""
    connection = await driver_connection(session)
    cursor = await connection.execute(
        "INSERT INTO city (jurisdiction_id, names, timezone, locale, outline, settings, pack_sha256, version,"
        " loaded_at) VALUES (%s, %s, 'America/Toronto', 'fr-CA', %s::geometry, %s, '', 1, %s) RETURNING id",
        (town.jurisdiction_id, words(town.jurisdiction_id), town.box(0, 1), Jsonb(town.settings), NOON),
    )
    row = await cursor.fetchone()
    assert row is not None
    city_id = row[0]
    await connection.execute(
        "INSERT INTO layer VALUES (%s, 'arrondissements', %s, 1, true), (%s, 'quartiers', %s, 2, false)",
        (city_id, words("arrondissements"), city_id, words("quartiers")),
    )
    async with connection.cursor() as many:
        await many.executemany(
            "INSERT INTO district VALUES (%s, %s, %s, '0001-01-01', NULL, %s, %s::geometry)",
            [
                (city_id, "arrondissements", "ouest", words("ouest"), town.box(0, 0.5)),
                (city_id, "arrondissements", "est", words("est"), town.box(0.5, 1)),
                (city_id, "quartiers", "centre", words("centre"), town.box(0.2, 0.8)),
            ],
        )
        await many.executemany(
            "INSERT INTO department VALUES (%s, %s, %s)",
            [(city_id, code, words(code)) for code in ("voirie", "voirie-est", "eclairage", "parcs")],
        )
        await many.executemany(
            "INSERT INTO crew VALUES (%s, %s, %s, %s)",
            [(city_id, "equipe-1", words("1"), "voirie"), (city_id, "equipe-est", words("e"), "voirie-est")],
        )
        await many.executemany(
            "INSERT INTO service VALUES (%s, %s, %s, %s, %s, %s, '{}', %s, %s, %s, %s, 0.6, %s, 5, '[]', %s)",
            [
                (city_id, code, n, words(code), group, words(group), private, siblings, radius_m, days, joins, offered)
                for n, (code, group, private, siblings, radius_m, days, joins, offered) in enumerate(SERVICES)
            ],
        )
        await many.executemany(
            "INSERT INTO route VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [(city_id, position, *route) for position, route in enumerate(ROUTES, start=1)],
        )
    middle = town.middle
    await connection.execute(
        "INSERT INTO address VALUES (%s, 1, '1234', 'Rue Saint-Denis', ST_Point(%s, %s, 4326)::geography)",
        (city_id, middle.lon, middle.lat),
    )
    await connection.execute(f"CREATE SEQUENCE report_number_{city_id:d}".encode())
    await connection.execute(f"GRANT USAGE ON SEQUENCE report_number_{city_id:d} TO jalon_app".encode())
    return int(city_id)


async def open_town(owner: Database, database: Database, town: Town = ESSAI) -> CityBook:
    """Build a town and read it as a server does."""
    async with owner.transaction() as session:
        city_id = await build(session, town)
    async with database.transaction() as session:
        book = (await load_cities(session)).by_id(city_id)
    assert book is not None
    return book


async def change_service(owner: Database, database: Database, city: CityBook, code: str, **values: Any) -> CityBook:
    """Change a service's row, and read the town anew as a server does."""
    async with owner.transaction() as session:
        key = (Service.city_id == city.id, Service.code == code)
        await session.execute(update(Service).where(*key).values(**values))
    async with database.transaction() as session:
        book = (await load_cities(session)).by_id(city.id)
    assert book is not None
    return book


def east_of(at: LonLat, metres: float) -> LonLat:
    """The position so many metres to the east."""
    return offset(at, east_m=metres, north_m=0.0)


def submission(at: LonLat, **changes) -> Submission:
    """A pothole reported from a phone with 8 m accuracy; every call is another phone."""
    device = new_id()
    values: dict[str, Any] = {
        "id": new_id(),
        "sender": f"device:{device}",
        "person_id": device,
        "tracking_hash": device.bytes * 2,
        "service_code": "nid-de-poule",
        "at": at,
        "accuracy_m": 8.0,
        "location_source": "gps",
        "address_string": None,
        "description": "Gros trou",
        "attributes": {},
        "photo_ids": (),
        "captured_at": None,
        "channel": "app",
    }
    return Submission(**(values | changes))


async def file(database: Database, city: CityBook, sent: Submission, *, now: datetime = NOON):
    """File a report in a transaction of its own."""
    async with database.transaction() as session:
        return await submit_report(session, sent, city=city, now=now)


async def set_status(owner: Database, issue_id: UUID, status: str) -> None:
    """Change an issue's status behind everybody's back."""
    async with owner.transaction() as session:
        connection = await driver_connection(session)
        await connection.execute("UPDATE issue SET status = %s WHERE id = %s", (status, issue_id))
