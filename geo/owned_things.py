"""Roads and assets of a city whose owners are known: the rows, and the map made of them."""

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import ForeignKey
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.connections import driver_connection
from geo.owners import OwnedShape, OwnerMap
from geo.points import LonLat

_THINGS = "SELECT kind, owner, name, ST_AsBinary(shape) FROM owned_thing WHERE city_id = %s ORDER BY id"


class OwnedThing(Base):
    """A piece of road, or an asset, with whose it is."""

    __tablename__ = "owned_thing"

    city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]  # '' for a road, else the code of a kind of asset
    owner: Mapped[str]
    name: Mapped[str]  # '' where it has none
    shape: Mapped[WKBElement] = mapped_column(Geometry("GEOMETRY", srid=4326, spatial_index=False))


async def load_owner_map(session: AsyncSession, city_id: int, *, middle: LonLat) -> OwnerMap:
    """Load the things of a city whose owners are known; `middle` is that of its outline."""
    connection = await driver_connection(session)
    rows = await (await connection.execute(_THINGS, (city_id,))).fetchall()
    return OwnerMap(middle, (OwnedShape(kind, owner, name, bytes(shape)) for kind, owner, name, shape in rows))
