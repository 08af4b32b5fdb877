"""The conditions of a rule besides service and district, as its row stores them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from issues.routing import Beside, Day, Hours, RouteRule, Season


class Conditions(TypedDict):
    """The fields of a `RouteRule` that are stored together."""

    beside: Beside | None
    hours: Hours | None
    season: Season | None


def write_conditions(rule: RouteRule) -> dict[str, Any]:
    """Write a rule's conditions as JSON; those that it does not make are left out."""
    stored: dict[str, Any] = {}
    if rule.beside is not None:
        beside = rule.beside
        stored["beside"] = {"kind": beside.kind, "owners": sorted(beside.owners), "within_m": beside.within_m}
    if rule.hours is not None:
        hours = rule.hours
        stored["hours"] = {"days": sorted(hours.days), "begins": hours.begins, "ends": hours.ends}
    if rule.season is not None:
        stored["season"] = {"begins": list(rule.season.begins), "ends": list(rule.season.ends)}
    return stored


def read_conditions(stored: Mapping[str, Any]) -> Conditions:
    """Read what `write_conditions` wrote."""
    beside, hours, season = (stored.get(name) for name in ("beside", "hours", "season"))
    return Conditions(
        beside=beside and Beside(beside["kind"], frozenset(beside["owners"]), beside["within_m"]),
        hours=hours and Hours(frozenset(map(Day, hours["days"])), hours["begins"], hours["ends"]),
        season=season and Season(tuple(season["begins"]), tuple(season["ends"])),
    )
