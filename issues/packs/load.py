"""Loading a city pack into the database: all of it or nothing, and as often as one likes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import shapely
from psycopg import AsyncConnection, sql
from psycopg.types.json import Jsonb
from shapely.geometry.base import BaseGeometry
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from db.jobs import enqueue
from db.tenancy import APP_ROLE
from geo.asked_places import leading_number
from geo.cities import City
from geo.districts import ALWAYS
from geo.street_words import place_words, read_street
from issues.packs.city_sheet import CitySheet, SourcedFile
from issues.packs.named_places import all_named, middle_and_reach
from issues.packs.pack import Pack
from issues.packs.privacy import ALL_KNOW, HIDE_PRIVATE, hide_private
from issues.packs.services_sheet import ServicesSheet
from issues.packs.times import holidays_of
from issues.routing import WEEK
from issues.rule_rows import write_conditions

_CALENDAR_YEARS = 10

# Told the name of a step, how many of them are done, and how many there are.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class LoadOutcome:
    """What loading a pack did.

    Attributes:
        city_id: The city's number, the same at each load.
        changed: Whether anything was written; false where this very pack had been loaded before.
    """

    city_id: int
    changed: bool


async def load_pack(
    session: AsyncSession, pack: Pack, *, now: datetime, progress: Progress = lambda _step, _done, _all: None
) -> LoadOutcome:
    """Write a pack's city into the database, or bring it up to date.

    The city keeps its number, and its services, departments and crews their rows: issues name them, so that what
    the pack no longer lists stays, no longer offered. Issues of services that are private from now on are hidden.
    Districts, streets, addresses and routes are replaced. Two loads of one city wait for each other. Processes that
    serve the city see its new version and read it anew.

    Args:
        session: Open transaction of the role that owns the tables; flushed here, committed by the caller.
        pack: A checked pack.
        now: Timezone-aware time, stored with the city.
        progress: Told of each step as it begins, and once at the end.
    """
    connection = await driver_connection(session)
    city_id, changed = await _write_city(session, pack, now)
    steps = {
        "services": _write_services,
        "departments": _write_departments,
        "districts": _write_districts,
        "streets": _write_streets,
        "addresses": _write_addresses,
        "street names": _write_street_names,
        "names of places": _write_place_names,
        "owners": _write_owned,
        "routes": _write_routes,
    }
    if changed:
        for done, (step, write) in enumerate(steps.items()):
            progress(step, done, len(steps))
            await write(connection, city_id, pack)
        await hide_private(session, city_id)
        await enqueue(session, HIDE_PRIVATE, {"city_id": city_id}, run_after=ALL_KNOW)
        # Until the server looks by itself, it would plan for empty tables.
        await connection.execute(
            "ANALYZE city, service, route, district, neighbour, street, address, street_name, place_name"
        )
    progress("done", len(steps), len(steps))
    return LoadOutcome(city_id, changed)


async def _write_city(session: AsyncSession, pack: Pack, now: datetime) -> tuple[int, bool]:
    """Insert or update the city's own row; no other load of this city gets past here until this one has ended."""
    connection = await driver_connection(session)
    jurisdiction_id = pack.city.jurisdiction_id
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"city pack {jurisdiction_id}"])
    known = (
        await session.execute(select(City.id, City.pack_sha256).where(City.jurisdiction_id == jurisdiction_id))
    ).one_or_none()
    if known is not None and known.pack_sha256 == pack.sha256:
        return known.id, False
    facts = _city_facts(pack, now)
    if known is None:
        added = await session.execute(insert(City).values(**facts, version=1).returning(City.id))
        city_id = added.scalar_one()
    else:
        city_id = known.id
        await session.execute(update(City).where(City.id == city_id).values(**facts, version=City.version + 1))
    await _make_numbers(connection, city_id)
    return city_id, True


def _credits(city: CitySheet) -> dict[str, list[list[str]]]:
    """Name whom the data that everybody may take are from, and under which licence, by collection of `open_data`."""
    streets: list[SourcedFile] = [] if city.streets is None else [city.streets]
    addresses: list[SourcedFile] = [] if city.addresses is None else [city.addresses]
    # An issue is the city's own; its address is written with the names of streets.
    sources: dict[str, Sequence[SourcedFile]] = {
        "issues": [*streets, *addresses],
        "districts": city.layers,
        "streets": streets,
    }
    return {
        collection: [list(pair) for pair in dict.fromkeys((file.source, file.licence) for file in files)]
        for collection, files in sources.items()
    }


def _city_facts(pack: Pack, now: datetime) -> dict[str, Any]:
    city = pack.city
    return {
        "jurisdiction_id": city.jurisdiction_id,
        "names": city.names,
        "timezone": city.timezone,
        "locale": city.locale,
        "outline": _ewkb(pack.places.outline),
        "settings": {
            "photos": city.photos.value,
            "holidays": [day.isoformat() for day in sorted(_holidays(city, now))],
            "working_days": [WEEK.index(day) for day in city.working_hours.days],
            "working_hours": [city.working_hours.begins, city.working_hours.ends],
            "expected": city.expected.value,
            "limits": city.limits.model_dump(),
            "elsewhere": [entry.model_dump() for entry in city.elsewhere],
            "app_link": city.app_link,
            "credits": _credits(city),
            "notices": {kind.value: notice.model_dump() for kind, notice in city.notices.items()},
        },
        "pack_sha256": pack.sha256,
        "loaded_at": now,
    }


def _holidays(city: CitySheet, now: datetime) -> set[date]:
    """The days that a pack lists, and those of its calendar, for as long as a pack is likely to stay."""
    years = range(now.year - 1, now.year + _CALENDAR_YEARS)
    return {*city.holidays, *(holidays_of(city.calendar, years) if city.calendar else ())}


async def _make_numbers(connection: AsyncConnection, city_id: int) -> None:
    """Make the sequence that numbers the city's reports; a counter that exists goes on counting."""
    sequence = sql.Identifier(number_sequence(city_id))
    await connection.execute(sql.SQL("CREATE SEQUENCE IF NOT EXISTS {}").format(sequence))
    await connection.execute(sql.SQL("GRANT USAGE ON SEQUENCE {} TO {}").format(sequence, sql.Identifier(APP_ROLE)))


def number_sequence(city_id: int) -> str:
    """Name of the sequence that a city's reports are numbered from."""
    return f"report_number_{city_id:d}"


async def _write_services(connection: AsyncConnection, city_id: int, pack: Pack) -> None:
    rows = list(_service_rows(city_id, pack.services))
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO service (city_id, code, position, names, group_code, group_names, keywords, private, siblings,
                kind, joins, radius_m, window_days, join_threshold, suggest_radius_m, suggest_window_days,
                suggest_threshold, deadline_days, attributes, deadline_hours, deadline_always, priority,
                safety, offered)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
                    true)
            ON CONFLICT (city_id, code) DO UPDATE SET
                position = excluded.position, names = excluded.names, group_code = excluded.group_code,
                group_names = excluded.group_names, keywords = excluded.keywords, private = excluded.private,
                siblings = excluded.siblings, kind = excluded.kind, joins = excluded.joins,
                radius_m = excluded.radius_m, window_days = excluded.window_days,
                join_threshold = excluded.join_threshold, suggest_radius_m = excluded.suggest_radius_m,
                suggest_window_days = excluded.suggest_window_days, suggest_threshold = excluded.suggest_threshold,
                deadline_days = excluded.deadline_days, attributes = excluded.attributes,
                deadline_hours = excluded.deadline_hours, deadline_always = excluded.deadline_always,
                priority = excluded.priority, safety = excluded.safety, offered = true
            """,
            rows,
        )
    await connection.execute(
        "UPDATE service SET offered = false WHERE city_id = %s AND code <> ALL (%s) AND offered",
        [city_id, [row[1] for row in rows]],
    )


def _service_rows(city_id: int, sheet: ServicesSheet) -> Iterable[tuple[Any, ...]]:
    position = 0
    for group in sheet.groups:
        for service in group.services:
            position += 1
            match, deadline = sheet.match_of(service), sheet.deadline_of(service)
            yield (
                city_id, service.code, position, Jsonb(service.names), group.code, Jsonb(group.names),
                service.keywords, service.private, service.siblings, match.kind.value, match.joins.value,
                match.radius_m, match.window_days, match.join, match.suggest_radius_m, match.suggest_window_days,
                match.suggest, 0 if deadline.in_hours else int(deadline.amount),
                Jsonb([attribute.model_dump(mode="json") for attribute in service.attributes]),
                deadline.amount if deadline.in_hours else None, deadline.always, service.priority.value,
                service.safety,
            )  # fmt: skip


async def _write_departments(connection: AsyncConnection, city_id: int, pack: Pack) -> None:
    departments = pack.departments.departments
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO department (city_id, code, names) VALUES (%s, %s, %s)
            ON CONFLICT (city_id, code) DO UPDATE SET names = excluded.names
            """,
            [(city_id, department.code, Jsonb(department.names)) for department in departments],
        )
        await cursor.executemany(
            """
            INSERT INTO crew (city_id, code, names, department_code) VALUES (%s, %s, %s, %s)
            ON CONFLICT (city_id, code) DO UPDATE
            SET names = excluded.names, department_code = excluded.department_code
            """,
            [
                (city_id, crew.code, Jsonb(crew.names), department.code)
                for department in departments
                for crew in department.crews
            ],
        )


async def _write_districts(connection: AsyncConnection, city_id: int, pack: Pack) -> None:
    await connection.execute("DELETE FROM neighbour WHERE city_id = %s", [city_id])
    await connection.execute("DELETE FROM layer WHERE city_id = %s", [city_id])  # and with it its districts
    layers = pack.places.layers
    await _copy(
        connection,
        "COPY layer (city_id, code, names, position, responsible) FROM STDIN",
        ((city_id, layer.code, _json(layer.names), i, layer.responsible) for i, layer in enumerate(layers, start=1)),
    )
    await _copy(
        connection,
        "COPY district (city_id, layer, code, valid_from, valid_to, names, polygon) FROM STDIN",
        (
            (city_id, layer.code, d.code, d.valid_from or ALWAYS, d.valid_to, _json(d.names), _ewkb(d.polygon))
            for layer in layers
            for d in layer.districts
        ),
    )
    await _copy(
        connection,
        "COPY neighbour (city_id, code, names, outline) FROM STDIN",
        ((city_id, other.code, _json(other.names), _ewkb(other.outline)) for other in pack.places.neighbours),
    )


async def _write_streets(connection: AsyncConnection, city_id: int, pack: Pack) -> None:
    await connection.execute("DELETE FROM street WHERE city_id = %s", [city_id])
    await _copy(
        connection,
        "COPY street (city_id, id, name, kind, line) FROM STDIN",
        (
            (city_id, number, street.name, street.kind, _ewkb(street.line))
            for number, street in enumerate(pack.places.streets, start=1)
        ),
    )


async def _write_addresses(connection: AsyncConnection, city_id: int, pack: Pack) -> None:
    await connection.execute("DELETE FROM address WHERE city_id = %s", [city_id])
    await _copy(
        connection,
        "COPY address (city_id, id, number, street, place, civic) FROM STDIN",
        (
            (
                city_id,
                number,
                address.number,
                address.street,
                _ewkb(shapely.Point(address.at.lon, address.at.lat)),
                leading_number(address.number),
            )
            for number, address in enumerate(pack.places.addresses, start=1)
        ),
    )


async def _write_street_names(connection: AsyncConnection, city_id: int, pack: Pack) -> None:
    await connection.execute("DELETE FROM street_name WHERE city_id = %s", [city_id])
    names = {street.name for street in pack.places.streets} | {address.street for address in pack.places.addresses}
    await _copy(
        connection,
        "COPY street_name (city_id, name, words) FROM STDIN",
        ((city_id, name, read_street(name).words) for name in sorted(names)),
    )


async def _write_place_names(connection: AsyncConnection, city_id: int, pack: Pack) -> None:
    await connection.execute("DELETE FROM place_name WHERE city_id = %s", [city_id])
    rows = []
    for number, place in enumerate(all_named(pack.places), start=1):
        middle, reach_m = middle_and_reach(place)
        rows.append((city_id, number, place.name, place_words(place.name), _ewkb(middle), reach_m))
    await _copy(connection, "COPY place_name (city_id, id, name, words, place, reach_m) FROM STDIN", rows)


async def _write_routes(connection: AsyncConnection, city_id: int, pack: Pack) -> None:
    await connection.execute("DELETE FROM route WHERE city_id = %s", [city_id])
    await _copy(
        connection,
        "COPY route (city_id, position, service_code, group_code, layer, district_code, department_code, crew_code,"
        " conditions, origin, names) FROM STDIN",
        (
            (
                city_id, position, rule.service_code, rule.group_code, rule.layer, rule.district_code,
                rule.department_code, rule.crew_code, _json(write_conditions(rule)), rule.origin, _json(rule.names),
            )
            for position, rule in enumerate(pack.routes, start=1)
        ),
    )  # fmt: skip


async def _write_owned(connection: AsyncConnection, city_id: int, pack: Pack) -> None:
    await connection.execute("DELETE FROM owned_thing WHERE city_id = %s", [city_id])
    await _copy(
        connection,
        "COPY owned_thing (city_id, id, kind, owner, name, shape) FROM STDIN",
        (
            (city_id, number, thing.kind, thing.owner, thing.name, _ewkb(shapely.from_wkb(thing.shape)))
            for number, thing in enumerate(pack.places.owned, start=1)
        ),
    )


async def _copy(connection: AsyncConnection, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    async with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in rows:
            await copy.write_row(row)


def _json(names: Any) -> str:
    return json.dumps(dict(names), ensure_ascii=False)


def _ewkb(shape: BaseGeometry) -> str:
    """A shape as PostGIS reads it from text: hexadecimal, with its coordinate system."""
    return str(shapely.to_wkb(shapely.set_srid(shape, 4326), hex=True, include_srid=True))
