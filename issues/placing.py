"""What a position says of a report, from memory: its service there, its districts, who is responsible, what to lock."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from geo.cells import cells_touched, lock_key
from geo.points import LonLat
from issues.catalogue import ServiceEntry
from issues.city import CityBook
from issues.deadlines import expected_at
from issues.match import LARGEST_RADIUS_M
from issues.possibilities import circumstances_of, owners_possible
from issues.routing import RouteRule, district_key
from issues.whereabouts import Whereabouts, whereabouts_of


@dataclass(frozen=True, slots=True)
class Placed:
    """A service at a position, worked out in process.

    Attributes:
        layer: The responsible layer, and `district_code` its district; None where no district has the place.
        districts: 'layer:code' of every layer.
        near_boundary: Whether the position's accuracy reaches another district of the responsible layer, or a road
            or asset of another owner to whom the rules give the work.
        rule: Says who is responsible.
        where: The place in words.
        ask_address_at: When to ask another geocoder for its address; None where that need not, or must not, be.
    """

    service: ServiceEntry
    layer: str | None
    district_code: str | None
    districts: tuple[str, ...]
    near_boundary: bool
    rule: RouteRule
    where: Whereabouts
    ask_address_at: datetime | None

    def issue_values(self) -> dict[str, Any]:
        """What the row of an issue at this place says of it, by column."""
        return {
            "address": self.where.line,
            "address_ask_at": self.ask_address_at,
            "layer": self.layer,
            "district_code": self.district_code,
            "districts": list(self.districts),
            "department_code": self.rule.department_code,
            "crew_code": self.rule.crew_code,
            "near_boundary": self.near_boundary,
        }


IMPORT: Final = "import"
"""The channel of reports that somebody brings along from another system, long after they were made."""
# Before this, a clock that was never set speaks.
_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)


def judged_at(*, channel: str, captured_at: datetime | None, received_at: datetime) -> datetime:
    """Tell by which day a report is judged: that of its receipt; of an imported one, that on which it was made."""
    if channel == IMPORT and captured_at is not None and _EARLIEST < captured_at < received_at:
        return captured_at
    return received_at


def place_report(service_code: str, at: LonLat, *, accuracy_m: float, city: CityBook, received_at: datetime) -> Placed:
    """Find the service, the districts and who is responsible for a report.

    Args:
        service_code: What is reported.
        at: Position in WGS 84, inside the city.
        accuracy_m: Radius that holds the true position with 68 %.
        city: The city.
        received_at: The districts and rules of that day and hour count; see `judged_at`.

    Raises:
        ServiceNotOffered: the city has no such service, or not at this place.
    """
    service = city.catalogue.offered(service_code)
    local = received_at.astimezone(city.timezone)
    answers = city.map.districts_at(at, accuracy_m=accuracy_m, on=local.date())
    districts = tuple(district_key(answer.layer, answer.code) for answer in answers)
    own = next((answer for answer in answers if answer.layer == city.map.responsible_layer), None)
    needs = city.catalogue.needs_of(service)
    here = circumstances_of(districts, needs, at=at, city=city, local=local)
    rule = city.catalogue.rule_for(service, here)
    in_doubt = own is not None and own.near_boundary
    if needs.reach_m and not in_doubt:
        others = owners_possible(service, here, at=at, accuracy_m=accuracy_m, city=city)
        in_doubt = any(other.leads_elsewhere(rule) for other in others)
    where = whereabouts_of(at, city=city, districts=answers)
    return Placed(
        service=service,
        layer=None if own is None else own.layer,
        district_code=None if own is None else own.code,
        districts=districts,
        near_boundary=in_doubt,
        rule=rule,
        where=where,
        # Where private things are is told to nobody outside.
        ask_address_at=None if where.exact or service.private else received_at,
    )


def deadline_of(service: ServiceEntry, *, city: CityBook, received_at: datetime) -> datetime:
    """By when the city wants to have dealt with what was reported at a time."""
    return expected_at(received_at, service.deadline, calendar=city.calendar, service_code=service.code)


def lock_keys(city_id: int, *places: LonLat) -> list[int]:
    """The keys of the cells around positions, in the order in which everybody locks them."""
    cells = {cell for at in places for cell in cells_touched(at, radius_m=LARGEST_RADIUS_M, width_m=LARGEST_RADIUS_M)}
    return [lock_key(city_id, cell) for cell in sorted(cells)]
