"""Checking a city pack: all that is wrong with it, at once, before anything touches the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from geo.owners import owners_of
from issues.packs.city_sheet import CitySheet, LayerFile
from issues.packs.fingerprint import fingerprint
from issues.packs.pack import Pack, Places
from issues.packs.places import read_places
from issues.packs.problems import Findings, Problem
from issues.packs.routes import check_routes, read_rules
from issues.packs.schema import CITY, DEPARTMENTS, SERVICES, DepartmentsSheet
from issues.packs.services_sheet import ServicesSheet
from issues.packs.sheets import read_sheet


@dataclass(frozen=True, slots=True)
class PackReport:
    """What checking a pack found.

    Attributes:
        problems: All of them, in the order of the files; empty for a spotless pack.
        pack: The pack, ready to load; None where a problem is an error.
        places: Its places as far as they can be read; None where `city.yml` cannot.
    """

    problems: Sequence[Problem]
    pack: Pack | None
    places: Places | None = None


def check_pack(folder: Path) -> PackReport:
    """Read and check a pack; repairs what can be repaired and says so. Never raises for what is in the files."""
    findings = Findings()
    city = read_sheet(folder, CITY, CitySheet, findings)
    services = read_sheet(folder, SERVICES, ServicesSheet, findings)
    departments = read_sheet(folder, DEPARTMENTS, DepartmentsSheet, findings)
    rules, whole = read_rules(folder, city.responsible_layer if city else "", findings)
    if city:
        _check_city(city, findings)
    if services:
        _check_services(services, findings)
    if departments:
        _check_departments(departments, findings)
    places = read_places(folder, city, findings) if city else None
    if city and places:
        known = {neighbour.code for neighbour in places.neighbours}
        for entry in city.elsewhere:
            if entry.neighbour is not None and entry.neighbour not in known:
                findings.error(CITY, "elsewhere", f"there is no neighbour {entry.neighbour}")
    if rules or whole:
        layers, owners = (places.layers, owners_of(places.owned)) if places else (None, {})
        check_routes(rules, services, departments, layers, findings, owners=owners, whole=whole)
    if findings.fatal or not (city and services and departments and places):
        return PackReport(findings.problems, None, places)
    pack = Pack(
        sha256=fingerprint(folder, city),
        city=city,
        services=services,
        departments=departments,
        routes=rules,
        places=places,
    )
    return PackReport(findings.problems, pack, places)


def _check_city(city: CitySheet, findings: Findings) -> None:
    codes = [layer.code for layer in city.layers]
    undated = [(f"layers[{i}]", layer.code) for i, layer in enumerate(city.layers) if not is_dated(layer)]
    findings.error_if_repeated(CITY, "the layer", undated)
    if city.responsible_layer not in codes:
        findings.error(CITY, "responsible_layer", f"there is no layer {city.responsible_layer}")
    for layer in city.layers:
        if isinstance(layer.columns.names, dict):
            for language in sorted({"fr", "en"} - set(layer.columns.names)):
                findings.error(CITY, f"layer {layer.code}, columns.names", f"no column is given for {language}")


def is_dated(layer: LayerFile) -> bool:
    """Whether a layer's file is for some days only, so that another may be for others."""
    return layer.valid_from is not None or layer.valid_to is not None


def _check_services(sheet: ServicesSheet, findings: Findings) -> None:
    groups = ((f"group {group.code}", group.code) for group in sheet.groups)
    findings.error_if_repeated(SERVICES, "the group", groups)
    pairs = ((f"{group.code}, {service.code}", service.code) for group in sheet.groups for service in group.services)
    findings.error_if_repeated(SERVICES, "the service", pairs)
    services = {service.code: service for group in sheet.groups for service in group.services}
    for code, service in services.items():
        for sibling in service.siblings:
            if sibling not in services or sibling == code:
                findings.error(SERVICES, f"{code}, siblings", f"{sibling} is no other service")
            elif code not in services[sibling].siblings:
                findings.note(SERVICES, f"{code}, siblings", f"{sibling} does not name {code} in turn")
        questions = ((f"{code}, {attribute.code}", attribute.code) for attribute in service.attributes)
        findings.error_if_repeated(SERVICES, "the question", questions)
        for attribute in service.attributes:
            answers = ((f"{code}, {attribute.code}", value.code) for value in attribute.values)
            findings.error_if_repeated(SERVICES, "the answer", answers)


def _check_departments(sheet: DepartmentsSheet, findings: Findings) -> None:
    departments = ((f"department {department.code}", department.code) for department in sheet.departments)
    findings.error_if_repeated(DEPARTMENTS, "the department", departments)
    crews = (
        (f"{department.code}, {crew.code}", crew.code) for department in sheet.departments for crew in department.crews
    )
    findings.error_if_repeated(DEPARTMENTS, "the crew", crews)
