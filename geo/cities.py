"""The cities this installation serves, and the cities beside them."""

from datetime import datetime
from typing import Any

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import ForeignKey, Identity
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base


class City(Base):
    """A city (Open311 jurisdiction), as its pack describes it."""

    __tablename__ = "city"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    jurisdiction_id: Mapped[str] = mapped_column(unique=True)
    names: Mapped[dict[str, Any]]  # by language: {"fr": ..., "en": ...}
    timezone: Mapped[str]  # IANA name
    locale: Mapped[str]
    outline: Mapped[WKBElement] = mapped_column(Geometry("MULTIPOLYGON", srid=4326, spatial_index=False))
    settings: Mapped[dict[str, Any]]  # switches of the pack: what is public
    pack_sha256: Mapped[str]
    version: Mapped[int]  # grows with each load that changed something; processes then read the city anew
    loaded_at: Mapped[datetime]


class Neighbour(Base):
    """A city beside or inside this one that is not part of it; named to people who report there."""

    __tablename__ = "neighbour"

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    names: Mapped[dict[str, Any]]
    outline: Mapped[WKBElement] = mapped_column(Geometry("MULTIPOLYGON", srid=4326, spatial_index=False))
