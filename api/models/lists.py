"""Lists, with and without places, and the links between their pages."""

from typing import Generic, Literal, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from pydantic import Field
from starlette.requests import Request

from api.models.fields import Outgoing
from geo.points import LonLat

Item = TypeVar("Item", bound=Outgoing)


class Link(Outgoing):
    """Where to go from here."""

    rel: str = Field(examples=["next"])
    href: str


class ItemList(Outgoing, Generic[Item]):
    """A list of things without a place."""

    items: list[Item]
    links: list[Link] = Field(default_factory=list)


class Point(Outgoing):
    """A GeoJSON point."""

    type: Literal["Point"] = "Point"
    coordinates: tuple[float, float] = Field(description="Longitude, latitude (WGS 84 degrees).")

    @classmethod
    def of(cls, at: LonLat) -> "Point":
        """Put a position into GeoJSON's order."""
        return cls(coordinates=(at.lon, at.lat))


class Feature(Outgoing, Generic[Item]):
    """A thing with a place (GeoJSON, RFC 7946)."""

    type: Literal["Feature"] = "Feature"
    id: UUID
    geometry: Point
    properties: Item


class FeatureCollection(Outgoing, Generic[Item]):
    """A list of things with places (GeoJSON, RFC 7946; OGC API - Features)."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[Feature[Item]]
    number_returned: int = Field(serialization_alias="numberReturned")
    links: list[Link] = Field(default_factory=list)


def next_links(request: Request, cursor: str | None, *, jurisdiction_id: str) -> list[Link]:
    """Build the links of a page: to the page after it, with the same filters; none at the end.

    They have no host: what a caller reached this server by is right for them, whatever stands in between.

    Args:
        request: For this page.
        cursor: The cursor of the page after it; None at the end.
        jurisdiction_id: The city, which every link names.
    """
    if cursor is None:
        return []
    query = request.query_params.multi_items()
    kept = [(name, value) for name, value in query if name not in ("cursor", "jurisdiction_id")]
    named = [*kept, ("jurisdiction_id", jurisdiction_id), ("cursor", cursor)]
    return [Link(rel="next", href=f"{request.url.path}?{urlencode(named)}")]
