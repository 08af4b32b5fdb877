"""Reports that other cities have published, some with a clerk's word on which were duplicates.

A file is CSV (gzip or not). Which column says what is known by the names that cities use; see `_COLUMNS`. Positions
are WGS 84, times are taken as they stand: a file's own zone does not matter for ages.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from geo.civic import CivicAddress, read_address
from geo.points import LonLat
from issues.weights import ANY_KIND

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("id", "case_enquiry_id", "service_request_id", "unique_key", "sr_number"),
    "service": ("type", "service_name", "category", "sr_type", "case_title"),
    "family": ("family", "reason"),
    "created": ("created", "open_dt", "requested_datetime", "created_at", "created_date"),
    "closed": ("closed", "completed", "closed_dt", "closed_at", "closed_date"),
    "duplicate": ("is_dup", "is_duplicate", "duplicate"),
    "parent": ("parent_id", "parent", "parent_sr_number"),
    "address": ("location_street_name", "address", "address_string", "street_address"),
    "words": ("description", "summary"),
    "lat": ("lat", "latitude"),
    "lon": ("lon", "long", "lng", "longitude"),
}
_NEEDED: Final = ("id", "created", "lat", "lon")
_YES: Final = frozenset({"1", "true", "yes", "t", "y"})

_KINDS: Final = (
    ("stretch", re.compile(r"pot ?-?hole|nid.de.poule|nids.de.poule", re.IGNORECASE)),
    ("point", re.compile(r"light|lamp|signal|\bsigns?\b|hydrant|éclairage|lampadaire|panneau", re.IGNORECASE)),
    ("premises", re.compile(r"sanitation|garbage|trash|cart\b|rodent|vehicle|graffiti|tree|déchet", re.IGNORECASE)),
)

# What could not be placed is put on one point by some cities, whatever its address. A real point has one street.
_DEFAULT_POINT_SHARE: Final = 0.01
_DEFAULT_POINT_STREETS: Final = 50


class ColumnsMissing(Exception):
    """A file of reports without a column that is needed."""

    def __init__(self, where: str, missing: Iterable[str]) -> None:
        self.where, self.missing = where, tuple(missing)
        known = "; ".join(f"{name}: {', '.join(_COLUMNS[name])}" for name in self.missing)
        super().__init__(f"{where} has no column for {known}")


@dataclass(frozen=True, slots=True)
class LabelledReport:
    """A report from a file.

    Attributes:
        family: What services of one family share, so that they are siblings; its own service where the file has none.
        closed: When it was done with; the end of the day where the file tells days. None while open.
        duplicate: What a clerk said; None where the file does not tell.
        parent: The report it is a duplicate of, where that is known.
    """

    id: str
    service: str
    family: str
    kind: str
    at: LonLat
    created: datetime
    closed: datetime | None
    duplicate: bool | None
    parent: str | None
    address: CivicAddress | None
    words: str


@dataclass(frozen=True, slots=True)
class ReportFile:
    """What a file holds: its reports in the order of time, then of ids, and how many rows were of no use, by reason."""

    reports: list[LabelledReport]
    left_out: Mapping[str, int]


def read_reports(path: Path) -> ReportFile:
    """Read a file of reports.

    Raises:
        ColumnsMissing: there is no id, time or position in it.
        OSError: it cannot be read.
    """
    left_out: Counter[str] = Counter()
    found: dict[str, LabelledReport] = {}
    for row in _rows(path):
        report = _report_of(row)
        if isinstance(report, str):
            left_out[report] += 1
        elif report.id in found:
            left_out["id for the second time"] += 1
        else:
            found[report.id] = report
    placed = list(_without_default_points(found.values(), left_out))
    placed.sort(key=lambda report: (report.created, report.id))
    return ReportFile(placed, left_out)


def kind_of(service: str) -> str:
    """The kind of thing that a service's name speaks of; `any` where it tells nothing."""
    return next((kind for kind, words in _KINDS if words.search(service)), ANY_KIND)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    header = set(rows.fieldnames or ())
    columns = {name: next((column for column in known if column in header), None) for name, known in _COLUMNS.items()}
    missing = [name for name in _NEEDED if columns[name] is None]
    if missing:
        raise ColumnsMissing(path.name, missing)
    for row in rows:
        yield {name: (row[column] or "").strip() for name, column in columns.items() if column is not None}


def _report_of(row: Mapping[str, str]) -> LabelledReport | str:
    """The report in a row, or why there is none."""
    try:
        at = LonLat(float(row["lon"]), float(row["lat"]))
    except ValueError:
        return "no position"
    created = _time_of(row["created"])
    if created is None or not row["id"]:
        return "no time or no id"
    service = row.get("service", "")
    family = row.get("family") or service
    kind = kind_of(service)
    duplicate = row.get("duplicate")
    return LabelledReport(
        id=row["id"],
        service=service,
        family=family,
        kind=kind_of(family) if kind == ANY_KIND else kind,
        at=at,
        created=created,
        closed=_time_of(row.get("closed", ""), ends=True),
        duplicate=None if duplicate is None else duplicate.casefold() in _YES,
        parent=row.get("parent") or None,
        address=read_address(row.get("address")),
        words=row.get("words", ""),
    )


def _time_of(text: str, *, ends: bool = False) -> datetime | None:
    """A time; of a bare day its beginning, or with `ends` its end, since nobody knows when in the day it was."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return time + timedelta(days=1) if ends and len(text) <= len("2011-01-01") else time


def _without_default_points(reports: Iterable[LabelledReport], left_out: Counter[str]) -> Iterator[LabelledReport]:
    reports = list(reports)
    streets: defaultdict[LonLat, set[str]] = defaultdict(set)
    there = Counter(report.at for report in reports)
    for report in reports:
        if report.address is not None:
            streets[report.at].add(report.address.street)
    least = max(1, math.ceil(_DEFAULT_POINT_SHARE * len(reports)))
    for report in reports:
        if there[report.at] >= least and len(streets[report.at]) >= _DEFAULT_POINT_STREETS:
            left_out["on the point for what could not be placed"] += 1
        else:
            yield report
