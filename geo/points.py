"""Positions on the earth, and metres between them.

Everything inside the house is WGS 84, longitude first. Distances are geodesic metres: neither degrees nor
Web-Mercator metres ever stand in for them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pyproj import Geod

_EARTH = Geod(ellps="WGS84")
_SEMI_MAJOR_M = 6_378_137.0
_ECCENTRICITY_SQUARED = 0.006_694_379_990_141_316

# Within these limits the mid-latitude formula below agrees with the geodesic to about 1 part in a million.
_LOCAL_SPAN_DEG = 0.2
_LOCAL_LATITUDE_DEG = 75.0


class InvalidPosition(ValueError):
    """A longitude or latitude that is not a place on the earth.

    Attributes:
        field: `lon` or `lat`, the one that is wrong.
        value: what was given.
        limit: the largest absolute value allowed, in degrees.
    """

    def __init__(self, field: str, value: float, limit: float) -> None:
        super().__init__(f"{field} must be a finite number between -{limit:g} and {limit:g}, not {value!r}")
        self.field = field
        self.value = value
        self.limit = limit


@dataclass(frozen=True, slots=True)
class LonLat:
    """A position in WGS 84 degrees; raises `InvalidPosition` unless finite and in range."""

    lon: float
    lat: float

    def __post_init__(self) -> None:
        # Comparisons with NaN are false, so these also refuse NaN and the infinities.
        if not -180.0 <= self.lon <= 180.0:
            raise InvalidPosition("lon", self.lon, 180.0)
        if not -90.0 <= self.lat <= 90.0:
            raise InvalidPosition("lat", self.lat, 90.0)


@dataclass(frozen=True, slots=True)
class MetresPerDegree:
    """How many metres one degree is worth around a latitude, for flat sums over a few kilometres."""

    lon: float
    lat: float

    @classmethod
    def around(cls, lat: float) -> MetresPerDegree:
        """Measure a degree on the WGS 84 ellipsoid, from its two radii of curvature at `lat` (degrees)."""
        phi = math.radians(lat)
        flattening = 1.0 - _ECCENTRICITY_SQUARED * math.sin(phi) ** 2
        prime_vertical_m = _SEMI_MAJOR_M / math.sqrt(flattening)
        meridian_m = prime_vertical_m * (1.0 - _ECCENTRICITY_SQUARED) / flattening
        return cls(
            lon=math.radians(prime_vertical_m * math.cos(phi)),
            lat=math.radians(meridian_m),
        )


def longitude_difference(from_lon: float, to_lon: float) -> float:
    """Degrees from one longitude to another, the short way round (-180 to 180)."""
    return (to_lon - from_lon + 180.0) % 360.0 - 180.0


def distance_m(a: LonLat, b: LonLat) -> float:
    """Geodesic metres between two positions.

    Neighbouring positions, which are nearly all that is ever asked, take the mid-latitude formula (the radii
    of curvature halfway between the two); it agrees with the geodesic to 1 part in a million and costs a
    tenth. Far or polar ones take the geodesic itself (Karney 2013, by PROJ).
    """
    d_lon = longitude_difference(a.lon, b.lon)
    d_lat = b.lat - a.lat
    middle = (a.lat + b.lat) / 2.0
    near = abs(d_lon) < _LOCAL_SPAN_DEG and abs(d_lat) < _LOCAL_SPAN_DEG
    if near and abs(middle) < _LOCAL_LATITUDE_DEG:
        degree = MetresPerDegree.around(middle)
        return math.hypot(d_lon * degree.lon, d_lat * degree.lat)
    return float(_EARTH.inv(a.lon, a.lat, b.lon, b.lat)[2])


def offset(at: LonLat, *, east_m: float, north_m: float) -> LonLat:
    """The position reached by setting off in the direction (east, north) and going that far in metres."""
    azimuth_deg = math.degrees(math.atan2(east_m, north_m))
    lon, lat, _ = _EARTH.fwd(at.lon, at.lat, azimuth_deg, math.hypot(east_m, north_m))
    return LonLat(lon, lat)


def metric_srid(at: LonLat) -> int:
    """The EPSG code of the UTM zone of a position, to measure and cluster in within a city around it.

    Lengths there are true to 1 in 1,000 up to 200 km from the position; in degrees they are not, nor in Web Mercator,
    where a metre in Montréal is 1.4.
    """
    zone = min(60, math.floor((at.lon + 180.0) / 6.0) + 1)
    return (32_600 if at.lat >= 0.0 else 32_700) + zone
