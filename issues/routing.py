"""Who is responsible: the first rule of the city whose conditions all hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RouteRule:
    """Conditions (None matches anything) and who is responsible where they all hold.

    Attributes:
        layer: With `district_code`: only in that district of that layer; without: only where the layer has a district.
    """

    service_code: str | None
    group_code: str | None
    layer: str | None
    district_code: str | None
    department_code: str
    crew_code: str | None

    def concerns(self, service_code: str, group_code: str) -> bool:
        """Whether the rule is about a service, wherever it is."""
        return self.service_code in (None, service_code) and self.group_code in (None, group_code)

    def holds_at(self, districts: Collection[str]) -> bool:
        """Whether the rule is about a place, named by its districts (`layer:code`)."""
        if self.layer is None:
            return True
        if self.district_code is None:
            return any(key.startswith(f"{self.layer}:") for key in districts)
        return district_key(self.layer, self.district_code) in districts


@dataclass(frozen=True, slots=True)
class Responsible:
    """The department that answers for an issue, and the crew that does the work where the city names one."""

    department_code: str
    crew_code: str | None


def district_key(layer: str, code: str) -> str:
    """Name a district across layers: `layer:code`, as issues keep it and as filters take it."""
    return f"{layer}:{code}"


def find_responsible(rules: Iterable[RouteRule], *, districts: Collection[str]) -> Responsible | None:
    """Find who is responsible at a place; None where no rule holds: the city does not offer the service there.

    Args:
        rules: The city's rules about one service (`RouteRule.concerns`), in their order.
        districts: The districts the place lies in, as `district_key` writes them.
    """
    for rule in rules:
        if rule.holds_at(districts):
            return Responsible(rule.department_code, rule.crew_code)
    return None
