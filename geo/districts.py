"""Named polygons of a city: boroughs, neighbourhoods, sectors, wards."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import shapely
from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from geo.layers import DistrictAnswer, DistrictShape
from geo.points import LonLat

# `valid_from` is part of the key and cannot be left out: the first day there is stands for "always".
ALWAYS = date.min


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


@dataclass(frozen=True, slots=True)
class LoadedLayer:
    """A layer of a city with its districts, as stored."""

    code: str
    names: Mapping[str, str]
    responsible: bool
    districts: Sequence[DistrictShape]


async def load_layers(session: AsyncSession) -> dict[int, list[LoadedLayer]]:
    """Read the layers of all cities by city number, in the packs' order; no city needs to be entered."""
    shapes = defaultdict(list)
    for row in await session.execute(
        select(
            District.city_id, District.layer, District.code, District.names, District.valid_from, District.valid_to,
            func.ST_AsBinary(District.polygon).label("polygon"),
        )
    ):  # fmt: skip
        valid_from = None if row.valid_from == ALWAYS else row.valid_from
        polygon = shapely.from_wkb(bytes(row.polygon))
        shapes[row.city_id, row.layer].append(DistrictShape(row.code, row.names, polygon, valid_from, row.valid_to))
    layers = defaultdict(list)
    for row in await session.execute(
        select(Layer.city_id, Layer.code, Layer.names, Layer.responsible).order_by(Layer.city_id, Layer.position)
    ):
        layer = LoadedLayer(row.code, row.names, row.responsible, shapes[row.city_id, row.code])
        layers[row.city_id].append(layer)
    return layers


# Borders are straight in longitude and latitude, as published; a geography's are great circles, half a metre off
# in the middle of 5 km. Points every 200 m or so bring the two within a millimetre. Small pieces and their boxes
# keep PostGIS from measuring every position against whole districts.
_DISTRICTS_OF_POINTS = text(
    """
    WITH shape AS MATERIALIZED (
        SELECT layer.position, layer.responsible, district.layer, district.code, district.names, district.polygon,
               ST_Area(district.polygon::geography) AS area
        FROM district JOIN layer ON layer.city_id = district.city_id AND layer.code = district.layer
        WHERE district.city_id = :city_id AND district.valid_from <= :day
          AND (district.valid_to IS NULL OR :day < district.valid_to)
    ),
    piece AS MATERIALIZED (
        SELECT layer, code, ST_Subdivide(ST_Segmentize(polygon, 0.002), 64)::geography AS ground FROM shape
    ),
    point AS MATERIALIZED (
        SELECT ordinality AS number, ST_Point(lon, lat, 4326) AS place,
               _ST_Expand(ST_Point(lon, lat, 4326)::geography, :accuracy_m) AS reach
        FROM unnest(CAST(:lons AS float8[]), CAST(:lats AS float8[])) WITH ORDINALITY AS given (lon, lat)
    )
    SELECT point.number, home.layer, home.code, home.names, (
        SELECT min(ST_Distance(piece.ground, point.place::geography)) FROM piece
        WHERE piece.layer = home.layer AND piece.code <> home.code AND piece.ground && point.reach
          AND ST_DWithin(piece.ground, point.place::geography, :accuracy_m)
    ) AS edge_m
    FROM point CROSS JOIN LATERAL (
        SELECT DISTINCT ON (responsible, position) shape.* FROM shape
        WHERE shape.polygon && point.place AND ST_Covers(shape.polygon, point.place)
        ORDER BY responsible DESC, position, area, code COLLATE "C"
    ) AS home
    ORDER BY point.number, home.responsible DESC, home.position
    """
)


async def districts_of_points(
    session: AsyncSession, city_id: int, points: Sequence[LonLat], *, accuracy_m: float, on: date
) -> list[list[DistrictAnswer]]:
    """Find the districts of many positions at once, in the database; the same as `CityMap.districts_at`.

    Takes the same decisions from the same polygons by PostGIS. For one position the map in process is far faster.

    Returns:
        For each position, in order, its district in each layer.
    """
    answers: list[list[DistrictAnswer]] = [[] for _ in points]
    rows = await session.execute(
        _DISTRICTS_OF_POINTS,
        {
            "city_id": city_id,
            "day": on,
            "lons": [point.lon for point in points],
            "lats": [point.lat for point in points],
            "accuracy_m": accuracy_m,
        },
    )
    for row in rows:
        answer = DistrictAnswer(row.layer, row.code, row.names, row.edge_m is not None, row.edge_m)
        answers[row.number - 1].append(answer)
    return answers
