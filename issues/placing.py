"""What a position says of a report, from memory: its service there, its districts, who is responsible, what to lock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from geo.cells import cells_touched, lock_key
from geo.points import LonLat
from issues.catalogue import ServiceEntry
from issues.city import CityBook
from issues.deadlines import expected_at
from issues.match import LARGEST_RADIUS_M
from issues.routing import Responsible, district_key


@dataclass(frozen=True, slots=True)
class Placed:
    """A service at a position, worked out in process.

    Attributes:
        layer: The responsible layer, and `district_code` its district; None where no district has the place.
        districts: 'layer:code' of every layer.
        near_boundary: Whether the position's accuracy reaches another district of the responsible layer.
    """

    service: ServiceEntry
    layer: str | None
    district_code: str | None
    districts: tuple[str, ...]
    near_boundary: bool
    responsible: Responsible

    def issue_values(self, address: str | None) -> dict[str, Any]:
        """What the row of an issue at this place says of it, by column; the address as given."""
        return {
            "address": address,
            "layer": self.layer,
            "district_code": self.district_code,
            "districts": list(self.districts),
            "department_code": self.responsible.department_code,
            "crew_code": self.responsible.crew_code,
            "near_boundary": self.near_boundary,
        }


def place_report(service_code: str, at: LonLat, *, accuracy_m: float, city: CityBook, received_at: datetime) -> Placed:
    """Find the service, the districts and who is responsible for a report.

    Args:
        service_code: What is reported.
        at: Position in WGS 84, inside the city.
        accuracy_m: Radius that holds the true position with 68 %.
        city: The city.
        received_at: The districts of that day count.

    Raises:
        ServiceNotOffered: the city has no such service, or not at this place.
    """
    service = city.catalogue.offered(service_code)
    answers = city.map.districts_at(at, accuracy_m=accuracy_m, on=city.local_date(received_at))
    districts = tuple(district_key(answer.layer, answer.code) for answer in answers)
    own = next((answer for answer in answers if answer.layer == city.map.responsible_layer), None)
    return Placed(
        service=service,
        layer=None if own is None else own.layer,
        district_code=None if own is None else own.code,
        districts=districts,
        near_boundary=own is not None and own.near_boundary,
        responsible=city.catalogue.responsible(service, districts),
    )


def deadline_of(service: ServiceEntry, *, city: CityBook, received_at: datetime) -> datetime:
    """By when the city wants to have dealt with what was reported at a time."""
    return expected_at(
        received_at, working_days=service.deadline_days, timezone=city.timezone, holidays=city.settings.holidays
    )


def lock_keys(city_id: int, *places: LonLat) -> list[int]:
    """The keys of the cells around positions, in the order in which everybody locks them."""
    cells = {cell for at in places for cell in cells_touched(at, radius_m=LARGEST_RADIUS_M, width_m=LARGEST_RADIUS_M)}
    return [lock_key(city_id, cell) for cell in sorted(cells)]
