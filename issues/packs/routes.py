"""The rules of who is responsible: read from a pack's sheets, and whether they leave anybody without.

`routes.yml` and `routes.csv` say the same kind of thing, the second in short; the rules of the first come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from geo.owners import ROAD
from issues.packs.pack import LayerShapes
from issues.packs.problems import Findings
from issues.packs.reach import share_out
from issues.packs.rules import RULES, RuleSheet, RulesSheet
from issues.packs.schema import ROUTES, DepartmentsSheet, RouteSheet
from issues.packs.services_sheet import ServicesSheet
from issues.packs.sheets import read_lines, read_sheet
from issues.routing import Beside, RouteRule

ANYTHING = "*"
_GROUP = "group:"

Rules = Sequence[RouteRule]


def read_rules(folder: Path, responsible_layer: str, findings: Findings) -> tuple[list[RouteRule], bool]:
    """Read the rules of both sheets, in order, written out as rules of one service or group and one district each.

    Returns:
        The rules, and whether they are all that there are: where a sheet cannot be read, nothing can be said about
        what they leave out.
    """
    rules: list[RouteRule] = []
    in_yaml, whole = (folder / RULES).is_file(), True
    if in_yaml:
        sheet = read_sheet(folder, RULES, RulesSheet, findings)
        whole = RULES not in findings.files_with_errors
        rules += expand_rules(sheet.rules if sheet else (), responsible_layer)
    if (folder / ROUTES).is_file() or not in_yaml:
        lines = read_lines(folder, ROUTES, RouteSheet, findings)
        whole = whole and (bool(lines) or ROUTES not in findings.files_with_errors)
        rules += expand_routes(lines, responsible_layer)
    return rules, whole


def expand_routes(lines: Iterable[tuple[int, RouteSheet]], responsible_layer: str) -> list[RouteRule]:
    """Write out the lists in lines of routes, each given with its number."""
    rules = []
    for line, route in lines:
        sheet = RuleSheet.model_construct(
            services=route.services.split(),
            districts=route.districts.split(),
            department=route.department,
            crew=route.crew,
        )
        rules += _expand(sheet, f"{ROUTES}, line {line}", responsible_layer)
    return rules


def expand_rules(sheets: Iterable[RuleSheet], responsible_layer: str) -> list[RouteRule]:
    """Write out the lists in rules."""
    return [
        rule
        for number, sheet in enumerate(sheets, start=1)
        for rule in _expand(sheet, f"{RULES}, rule {number}", responsible_layer)
    ]


def _expand(sheet: RuleSheet, origin: str, responsible_layer: str) -> list[RouteRule]:
    rules = []
    for services in sheet.services:
        group = services.removeprefix(_GROUP) if services.startswith(_GROUP) else None
        service = services if group is None and services != ANYTHING else None
        for district in sheet.districts:
            layer, code = _district(district, responsible_layer)
            rules.append(
                RouteRule(
                    service,
                    group,
                    layer,
                    code,
                    sheet.department,
                    sheet.crew,
                    beside=_beside(sheet),
                    hours=sheet.hours.hours if sheet.hours else None,
                    season=sheet.season.season if sheet.season else None,
                    origin=origin,
                    names=sheet.names or {},
                )
            )
    return rules


def _beside(sheet: RuleSheet) -> Beside | None:
    if sheet.road is not None:
        return Beside(ROAD, frozenset(sheet.road.owner), sheet.road.within_m)
    if sheet.asset is not None:
        return Beside(sheet.asset.kind, frozenset(sheet.asset.owner or ()), sheet.asset.within_m)
    return None


def check_routes(
    rules: Rules,
    services: ServicesSheet | None,
    departments: DepartmentsSheet | None,
    layers: Sequence[LayerShapes] | None,
    findings: Findings,
    *,
    owners: Mapping[str, frozenset[str]],
    whole: bool,
) -> None:
    """Add what is wrong with rules: names that lead nowhere, rules that never match, places that nobody answers for.

    What could not be read at all is None; rules are not held against it.

    Args:
        rules: The rules, in order.
        services: What can be reported.
        departments: Who may be responsible.
        layers: The districts.
        findings: Where to add it.
        owners: Who owns roads, and assets of each kind.
        whole: Whether these are all rules; if not, what they leave out is not asked.
    """
    if services is not None:
        _check_services(rules, services, findings)
    if layers is not None:
        _check_districts(rules, layers, findings)
        _check_besides(rules, owners, findings)
    if departments is not None:
        _check_owners(rules, departments, findings)
    if whole and services is not None and layers is not None:
        _check_reach(rules, services, layers, owners, findings)


def _district(word: str, responsible_layer: str) -> tuple[str | None, str | None]:
    if word == ANYTHING:
        return None, None
    layer, separator, code = word.partition(":")
    return (layer, code) if separator else (responsible_layer, word)


def _check_services(rules: Rules, services: ServicesSheet, findings: Findings) -> None:
    groups = {group.code for group in services.groups}
    codes = {service.code for group in services.groups for service in group.services}
    unknown: dict[tuple[str, str], None] = {}
    for rule in rules:
        if rule.service_code is not None and rule.service_code not in codes:
            unknown[rule.origin, f"there is no service {rule.service_code}"] = None
        if rule.group_code is not None and rule.group_code not in groups:
            unknown[rule.origin, f"there is no group {rule.group_code}"] = None
    _add_errors(unknown, findings)


def _check_districts(rules: Rules, layers: Sequence[LayerShapes], findings: Findings) -> None:
    districts = {layer.code: layer.codes for layer in layers}
    unknown: dict[tuple[str, str], None] = {}
    for rule in rules:
        if rule.layer is not None and rule.layer not in districts:
            unknown[rule.origin, f"there is no layer {rule.layer}"] = None
        elif rule.layer is not None and rule.district_code not in (districts[rule.layer] or {rule.district_code}):
            unknown[rule.origin, f"there is no district {rule.district_code} in {rule.layer}"] = None
    _add_errors(unknown, findings)


def _check_besides(rules: Rules, owners: Mapping[str, frozenset[str]], findings: Findings) -> None:
    unknown: dict[tuple[str, str], None] = {}
    for rule in rules:
        if rule.beside is None:
            continue
        what = f"asset {rule.beside.kind}" if rule.beside.kind != ROAD else "road"
        if rule.beside.kind not in owners:
            unknown[rule.origin, f"city.yml tells the owner of no {what}"] = None
        there = owners.get(rule.beside.kind, rule.beside.owners)
        for owner in sorted(rule.beside.owners - there):
            unknown[rule.origin, f"no {what} belongs to {owner} (they are of: {', '.join(sorted(there))})"] = None
    _add_errors(unknown, findings)


def _check_owners(rules: Rules, departments: DepartmentsSheet, findings: Findings) -> None:
    crews = {department.code: {crew.code for crew in department.crews} for department in departments.departments}
    wrong: dict[tuple[str, str], None] = {}
    for rule in rules:
        if not rule.department_code:
            continue  # said where the line was read
        if rule.department_code not in crews:
            wrong[rule.origin, f"there is no department {rule.department_code}"] = None
        elif rule.crew_code is not None and rule.crew_code not in crews[rule.department_code]:
            wrong[rule.origin, f"{rule.department_code} has no crew {rule.crew_code}"] = None
    _add_errors(wrong, findings)
    for unused in sorted(set(crews) - {rule.department_code for rule in rules}):
        findings.warn(ROUTES, "", f"no route leads to the department {unused}")


def _add_errors(errors: Iterable[tuple[str, str]], findings: Findings) -> None:
    for origin, what in errors:
        file, where = origin.split(", ", 1)
        findings.error(file, where, what)


def _check_reach(
    rules: Rules,
    services: ServicesSheet,
    layers: Sequence[LayerShapes],
    owners: Mapping[str, frozenset[str]],
    findings: Findings,
) -> None:
    """Every service needs somebody in every district, and where a place is in none; every rule has to match once."""
    codes = {layer.code: layer.codes for layer in layers if layer.codes is not None}
    responsible = next((layer.code for layer in layers if layer.responsible), None)
    if responsible is None or responsible not in codes:
        return
    reached = {rule.origin for rule in rules if rule.layer is not None and rule.layer not in codes}
    if rules and _is_last_resort(rules[-1]):
        reached.add(rules[-1].origin)
    for group in services.groups:
        for service in group.services:
            own = [(n, rule) for n, rule in enumerate(rules) if rule.concerns(service.code, group.code)]
            share = share_out(own, layers=codes, responsible=responsible, owners=owners)
            reached |= {rules[number].origin for number in share.reached}
            _say_who_is_left(service.code, share.nobodys, findings)
    never = dict.fromkeys(rule.origin for rule in rules if rule.origin not in reached)
    _add_errors(((origin, _NEVER) for origin in never if not _is_wrong(origin, findings)), findings)


_NEVER = "this rule can never match: earlier ones take all that it is for"


def _is_wrong(origin: str, findings: Findings) -> bool:
    """Whether something else is wrong with a rule, which is then why it never matches."""
    return any(f"{problem.file}, {problem.where}".startswith(origin) for problem in findings.problems)


def _is_last_resort(rule: RouteRule) -> bool:
    """Whether the rule is for anything anywhere, which may well stay idle."""
    conditions = (rule.service_code, rule.group_code, rule.layer, rule.beside, rule.hours, rule.season)
    return all(condition is None for condition in conditions)


def _say_who_is_left(service: str, left: Iterable[str | None], findings: Findings) -> None:
    named = sorted(code for code in left if code is not None)
    if named:
        shown = ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
        findings.error(ROUTES, "", f"nobody is responsible for {service} in {shown}")
    elif None in left:
        what = f"nobody is responsible for {service} outside all districts; end with a route for * districts"
        findings.error(ROUTES, "", what)
