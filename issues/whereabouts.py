"""Where something is, in a line as on a letter, for every place of a city: there is always one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from geo.layers import DistrictAnswer
from geo.points import LonLat
from issues.city import CityBook

# Farther than this, a street says less of a place than its district does.
_STREET_WITHIN_M: Final = 500.0
_ROUNDED_TO_M: Final = 10


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where something is, in words.

    Attributes:
        line: Such as `1234, rue Saint-Denis`. It is made of names and a distance alone, in the city's own language, as
            an address is: everybody reads the same one.
        exact: Whether it is an address or a street within reach; otherwise it only says what is near.
    """

    line: str
    exact: bool


def whereabouts_of(at: LonLat, *, city: CityBook, districts: Sequence[DistrictAnswer]) -> Whereabouts:
    """Tell where a place is: its address or street, else what is nearest.

    Args:
        at: Position in WGS 84, inside the city.
        city: The city.
        districts: Those that the place belongs to; that of the responsible layer is named, else the first.

    Returns:
        Beyond the reach of addresses and streets (`StreetMap.address_at`) the nearest street within 500 m with its
        distance, `Rue Rachel Est (240 m), Le Plateau-Mont-Royal`, else the district and the city,
        `Rivière-des-Prairies, Montréal`.
    """
    if (address := city.streets.address_at(at)) is not None:
        return Whereabouts(address, exact=True)
    town = _name(city.names, city.locale)
    own = next((each for each in districts if each.layer == city.map.responsible_layer), None)
    district = own or next(iter(districts), None)
    area = None if district is None else _name(district.names, city.locale)
    near = city.streets.nearest_street(at, within_m=_STREET_WITHIN_M)
    if near is None:
        parts = [town] if area in (None, town) else [area, town]
    else:
        street, metres = near
        parts = [f"{street} ({_rounded(metres)} m)", area or town]
    return Whereabouts(", ".join(filter(None, parts)), exact=False)


def _rounded(metres: float) -> int:
    return round(metres / _ROUNDED_TO_M) * _ROUNDED_TO_M


def _name(names: Mapping[str, str], locale: str) -> str:
    return names.get(locale) or names.get("fr") or next(iter(names.values()), "")
