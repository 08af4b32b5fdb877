"""From an address that somebody gave to places in the cities served here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from geo.geocode import FoundPlace, find_places
from geo.street_words import plain_words
from issues.city import Cities, CityBook


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


def _towns(cities: Cities) -> Mapping[str, int | None]:
    """The names of all cities known, ours and those around them, in plain words."""
    books = cities.books.values()
    around: dict[str, int | None] = {
        name: None for book in books for neighbour in book.map.neighbours for name in _plain(neighbour.names)
    }
    return around | {name: book.id for book in books for name in _plain(book.names)}


def _plain(names: Mapping[str, str]) -> Iterator[str]:
    return (" ".join(plain_words(name)) for name in names.values())
