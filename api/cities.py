"""The cities that a serving process knows, kept fresh, and their words in one language."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from api.language import in_language
from api.problems.refusals import JurisdictionNeeded, JurisdictionUnknown, OutsideServiceArea
from db.sessions import Database
from geo.points import InvalidPosition, LonLat
from issues.city import Cities, CityBook, load_cities
from issues.deadlines import Expected
from issues.languages import Languages
from issues.usual_times import NONE_KNOWN, UsualTime, UsualTimes, load_usual_times

_log = structlog.get_logger(__name__)

_LOOK_EVERY_S: Final = 2.0
_NEAREST_WITHIN_M: Final = 5_000.0

_Names = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NamedCity:
    """A city's words in the language of one answer."""

    book: CityBook
    language: str
    district_names: Mapping[str, _Names]
    languages: Languages
    usual_times: UsualTimes = NONE_KNOWN

    @property
    def jurisdiction_id(self) -> str:
        """The city's name on the wire."""
        return self.book.jurisdiction_id

    @property
    def name(self) -> str:
        """The city's name."""
        return in_language(self.book.names, self.language)

    def say(self, sentence: str, **values: object) -> str:
        """Put a sentence of the house into the language of the answer."""
        return self.languages.translate(self.language, sentence, **values)

    def service_name(self, code: str) -> str:
        """The name of a service; its code where no pack has it any more."""
        entry = self.book.catalogue.services.get(code)
        return code if entry is None else in_language(entry.names, self.language)

    def department_name(self, code: str) -> str:
        """The name of a department; its code where no pack has it any more."""
        entry = self.book.catalogue.departments.get(code)
        return code if entry is None else in_language(entry.names, self.language)

    def crew_name(self, code: str) -> str:
        """The name of a crew; its code where no pack has it any more."""
        entry = self.book.catalogue.crews.get(code)
        return code if entry is None else in_language(entry.names, self.language)

    def usual_time(self, service_code: str, district: str | None) -> UsualTime | None:
        """How long similar issues took, where the city tells; `district` (`layer:code`) of the responsible layer."""
        if self.book.settings.expected is Expected.DEADLINE:
            return None
        return self.usual_times.of(self.book.id, service_code, district)

    def district_name(self, key: str) -> str:
        """The name of a district (`layer:code`); its code where no pack has it any more."""
        names = self.district_names.get(key)
        return key.partition(":")[2] if names is None else in_language(names, self.language)


class CitiesInForce:
    """The cities as last loaded: replaced as a whole, never changed, so that a request sees one state of them."""

    def __init__(self, cities: Cities, languages: Languages) -> None:
        """Serve these cities, in these languages, until `refresh` finds newer ones."""
        self._languages = languages
        self._usual_times = NONE_KNOWN
        self._replace(cities)

    @property
    def current(self) -> Cities:
        """The cities as last loaded."""
        return self._cities

    async def refresh(self, database: Database) -> None:
        """Load the cities anew if a pack was loaded since.

        Raises:
            DatabaseUnavailable: the cities stay as they are.
        """
        async with database.transaction() as session:
            cities = await load_cities(session, known=self._cities)
            self._usual_times = await load_usual_times(session, known=self._usual_times)
        if cities is not self._cities:
            self._replace(cities)
            _log.info("cities_loaded", jurisdiction_ids=sorted(self._by_jurisdiction))

    async def keep_fresh(self, database: Database) -> None:
        """Refresh until cancelled; what goes wrong is logged and tried again."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                await self.refresh(database)
            except Exception:  # noqa: BLE001 - a pack that cannot be read must not end the looking for the next
                _log.warning("cities_not_refreshed", exc_info=True)

    def named(self, book: CityBook, language: str) -> NamedCity:
        """Get a city's words in a language."""
        return NamedCity(book, language, self._district_names.get(book.id, {}), self._languages, self._usual_times)

    def by_id(self, city_id: int) -> CityBook:
        """Get the city that rows belong to.

        Raises:
            JurisdictionUnknown: it was loaded after this process last looked.
        """
        book = self._cities.by_id(city_id)
        if book is None:
            raise JurisdictionUnknown
        return book

    def asked_for(self, jurisdiction_id: str | None) -> CityBook:
        """Find the city that a request names; the only one there is where it names none.

        Raises:
            JurisdictionNeeded: it names none and there are several.
            JurisdictionUnknown: there is no such city.
        """
        if jurisdiction_id is None:
            only = self._cities.only()
            if only is None:
                raise JurisdictionNeeded(sorted(self._by_jurisdiction))
            return only
        book = self._cities.by_jurisdiction(jurisdiction_id)
        if book is None:
            raise JurisdictionUnknown
        return book

    def at(self, at: LonLat) -> CityBook:
        """Find the city of a position.

        Raises:
            OutsideServiceArea: it lies in none, with what can be said about where it does.
        """
        book = self._cities.at(at)
        if book is not None:
            return book
        atlas = self._cities.atlas
        raise OutsideServiceArea(
            at=at,
            neighbour=atlas.neighbour_at(at),
            nearest=atlas.nearest_city(at, within_m=_NEAREST_WITHIN_M),
            swapped=self._is_swapped(at),
        )

    def _is_swapped(self, at: LonLat) -> bool:
        try:
            return self._cities.at(LonLat(lon=at.lat, lat=at.lon)) is not None
        except InvalidPosition:
            return False

    def _replace(self, cities: Cities) -> None:
        self._cities = cities
        self._by_jurisdiction = {book.jurisdiction_id: book for book in cities.books.values()}
        self._district_names = {book.id: _district_names(book) for book in cities.books.values()}


def _district_names(book: CityBook) -> Mapping[str, _Names]:
    return {
        f"{layer.code}:{district.code}": district.names for layer in book.map.layers for district in layer.districts
    }
