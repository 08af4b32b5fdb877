"""Another geocoder to ask where the city's own data know no place: Photon, Nominatim or Pelias, by its address.

It is never asked while somebody files a report, and never waited for long: few questions at once, each with a time-out,
and none for a while after several in a row went wrong.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import structlog
from geopy.adapters import RequestsAdapter
from geopy.geocoders import Nominatim, Pelias, Photon

from geo.points import InvalidPosition, LonLat, distance_m
from geo.street_map import write_address
from push.circuits import Circuits

_log = structlog.get_logger(__name__)

TIMEOUT_S: Final = 1.5
_AT_ONCE: Final = 4
_MOST: Final = 5
_USER_AGENT: Final = "jalon"

# West, south, east and north in WGS 84 degrees.
Box = tuple[float, float, float, float]
_Found = Sequence[Any] | None

# Farther from the place asked about, a number or a street of theirs is another place's.
_NUMBER_WITHIN_M: Final = 60.0
_STREET_WITHIN_M: Final = 300.0
_LONGEST_ADDRESS: Final = 200
# What Nominatim calls the way that a place is on, by its kind.
_WAYS: Final = ("street", "road", "pedestrian", "footway", "cycleway", "path", "square")
# What Photon (`type`) and Pelias (`layer`) call a thing whose own name says where it is.
_NAMED: Final = frozenset({"street", "house", "venue", "address", "intersection"})


@dataclass(frozen=True, slots=True)
class _Asker:
    """How one kind of geocoder is asked for places by words, and for what is at a place."""

    places: Callable[[str, Box, str], _Found]
    around: Callable[[LonLat, str], _Found]


@dataclass(frozen=True, slots=True)
class TheirPlace:
    """A place as another geocoder found it."""

    at: LonLat
    address: str


class InvalidGeocoder(ValueError):
    """The address names no geocoder that is known."""


class GeocoderRests(Exception):
    """It was not asked: it is busy, or left alone for a while."""


class GeocoderFailed(Exception):
    """It was asked, and gave no answer to be understood in good time."""


class OtherGeocoder:
    """One geocoder on another machine."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare to ask; nothing connects yet.

        Args:
            url: Such as `photon+https://photon.example.org`, `nominatim+http://localhost:8080` or
                `pelias+https://pelias.example.org?api_key=...`.
            timeout_s: How long an answer is waited for.
            clock: Seconds that pass.

        Raises:
            InvalidGeocoder: the address is none of these.
        """
        self._asker = _asker(url, timeout_s)
        self._host = urlsplit(url).netloc
        self._timeout_s = timeout_s
        self._clock = clock
        self._circuits = Circuits()
        self._asked = 0
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="geocoder")

    async def find(self, text: str, box: Box, language: str) -> list[TheirPlace]:
        """Find places for what somebody typed, the likeliest first, preferably in a box.

        Returns:
            None of them where nothing is found, and where the other geocoder is busy, slow, in trouble, left alone or
            not to be understood: that is logged, and nobody's mistake here.
        """
        try:
            found = await self._answer(self._asker.places, text, box, language)
        except (GeocoderRests, GeocoderFailed):
            return []
        return [place for each in found or () if (place := _place(each)) is not None][:_MOST]

    async def address_at(self, at: LonLat, language: str) -> str | None:
        """Find the address of a place, as Jalon writes them; None where they know neither number nor street near it.

        Raises:
            GeocoderRests: it was not asked.
            GeocoderFailed: it was asked in vain.
        """
        found = await self._answer(self._asker.around, at, language)
        return next((line for each in found or () if (line := _address(each, at)) is not None), None)

    async def _answer(self, ask: Callable[..., _Found], *question: Any) -> _Found:
        if self._asked >= _AT_ONCE or self._circuits.ask(self._host, self._clock()):
            raise GeocoderRests
        self._asked += 1
        asked = asyncio.get_running_loop().run_in_executor(self._threads, ask, *question)
        asked.add_done_callback(self._note_end)
        try:
            # It has its own time-out, which starts anew with each piece of an answer.
            found = await asyncio.wait_for(asyncio.shield(asked), self._timeout_s)
        except Exception as error:
            # Its library trips over what no geocoder should answer, in any way.
            self._circuits.note_failure(self._host, self._clock())
            _log.warning("geocoder_failed", host=self._host, reason=type(error).__name__)
            raise GeocoderFailed from error
        self._circuits.note_answer(self._host, self._clock())
        return found

    def close(self) -> None:
        """Ask no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _note_end(self, asked: asyncio.Future[Any]) -> None:
        self._asked -= 1
        if not asked.cancelled():
            asked.exception()  # what nobody waits for any more is no mistake either


def check_url(url: str) -> str:
    """Hand back the address of a geocoder; raises InvalidGeocoder where it names none."""
    _asker(url, TIMEOUT_S)
    return url


def _asker(url: str, timeout_s: float) -> _Asker:
    """Make what asks; the three have different words for the same things."""
    parts = urlsplit(url)
    kind, _, scheme = parts.scheme.partition("+")
    if scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidGeocoder(url)
    common: dict[str, Any] = {
        "domain": f"{parts.netloc}{parts.path}".rstrip("/"),
        "scheme": scheme,
        "timeout": timeout_s,
        "user_agent": _USER_AGENT,
        "adapter_factory": RequestsAdapter,
    }
    match kind:
        case "photon":
            photon = Photon(**common)
            return _Asker(
                lambda text, box, language: photon.geocode(
                    text, exactly_one=False, limit=_MOST, language=language, bbox=_corners(box)
                ),
                lambda at, language: photon.reverse((at.lat, at.lon), exactly_one=False, language=language),
            )
        case "nominatim":
            nominatim = Nominatim(**common)
            return _Asker(
                lambda text, box, language: nominatim.geocode(
                    text, exactly_one=False, limit=_MOST, language=language, viewbox=_corners(box), bounded=True
                ),
                lambda at, language: nominatim.reverse((at.lat, at.lon), exactly_one=False, language=language),
            )
        case "pelias":
            key = parse_qs(parts.query).get("api_key", [None])[0]
            pelias = Pelias(api_key=key, **common)
            return _Asker(
                lambda text, box, language: pelias.geocode(
                    text, exactly_one=False, language=language, boundary_rect=_corners(box)
                ),
                lambda at, language: pelias.reverse((at.lat, at.lon), exactly_one=False, language=language),
            )
        case _:
            raise InvalidGeocoder(url)


def _corners(box: Box) -> list[tuple[float, float]]:
    west, south, east, north = box
    return [(south, west), (north, east)]


def _place(found: Any) -> TheirPlace | None:
    try:
        return TheirPlace(LonLat(float(found.longitude), float(found.latitude)), str(found.address))
    except (InvalidPosition, TypeError, ValueError):
        return None


def _address(found: Any, at: LonLat) -> str | None:
    """Write what they found at a place as an address; None where it is too far away, or names no street or building."""
    place = _place(found)
    said = found.raw.get("properties") or found.raw.get("address")
    away_m = _STREET_WITHIN_M if place is None else distance_m(place.at, at)
    if not isinstance(said, Mapping) or away_m >= _STREET_WITHIN_M:
        return None
    words = {key: " ".join(value.split()) for key, value in said.items() if isinstance(value, str)}
    street = next((words[way] for way in _WAYS if words.get(way)), None)
    number = words.get("housenumber") or words.get("house_number")
    if street is None and {words.get("type"), words.get("layer")} & _NAMED:
        street, number = words.get("name"), None
    if not street:
        return None
    line = write_address(number, street) if number and away_m <= _NUMBER_WITHIN_M else street
    return line[:_LONGEST_ADDRESS]
