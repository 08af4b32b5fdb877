"""Words for a position: the addresses and streets of a city, held in process and asked for every report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.blocks import Block, block_of
from geo.points import LonLat, MetresPerDegree

# Beyond these a name would mislead: across the street is near enough for a number, the next block for a street.
_ADDRESS_WITHIN_M = 30.0
_STREET_WITHIN_M = 60.0
# The crossings of a block are looked for so far; longer ones are told by their street alone.
_BLOCK_WITHIN_M = 500.0

# After a civic number, French writes what kind of street it is with a small letter: 1234, rue Saint-Denis.
_STREET_KINDS = frozenset({
    "allée", "autoroute", "avenue", "boulevard", "carré", "carrefour", "chemin", "côte", "cours", "croissant",
    "esplanade", "impasse", "mail", "montée", "parc", "passage", "place", "pont", "promenade", "quai", "rang",
    "rond-point", "route", "rue", "ruelle", "sentier", "square", "terrasse", "tunnel", "voie",
})  # fmt: skip


class StreetMap:
    """The addresses and streets of one city, for putting a position into words in microseconds."""

    def __init__(
        self,
        middle: LonLat,
        *,
        addresses: Sequence[tuple[str, str]] = (),
        address_places: NDArray[np.float64] | None = None,
        streets: Sequence[str] = (),
        street_lines: Sequence[bytes] = (),
    ) -> None:
        """Index a city's addresses and streets.

        Args:
            middle: The middle of the city: what a degree is worth there holds for all of it.
            addresses: Civic number and street of each address; of several at one place the first is the answer.
            address_places: Where they are: a row of longitude and latitude (WGS 84 degrees) for each.
            streets: The name of each piece of a street.
            street_lines: Its line as WKB, in WGS 84 degrees.
        """
        degree = MetresPerDegree.around(middle.lat)
        self._metres = np.array([degree.lon, degree.lat])
        self._addresses = addresses
        self._streets = streets
        places = np.empty((0, 2)) if address_places is None else address_places
        self._address_tree = shapely.STRtree(shapely.points(places * self._metres))
        lines = shapely.from_wkb(np.array(street_lines, dtype=object))
        self._street_tree = shapely.STRtree(shapely.transform(lines, lambda degrees: degrees * self._metres))

    def address_at(self, at: LonLat) -> str | None:
        """Describe a position in words: the nearest address within 30 m, else the nearest street within 60 m.

        Returns:
            Such as `1234, rue Saint-Denis` or `Rue Rachel Est`; None where nothing is near enough.
        """
        here = shapely.Point(self._metres * (at.lon, at.lat))
        found = _nearest(self._address_tree, here, _ADDRESS_WITHIN_M)
        if found is not None:
            return write_address(*self._addresses[found])
        found = _nearest(self._street_tree, here, _STREET_WITHIN_M)
        return None if found is None else self._streets[found]

    def nearest_street(self, at: LonLat, *, within_m: float) -> tuple[str, float] | None:
        """Find the name of the nearest street and how far it is (metres); None where none is within reach."""
        here = shapely.Point(self._metres * (at.lon, at.lat))
        found = _nearest(self._street_tree, here, within_m)
        if found is None:
            return None
        return self._streets[found], float(here.distance(self._street_tree.geometries[found]))

    def block_at(self, at: LonLat) -> Block | None:
        """Find the block that a position lies in, on the street that `address_at` names where it knows no number.

        Returns:
            None where an address is near enough, or no street is. This takes a millisecond, not microseconds.
        """
        here = shapely.Point(self._metres * (at.lon, at.lat))
        found = _nearest(self._street_tree, here, _STREET_WITHIN_M)
        if found is None or _nearest(self._address_tree, here, _ADDRESS_WITHIN_M) is not None:
            return None
        street = self._streets[found]
        around = sorted(self._street_tree.query(here, predicate="dwithin", distance=_BLOCK_WITHIN_M))
        lines = [(self._streets[each], self._street_tree.geometries[each]) for each in around]
        own = [line for name, line in lines if name == street]
        return block_of(here, street, own, [(name, line) for name, line in lines if name != street])


def _nearest(tree: shapely.STRtree, here: shapely.Point, within_m: float) -> int | None:
    """Find the number of what is nearest; the lowest where several are just as near."""
    found = tree.query_nearest(here, max_distance=within_m)
    return int(found.min()) if len(found) else None


def write_address(number: str, street: str) -> str:
    """Write a civic number and a street as French does: `1234, rue Saint-Denis`, `12, 25e Avenue`."""
    return f"{number}, {within_words(street)}"


def within_words(street: str) -> str:
    """Write a street as French does within a line: `rue Saint-Denis`, `25e Avenue`."""
    kind, separator, rest = street.partition(" ")
    return f"{kind.lower()}{separator}{rest}" if kind.lower() in _STREET_KINDS else street
