"""From words to a position: addresses, crossings, streets and places of a city's own data, despite typing errors.

`street_name` gives the streets whose words are most like those asked for (trigrams, by an index on the stored words);
`geo.street_words` then judges the few by letters, kind and heading. Numbers and crossings decide the rest.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from psycopg import AsyncConnection
from sqlalchemy.ext.asyncio import AsyncSession

from db.connections import driver_connection
from geo.asked_places import part_town, read_place
from geo.numbering import ADDRESS_ACCURACY_M, KnownNumber, PlacedNumber, place_number
from geo.points import LonLat, distance_m
from geo.street_map import write_address
from geo.street_words import likeness, name_likeness, place_words, read_street, street_readings

MOST_FOUND: Final = 5

# How many streets the index gives for each reading, how like one must be to count, how many are looked into.
_NEAREST_NAMES: Final = 60
_LEAST_LIKENESS: Final = 0.6
_LOOKED_INTO: Final = 8
# An answer so much worse than the best one is no alternative to it.
_WORSE_BY: Final = 0.25

# What is left of a street's likeness by what is known of the number on it.
_BETWEEN: Final = 0.95
_BEYOND: Final = 0.7
_NO_NUMBER: Final = 0.5

# Of names of places: how like one must be to count, and what is left of that, since a street may be called so too.
_LEAST_LIKE_A_NAME: Final = 0.75
_BY_NAME: Final = 0.95
_NEAREST_PLACES: Final = 20

_CROSSING_ACCURACY_M: Final = 15.0
# Answers so near to each other are one: a crossing of a divided road, a street spelt in two ways.
_ONE_PLACE_M: Final = 60.0

# What a report may be placed by without asking back.
_SURE_SCORE: Final = 0.75
_SURE_ACCURACY_M: Final = 150.0
_SURE_LEAD: Final = 0.05

# The limit is taken city by city and reading by reading, so that each walks the index by likeness. A second key would
# have it sort all names instead; where the sixtieth name is as unlike as the next, neither is an answer.
NAMES_SQL: Final = """
SELECT near.city_id, near.name
FROM unnest(%(cities)s::integer[]) AS city (id) CROSS JOIN unnest(%(words)s::text[]) AS asked (words)
CROSS JOIN LATERAL (
    SELECT street_name.city_id, street_name.name FROM street_name
    WHERE street_name.city_id = city.id
    ORDER BY street_name.words <-> asked.words LIMIT %(limit)s
) AS near
"""

# The number itself, wherever it is, and its neighbours on the same street: below and above.
NUMBERS_SQL: Final = """
SELECT asked.nth, hit.civic, hit.number, ST_X(hit.place::geometry), ST_Y(hit.place::geometry)
FROM unnest(%(cities)s::integer[], %(names)s::text[]) WITH ORDINALITY AS asked (city_id, name, nth)
CROSS JOIN LATERAL (
    (SELECT civic, number, place FROM address
     WHERE city_id = asked.city_id AND street = asked.name AND civic = %(civic)s::integer
     ORDER BY length(number), id LIMIT 5)
    UNION ALL
    (SELECT civic, number, place FROM address
     WHERE city_id = asked.city_id AND street = asked.name AND civic < %(civic)s::integer
     ORDER BY civic DESC, id LIMIT 1)
    UNION ALL
    (SELECT civic, number, place FROM address
     WHERE city_id = asked.city_id AND street = asked.name AND civic > %(civic)s::integer
     ORDER BY civic, id LIMIT 1)
) AS hit
ORDER BY asked.nth
"""

# Streets of one crossing meet within a few metres, whether their lines share a point or end short of each other.
CROSSINGS_SQL: Final = """
SELECT DISTINCT one.city_id, one.name, other.name, ST_X(meet.at), ST_Y(meet.at)
FROM unnest(%(cities)s::integer[], %(names)s::text[]) AS asked (city_id, name)
JOIN street AS one ON one.city_id = asked.city_id AND one.name = asked.name
JOIN street AS other ON other.city_id = one.city_id AND other.name = ANY(%(other_names)s::text[])
    AND other.name <> one.name AND ST_DWithin(other.line, one.line, 15.0, false)
CROSS JOIN LATERAL (SELECT ST_ClosestPoint(one.line::geometry, other.line::geometry) AS at) AS meet
ORDER BY 1, 2, 3, 4, 5
"""

STREETS_SQL: Final = """
SELECT asked.nth, ST_X(whole.middle), ST_Y(whole.middle), whole.half_m
FROM unnest(%(cities)s::integer[], %(names)s::text[]) WITH ORDINALITY AS asked (city_id, name, nth)
CROSS JOIN LATERAL (
    SELECT ST_ClosestPoint(lines, ST_Centroid(lines)) AS middle,
           ST_Distance(ST_Point(ST_XMin(lines), ST_YMin(lines), 4326)::geography,
                       ST_Point(ST_XMax(lines), ST_YMax(lines), 4326)::geography, false) / 2 AS half_m
    FROM (SELECT ST_Collect(line::geometry) AS lines FROM street
          WHERE city_id = asked.city_id AND name = asked.name) AS pieces
    WHERE lines IS NOT NULL
) AS whole
ORDER BY asked.nth
"""


PLACES_SQL: Final = """
SELECT near.city_id, near.name, near.words, ST_X(near.place::geometry), ST_Y(near.place::geometry), near.reach_m
FROM unnest(%(cities)s::integer[]) AS city (id)
CROSS JOIN LATERAL (
    SELECT * FROM place_name WHERE place_name.city_id = city.id
    ORDER BY place_name.words <-> %(words)s::text LIMIT %(limit)s
) AS near
"""


class FoundAs(StrEnum):
    """How a place was found."""

    ADDRESS = "address"  # the number is known
    INTERPOLATED = "interpolated"  # known numbers of the street lie around it, or near it
    CROSSING = "crossing"
    PLACE = "place"  # a park, a public building, a district, by its name
    STREET = "street"  # the street is known, the place on it is not
    ELSEWHERE = "elsewhere"  # another geocoder knows it, the city's own data do not


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """A place that may be the one asked for.

    Attributes:
        city_id: Its city.
        at: Its position, WGS 84.
        accuracy_m: How far from there it may be, in metres.
        address: What was found, as written on a letter; `Rue Rachel Est / Rue Berri` for a crossing.
        score: From 0 to 1: how sure it is that this was asked for.
        found_as: How it was found.
    """

    city_id: int
    at: LonLat
    accuracy_m: float
    address: str
    score: float
    found_as: FoundAs


@dataclass(frozen=True, slots=True)
class _Street:
    city_id: int
    name: str
    like: float


async def find_places(
    session: AsyncSession, city_ids: Collection[int], text: str, *, towns: Mapping[str, int | None] | None = None
) -> list[FoundPlace]:
    """Find the places that a text may mean, such as `4475 st-denis` or `Rachel et Berri`.

    Args:
        session: Any open transaction: streets and addresses are public.
        city_ids: The cities to look in.
        text: As somebody typed it, in French or English.
        towns: Names of towns in plain words, each with the number of its city, None where it is not one of ours:
            a text that names one is about no other.

    Returns:
        At most five, the most likely first; several where it is not sure, none where nothing fits. A street without
        a number that is known there comes with a score of 0.5 or less, and its middle as its position.
    """
    asked = read_place(text)
    if asked is None:
        return []
    connection = await driver_connection(session)
    towns = towns or {}
    whole, (asked, town) = asked, part_town(asked, towns)
    # The park at Mont-Royal is not in the town of that name: a place is looked for by all of its name.
    names = []
    if whole.number is None:
        names = await _named(connection, city_ids, f"{whole.street} {whole.crossing or ''}")
    if town is not None:
        city_ids = [city_id for city_id in city_ids if city_id == towns[town]]
        if city_ids and asked.number is None and asked.crossing is None:
            names += await _named(connection, city_ids, asked.street)
    if not city_ids:
        return _best(names)
    streets = await _streets_like(connection, city_ids, asked.street)
    if asked.crossing is not None:
        others = await _streets_like(connection, city_ids, asked.crossing)
        return _best([*names, *await _crossings(connection, streets, others)])
    found = [] if asked.number is None else await _numbered(connection, streets, asked.number)
    return _best([*names, *(found or await _streets_alone(connection, streets))])


def sure_place(found: Sequence[FoundPlace]) -> FoundPlace | None:
    """Pick the place that a report may be filed at; None where somebody should be asked which, or where at all.

    It has to be precise, and better than every other by a margin.
    """
    if not found or found[0].score < _SURE_SCORE or found[0].accuracy_m > _SURE_ACCURACY_M:
        return None
    return None if any(other.score > found[0].score - _SURE_LEAD for other in found[1:]) else found[0]


def with_others(found: Sequence[FoundPlace], others: Iterable[FoundPlace]) -> list[FoundPlace]:
    """Put what another geocoder found among what the city's own data tell, the likeliest first."""
    return _best([*found, *others])


async def _streets_like(connection: AsyncConnection, city_ids: Collection[int], name: str) -> list[_Street]:
    """Get the streets whose names are most like one, best first."""
    readings = list(street_readings(name))
    values = {
        "cities": sorted(city_ids),
        "words": list(dict.fromkeys(reading.words for reading in readings)),
        "limit": _NEAREST_NAMES,
    }
    cursor = await connection.execute(NAMES_SQL, values, prepare=True)
    likenesses = {
        (city_id, known): max(likeness(reading, read_street(known)) for reading in readings)
        for city_id, known in await cursor.fetchall()
    }
    like = [_Street(*key, value) for key, value in likenesses.items() if value >= _LEAST_LIKENESS]
    return sorted(like, key=lambda street: (-street.like, street.name, street.city_id))[:_LOOKED_INTO]


async def _named(connection: AsyncConnection, city_ids: Collection[int], name: str) -> list[FoundPlace]:
    """Get the places whose names are most like one."""
    words = place_words(name)
    if not words:
        return []
    values = {"cities": sorted(city_ids), "words": words, "limit": _NEAREST_PLACES}
    cursor = await connection.execute(PLACES_SQL, values, prepare=True)
    found = []
    for city_id, known, known_words, lon, lat, reach_m in await cursor.fetchall():
        like = name_likeness(words, known_words)
        if like >= _LEAST_LIKE_A_NAME:
            at, accuracy_m = LonLat(lon, lat), ADDRESS_ACCURACY_M + reach_m
            found.append(FoundPlace(city_id, at, accuracy_m, known, like * _BY_NAME, FoundAs.PLACE))
    return found


async def _numbered(connection: AsyncConnection, streets: Sequence[_Street], number: int) -> list[FoundPlace]:
    values = {**_columns(streets), "civic": number}
    cursor = await connection.execute(NUMBERS_SQL, values, prepare=True)
    by_street: dict[int, list[KnownNumber]] = {}
    for nth, civic, written, lon, lat in await cursor.fetchall():
        by_street.setdefault(nth - 1, []).append(KnownNumber(civic, written, LonLat(lon, lat)))
    return [
        _found_number(streets[nth], placed)
        for nth, known in by_street.items()
        for placed in place_number(number, known)
    ]


def _found_number(street: _Street, placed: PlacedNumber) -> FoundPlace:
    if placed.is_known:
        factor = 1.0
    else:
        factor = _BETWEEN if placed.is_between and placed.accuracy_m <= _SURE_ACCURACY_M else _BEYOND
    return FoundPlace(
        street.city_id,
        placed.at,
        placed.accuracy_m,
        write_address(placed.written, street.name),
        street.like * factor,
        FoundAs.ADDRESS if placed.is_known else FoundAs.INTERPOLATED,
    )


async def _crossings(
    connection: AsyncConnection, streets: Sequence[_Street], others: Sequence[_Street]
) -> list[FoundPlace]:
    values = {**_columns(streets), "other_names": [street.name for street in others]}
    cursor = await connection.execute(CROSSINGS_SQL, values, prepare=True)
    like = {(street.city_id, street.name): street.like for street in streets}
    other_like = {(street.city_id, street.name): street.like for street in others}
    return [
        FoundPlace(
            city_id,
            LonLat(lon, lat),
            _CROSSING_ACCURACY_M,
            f"{name} / {other}",
            math.sqrt(like[city_id, name] * other_like[city_id, other]),
            FoundAs.CROSSING,
        )
        for city_id, name, other, lon, lat in await cursor.fetchall()
        if (city_id, other) in other_like
    ]


async def _streets_alone(connection: AsyncConnection, streets: Sequence[_Street]) -> list[FoundPlace]:
    cursor = await connection.execute(STREETS_SQL, _columns(streets), prepare=True)
    return [
        FoundPlace(
            streets[nth - 1].city_id,
            LonLat(lon, lat),
            ADDRESS_ACCURACY_M + half_m,
            streets[nth - 1].name,
            streets[nth - 1].like * _NO_NUMBER,
            FoundAs.STREET,
        )
        for nth, lon, lat, half_m in await cursor.fetchall()
    ]


def _columns(streets: Iterable[_Street]) -> dict[str, list[int] | list[str]]:
    rows = list(streets)
    return {"cities": [street.city_id for street in rows], "names": [street.name for street in rows]}


def _best(found: Iterable[FoundPlace]) -> list[FoundPlace]:
    """Put the likeliest first, one for each place, without those that the best leaves far behind."""
    kept: list[FoundPlace] = []
    for place in sorted(found, key=lambda place: (-place.score, place.accuracy_m, place.address, place.at.lon)):
        if len(kept) == MOST_FOUND or (kept and place.score < kept[0].score - _WORSE_BY):
            break
        if all(distance_m(place.at, other.at) > _ONE_PLACE_M for other in kept):
            kept.append(place)
    return kept
