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
from geo.layers import GAP_M, DistrictAnswer, DistrictShape
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
    f"""
    WITH wrapped AS MATERIALIZED (  -- as `geo.layers.unwrap` decides
        SELECT coalesce(bool_or(ST_XMin(part) = -180 OR ST_XMax(part) = 180)
                        AND NOT bool_or(ST_XMin(part) < 0 AND ST_XMax(part) >= 0), false) AS shifted
        FROM (SELECT (ST_Dump(polygon)).geom AS part FROM district WHERE city_id = :city_id) AS parts
    ),
    shape AS MATERIALIZED (
        SELECT layer.position, layer.responsible, district.layer, district.code, district.names, district.polygon,
               CASE WHEN shifted THEN ST_UnaryUnion(ST_ShiftLongitude(polygon)) ELSE polygon END AS ground,
               round(ST_Area(district.polygon::geography)) AS area
        FROM wrapped, district JOIN layer ON layer.city_id = district.city_id AND layer.code = district.layer
        WHERE district.city_id = :city_id AND district.valid_from <= :day
          AND (district.valid_to IS NULL OR :day < district.valid_to)
    ),
    piece AS MATERIALIZED (
        SELECT layer, code, ST_Subdivide(ST_Segmentize(polygon, 0.002), 64)::geography AS ground FROM shape
    ),
    point AS MATERIALIZED (
        SELECT ordinality AS number, ST_Point(lon, lat, 4326)::geography AS place,
               CASE WHEN abs(lat) = 90 THEN ST_SetSRID(ST_MakeLine(ST_Point(-180, lat), ST_Point(360, lat)), 4326)
                    WHEN abs(lon) = 180 THEN ST_SetSRID(ST_Collect(ST_Point(lon, lat), ST_Point(-lon, lat)), 4326)
                    WHEN shifted THEN ST_ShiftLongitude(ST_Point(lon, lat, 4326))
                    ELSE ST_Point(lon, lat, 4326) END AS spot,  -- all ways to write it; as `geo.layers.holds`
               _ST_Expand(ST_Point(lon, lat, 4326)::geography, :accuracy_m) AS reach
        FROM wrapped, unnest(CAST(:lons AS float8[]), CAST(:lats AS float8[])) WITH ORDINALITY AS given (lon, lat)
    ),
    home AS MATERIALIZED (
        SELECT point.number, found.position, found.responsible, found.layer, found.code, found.names,
               NULL::float8 AS gap_m
        FROM point CROSS JOIN LATERAL (
            SELECT DISTINCT ON (responsible, position) shape.* FROM shape
            WHERE ST_Intersects(shape.ground, point.spot)
            ORDER BY responsible DESC, position, area, code COLLATE "C"
        ) AS found
    ),
    lost AS MATERIALIZED (
        SELECT point.number, point.place, point.spot, _ST_Expand(point.place, {GAP_M}) AS reach, kind.layer
        FROM point CROSS JOIN (SELECT DISTINCT layer FROM shape) AS kind
        WHERE NOT EXISTS (SELECT FROM home WHERE home.number = point.number AND home.layer = kind.layer)
    ),
    gap AS (
        SELECT lost.number, shape.position, shape.responsible, shape.layer, shape.code, shape.names, nearest.gap_m
        FROM lost CROSS JOIN LATERAL (
            SELECT shape.code, min(ST_Distance(piece.ground, lost.place)) AS gap_m
            FROM piece JOIN shape ON shape.layer = piece.layer AND shape.code = piece.code
            WHERE piece.layer = lost.layer AND piece.ground && lost.reach
              AND ST_DWithin(piece.ground, lost.place, {GAP_M})
            GROUP BY shape.code, shape.area
            ORDER BY round(min(ST_Distance(piece.ground, lost.place))::numeric, 2), shape.area, shape.code COLLATE "C"
            LIMIT 1
        ) AS nearest
        JOIN shape ON shape.layer = lost.layer AND shape.code = nearest.code
        CROSS JOIN (
            SELECT CASE WHEN shifted THEN ST_UnaryUnion(ST_ShiftLongitude(outline)) ELSE outline END AS ground
            FROM wrapped, city WHERE id = :city_id
        ) AS outline
        WHERE ST_Intersects(outline.ground, lost.spot)
    )
    SELECT found.number, found.layer, found.code, found.names, found.gap_m, (
        SELECT min(ST_Distance(piece.ground, point.place)) FROM piece
        WHERE piece.layer = found.layer AND piece.code <> found.code AND piece.ground && point.reach
          AND ST_DWithin(piece.ground, point.place, :accuracy_m)
    ) AS edge_m
    FROM (SELECT * FROM home UNION ALL SELECT * FROM gap) AS found JOIN point USING (number)
    ORDER BY found.number, found.responsible DESC, found.position
    """  # noqa: S608 - made of a constant
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
        near = row.edge_m is not None or row.gap_m is not None
        answer = DistrictAnswer(row.layer, row.code, row.names, near, row.edge_m, row.gap_m)
        answers[row.number - 1].append(answer)
    return answers
