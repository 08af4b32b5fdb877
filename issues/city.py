"""The cities served here, each with its map, its catalogue and its switches, held in process.

A snapshot is immutable; whoever serves loads a new one when a pack has changed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from geo.atlas import Atlas, CityMap
from geo.cities import atlas_version, load_atlas
from geo.owned_things import load_owner_map
from geo.owners import OwnerMap
from geo.points import LonLat
from geo.street_map import StreetMap
from geo.streets import load_street_map
from issues.catalogue import Catalogue, load_catalogue
from issues.deadlines import Expected, WorkCalendar
from issues.limits import Limits
from issues.pauses import NO_PAUSES, PausesVersion, load_pauses, pauses_version

_PUBLIC = "public"
_WORKING_DAYS = frozenset(range(5))
_WORKING_HOURS = (8 * 60, 16 * 60 + 30)


@dataclass(frozen=True, slots=True)
class CitySettings:
    """A city's switches.

    Attributes:
        photos_public: Whether photos of public reports are public.
        holidays: When nobody works.
        working_days: Days of the week on which people work, 0 for Monday, and `working_hours` the minutes of the day
            from and to which they do.
        expected: What residents are told of when a problem will be dealt with.
        limits: How much one sender may send.
        credits: Whom the city's data are from, and under which licence, by collection of `issues.open_data`.
    """

    photos_public: bool
    holidays: frozenset[date]
    working_days: frozenset[int] = _WORKING_DAYS
    working_hours: tuple[int, int] = _WORKING_HOURS
    expected: Expected = Expected.DEADLINE
    limits: Limits = field(default_factory=Limits)
    credits: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read a pack's settings; what it does not name stays with the staff."""
        return cls(
            photos_public=settings.get("photos") == _PUBLIC,
            holidays=frozenset(date.fromisoformat(str(day)) for day in settings.get("holidays", ())),
            working_days=frozenset(settings.get("working_days", _WORKING_DAYS)),
            working_hours=tuple(settings.get("working_hours", _WORKING_HOURS)),
            expected=Expected(settings.get("expected", Expected.DEADLINE)),
            limits=Limits.of(settings.get("limits", {})),
            credits={
                collection: [(source, licence) for source, licence in pairs]
                for collection, pairs in settings.get("credits", {}).items()
            },
        )


@dataclass(frozen=True, slots=True)
class CityBook:
    """Everything about one city that an answer may need, in process."""

    map: CityMap
    catalogue: Catalogue
    settings: CitySettings
    streets: StreetMap
    owners: OwnerMap
    calendar: WorkCalendar

    @property
    def id(self) -> int:
        """The city's number inside."""
        return self.map.profile.id

    @property
    def jurisdiction_id(self) -> str:
        """The city's name on the wire."""
        return self.map.profile.jurisdiction_id

    @property
    def names(self) -> Mapping[str, str]:
        """The city's name by language."""
        return self.map.profile.names

    @property
    def locale(self) -> str:
        """The language for people who have not chosen one."""
        return self.map.profile.locale

    @property
    def timezone(self) -> ZoneInfo:
        """The zone of the city's local time."""
        return self.map.profile.timezone

    @property
    def version(self) -> int:
        """Grows with each load of the pack that changed something."""
        return self.map.profile.version

    def local_date(self, now: datetime) -> date:
        """Which day it is in the city."""
        return now.astimezone(self.timezone).date()


class Cities:
    """All cities loaded at one moment.

    Attributes:
        books: By the city's number.
        atlas: Where each of them is.
        pauses: The version of the pauses that their calendars have.
    """

    def __init__(self, atlas: Atlas, books: Iterable[CityBook], pauses: PausesVersion = NO_PAUSES) -> None:
        """Index the cities of an atlas by number and by jurisdiction."""
        self.atlas = atlas
        self.pauses = pauses
        self.books: Mapping[int, CityBook] = {book.id: book for book in books}
        self._by_jurisdiction = {book.jurisdiction_id: book for book in self.books.values()}

    def by_id(self, city_id: int) -> CityBook | None:
        """The city with a number, if it is loaded."""
        return self.books.get(city_id)

    def by_jurisdiction(self, jurisdiction_id: str) -> CityBook | None:
        """The city with a jurisdiction id, if it is loaded."""
        return self._by_jurisdiction.get(jurisdiction_id)

    def only(self) -> CityBook | None:
        """The one city loaded; None where there are several, or none."""
        return next(iter(self.books.values())) if len(self.books) == 1 else None

    def at(self, at: LonLat) -> CityBook | None:
        """The city a position lies in; None outside all."""
        found = self.atlas.city_at(at)
        return None if found is None else self.books[found.id]


async def load_cities(session: AsyncSession, *, known: Cities | None = None) -> Cities:
    """Load all cities, unless those at hand are still right.

    Args:
        session: Any open transaction; packs are public reference data, so no city need be named.
        known: The snapshot at hand.

    Returns:
        A snapshot; `known` itself, after two short queries, where no pack has been loaded and no pause declared since.
    """
    pauses = await pauses_version(session)
    if known is not None and await atlas_version(session) == known.atlas.version:
        if pauses == known.pauses:
            return known
        return Cities(known.atlas, [await with_pauses(session, book) for book in known.books.values()], pauses)
    atlas = await load_atlas(session)
    return Cities(atlas, [await _load_book(session, city_map) for city_map in atlas.cities], pauses)


async def with_pauses(session: AsyncSession, city: CityBook) -> CityBook:
    """Read a city's pauses anew, and nothing else of it."""
    return replace(city, calendar=replace(city.calendar, pauses=await load_pauses(session, city.id)))


async def _load_book(session: AsyncSession, city_map: CityMap) -> CityBook:
    settings = CitySettings.of(city_map.profile.settings)
    begins, ends = settings.working_hours
    calendar = WorkCalendar(
        city_map.profile.timezone,
        settings.holidays,
        days=settings.working_days,
        begins=begins,
        ends=ends,
        pauses=await load_pauses(session, city_map.id),
    )
    return CityBook(
        map=city_map,
        catalogue=await load_catalogue(session, city_map.id),
        settings=settings,
        streets=await load_street_map(session, city_map.id, middle=city_map.middle),
        owners=await load_owner_map(session, city_map.id, middle=city_map.middle),
        calendar=calendar,
    )
