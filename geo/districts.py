"""Named polygons of a city: boroughs, neighbourhoods, sectors, wards."""

from datetime import date
from typing import Any

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class Layer(Base):
    """A set of districts of one kind; one layer of a city is the responsible one."""

    __tablename__ = "layer"

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    names: Mapped[dict[str, Any]]
    position: Mapped[int]
    responsible: Mapped[bool]


class District(Base):
    """A named polygon of a layer, valid from (inclusive) to (exclusive); None is open."""

    __tablename__ = "district"
    __table_args__ = (
        ForeignKeyConstraint(["city_id", "layer"], ["layer.city_id", "layer.code"], ondelete="CASCADE"),
        Index("ix_district_polygon", "polygon", postgresql_using="gist"),
    )

    city_id: Mapped[int] = mapped_column(primary_key=True)
    layer: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    valid_to: Mapped[date | None]
    names: Mapped[dict[str, Any]]
    polygon: Mapped[WKBElement] = mapped_column(Geometry("MULTIPOLYGON", srid=4326, spatial_index=False))
