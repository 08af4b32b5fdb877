"""Streets and addresses of a city, and the way from a position to words for it."""

from geoalchemy2 import Geography, WKBElement
from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


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
