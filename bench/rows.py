"""A city's history to measure in: a million issues over its streets, one in ten of them open.

Everything is drawn from a stated seed, so two runs measure the same rows. Six places in ten lie along the streets
that the city's pack knows, a few metres off; the rest are spread over its outline. Each issue has the one report
that opened it, and the tables that a new report writes to are as full as the table of issues. Every tenth open issue
waits in a pair with another for staff to decide.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray
from psycopg import sql

from geo.points import MetresPerDegree

OPEN_SHARE = 0.1
_ON_STREETS = 0.6
_OFF_STREET_M = 8.0
_OPEN_DAYS = 60.0
_HISTORY_DAYS = 8 * 365.0
_OPEN_STATUSES = ("received", "acknowledged", "scheduled", "in_progress")
_CLOSED_STATUSES = ("resolved", "resolved", "resolved", "closed", "declined", "transferred")
_CHUNK = 50_000

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer of districts: the polygons in force and their codes, in the same order."""

    code: str
    responsible: bool
    districts: NDArray[np.str_]
    tree: shapely.STRtree


@dataclass(frozen=True, slots=True)
class _City:
    """What the rows of a city refer to."""

    id: int
    outline: Any
    streets: NDArray[np.object_]
    street_lengths_m: Floats
    services: Sequence[tuple[str, bool]]
    departments: Sequence[str]
    layers: Sequence[_Layer]


@dataclass(frozen=True, slots=True)
class _Rows:
    """The columns of a chunk of issues, each as long as the chunk."""

    first: int
    at: Floats  # longitude, latitude
    service: NDArray[np.int64]
    is_open: NDArray[np.bool_]
    status: NDArray[np.int64]
    opened_ms: NDArray[np.int64]
    quiet_ms: NDArray[np.int64]  # from opening to the last change
    entropy: NDArray[np.uint64]  # two columns: of the issue's id and of its report's


def fill_issues(
    connection: psycopg.Connection,
    jurisdiction_id: str,
    count: int,
    *,
    seed: int,
    now: datetime,
    progress: Progress,
    tables: Sequence[str] | None = None,
) -> None:
    """Give an empty city a history and bring the planner's statistics up to date.

    Args:
        connection: Autocommit connection of a superuser: foreign keys are not checked row by row.
        jurisdiction_id: The city, whose pack is loaded.
        count: How many issues; one in ten is open.
        seed: The same seed gives the same places, services and times.
        now: The newest issue is a moment older than this.
        progress: Called with a step's name, how much is done, and of how much.
        tables: The ones to fill, for what reads no others; all that a report writes to if left out.
    """
    city = _read_city(connection, jurisdiction_id)
    lines = _LINES if tables is None else {table: _LINES[table] for table in tables}
    with connection.transaction():
        # Foreign keys are triggers; the rows are right by construction.
        connection.execute("SET LOCAL session_replication_role = replica")
        indexes = _drop_indexes(connection)
        rng = np.random.default_rng(seed)
        for first in range(0, count, _CHUNK):
            _copy(connection, city, _draw(rng, city, first, min(_CHUNK, count - first), now=now), lines)
            progress("issues", min(first + _CHUNK, count), count)
        if tables is None:
            connection.execute(_PAIRS, (city.id, list(_OPEN_STATUSES)))
        for done, index in enumerate(indexes, start=1):
            connection.execute(index)
            progress("indexes", done, len(indexes))
        # Numbers go on after those in use.
        connection.execute("SELECT setval(%s::regclass, %s)", (f"report_number_{city.id}", count))
    filled = (*lines, "issue_pair")
    for done, table in enumerate(filled, start=1):
        connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))
        progress("statistics", done, len(filled))
    connection.execute("CHECKPOINT")


def _read_city(connection: psycopg.Connection, jurisdiction_id: str) -> _City:
    city_id, outline = connection.execute(
        "SELECT id, ST_AsBinary(outline) FROM city WHERE jurisdiction_id = %s", (jurisdiction_id,)
    ).fetchone() or _missing(jurisdiction_id)
    streets = connection.execute(
        "SELECT ST_AsBinary(line), ST_Length(line) FROM street WHERE city_id = %s ORDER BY id", (city_id,)
    ).fetchall()
    layers = connection.execute(
        "SELECT code, responsible FROM layer WHERE city_id = %s ORDER BY position", (city_id,)
    ).fetchall()
    area = shapely.from_wkb(outline)
    shapely.prepare(area)
    return _City(
        id=city_id,
        outline=area,
        streets=shapely.from_wkb([line for line, _ in streets]),
        street_lengths_m=np.array([length for _, length in streets]),
        services=connection.execute(
            "SELECT code, private FROM service WHERE city_id = %s AND offered ORDER BY position", (city_id,)
        ).fetchall(),
        departments=[
            code
            for (code,) in connection.execute(
                "SELECT code FROM department WHERE city_id = %s ORDER BY code", (city_id,)
            )
        ],
        layers=[_read_layer(connection, city_id, code, responsible=responsible) for code, responsible in layers],
    )


def _missing(jurisdiction_id: str) -> tuple[int, bytes]:
    raise LookupError(f"no city {jurisdiction_id} is loaded")


def _read_layer(connection: psycopg.Connection, city_id: int, code: str, *, responsible: bool) -> _Layer:
    rows = connection.execute(
        "SELECT code, ST_AsBinary(polygon) FROM district WHERE city_id = %s AND layer = %s AND valid_to IS NULL"
        " ORDER BY code",
        (city_id, code),
    ).fetchall()
    tree = shapely.STRtree(shapely.from_wkb([polygon for _, polygon in rows]))
    return _Layer(code, responsible, np.array([district for district, _ in rows]), tree)


def _drop_indexes(connection: psycopg.Connection) -> list[str]:
    """Drop the indexes that no constraint needs; get the statements that make them again."""
    found = connection.execute(
        """
        SELECT i.indexname, i.indexdef FROM pg_indexes i
        WHERE i.schemaname = current_schema() AND i.tablename = ANY(%s)
          AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conname = i.indexname)
        ORDER BY i.indexname
        """,
        (list(_LINES),),
    ).fetchall()
    for name, _ in found:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    return [definition for _, definition in found]


def _draw(rng: np.random.Generator, city: _City, first: int, count: int, *, now: datetime) -> _Rows:
    is_open = rng.random(count) < OPEN_SHARE
    age_days = np.where(is_open, rng.random(count) * _OPEN_DAYS, _OPEN_DAYS + rng.random(count) * _HISTORY_DAYS)
    quiet_days = np.where(is_open, rng.random(count) * np.minimum(age_days, 5.0), rng.random(count) * _OPEN_DAYS)
    day_ms = 86_400_000
    return _Rows(
        first=first,
        at=_draw_places(rng, city, count),
        service=rng.integers(len(city.services), size=count),
        is_open=is_open,
        status=rng.integers(len(_OPEN_STATUSES) * len(_CLOSED_STATUSES), size=count),
        opened_ms=int(now.timestamp() * 1000) - (age_days * day_ms).astype(np.int64),
        quiet_ms=(quiet_days * day_ms).astype(np.int64),
        entropy=rng.integers(2**62, size=(count, 2), dtype=np.uint64),
    )


def _draw_places(rng: np.random.Generator, city: _City, count: int) -> Floats:
    """Draw positions inside the city, twice as many as needed at first: some fall outside."""
    on_streets = int(count * _ON_STREETS) if len(city.streets) else 0
    places = np.concatenate(
        [
            _inside(city, _along_streets(rng, city, 2 * on_streets))[:on_streets],
            _spread(rng, city, count - on_streets),
        ]
    )
    return places[rng.permutation(len(places))]


def _along_streets(rng: np.random.Generator, city: _City, count: int) -> Floats:
    if count == 0:
        return np.empty((0, 2))
    chosen = rng.choice(len(city.streets), size=count, p=city.street_lengths_m / city.street_lengths_m.sum())
    on_line = shapely.line_interpolate_point(city.streets[chosen], rng.random(count), normalized=True)
    at = shapely.get_coordinates(on_line)
    metres = MetresPerDegree.around(float(at[:, 1].mean()))
    return at + rng.normal(scale=_OFF_STREET_M, size=at.shape) / [metres.lon, metres.lat]


def _spread(rng: np.random.Generator, city: _City, count: int) -> Floats:
    west, south, east, north = city.outline.bounds
    found = np.empty((0, 2))
    while len(found) < count:
        box = rng.random((count, 2)) * [east - west, north - south] + [west, south]
        found = np.concatenate([found, _inside(city, box)])
    return found[:count]


def _inside(city: _City, at: Floats) -> Floats:
    inside: Floats = at[shapely.contains_xy(city.outline, at)]
    return inside


def _copy(connection: psycopg.Connection, city: _City, rows: _Rows, lines: Mapping[str, "_Line"]) -> None:
    issues = list(_issues(city, rows))
    with connection.cursor() as cursor:
        for table, (columns, line) in lines.items():
            into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), columns)
            with cursor.copy(into) as copy:
                copy.write("".join(map(line, issues)))


@dataclass(frozen=True, slots=True)
class _Issue:
    """One issue as COPY wants it: text, ready between two tabs."""

    city_id: int
    id: str
    report_id: str
    number: str
    service: str
    private: str
    status: str
    place: str
    district: str  # two columns
    districts: str
    department: str
    opened: str
    changed: str
    expected: str


def _issues(city: _City, rows: _Rows) -> Iterator[_Issue]:
    places = _ewkb(rows.at)
    districts = [_districts_of(layer, rows.at) for layer in city.layers]
    for at in range(len(rows.at)):
        opened = datetime.fromtimestamp(rows.opened_ms[at] / 1000, UTC)
        service, private = city.services[rows.service[at]]
        statuses = _OPEN_STATUSES if rows.is_open[at] else _CLOSED_STATUSES
        here = [(layer, codes[at]) for layer, codes in zip(city.layers, districts, strict=True) if codes[at]]
        own = next((f"{layer.code}\t{code}" for layer, code in here if layer.responsible), "\\N\t\\N")
        yield _Issue(
            city_id=city.id,
            id=_uuid(int(rows.opened_ms[at]), int(rows.entropy[at, 0])),
            report_id=_uuid(int(rows.opened_ms[at]), int(rows.entropy[at, 1])),
            number=f"{opened.year}-{rows.first + at + 1:06d}",
            service=service,
            private="t" if private else "f",
            status=statuses[rows.status[at] % len(statuses)],
            place=places[at],
            district=own,
            districts="{" + ",".join(f'"{layer.code}:{code}"' for layer, code in here) + "}",
            department=city.departments[rows.service[at] % len(city.departments)],
            opened=opened.isoformat(),
            changed=(opened + timedelta(milliseconds=int(rows.quiet_ms[at]))).isoformat(),
            expected=(opened + timedelta(days=7)).isoformat(),
        )


def _issue_line(issue: _Issue) -> str:
    return (
        f"{issue.city_id}\t{issue.id}\t{issue.number}\t{issue.service}\t{issue.status}\t{issue.place}\t8"
        f"\tRue Saint-Denis\t{issue.district}\t{issue.districts}\t{issue.department}\tf\t{issue.private}\t1"
        f"\t{issue.opened}\t{issue.changed}\t{issue.changed}\t{issue.expected}\n"
    )


def _report_line(issue: _Issue) -> str:
    return (
        f"{issue.city_id}\t{issue.report_id}\t{issue.number}\t{issue.id}\t{issue.service}\tapp\tgps\t8"
        f"\t{issue.opened}\tf\n"
    )


def _home_line(issue: _Issue) -> str:
    digest = f"\\\\x{issue.report_id.replace('-', '') * 2}"
    return f"{issue.report_id}\t{issue.city_id}\tdevice:{issue.id}\t{digest}\t{digest}\n"


def _personal_line(issue: _Issue) -> str:
    return f"{issue.city_id}\t{issue.report_id}\t{issue.place}\tGros trou devant l'arrêt d'autobus\t{{}}\n"


def _event_line(issue: _Issue) -> str:
    data = f'{{"report_id": "{issue.report_id}"}}'
    at = issue.opened
    return f"{issue.city_id}\t{issue.report_id}\t{issue.id}\treport.opened\tdevice:{issue.id}\t{at}\tt\t{data}\n"


_Line = tuple[sql.SQL, Callable[[_Issue], str]]

# Each table with the columns that are filled, and how an issue becomes a line of it.
_LINES: dict[str, _Line] = {
    "issue": (
        sql.SQL(
            "city_id, id, number, service_code, status, place, accuracy_m, address, layer, district_code, districts,"
            " department_code, near_boundary, private, report_count, opened_at, last_report_at, updated_at, expected_at"
        ),
        _issue_line,
    ),
    "report": (
        sql.SQL(
            "city_id, id, number, issue_id, service_code, channel, location_source, accuracy_m, received_at,"
            " near_boundary"
        ),
        _report_line,
    ),
    "report_home": (sql.SQL("id, city_id, sender, fingerprint, tracking_hash"), _home_line),
    "report_personal": (sql.SQL("city_id, report_id, place, description, attributes"), _personal_line),
    "event": (sql.SQL("city_id, id, issue_id, kind, actor, at, public, data"), _event_line),
}

# Where the issues of a pair lie is of no account here.
_PAIRS = """
INSERT INTO issue_pair (city_id, id, one_id, other_id, score, reasons, state, made_at)
SELECT city_id, id, least(id, other_id), greatest(id, other_id), 0.3 + n %% 300 / 1000.0, '[]', 'pending', received_at
FROM (
    SELECT r.city_id, r.id, r.received_at, lead(r.id) OVER byage AS other_id, row_number() OVER byage AS n
    FROM report r JOIN issue i ON i.city_id = r.city_id AND i.id = r.issue_id
    WHERE r.city_id = %s AND i.status = ANY(%s) WINDOW byage AS (ORDER BY r.id)
) AS opener
WHERE n %% 10 = 0 AND other_id IS NOT NULL
"""


def _ewkb(at: Floats) -> list[str]:
    """Write positions as PostGIS reads them: extended well-known binary, little endian, SRID 4326, in hex."""
    layout = np.dtype([("order", "u1"), ("type", "<u4"), ("srid", "<u4"), ("lon", "<f8"), ("lat", "<f8")])
    points = np.empty(len(at), layout)
    points["order"], points["type"], points["srid"] = 1, 0x2000_0001, 4326
    points["lon"], points["lat"] = at[:, 0], at[:, 1]
    text = points.tobytes().hex()
    width = 2 * layout.itemsize
    return [text[start : start + width] for start in range(0, len(text), width)]


def _districts_of(layer: _Layer, at: Floats) -> list[str]:
    """Find the district of each position; '' where none has it. On a shared border any of them will do here."""
    positions, polygons = layer.tree.query(shapely.points(at), predicate="intersects")
    found = np.full(len(at), "", dtype=layer.districts.dtype)
    found[positions] = layer.districts[polygons]
    codes: list[str] = found.tolist()
    return codes


def _uuid(unix_ms: int, entropy: int) -> str:
    """A version 7 UUID: as in service, new rows go to the right-hand end of an index."""
    tail = f"{entropy:016x}"
    moment = f"{unix_ms:012x}"
    return f"{moment[:8]}-{moment[8:]}-7{tail[:3]}-8{tail[3:6]}-{tail[4:16]}"
