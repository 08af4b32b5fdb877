"""Streets and addresses of a city, and the way from a position to words for it."""

from geoalchemy2 import Geography, WKBElement
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import TupleRow
from sqlalchemy import ForeignKey, Index
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.connections import driver_connection
from geo.points import LonLat

# Beyond these a name would mislead: across the street is near enough for a number, the next block for a street.
_ADDRESS_WITHIN_M = 30.0
_STREET_WITHIN_M = 60.0

# COALESCE looks at streets only where there is no address; the id makes the order total. The driver sends a small
# number as a smallint: without the cast btree_gist leaves the city out of the index condition. Plain SQL on the
# driver, for this is on the way of every report.
NEAREST_SQL = """
WITH here AS (SELECT ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326)::geography AS place)
SELECT COALESCE(
    (SELECT ARRAY[address.number, address.street] FROM address
     WHERE address.city_id = %(city_id)s::integer
       AND ST_DWithin(address.place, (SELECT place FROM here), %(address_m)s, false)
     ORDER BY address.place <-> (SELECT place FROM here), address.id LIMIT 1),
    (SELECT ARRAY[NULL, street.name] FROM street
     WHERE street.city_id = %(city_id)s::integer
       AND ST_DWithin(street.line, (SELECT place FROM here), %(street_m)s, false)
     ORDER BY street.line <-> (SELECT place FROM here), street.id LIMIT 1)
)
"""

# After a civic number, French writes what kind of street it is with a small letter: 1234, rue Saint-Denis.
_STREET_KINDS = frozenset({
    "allée", "autoroute", "avenue", "boulevard", "carré", "carrefour", "chemin", "côte", "cours", "croissant",
    "esplanade", "impasse", "mail", "montée", "parc", "passage", "place", "pont", "promenade", "quai", "rang",
    "rond-point", "route", "rue", "ruelle", "sentier", "square", "terrasse", "tunnel", "voie",
})  # fmt: skip


class Street(Base):
    """A piece of a named street."""

    __tablename__ = "street"
    __table_args__ = (Index("ix_street_city_id_line", "city_id", "line", postgresql_using="gist"),)

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    kind: Mapped[str]  # OpenStreetMap's highway value where the source has it, else ''
    line: Mapped[WKBElement] = mapped_column(Geography("LINESTRING", srid=4326, spatial_index=False))


class Address(Base):
    """A civic number on a street, at its position."""

    __tablename__ = "address"
    __table_args__ = (Index("ix_address_city_id_place", "city_id", "place", postgresql_using="gist"),)

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[str]
    street: Mapped[str]
    place: Mapped[WKBElement] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))


async def nearest_address(session: AsyncSession, city_id: int, at: LonLat) -> str | None:
    """Describe a position in words: the nearest address within 30 m, else the nearest street within 60 m.

    Returns:
        Such as `1234, rue Saint-Denis` or `Rue Rachel Est`; None where nothing is near enough.
    """
    return await read_address(await ask_address(await driver_connection(session), city_id, at))


async def ask_address(connection: AsyncConnection, city_id: int, at: LonLat) -> AsyncCursor[TupleRow]:
    """Ask for what `nearest_address` answers; `read_address` takes it.

    Two steps, so that the question can travel in a pipeline with others.
    """
    return await connection.execute(
        NEAREST_SQL,
        {
            "city_id": city_id,
            "lon": at.lon,
            "lat": at.lat,
            "address_m": _ADDRESS_WITHIN_M,
            "street_m": _STREET_WITHIN_M,
        },
        prepare=True,
    )


async def read_address(cursor: AsyncCursor[TupleRow]) -> str | None:
    """Read what `ask_address` found, in words; None where nothing is near enough."""
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return None
    number, street = row[0]
    return write_address(number, street) if number else str(street)


def write_address(number: str, street: str) -> str:
    """Write a civic number and a street as French does: `1234, rue Saint-Denis`, `12, 25e Avenue`."""
    kind, separator, rest = street.partition(" ")
    if kind.lower() in _STREET_KINDS:
        street = f"{kind.lower()}{separator}{rest}"
    return f"{number}, {street}"
