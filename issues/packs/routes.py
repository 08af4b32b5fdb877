"""The rules of who is responsible: read from the lines of a pack, and whether they leave anybody without."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from issues.packs.pack import LayerShapes
from issues.packs.problems import Findings
from issues.packs.schema import ROUTES, DepartmentsSheet, RouteSheet, ServicesSheet
from issues.routing import RouteRule, district_key

ANYTHING = "*"
_GROUP = "group:"

Rules = Sequence[tuple[int, RouteRule]]


def expand_routes(lines: Iterable[tuple[int, RouteSheet]], responsible_layer: str) -> list[tuple[int, RouteRule]]:
    """Write out the lists in lines of routes as rules of one service and one district, in order.

    Returns:
        The rules, each with the number of the line it comes from.
    """
    rules = []
    for line, route in lines:
        for services in route.services.split():
            group = services.removeprefix(_GROUP) if services.startswith(_GROUP) else None
            service = services if group is None and services != ANYTHING else None
            for district in route.districts.split():
                layer, code = _district(district, responsible_layer)
                rules.append((line, RouteRule(service, group, layer, code, route.department, route.crew)))
    return rules


def check_routes(
    rules: Rules,
    services: ServicesSheet | None,
    departments: DepartmentsSheet | None,
    layers: Sequence[LayerShapes] | None,
    findings: Findings,
) -> None:
    """Add what is wrong with rules: names that lead nowhere, and places where nobody is responsible.

    What could not be read at all is None; rules are not held against it.
    """
    if services is not None:
        _check_services(rules, services, findings)
    if layers is not None:
        _check_districts(rules, layers, findings)
    if departments is not None:
        _check_owners(rules, departments, findings)
    if services is not None and layers is not None:
        _check_reach(rules, services, layers, findings)


def _district(word: str, responsible_layer: str) -> tuple[str | None, str | None]:
    if word == ANYTHING:
        return None, None
    layer, separator, code = word.partition(":")
    return (layer, code) if separator else (responsible_layer, word)


def _check_services(rules: Rules, services: ServicesSheet, findings: Findings) -> None:
    groups = {group.code for group in services.groups}
    codes = {service.code for group in services.groups for service in group.services}
    unknown: dict[tuple[int, str], None] = {}
    for line, rule in rules:
        if rule.service_code is not None and rule.service_code not in codes:
            unknown[line, f"there is no service {rule.service_code}"] = None
        if rule.group_code is not None and rule.group_code not in groups:
            unknown[line, f"there is no group {rule.group_code}"] = None
    for line, what in unknown:
        findings.error(ROUTES, f"line {line}", what)


def _check_districts(rules: Rules, layers: Sequence[LayerShapes], findings: Findings) -> None:
    districts = {layer.code: layer.codes for layer in layers}
    unknown: dict[tuple[int, str], None] = {}
    for line, rule in rules:
        if rule.layer is not None and rule.layer not in districts:
            unknown[line, f"there is no layer {rule.layer}"] = None
        elif rule.layer is not None and rule.district_code not in (districts[rule.layer] or {rule.district_code}):
            unknown[line, f"there is no district {rule.district_code} in {rule.layer}"] = None
    for line, what in unknown:
        findings.error(ROUTES, f"line {line}", what)


def _check_owners(rules: Rules, departments: DepartmentsSheet, findings: Findings) -> None:
    crews = {department.code: {crew.code for crew in department.crews} for department in departments.departments}
    wrong: dict[tuple[int, str], None] = {}
    for line, rule in rules:
        if not rule.department_code:
            continue  # said where the line was read
        if rule.department_code not in crews:
            wrong[line, f"there is no department {rule.department_code}"] = None
        elif rule.crew_code is not None and rule.crew_code not in crews[rule.department_code]:
            wrong[line, f"{rule.department_code} has no crew {rule.crew_code}"] = None
    for line, what in wrong:
        findings.error(ROUTES, f"line {line}", what)
    for unused in sorted(set(crews) - {rule.department_code for _, rule in rules}):
        findings.warn(ROUTES, "", f"no route leads to the department {unused}")


def _check_reach(rules: Rules, services: ServicesSheet, layers: Sequence[LayerShapes], findings: Findings) -> None:
    """Every service needs somebody in every district, and where a place is in none (between two, say)."""
    responsible = next((layer for layer in layers if layer.responsible), None)
    if responsible is None or responsible.codes is None:
        return
    places: dict[str | None, set[str]] = {None: set()}
    for code in sorted(responsible.codes):
        places[code] = {district_key(responsible.code, code)}
    reached = {line for line, rule in rules if _is_last_resort(rule)}
    for group in services.groups:
        for service in group.services:
            left = dict(places)
            for line, rule in rules:
                if not rule.concerns(service.code, group.code):
                    continue
                taken = [code for code, keys in left.items() if rule.holds_at(keys)]
                for served in taken:
                    del left[served]
                if taken or rule.layer not in {None, responsible.code}:
                    reached.add(line)
            _say_who_is_left(service.code, left, findings)
    for line in sorted({line for line, _ in rules} - reached):
        findings.warn(ROUTES, f"line {line}", "this route is never used: earlier ones take all it is for")


def _is_last_resort(rule: RouteRule) -> bool:
    """Whether the rule is for anything anywhere, which may well stay idle."""
    return rule.service_code is None and rule.group_code is None and rule.layer is None


def _say_who_is_left(service: str, left: Iterable[str | None], findings: Findings) -> None:
    named = sorted(code for code in left if code is not None)
    if named:
        shown = ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
        findings.error(ROUTES, "", f"nobody is responsible for {service} in {shown}")
    elif None in left:
        what = f"nobody is responsible for {service} outside all districts; end with a route for * districts"
        findings.error(ROUTES, "", what)
