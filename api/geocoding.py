"""From an address that somebody gave to places in the cities served here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy.ext.asyncio import AsyncSession

from geo.geocode import FoundAs, FoundPlace, find_places, with_others
from geo.street_words import plain_words
from issues.city import Cities, CityBook

if TYPE_CHECKING:  # loaded where an operator names one
    from api.other_geocoders import Box, OtherGeocoder


# Beyond it, nobody else is asked. Above a street alone (0.5 at most), and never enough to file a report by.
_WELL_KNOWN: Final = 0.75
_THEIR_SCORE: Final = 0.6
_THEIR_ACCURACY_M: Final = 100.0


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A place that an address may mean, and the name of its city on the wire."""

    place: FoundPlace
    jurisdiction_id: str


async def look_for(
    session: AsyncSession, cities: Cities, address: str, *, only_in: CityBook | None
) -> list[NamedPlace]:
    """Find the places that an address may mean, best first; none where it names a town that is not served here.

    Args:
        session: Any open transaction.
        cities: All cities served.
        address: As somebody typed it.
        only_in: The one city to look in; None for all.
    """
    asked = cities.books if only_in is None else {only_in.id: only_in}
    found = await find_places(session, asked.keys(), address, towns=_towns(cities))
    return [NamedPlace(place, asked[place.city_id].jurisdiction_id) for place in found]


async def look_further(
    cities: Cities,
    address: str,
    found: list[NamedPlace],
    *,
    other: OtherGeocoder,
    only_in: CityBook | None,
    language: str,
) -> list[NamedPlace]:
    """Ask another geocoder where the city's own data know no place well; what it finds elsewhere is left out."""
    if found and found[0].place.score >= _WELL_KNOWN:
        return found
    asked = cities.books if only_in is None else {only_in.id: only_in}
    theirs = []
    for place in await other.find(address, _box_around(asked.values()), language):
        book = cities.at(place.at)
        if book is not None and book.id in asked:
            theirs.append(
                FoundPlace(book.id, place.at, _THEIR_ACCURACY_M, place.address, _THEIR_SCORE, FoundAs.ELSEWHERE)
            )
    merged = with_others([named.place for named in found], theirs)
    return [NamedPlace(place, asked[place.city_id].jurisdiction_id) for place in merged]


def _box_around(books: Iterable[CityBook]) -> Box:
    bounds = [book.map.bounds for book in books]
    wests, souths, easts, norths = zip(*bounds, strict=True)
    return min(wests), min(souths), max(easts), max(norths)


def _towns(cities: Cities) -> Mapping[str, int | None]:
    """The names of all cities known, ours and those around them, in plain words."""
    books = cities.books.values()
    around: dict[str, int | None] = {
        name: None for book in books for neighbour in book.map.neighbours for name in _plain(neighbour.names)
    }
    return around | {name: book.id for book in books for name in _plain(book.names)}


def _plain(names: Mapping[str, str]) -> Iterator[str]:
    return (" ".join(plain_words(name)) for name in names.values())
