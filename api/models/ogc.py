"""What OGC API - Features (17-069r4) and Tiles (20-057) say of the data of a city, on the wire."""

from typing import Any, Final, Literal

from pydantic import Field

from api.models.fields import Outgoing

CONFORMS_TO: Final = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/tileset",
    "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/mvt",
)
WEB_MERCATOR_QUAD: Final = "http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad"
_CRS84: Final = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


class OgcLink(Outgoing):
    """Where to go from here, with its host: clients of this standard take no other."""

    href: str
    rel: str
    type: str
    title: str | None = None
    templated: bool | None = None


class Landing(Outgoing):
    """The first page of a city's data."""

    title: str
    description: str
    attribution: str | None = Field(description="Whom the data are from, and under which licences.")
    links: list[OgcLink]


class Conformance(Outgoing):
    """The parts of the standards that are kept to."""

    conforms_to: list[str] = Field(default=list(CONFORMS_TO), serialization_alias="conformsTo")


class SpatialExtent(Outgoing):
    """Boxes in WGS 84 degrees, longitude first."""

    bbox: list[tuple[float, float, float, float]]
    crs: Literal["http://www.opengis.net/def/crs/OGC/1.3/CRS84"] = _CRS84


class Extent(Outgoing):
    """Where a collection lies."""

    spatial: SpatialExtent


class CollectionOut(Outgoing):
    """A collection of features."""

    id: str
    title: str
    attribution: str | None
    extent: Extent
    item_type: Literal["feature"] = Field(default="feature", serialization_alias="itemType")
    crs: list[str] = Field(default=[_CRS84])
    links: list[OgcLink]


class Collections(Outgoing):
    """The collections of a city."""

    collections: list[CollectionOut]
    links: list[OgcLink]


class TileSet(Outgoing):
    """The tiles of a city's map."""

    title: str
    data_type: Literal["vector"] = Field(default="vector", serialization_alias="dataType")
    crs: str = "http://www.opengis.net/def/crs/EPSG/0/3857"
    tile_matrix_set_uri: str = Field(
        default=WEB_MERCATOR_QUAD,
        serialization_alias="tileMatrixSetURI",
    )
    links: list[OgcLink]


class TileSets(Outgoing):
    """The sets of tiles there are: one."""

    tilesets: list[TileSet]
    links: list[OgcLink]


class OgcFeatures(Outgoing):
    """A page of a collection (GeoJSON, RFC 7946)."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    time_stamp: str = Field(serialization_alias="timeStamp")
    number_returned: int = Field(serialization_alias="numberReturned")
    links: list[OgcLink]
    features: list[dict[str, Any]]
