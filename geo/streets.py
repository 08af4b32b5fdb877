"""Streets, addresses and names of places of a city: the rows, and the map made of them."""

import numpy as np
from geoalchemy2 import Geography, WKBElement
from sqlalchemy import Double, ForeignKey, Index
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.connections import driver_connection
from geo.points import LonLat
from geo.street_map import StreetMap

_ADDRESSES = """
SELECT number, street, ST_X(place::geometry), ST_Y(place::geometry) FROM address WHERE city_id = %s ORDER BY id
"""
_STREETS = "SELECT name, ST_AsBinary(line) FROM street WHERE city_id = %s ORDER BY id"


class Street(Base):
    """A piece of a named street."""

    __tablename__ = "street"
    __table_args__ = (
        Index("ix_street_city_id_line", "city_id", "line", postgresql_using="gist"),
        Index(None, "city_id", "name"),
    )

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    kind: Mapped[str]  # OpenStreetMap's highway value where the source has it, else ''
    line: Mapped[WKBElement] = mapped_column(Geography("LINESTRING", srid=4326, spatial_index=False))


class Address(Base):
    """A civic number on a street, at its position."""

    __tablename__ = "address"
    __table_args__ = (
        Index("ix_address_city_id_place", "city_id", "place", postgresql_using="gist"),
        Index(None, "city_id", "street", "civic"),
    )

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[str]
    street: Mapped[str]
    place: Mapped[WKBElement] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))
    civic: Mapped[int | None]  # the digits that `number` begins with, for what lies between two numbers


class StreetName(Base):
    """A name that pieces of street or addresses of a city have, once, with the words to search it by."""

    __tablename__ = "street_name"
    __table_args__ = (
        Index(
            "ix_street_name_city_id_words",
            "city_id",
            "words",
            postgresql_using="gist",
            postgresql_ops={"words": "gist_trgm_ops"},
        ),
    )

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    words: Mapped[str]  # as `geo.street_words` reads the name


class PlaceName(Base):
    """A name of a place that is no street: a park, a public building, a district."""

    __tablename__ = "place_name"
    __table_args__ = (
        Index(
            "ix_place_name_city_id_words",
            "city_id",
            "words",
            postgresql_using="gist",
            postgresql_ops={"words": "gist_trgm_ops"},
        ),
    )

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    words: Mapped[str]  # as `geo.street_words` reads the name
    place: Mapped[WKBElement] = mapped_column(Geography("POINT", srid=4326, spatial_index=False))
    reach_m: Mapped[float] = mapped_column(Double)  # how far from there it reaches; 0 for a point


async def load_street_map(session: AsyncSession, city_id: int, *, middle: LonLat) -> StreetMap:
    """Load the addresses and streets of a city; `middle` is that of its outline."""
    connection = await driver_connection(session)
    addresses = await (await connection.execute(_ADDRESSES, (city_id,))).fetchall()
    streets = await (await connection.execute(_STREETS, (city_id,))).fetchall()
    return StreetMap(
        middle,
        addresses=[(number, street) for number, street, _, _ in addresses],
        address_places=np.array([place for _, _, *place in addresses], dtype=float).reshape(-1, 2),
        streets=[name for name, _ in streets],
        street_lines=[line for _, line in streets],
    )
