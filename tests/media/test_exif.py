import math
import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.exif import NO_FACTS, TakenPlace, read_facts

BYTE, ASCII, SHORT, LONG, RATIONAL, SRATIONAL, FLOAT, DOUBLE = 1, 2, 3, 4, 5, 10, 11, 12
CODES = {BYTE: "B", SHORT: "H", LONG: "I", RATIONAL: "II", SRATIONAL: "ii", FLOAT: "f", DOUBLE: "d"}

# A tag: its number, type, and values (pairs for rationals; bytes for text).
Values = bytes | list[Any]
Tag = tuple[int, int, Values]


def exif(*, root: list[Tag] = [], camera: list[Tag] = [], gps: list[Tag] = [], order: str = ">") -> bytes:  # noqa: B006
    """Lay out an EXIF block tag by tag, so that each may be as wrong as a test wants it."""
    tiff = b"MM\0*" if order == ">" else b"II*\0"
    links: list[Tag] = [(0x8769, LONG, [0]), (0x8825, LONG, [0])]
    camera_at = 8 + len(ifd(root + links, 8, order))
    gps_at = camera_at + len(ifd(camera, camera_at, order))
    links = [(0x8769, LONG, [camera_at]), (0x8825, LONG, [gps_at])]
    parts = [ifd(root + links, 8, order), ifd(camera, camera_at, order), ifd(gps, gps_at, order)]
    return b"Exif\0\0" + tiff + struct.pack(order + "I", 8) + b"".join(parts)


def ifd(tags: list[Tag], at: int, order: str) -> bytes:
    entries, data = b"", b""
    data_at = at + 2 + 12 * len(tags) + 4
    for number, kind, values in tags:
        raw = values if isinstance(values, bytes) else pack(kind, values, order)
        count = len(values)
        inline = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(order + "I", data_at + len(data))
        entries += struct.pack(order + "HHI", number, kind, count) + inline
        data += raw if len(raw) > 4 else b""
    return struct.pack(order + "H", len(tags)) + entries + b"\0" * 4 + data


def pack(kind: int, values: list[Any], order: str) -> bytes:
    flat = [number for value in values for number in (value if isinstance(value, tuple) else (value,))]
    return struct.pack(order + CODES[kind] * len(values), *flat)


def gps(
    lat: Values = [(45, 1), (31, 1), (2316, 100)],  # noqa: B006
    lon: Values = [(73, 1), (34, 1), (5412, 100)],  # noqa: B006
    refs: tuple[bytes, bytes] = (b"N\0", b"W\0"),
    *more: Tag,
    kind: int = RATIONAL,
) -> list[Tag]:
    return [(1, ASCII, refs[0]), (2, kind, lat), (3, ASCII, refs[1]), (4, kind, lon), *more]


def place_of(*args, **kwargs) -> TakenPlace | None:
    return read_facts(exif(gps=gps(*args, **kwargs))).place


@pytest.mark.parametrize("order", ["<", ">"])
def test_reads_position_accuracy_time_and_orientation(order):
    block = exif(
        root=[(0x0112, SHORT, [6])],
        camera=[(0x9003, ASCII, b"2026:11:22 08:15:30\0"), (0x9011, ASCII, b"-05:00\0")],
        gps=gps(
            [(45, 1), (31, 1), (2316, 100)],
            [(73, 1), (34, 1), (5412, 100)],
            (b"N\0", b"W\0"),
            (31, RATIONAL, [(875, 100)]),
        ),
        order=order,
    )

    facts = read_facts(block)

    assert facts.orientation == 6
    assert facts.place is not None
    assert facts.place.lat == pytest.approx(45.5231)
    assert facts.place.lon == pytest.approx(-73.5817)
    assert facts.place.accuracy_m == 8.75
    assert facts.taken_at == datetime(2026, 11, 22, 13, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("refs", "signs"),
    [((b"N", b"E"), (1, 1)), ((b"S\0", b"E\0"), (-1, 1)), ((b"s", b"w"), (-1, -1)), ((b"North", b"West"), (1, -1))],
)
def test_the_hemisphere_gives_the_sign(refs, signs):
    place = place_of(refs=refs)

    assert place is not None
    assert (math.copysign(1, place.lat), math.copysign(1, place.lon)) == signs


@pytest.mark.parametrize(
    ("lat", "degrees"),
    [([(455231, 10000)], 45.5231), ([(45, 1), (313860, 10000)], 45.5231), ([(90, 1), (0, 1), (0, 1)], 90.0)],
)
def test_degrees_may_come_with_or_without_minutes_and_seconds(lat, degrees):
    place = place_of(lat)

    assert place is not None
    assert place.lat == pytest.approx(degrees)


@pytest.mark.parametrize(
    "senseless",
    [
        gps([(0, 0), (0, 0), (0, 0)], [(0, 0), (0, 0), (0, 0)]),
        gps([(45, 1), (31, 0), (0, 1)]),
        gps([(0, 1)] * 3, [(0, 1)] * 3),
        gps([(90, 1), (0, 1), (1, 100)]),
        gps(lon=[(180, 1), (0, 1), (1, 100)]),
        gps([(4_000_000_000, 1)] * 3),
        gps([(45, 1)] * 4),
        gps([(-45, 1), (0, 1), (0, 1)], kind=SRATIONAL, lon=[(73, 1)]),
        gps([math.nan] * 3, [73.0] * 3, kind=DOUBLE),
        gps([math.inf] * 3, [73.0] * 3, kind=FLOAT),
        gps(refs=(b"", b"")),
        gps(refs=(b"?\0", b"W\0")),
        gps()[:2],
        gps()[1:],
        [(1, ASCII, b"N\0"), (2, ASCII, b"45 31 23\0"), (3, ASCII, b"W\0"), (4, ASCII, b"73 34 54\0")],
        [(1, LONG, [78]), (2, LONG, [45, 31, 23]), (3, LONG, [87]), (4, LONG, [73, 34, 54])],
    ],
)
def test_a_senseless_position_counts_as_none(senseless):
    assert read_facts(exif(gps=senseless)).place is None


@pytest.mark.parametrize("error", [[(0, 0)], [(0, 1)], [(4_000_000_000, 1)]])
def test_a_senseless_accuracy_leaves_the_position(error):
    facts = read_facts(exif(gps=[*gps(), (31, RATIONAL, error)]))

    assert facts.place is not None
    assert facts.place.accuracy_m is None


def test_without_an_offset_the_time_is_that_of_the_satellites():
    gps_time: list[Tag] = [(7, RATIONAL, [(13, 1), (15, 1), (305, 10)]), (29, ASCII, b"2026:11:22\0")]

    facts = read_facts(exif(camera=[(0x9003, ASCII, b"2026:11:22 08:15:31\0")], gps=gps_time))

    assert facts.taken_at == datetime(2026, 11, 22, 13, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("taken", "offset"),
    [
        (b"2026:11:22 08:15:30\0", b""),
        (b"2026:11:22 08:15:30\0", b"     \0"),
        (b"2026:11:22 08:15:30\0", b"-99:00\0"),
        (b"0000:00:00 00:00:00\0", b"-05:00\0"),
        (b"1970:01:01 00:00:00\0", b"-05:00\0"),
        (b"9999:12:31 23:59:59\0", b"-05:00\0"),
        (b"2026:13:41 25:61:61\0", b"+00:00\0"),
        (b"yesterday\0", b"+00:00\0"),
        (b"\xff\xfe\0", b"+00:00\0"),
    ],
)
def test_an_instant_that_is_not_known_is_not_guessed(taken, offset):
    assert read_facts(exif(camera=[(0x9003, ASCII, taken), (0x9011, ASCII, offset)])).taken_at is None


@pytest.mark.parametrize("told", [[0], [9], [65535], [1, 2], []])
def test_an_orientation_that_makes_no_sense_is_upright(told):
    assert read_facts(exif(root=[(0x0112, SHORT, told)])).orientation == 1


@pytest.mark.parametrize(
    "block", [b"", b"Exif\0\0", b"MM\0*", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0", b"\0" * 99]
)
def test_a_block_that_is_none_has_no_facts(block):
    assert read_facts(block) == NO_FACTS


def test_directories_that_point_at_each_other_are_read_once():
    root_at = 8
    loop = ifd([(0x8769, LONG, [root_at]), (0x8825, LONG, [root_at])], root_at, ">")

    assert read_facts(b"MM\0*\0\0\0\x08" + loop) == NO_FACTS


@given(st.binary(max_size=300), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]))
def test_never_fails_on_any_bytes(rest, start):
    read_facts(start + rest)


@given(st.data())
def test_never_fails_on_a_damaged_block_and_tells_only_places_on_earth(data):
    block = bytearray(exif(root=[(0x0112, SHORT, [6])], gps=[*gps(), (31, RATIONAL, [(9, 1)])]))
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))

    facts = read_facts(bytes(block))

    assert facts.orientation in range(1, 9)
    if facts.place is not None:
        assert abs(facts.place.lat) <= 90
        assert abs(facts.place.lon) <= 180
        assert facts.place.accuracy_m is None or 0 < facts.place.accuracy_m < math.inf
