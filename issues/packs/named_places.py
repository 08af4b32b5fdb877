"""Reading the places that a pack knows by name, such as parks and public buildings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import shapely

from geo.axes import Box, on_earth
from geo.points import LonLat, distance_m
from geo.street_words import place_words
from issues.packs.city_sheet import PlaceFile
from issues.packs.pack import NamedPlace, Places
from issues.packs.positions import open_positioned, place_in
from issues.packs.problems import Findings
from issues.packs.sources import columns_present, text_of


def read_named(folder: Path, source: PlaceFile, around: Box | None, findings: Findings) -> Iterator[NamedPlace]:
    """Read the named places of a file; those without a name are left out."""
    features = open_positioned(folder, source, source.columns, around, findings)
    if not columns_present(features, source.file, (source.columns.name,), findings):
        return
    nameless = 0
    for feature in features:
        name = text_of(feature.properties[source.columns.name])
        if feature.geometry is None or feature.geometry.is_empty or not on_earth(feature.geometry):
            findings.error(source.file, place_in(source.file, feature), "it is nowhere in longitudes and latitudes")
        elif name:
            yield NamedPlace(name, feature.geometry)
        else:
            nameless += 1
    if nameless:
        findings.note(source.file, "", f"{nameless} places without a name were left out")


def all_named(places: Places) -> list[NamedPlace]:
    """List everything of a pack that is found by a name: its places, and its districts in each language."""
    districts = (each for layer in places.layers for each in layer.districts if each.valid_to is None)
    of_districts = (NamedPlace(name, each.polygon) for each in districts for name in dict.fromkeys(each.names.values()))
    return [place for place in (*places.named, *of_districts) if place_words(place.name)]


def middle_and_reach(place: NamedPlace) -> tuple[shapely.Point, float]:
    """A point on a place (WGS 84), and how far from there it reaches at most, in metres; 0 for a point."""
    west, south, east, north = place.shape.bounds
    return shapely.point_on_surface(place.shape), distance_m(LonLat(west, south), LonLat(east, north))
