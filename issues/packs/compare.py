"""What loading a pack would change in the database, told before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import shapely
from psycopg import AsyncConnection
from shapely.geometry.base import BaseGeometry
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from geo.coverage import area_m2
from geo.districts import ALWAYS
from issues.packs.named_places import all_named
from issues.packs.pack import Pack
from issues.packs.privacy import count_hidden

# Where the city is loaded; None where it is not.
_There = AsyncConnection | None


@dataclass(frozen=True, slots=True)
class Change:
    """What changes of one kind of thing.

    Attributes:
        what: The kind: `services`, `districts of secteurs`, `addresses`, ...
        before: How many there are.
        after: How many there will be.
        added: Their codes.
        removed: Their codes; services, departments and crews that issues name stay, no longer offered.
        changed: Codes of those that are otherwise than before; of districts with the ground that changes hands.
    """

    what: str
    before: int
    after: int
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    changed: Sequence[str] = ()

    @property
    def is_one(self) -> bool:
        """Whether anything changes."""
        return bool(self.before != self.after or self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class PackDifference:
    """A pack beside the city in the database.

    Attributes:
        is_new: Whether the city is not there yet.
        is_same: Whether this very pack is loaded: nothing will be written.
        changes: Kind by kind, those that change nothing too.
    """

    is_new: bool
    is_same: bool
    changes: Sequence[Change] = field(default_factory=list)


async def compare_pack(session: AsyncSession, pack: Pack) -> PackDifference:
    """Hold a checked pack against its city in the database; reads only."""
    connection = await driver_connection(session)
    query = "SELECT id, pack_sha256 FROM city WHERE jurisdiction_id = %s"
    found = await (await connection.execute(query, [pack.city.jurisdiction_id])).fetchone()
    if found is not None and found[1] == pack.sha256:
        return PackDifference(is_new=False, is_same=True)
    if found is None:
        return await compare_with_nothing(pack)
    return PackDifference(is_new=False, is_same=False, changes=await _changes(connection, int(found[0]), pack))


async def compare_with_nothing(pack: Pack) -> PackDifference:
    """Tell what a checked pack brings where its city is not loaded; needs no database."""
    return PackDifference(is_new=True, is_same=False, changes=await _changes(None, 0, pack))


async def _changes(connection: _There, city_id: int, pack: Pack) -> list[Change]:
    return [
        await _services(connection, city_id, pack),
        *await _owners(connection, city_id, pack),
        *await _districts(connection, city_id, pack),
        *await _counted(connection, city_id, pack),
        await _public_issues(connection, city_id, pack),
    ]


async def _services(connection: _There, city_id: int, pack: Pack) -> Change:
    sheet = pack.services
    ours = {}
    for group in sheet.groups:
        for service in group.services:
            due = sheet.deadline_of(service)
            deadline = (None, due.amount) if due.in_hours else (int(due.amount), None)
            rest = (*deadline, due.always, service.priority.value)
            ours[service.code] = (service.names, group.code, service.private, *rest)
    rows = await _rows(
        connection,
        """
        SELECT code, names, group_code, private, CASE WHEN deadline_hours IS NULL THEN deadline_days END,
               deadline_hours, deadline_always, priority
        FROM service WHERE city_id = %s AND offered
        """,
        city_id,
    )
    return _by_code("services", {code: tuple(rest) for code, *rest in rows}, ours)


async def _owners(connection: _There, city_id: int, pack: Pack) -> list[Change]:
    departments = pack.departments.departments
    ours = {department.code: department.names for department in departments}
    crews = {crew.code: (crew.names, department.code) for department in departments for crew in department.crews}
    stored = await _rows(connection, "SELECT code, names FROM department WHERE city_id = %s", city_id)
    stored_crews = await _rows(connection, "SELECT code, names, department_code FROM crew WHERE city_id = %s", city_id)
    return [
        _by_code("departments", {row[0]: row[1] for row in stored}, ours),
        _by_code("crews", {code: (names, department) for code, names, department in stored_crews}, crews),
    ]


async def _districts(connection: _There, city_id: int, pack: Pack) -> list[Change]:
    query = "SELECT layer, code, valid_from, ST_AsBinary(polygon), names FROM district WHERE city_id = %s"
    stored: dict[str, dict[str, tuple[BaseGeometry, object]]] = {}
    for layer, code, valid_from, polygon, names in await _rows(connection, query, city_id):
        key = code if valid_from == ALWAYS else f"{code} from {valid_from}"
        stored.setdefault(layer, {})[key] = shapely.from_wkb(polygon), names
    changes = []
    for layer in pack.places.layers:
        ours = {
            (d.code if d.valid_from is None else f"{d.code} from {d.valid_from}"): (d.polygon, dict(d.names))
            for d in layer.districts
        }
        before = stored.pop(layer.code, {})
        changed = [word for code in sorted(ours.keys() & before) if (word := _moved(code, before[code], ours[code]))]
        changes.append(_coded(f"districts of {layer.code}", before, ours, changed))
    return [*changes, *(_coded(f"districts of {code}", before, {}, []) for code, before in stored.items())]


def _moved(code: str, before: tuple[BaseGeometry, object], after: tuple[BaseGeometry, object]) -> str | None:
    if not shapely.equals_exact(shapely.normalize(before[0]), shapely.normalize(after[0]), tolerance=1e-9):
        return f"{code} ({area_m2(shapely.symmetric_difference(before[0], after[0])):.0f} m2 change hands)"
    return code if before[1] != after[1] else None


async def _counted(connection: _There, city_id: int, pack: Pack) -> list[Change]:
    """What has no codes of its own is replaced as a whole."""
    places = pack.places
    after = {
        "neighbours": len(places.neighbours),
        "streets": len(places.streets),
        "addresses": len(places.addresses),
        "names of places": len(all_named(places)),
        "owned roads and assets": len(places.owned),
        "routes": len(pack.routes),
    }
    query = """
        SELECT (SELECT count(*) FROM neighbour WHERE city_id = %(city)s),
               (SELECT count(*) FROM street WHERE city_id = %(city)s),
               (SELECT count(*) FROM address WHERE city_id = %(city)s),
               (SELECT count(*) FROM place_name WHERE city_id = %(city)s),
               (SELECT count(*) FROM owned_thing WHERE city_id = %(city)s),
               (SELECT count(*) FROM route WHERE city_id = %(city)s)
        """
    stored = None if connection is None else await (await connection.execute(query, {"city": city_id})).fetchone()
    before = stored or (0,) * len(after)
    return [Change(what, count, after[what]) for what, count in zip(after, before, strict=True)]


async def _public_issues(connection: _There, city_id: int, pack: Pack) -> Change:
    """What a service that becomes private takes with it."""
    codes = [service.code for group in pack.services.groups for service in group.services if service.private]
    public, hidden = (0, 0) if connection is None else await count_hidden(connection, city_id, codes)
    return Change("public issues", public, public - hidden)


async def _rows(connection: _There, query: str, city_id: int) -> list[tuple[Any, ...]]:
    if connection is None:
        return []
    return await (await connection.execute(query.encode(), [city_id])).fetchall()


def _by_code(what: str, before: Mapping[str, object], after: Mapping[str, object]) -> Change:
    changed = [code for code in sorted(before.keys() & after) if before[code] != after[code]]
    return _coded(what, before, after, changed)


def _coded(what: str, before: Iterable[str], after: Iterable[str], changed: Sequence[str]) -> Change:
    old, new = set(before), set(after)
    return Change(what, len(old), len(new), sorted(new - old), sorted(old - new), changed)
