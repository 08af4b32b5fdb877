"""Words for a position: the addresses and streets of a city, held in process and asked for every report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.points import LonLat, MetresPerDegree

# Beyond these a name would mislead: across the street is near enough for a number, the next block for a street.
_ADDRESS_WITHIN_M = 30.0
_STREET_WITHIN_M = 60.0

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


def _nearest(tree: shapely.STRtree, here: shapely.Point, within_m: float) -> int | None:
    """Find the number of what is nearest; the lowest where several are just as near."""
    found = tree.query_nearest(here, max_distance=within_m)
    return int(found.min()) if len(found) else None


def write_address(number: str, street: str) -> str:
    """Write a civic number and a street as French does: `1234, rue Saint-Denis`, `12, 25e Avenue`."""
    kind, separator, rest = street.partition(" ")
    if kind.lower() in _STREET_KINDS:
        street = f"{kind.lower()}{separator}{rest}"
    return f"{number}, {street}"
