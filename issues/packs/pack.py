"""A city pack, read and sound: what `check` makes of the files and `load` puts into the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shapely.geometry.base import BaseGeometry

from geo.atlas import NeighbourShape
from geo.layers import DistrictShape
from geo.owners import OwnedShape
from geo.points import LonLat
from issues.packs.city_sheet import CitySheet
from issues.packs.schema import DepartmentsSheet
from issues.packs.services_sheet import ServicesSheet
from issues.routing import RouteRule


@dataclass(frozen=True, slots=True)
class LayerShapes:
    """A layer and its districts.

    Attributes:
        code: Its code.
        names: Its name by language.
        responsible: Whether it decides who answers for a place.
        districts: Its districts.
        codes: Those of its districts, also of such as cannot be used; None where its file cannot be read.
    """

    code: str
    names: Mapping[str, str]
    responsible: bool
    districts: Sequence[DistrictShape]
    codes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class StreetLine:
    """A piece of a named street, in WGS 84 degrees."""

    name: str
    kind: str
    line: BaseGeometry


@dataclass(frozen=True, slots=True)
class AddressPoint:
    """A civic number on a street."""

    number: str
    street: str
    at: LonLat


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A place that people know by name; its shape is in WGS 84 degrees."""

    name: str
    shape: BaseGeometry


@dataclass(frozen=True, slots=True)
class Places:
    """All that a pack knows of its city's ground."""

    layers: Sequence[LayerShapes]
    outline: BaseGeometry
    neighbours: Sequence[NeighbourShape]
    streets: Sequence[StreetLine]
    addresses: Sequence[AddressPoint]
    owned: Sequence[OwnedShape] = ()
    named: Sequence[NamedPlace] = ()


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack without errors.

    Attributes:
        sha256: Of all its files and of the format, in hexadecimal; the same pack has the same.
        city: `city.yml`.
        services: `services.yml`.
        departments: `departments.yml`.
        routes: The rules of `routes.yml` and `routes.csv`, one for each service or group and each district.
        places: Its polygons, streets and addresses.
    """

    sha256: str
    city: CitySheet
    services: ServicesSheet
    departments: DepartmentsSheet
    routes: Sequence[RouteRule]
    places: Places
