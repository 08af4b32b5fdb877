"""The cities this installation serves, and the cities beside them."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import shapely
from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import ForeignKey, Identity, Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from geo.atlas import Atlas, AtlasVersion, CityMap, CityProfile, NeighbourShape
from geo.districts import LoadedLayer, load_layers
from geo.layers import LayerMap


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


async def list_city_ids(session: AsyncSession) -> Sequence[int]:
    """List the cities, always in the same order."""
    return (await session.scalars(select(City.id).order_by(City.id))).all()


async def load_atlas(session: AsyncSession) -> Atlas:
    """Read all cities and their polygons; no city needs to be entered.

    A pack that is loaded meanwhile may be seen in part. The atlas then carries the older version, so that the
    next look at `atlas_version` has it read again.
    """
    cities = await session.execute(
        select(
            City.id, City.jurisdiction_id, City.names, City.timezone, City.locale, City.settings, City.version,
            func.ST_AsBinary(City.outline).label("outline"),
        ).order_by(City.id)
    )  # fmt: skip
    rows = cities.all()
    layers = await load_layers(session)
    neighbours = await _load_neighbours(session)
    return Atlas(_city_map(row, layers.get(row.id, []), neighbours.get(row.id, [])) for row in rows)


async def atlas_version(session: AsyncSession) -> AtlasVersion:
    """The version of every city as it stands in the database; compare with `Atlas.version`."""
    rows = await session.execute(select(City.id, City.version).order_by(City.id))
    return tuple((row.id, row.version) for row in rows)


def _city_map(row: Row[Any], layers: Sequence[LoadedLayer], neighbours: Sequence[NeighbourShape]) -> CityMap:
    profile = CityProfile(
        id=row.id,
        jurisdiction_id=row.jurisdiction_id,
        names=row.names,
        timezone=ZoneInfo(row.timezone),
        locale=row.locale,
        settings=row.settings,
        version=row.version,
    )
    return CityMap(
        profile,
        outline=shapely.from_wkb(bytes(row.outline)),
        layers=[LayerMap(layer.code, layer.districts, names=layer.names) for layer in layers],
        responsible_layer=next((layer.code for layer in layers if layer.responsible), None),
        neighbours=neighbours,
    )


async def _load_neighbours(session: AsyncSession) -> dict[int, list[NeighbourShape]]:
    rows = await session.execute(
        select(Neighbour.city_id, Neighbour.code, Neighbour.names, func.ST_AsBinary(Neighbour.outline).label("outline"))
    )
    neighbours = defaultdict(list)
    for row in rows:
        shape = NeighbourShape(row.code, row.names, shapely.from_wkb(bytes(row.outline)))
        neighbours[row.city_id].append(shape)
    return neighbours
