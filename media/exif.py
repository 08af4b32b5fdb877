"""The facts that Jalon needs from a photo's EXIF block: which way is up, where and when it was taken.

A small reader of its own, because the block is hostile input: it looks at the few tags it wants, each of bounded
size, follows no offset twice, and has a value or none for any bytes whatever. Sources: TIFF 6.0 for the
layout, CIPA DC-008 (EXIF 3.0) for the tags. This module starts with every decoder process, so it imports little
(hence named tuples; dataclasses would double the start).
"""

import math
import struct
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, NamedTuple

_ORIENTATION: Final = 0x0112
_EXIF_IFD: Final = 0x8769
_GPS_IFD: Final = 0x8825
_TAKEN_AT: Final = 0x9003  # DateTimeOriginal: the wall clock where the photo was taken
_TAKEN_AT_OFFSET: Final = 0x9011  # OffsetTimeOriginal: that clock's offset from UTC
_GPS_LAT_REF: Final = 1
_GPS_LAT: Final = 2
_GPS_LON_REF: Final = 3
_GPS_LON: Final = 4
_GPS_TIME: Final = 7
_GPS_DATE: Final = 29
_GPS_ERROR_M: Final = 31

# struct codes of the TIFF types that the tags above may have; bytes (ASCII, UNDEFINED) are told apart by 's'.
_TYPES: Final = {1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 7: "s", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d"}
_MAX_ENTRIES: Final = 512
_MAX_COUNT: Final = 64
_EARLIEST_YEAR: Final = 1990
_MAX_ERROR_M: Final = 100_000.0

_Value = bytes | tuple[float, ...]
_Ifd = dict[int, _Value]


class TakenPlace(NamedTuple):
    """Where a photo says it was taken: WGS 84 degrees, and the radius of its error in metres if it tells one."""

    lon: float
    lat: float
    accuracy_m: float | None


class Facts(NamedTuple):
    """What a photo's EXIF block tells.

    Attributes:
        orientation: EXIF orientation, 1 to 8; 1 (upright) where the block tells none that makes sense.
        place: Where it was taken, or `None`.
        taken_at: When it was taken (UTC), or `None` where the instant is not known: a wall clock without its offset
            and without GPS time is not guessed at.
    """

    orientation: int
    place: TakenPlace | None
    taken_at: datetime | None


NO_FACTS: Final = Facts(1, None, None)


def read_facts(exif: bytes) -> Facts:
    """Read the facts from an EXIF block, with or without the marker that it starts with in JPEG.

    Never fails: what is damaged, missing or senseless (NaN, zero denominators, latitude 100) counts as not told.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return NO_FACTS
    root = _ifd(tiff, order, _unsigned(tiff, order, 4))
    camera = _ifd(tiff, order, _first(root, _EXIF_IFD))
    gps = _ifd(tiff, order, _first(root, _GPS_IFD))
    return Facts(_orientation(root), _place(gps), _taken_at(camera, gps))


def _unsigned(tiff: bytes, order: str, at: int) -> float | None:
    try:
        return float(struct.unpack_from(order + "I", tiff, at)[0])
    except struct.error:
        return None


def _ifd(tiff: bytes, order: str, at: float | None) -> _Ifd:
    """Read one directory: its tags with the values that can be read; empty where there is none at `at`."""
    if at is None or not 8 <= at <= len(tiff) - 2:
        return {}
    start = int(at)
    (count,) = struct.unpack_from(order + "H", tiff, start)
    found: _Ifd = {}
    for entry in range(start + 2, start + 2 + 12 * min(count, _MAX_ENTRIES), 12):
        if entry + 12 > len(tiff):
            break
        (tag,) = struct.unpack_from(order + "H", tiff, entry)
        value = _value(tiff, order, entry)
        if value is not None and tag not in found:
            found[tag] = value
    return found


def _value(tiff: bytes, order: str, entry: int) -> _Value | None:
    kind, count = struct.unpack_from(order + "HI", tiff, entry + 2)
    code = _TYPES.get(kind)
    if code is None or not 0 < count <= _MAX_COUNT:
        return None
    layout = order + (f"{count}s" if code == "s" else code * count)
    at = entry + 8  # values of up to four bytes stand in the entry itself, others where it points
    if struct.calcsize(layout) > 4:
        (at,) = struct.unpack_from(order + "I", tiff, at)
    try:
        numbers = struct.unpack_from(layout, tiff, at)
    except struct.error:
        return None
    if code == "s":
        return bytes(numbers[0])
    if len(code) == 2:
        return tuple(_ratio(numbers[i], numbers[i + 1]) for i in range(0, len(numbers), 2))
    return tuple(float(number) for number in numbers)


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else math.nan


def _numbers(ifd: _Ifd, tag: int) -> tuple[float, ...]:
    value = ifd.get(tag, ())
    return value if isinstance(value, tuple) and all(map(math.isfinite, value)) else ()


def _first(ifd: _Ifd, tag: int) -> float | None:
    return next(iter(_numbers(ifd, tag)), None)


def _text(ifd: _Ifd, tag: int) -> str:
    value = ifd.get(tag, b"")
    return value.split(b"\0")[0].decode("ascii", "replace").strip() if isinstance(value, bytes) else ""


def _orientation(root: _Ifd) -> int:
    told = _first(root, _ORIENTATION)
    return int(told) if told is not None and told in range(1, 9) else 1


def _place(gps: _Ifd) -> TakenPlace | None:
    lat = _degrees(_numbers(gps, _GPS_LAT), _text(gps, _GPS_LAT_REF), "N", "S")
    lon = _degrees(_numbers(gps, _GPS_LON), _text(gps, _GPS_LON_REF), "E", "W")
    if lat is None or lon is None or abs(lat) > 90 or abs(lon) > 180:
        return None
    if lat == 0 and lon == 0:  # what cameras write that have no fix; nobody reports a pothole in the Gulf of Guinea
        return None
    error_m = _first(gps, _GPS_ERROR_M)
    told = error_m is not None and 0 < error_m <= _MAX_ERROR_M
    return TakenPlace(lon, lat, error_m if told else None)


def _degrees(parts: tuple[float, ...], hemisphere: str, positive: str, negative: str) -> float | None:
    """Add up degrees, minutes and seconds; the hemisphere must be told, as a guess may be an ocean away."""
    if not 1 <= len(parts) <= 3 or min(parts) < 0:
        return None
    sign = {positive: 1, negative: -1}.get(hemisphere[:1].upper())
    return None if sign is None else sign * sum(part / 60**power for power, part in enumerate(parts))


def _taken_at(camera: _Ifd, gps: _Ifd) -> datetime | None:
    return _camera_time(camera) or _gps_time(gps)


def _camera_time(camera: _Ifd) -> datetime | None:
    offset = _text(camera, _TAKEN_AT_OFFSET)
    try:
        year, month, day, hour, minute, second = _calendar(_text(camera, _TAKEN_AT))
        sign = {"+": 1, "-": -1}[offset[0]]
        ahead = timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6])))
        return _sensible(datetime(year, month, day, hour, minute, second, tzinfo=ahead))
    except (ValueError, KeyError, IndexError):
        return None


def _gps_time(gps: _Ifd) -> datetime | None:
    parts = _numbers(gps, _GPS_TIME)
    if len(parts) != 3 or min(parts) < 0:
        return None
    try:
        year, month, day = _calendar(_text(gps, _GPS_DATE))
        since_midnight = timedelta(hours=parts[0], minutes=parts[1], seconds=int(parts[2]))
        return _sensible(datetime(year, month, day, tzinfo=UTC) + since_midnight)
    except (ValueError, OverflowError):
        return None


def _calendar(text: str) -> list[int]:
    """Split `2017:05:19 08:58:22` or `2017:05:19`; `strptime` would load the locale for every photo."""
    return [int(part) for part in text.replace(" ", ":").split(":")]


def _sensible(moment: datetime) -> datetime | None:
    try:
        utc = moment.astimezone(UTC)
    except OverflowError:  # an offset that leads out of the calendar
        return None
    return utc if utc.year >= _EARLIEST_YEAR else None
