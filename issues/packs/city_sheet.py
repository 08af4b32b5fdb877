"""The form of `city.yml`, as the person who fills it in sees it: the city, and where its places are."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import PurePosixPath
from string import Formatter
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from issues.deadlines import Expected
from issues.lifecycle import NoticeKind
from issues.limits import Limits
from issues.notices import LINK_MARKS
from issues.packs.schema import Code, Names, Sheet, Word
from issues.packs.times import Minute, as_list, known_calendar
from issues.routing import WEEK, Day


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no such time zone: {name}") from error
    return name


def _inside_the_pack(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("files lie in the pack's own folder")
    return name


def is_file_name(name: str) -> bool:
    """Whether a name may be that of a file of the pack."""
    try:
        return bool(_inside_the_pack(name))
    except ValueError:
        return False


Jurisdiction = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,99}$")]
Locale = Annotated[str, StringConstraints(pattern=r"^(fr|en)(-[A-Z]{2})?$")]
TimeZone = Annotated[str, AfterValidator(_known_zone)]
FileName = Annotated[Word, AfterValidator(_inside_the_pack)]


class Audience(StrEnum):
    """Who sees a kind of content of public reports."""

    PUBLIC = "public"
    STAFF = "staff"


class SourcedFile(Sheet):
    """A file of the pack with where it comes from, which has to be known before it is used."""

    file: FileName
    source: Word
    licence: Word
    table: Word | None = None  # of a file with several, such as a GeoPackage
    crs: Word | None = None  # its coordinate system, where it names none or a wrong one
    encoding: Word | None = None  # that of its texts, likewise


class DistrictColumns(Sheet):
    """Which column of a file of districts holds what; `names` for all languages, or one for each.

    Without a column for codes, they are made from the first of the names.
    """

    code: Word | None = None
    names: Word | dict[str, Word]
    valid_from: Word | None = None
    valid_to: Word | None = None


class StreetColumns(Sheet):
    """Which column of a file of streets holds what."""

    name: Word
    kind: Word | None = None
    owner: Word | None = None
    left_from: Word | None = None  # civic numbers along it: where it begins and ends, on both sides of its drawing
    left_to: Word | None = None
    right_from: Word | None = None
    right_to: Word | None = None

    @property
    def ranges(self) -> tuple[tuple[Word, Word], tuple[Word, Word]] | None:
        """The columns of the first and last number on the left, and on the right; None unless all four are named."""
        names = (self.left_from, self.left_to, self.right_from, self.right_to)
        left_from, left_to, right_from, right_to = names
        if left_from is None or left_to is None or right_from is None or right_to is None:
            return None
        return (left_from, left_to), (right_from, right_to)

    @model_validator(mode="after")
    def _has_all_ranges(self) -> Self:
        named = [self.left_from, self.left_to, self.right_from, self.right_to]
        if any(named) and not all(named):
            raise ValueError("left_from, left_to, right_from and right_to go together")
        return self


class PositionColumns(Sheet):
    """Which columns hold the position; for a CSV, which has no points itself."""

    lon: Word | None = None
    lat: Word | None = None


class AddressColumns(PositionColumns):
    """Which column of a file of addresses holds what."""

    number: Word
    street: Word


class LayerFile(SourcedFile):
    """A layer of districts, or one of its versions: a layer may come several times, for days that do not meet."""

    code: Code
    names: Names
    columns: DistrictColumns
    valid_from: date | None = None  # the first day, of districts for which no column says it
    valid_to: date | None = None  # the first day on which they are no longer valid


class NeighbourFile(SourcedFile):
    """Cities beside or inside this one that are not part of it."""

    columns: DistrictColumns


class StreetOwner(Sheet):
    """Who owns streets of some kinds, or whose names begin so; without either, all that are left."""

    owner: Code
    kinds: list[Word] | None = None
    names: list[Word] | None = None  # their first words, such as Autoroute

    def fits(self, name: str, kind: str) -> bool:
        """Whether a street is one of these: of one of the kinds, and of one of the names, where they are told."""
        begins = f"{name.casefold()} "
        return (self.kinds is None or kind in self.kinds) and (
            self.names is None or any(begins.startswith(f"{words.casefold()} ") for words in self.names)
        )


class StreetFile(SourcedFile):
    """Named streets, as lines."""

    columns: StreetColumns
    owners: list[StreetOwner] = Field(default_factory=list)  # the first that fits, where no column tells


class AssetColumns(PositionColumns):
    """Which column of a file of assets holds what."""

    owner: Word | None = None
    name: Word | None = None


class AssetFile(SourcedFile):
    """Things of one kind that stand in the city: lamps, hydrants, bus stops."""

    kind: Code
    owner: Code | None = None  # of all of them, where no column tells
    columns: AssetColumns = AssetColumns()


class AddressFile(SourcedFile):
    """Civic numbers, as a CSV file or as points."""

    columns: AddressColumns


class PlaceColumns(PositionColumns):
    """Which column of a file of named places holds their names."""

    name: Word


class PlaceFile(SourcedFile):
    """Places that people know by name, such as parks and public buildings."""

    columns: PlaceColumns


_AS_USUAL = Limits()


class LimitsSheet(Sheet):
    """How much is taken of one sender; staff and keys may send as much as they like."""

    device_reports_per_hour: Annotated[int, Field(ge=1, le=1_000_000)] = _AS_USUAL.device_reports_per_hour
    device_photos_per_day: Annotated[int, Field(ge=1, le=1_000_000)] = _AS_USUAL.device_photos_per_day
    address_reports_per_hour: Annotated[int, Field(ge=1, le=1_000_000)] = _AS_USUAL.address_reports_per_hour


class WorkingHours(Sheet):
    """When the city works, for deadlines in working days or hours."""

    days: Annotated[list[Day], BeforeValidator(as_list)] = Field(default=[*WEEK[:5]], min_length=1)
    begins: Minute = Field(default=8 * 60, alias="from")
    ends: Minute = Field(default=16 * 60 + 30, alias="to")

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Self:
        if self.begins >= self.ends:
            raise ValueError("working hours end before they begin")
        if Day.HOLIDAY in self.days:
            raise ValueError("holidays are no working days")
        return self


class ElsewhereSheet(Sheet):
    """Who is known to answer for what lies around the city; without a neighbour, wherever nobody else is known."""

    names: Names
    contact: Word  # a telephone number or an address of a page
    neighbour: Word | None = None


def _only_its_marks(names: dict[str, str]) -> dict[str, str]:
    """Refuse marks that nothing is put in the place of."""
    for text in names.values():
        marks = {tuple(mark) for _, *mark in Formatter().parse(text) if mark[0] is not None}
        if not marks <= {("service", "", None), ("number", "", None)}:
            raise ValueError("only {service} and {number} have a value here")
    return names


NoticeNames = Annotated[Names, AfterValidator(_only_its_marks)]


class NoticeSheet(Sheet):
    """A city's own words for a notice; what it leaves out is said as everywhere."""

    title: NoticeNames | None = None
    body: NoticeNames | None = None


def _known_marks(link: str) -> str:
    """Refuse marks that nothing is put in the place of."""
    marks = {mark[0] for _, *mark in Formatter().parse(link) if mark[0] is not None}
    if not marks <= LINK_MARKS:
        raise ValueError(f"only {', '.join(sorted(LINK_MARKS))} have a value here")
    return link


AppLink = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9+.-]*://\S+$"), AfterValidator(_known_marks)]


def _of_issue(kind: NoticeKind) -> NoticeKind:
    if kind is NoticeKind.ALERT:
        raise ValueError("an alert has the words of whoever publishes it")
    return kind


class CitySheet(Sheet):
    """`city.yml`."""

    jurisdiction_id: Jurisdiction
    names: Names
    timezone: TimeZone
    locale: Locale = "fr-CA"
    photos: Audience = Audience.PUBLIC
    holidays: list[date] = Field(default_factory=list)
    calendar: Annotated[str, AfterValidator(known_calendar)] | None = None  # a country's or province's holidays
    working_hours: WorkingHours = WorkingHours()
    expected: Expected = Expected.DEADLINE
    limits: LimitsSheet = LimitsSheet()
    notices: dict[Annotated[NoticeKind, AfterValidator(_of_issue)], NoticeSheet] = Field(default_factory=dict)
    app_link: AppLink | None = None  # what a tap on a push opens
    responsible_layer: Code
    layers: list[LayerFile] = Field(min_length=1)
    outline: SourcedFile | None = None  # left out: the districts of the responsible layer together
    neighbours: NeighbourFile | None = None
    elsewhere: list[ElsewhereSheet] = Field(default_factory=list)
    streets: StreetFile | None = None
    assets: list[AssetFile] = Field(default_factory=list)
    addresses: AddressFile | None = None
    places: list[PlaceFile] = Field(default_factory=list)
