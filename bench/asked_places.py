"""Places to ask for, drawn from the packs by chance, each typed with one error or abbreviation.

Numbers are never mistyped: another number is another address.
"""

import csv
import gzip
import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import shapely

from bench.mistyped import type_badly
from geo.geocode import FoundPlace
from geo.points import LonLat, MetresPerDegree, distance_m
from geo.ranges import CivicRange
from geo.street_map import write_address
from geo.street_words import read_street

_CROSSING_M: Final = 60.0
# Where a city keeps ranges, a number may stand anywhere on its lot.
_LOT_M: Final = 40.0
_FROM_MIDDLE_M: Final = 8.0
_FROM_CROSSING_M: Final = 10.0


@dataclass(frozen=True, slots=True)
class Case:
    """A place, what is typed for it, and what tells that the right one was found, from words or from the position.

    Attributes:
        typed: What is typed.
        at: The position.
        is_hit: Whether a place found for the words is the right one.
        is_there: Whether an address written for the position is on the right street.
    """

    typed: str
    at: LonLat
    is_hit: Callable[[FoundPlace], bool]
    is_there: Callable[[str], bool]


def address_cases(folder: Path, number: int, chance: random.Random) -> list[Case]:
    """Draw addresses of a pack that lists them: a hit is the right number of the right street."""
    with gzip.open(folder / "adresses.csv.gz", "rt", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))

    def case(row: dict[str, str]) -> Case:
        [street] = type_badly([row["street"]], chance)
        at = LonLat(float(row["lon"]), float(row["lat"]))
        is_it = _is_address(row["street"], row["number"])
        return Case(f"{row['number']} {street}", at, lambda found: is_it(found.address), _on_streets(row["street"]))

    return [case(row) for row in chance.sample(rows, min(number, len(rows)))]


def range_cases(folder: Path, number: int, chance: random.Random) -> list[Case]:
    """Draw numbers of civic ranges, each range as likely: a hit is the right number, some 40 m from it at most."""
    ranges = [(name, each) for name, each in read_ranges(folder) if each.line.length]

    def case(name: str, numbers: CivicRange) -> Case:
        civic = chance.choice(numbers_of(numbers))
        at = _on_its_lot(numbers, civic)
        [street] = type_badly([name], chance)
        is_it = _is_address(name, str(civic))

        def is_hit(found: FoundPlace) -> bool:
            return is_it(found.address) and distance_m(found.at, at) <= _LOT_M + _FROM_MIDDLE_M

        return Case(f"{civic} {street}", at, is_hit, _on_streets(name))

    return [case(*each) for each in chance.sample(ranges, min(number, len(ranges)))]


def crossing_cases(folder: Path, number: int, chance: random.Random) -> list[Case]:
    """Draw crossings, points that lines of two names share, as often as needed: a hit is within 60 m of one."""
    names_at: dict[tuple[float, float], set[str]] = defaultdict(set)
    for piece in read_pieces(folder):
        for lon, lat in piece["geometry"]["coordinates"]:
            names_at[lon, lat].add(piece["properties"]["name"])
    meetings: dict[tuple[str, str], list[LonLat]] = defaultdict(list)
    for (lon, lat), names in sorted(names_at.items()):
        for one, other in combinations(sorted(names), 2):
            meetings[one, other].append(LonLat(lon, lat))
    # Names that are read alike are one street, spelt in two ways along its way.
    pairs = sorted(pair for pair in meetings if read_street(pair[0]) != read_street(pair[1]))

    def case(pair: tuple[str, str]) -> Case:
        one, other = type_badly(chance.sample(pair, 2), chance)
        points = meetings[pair]
        joint = chance.choice((" et ", " / ", " & ", " coin "))

        def is_hit(found: FoundPlace) -> bool:
            return any(distance_m(found.at, point) <= _CROSSING_M for point in points)

        streets = _on_streets(*names_at[points[0].lon, points[0].lat])
        return Case(f"{one}{joint}{other}", points[0], is_hit, streets)

    return [case(chance.choice(pairs)) for _ in range(number)]


def read_pieces(folder: Path) -> list[dict[str, Any]]:
    """Read the pieces of streets of a pack, as GeoJSON features."""
    with gzip.open(folder / "rues.geojson.gz", "rt", encoding="utf-8") as file:
        features: list[dict[str, Any]] = json.load(file)["features"]
    return features


def read_ranges(folder: Path) -> list[tuple[str, CivicRange]]:
    """Read the civic ranges of a pack, each with the name of its street."""
    ranges = []
    for piece in read_pieces(folder):
        said, line = piece["properties"], shapely.LineString(piece["geometry"]["coordinates"])
        for side, left in (("left", True), ("right", False)):
            first, last = said.get(f"{side}_from"), said.get(f"{side}_to")
            if first and last:
                ranges.append((said["name"], CivicRange(line, int(first), int(last), left)))
    return ranges


def numbers_of(numbers: CivicRange) -> range:
    """All numbers of a range: even, odd, or both, as its ends are."""
    low, high = sorted((numbers.first, numbers.last))
    return range(low, high + 1, 2 if (high - low) % 2 == 0 else 1)


def _on_its_lot(numbers: CivicRange, civic: int) -> LonLat:
    """Where a number stands if all lots are as wide, and begin behind the house on the corner."""
    scale = MetresPerDegree.around(numbers.line.coords[0][1])
    flat = shapely.transform(numbers.line, lambda degrees: degrees * (scale.lon, scale.lat))
    lots = numbers_of(numbers)
    share = lots.index(civic) / (len(lots) - 1) if len(lots) > 1 else 0.5
    inset_m = min(_FROM_CROSSING_M, flat.length / 4.0)
    along_m = inset_m + (flat.length - 2.0 * inset_m) * (share if numbers.first <= numbers.last else 1.0 - share)
    beside = flat.offset_curve(_FROM_MIDDLE_M if numbers.left else -_FROM_MIDDLE_M)
    here = flat.interpolate(along_m)
    near = here if beside.is_empty else beside.interpolate(beside.project(here))
    return LonLat(near.x / scale.lon, near.y / scale.lat)


def _is_address(street: str, number: str) -> Callable[[str], bool]:
    written, is_there = write_address(number, street), _on_streets(street)
    return lambda found: found == written or (found.partition(", ")[0] == number and is_there(found))


def _on_streets(*streets: str) -> Callable[[str], bool]:
    """Whether an address, or a street, is one of some streets."""
    words = {read_street(street) for street in streets}

    def is_there(found: str) -> bool:
        number, comma, street = found.partition(", ")
        return read_street(street if comma else number) in words

    return is_there
