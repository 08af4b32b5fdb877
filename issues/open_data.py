"""Open data of a city: its public issues, its districts and its streets, from the views of the schema `open`.

The views hold no personal data, nothing of private services, nothing that was merged into another issue, and
nothing that no report is about any more.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from db.tenancy import read_open_data_only
from issues.browse import BoundingBox
from issues.pages import Page, read_cursor, read_number, read_text, write_cursor


@dataclass(frozen=True, slots=True)
class Collection:
    """A kind of thing that is open to everybody.

    Attributes:
        name: Its view, and its name on the wire.
        title: By language.
        key_type: PostgreSQL's type of `id`, by which its lists are sorted.
        read_key: Reads an id from its text; raises ValueError where it is none.
        fields: What is said of each, in order, beside `id` and the shape.
        time: The field that a time narrows by; None where there is none.
    """

    name: str
    title: Mapping[str, str]
    key_type: str
    read_key: Callable[[str], Any]
    fields: Sequence[str]
    time: str | None = None


ISSUES: Final = Collection(
    "issues",
    {"fr": "Requêtes", "en": "Issues"},
    "uuid",
    UUID,
    (
        "number",
        "service_code",
        "service_name_fr",
        "service_name_en",
        "status",
        "address",
        "district_layer",
        "district_code",
        "department_code",
        "report_count",
        "requested_datetime",
        "updated_datetime",
        "expected_datetime",
    ),
    time="requested_datetime",
)
DISTRICTS: Final = Collection(
    "districts",
    {"fr": "Secteurs", "en": "Districts"},
    "text",
    read_text,
    ("layer", "code", "name_fr", "name_en", "valid_from"),
)
STREETS: Final = Collection("streets", {"fr": "Rues", "en": "Streets"}, "bigint", read_number, ("name", "kind"))
COLLECTIONS: Final[Mapping[str, Collection]] = {each.name: each for each in (ISSUES, DISTRICTS, STREETS)}


@dataclass(eq=False)
class NoSuchCollection(Exception):
    """Nothing of this name is open data."""

    name: str


@dataclass(eq=False)
class FeatureNotFound(Exception):
    """The collection has nothing of this id."""

    feature_id: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a collection is wanted; None does not narrow.

    Attributes:
        since: From this moment on, as `until` up to and including that one; ignored where nothing has a time.
    """

    bbox: BoundingBox | None = None
    since: datetime | None = None
    until: datetime | None = None


def find_collection(name: str) -> Collection:
    """Get a collection by its name.

    Raises:
        NoSuchCollection: there is none.
    """
    if name not in COLLECTIONS:
        raise NoSuchCollection(name)
    return COLLECTIONS[name]


async def list_features(
    session: AsyncSession, city_id: int, collection: Collection, wanted: Wanted, *, limit: int, cursor: str | None
) -> Page[str]:
    """List what a collection has, each as a GeoJSON feature in text, in the order of their ids.

    Args:
        session: Open transaction of the city; from here on it can read open data, and do nothing else.
        city_id: The city.
        collection: Of what.
        wanted: Which of them.
        limit: Most on a page.
        cursor: Where the page before ended.

    Raises:
        InvalidCursor: the cursor is not from here.
    """
    conditions, values = _conditions(city_id, collection, wanted)
    if cursor is not None:
        (values["after"],) = read_cursor(cursor, collection.name, collection.read_key)
        conditions.append(f"id > %(after)s::{collection.key_type}")
    values["limit"] = limit + 1
    query = f"{_feature(collection)} WHERE {' AND '.join(conditions)} ORDER BY id LIMIT %(limit)s"
    rows = await (await _read_only(session, query, values)).fetchall()
    more = len(rows) > limit
    return Page(
        tuple(feature for _, feature in rows[:limit]),
        write_cursor(collection.name, rows[limit - 1][0]) if more else None,
    )


async def find_feature(session: AsyncSession, city_id: int, collection: Collection, feature_id: str) -> str:
    """Find one thing of a collection, as a GeoJSON feature in text.

    Raises:
        FeatureNotFound: the city has none of this id that is open to everybody.
    """
    try:
        key = collection.read_key(feature_id)
    except ValueError:
        raise FeatureNotFound(feature_id) from None
    query = f"{_feature(collection)} WHERE city_id = %(city)s::integer AND id = %(id)s::{collection.key_type}"
    row = await (await _read_only(session, query, {"city": city_id, "id": key})).fetchone()
    if row is None:
        raise FeatureNotFound(feature_id)
    feature: str = row[1]
    return feature


async def read_all(session: AsyncSession, city_id: int, collection: Collection) -> AsyncIterator[tuple[Any, ...]]:
    """Read a whole collection, as it is at one moment: `id`, the fields in order, and the shape as WKB."""
    await read_open_data_only(session)
    connection = await driver_connection(session)
    columns = ", ".join(("id::text AS key", *collection.fields, "ST_AsBinary(shape)"))
    async with connection.cursor(name="open_data") as cursor:
        cursor.itersize = 10_000
        query = f"SELECT {columns} FROM open.{collection.name} WHERE city_id = %s ORDER BY id"  # noqa: S608 - our own names
        await cursor.execute(query, (city_id,))
        async for row in cursor:
            yield row


# The id in text has another name than the column, by which the rows are sorted: ORDER BY would take the text.
def _feature(collection: Collection) -> str:
    pairs = ", ".join(f"'{field}', {field}" for field in collection.fields)
    feature = f"""jsonb_build_object(
        'type', 'Feature', 'id', id, 'geometry', ST_AsGeoJSON(shape, 7)::jsonb,
        'properties', jsonb_build_object({pairs})
    )"""
    return f"SELECT id::text AS key, {feature}::text FROM open.{collection.name}"  # noqa: S608 - our own names


def _conditions(city_id: int, collection: Collection, wanted: Wanted) -> tuple[list[str], dict[str, Any]]:
    conditions, values = (
        ["city_id = %(city)s::integer"],
        {"city": city_id, "since": wanted.since, "until": wanted.until},
    )
    if wanted.bbox is not None:
        boxes = []
        for n, half in enumerate(wanted.bbox.halves):
            names = [f"{edge}_{n}" for edge in BoundingBox.__slots__]
            boxes.append(f"ST_Intersects(shape, ST_MakeEnvelope({', '.join(f'%({name})s' for name in names)}, 4326))")
            values |= {name: getattr(half, edge) for name, edge in zip(names, BoundingBox.__slots__, strict=True)}
        conditions.append(f"({' OR '.join(boxes)})")
    if collection.time is not None and wanted.since is not None:
        conditions.append(f"{collection.time} >= %(since)s")
    if collection.time is not None and wanted.until is not None:
        conditions.append(f"{collection.time} <= %(until)s")
    return conditions, values


async def _read_only(session: AsyncSession, query: str, values: Mapping[str, Any]) -> Any:
    await read_open_data_only(session)
    connection = await driver_connection(session)
    # Planned for this box each time, as the lists of `issues.browse`.
    return await connection.execute(query, values, prepare=False)
