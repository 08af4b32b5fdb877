"""What waits on a phone: reports, photos, corrections and wishes, drawn at random and in random order."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from bench.phones import report_body
from bench.photos import stamp_photo
from geo.points import LonLat, offset

# A resident's clock, wrong by days: more than a year behind at most, or two days ahead.
_CLOCK_BEHIND = timedelta(days=400)
_CLOCK_AHEAD = timedelta(days=2)
_SERVICES = ("nid-de-poule", "chaussee-endommagee", "trottoir", "marquage")
_NEARBY_M = 6.0
# Beyond the radius of every service above, so that the report leaves its issue.
_FAR_M = 400.0
_STAMP_BYTES = 16
# Decoders pass over what follows a picture. So much makes an upload of several parts in the store.
_LONGEST_TAIL = 2_500_000
_PLACES = 6  # digits after the point of a degree: 0.1 m


class Kind(StrEnum):
    """What an item is, as `POST /v1/sync` calls it; photos have calls of their own."""

    PHOTO = "photo"
    REPORT = "report"
    CORRECTION = "correction"
    FOLLOW = "follow"
    UNFOLLOW = "unfollow"


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of a photo like no other, made anew when they are needed."""

    jpeg: bytes = field(repr=False)
    stamp: bytes
    tail_bytes: int

    @property
    def content(self) -> bytes:
        """All of it."""
        tail = random.Random(self.stamp).randbytes(self.tail_bytes)
        return b"".join(stamp_photo(self.jpeg, self.stamp)) + tail


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that waits to be sent.

    Attributes:
        id: Of the report, the photo or the command; for a wish only its name in an outbox.
        report_id: The report that it is, is about, or belongs to.
        body: As its call takes it, without the id; empty for photos and wishes.
        picture: Of a photo; else None.
        in_pieces: Whether the photo is sent by tus.
    """

    id: UUID
    kind: Kind
    report_id: UUID
    body: Mapping[str, Any] = field(default_factory=dict)
    picture: Picture | None = None
    in_pieces: bool = False

    @property
    def withdraws(self) -> bool:
        """Whether it takes its report back."""
        return "withdrawn" in self.body

    @property
    def moves(self) -> bool:
        """Whether it puts the place of its report right."""
        return self.kind is Kind.CORRECTION and "lat" in self.body


@dataclass(frozen=True, slots=True)
class PhotoHeld:
    """What a phone remembers of a photo."""

    report_id: UUID
    sha256: str

    @classmethod
    def of(cls, item: Item) -> "PhotoHeld":
        """Read the bytes once."""
        assert item.picture is not None
        return cls(item.report_id, sha256(item.picture.content).hexdigest())


@dataclass(frozen=True, slots=True)
class World:
    """What outboxes are drawn from: spots that several phones report about, and pictures."""

    spots: Sequence[LonLat]
    jpegs: Sequence[bytes]


def draw_outbox(rng: random.Random, world: World, *, items: int, now: datetime) -> list[Item]:
    """Draw what one phone has done while it was away, in random order.

    Args:
        rng: Draws everything, the ids too.
        world: Where and what.
        items: How many.
        now: By the right clock; the phone's own is wrong.
    """
    # Half of the clocks are far behind; the others within two days, on either side.
    behind = _CLOCK_BEHIND if rng.random() < 0.5 else _CLOCK_AHEAD
    clock = now - behind + rng.random() * (behind + _CLOCK_AHEAD)
    drawn: list[Item] = []
    while len(drawn) < items:
        drawn += _draw_story(rng, world, clock)
    del drawn[items:]
    rng.shuffle(drawn)
    return drawn


def _draw_story(rng: random.Random, world: World, clock: datetime) -> list[Item]:
    """Draw a report and all that was done about it; the report comes first, then the photos that it names."""
    at = _beside(rng, rng.choice(world.spots), _NEARBY_M)
    photos = [_draw_photo(rng, world, clock) for _ in range(rng.choice([0, 1, 1, 2]))]
    report_id = _draw_id(rng, clock)
    body = report_body(report_id, rng.choice(_SERVICES), at, [photo.id for photo in photos])
    del body["id"]
    body |= {"description": f"Depuis {rng.randrange(1000)} jours, à côté du n° {rng.randrange(9999)}"}
    body |= {"captured_at": (clock - timedelta(seconds=rng.randrange(86_400))).isoformat(timespec="milliseconds")}
    return [
        Item(report_id, Kind.REPORT, report_id, body),
        *(Item(each.id, Kind.PHOTO, report_id, picture=each.picture, in_pieces=each.in_pieces) for each in photos),
        *_draw_changes(rng, report_id, at, clock),
    ]


@dataclass(frozen=True, slots=True)
class _Photo:
    id: UUID
    picture: Picture
    in_pieces: bool


def _draw_photo(rng: random.Random, world: World, clock: datetime) -> _Photo:
    in_pieces = rng.random() < 0.5
    tail_bytes = rng.randrange(_LONGEST_TAIL) if in_pieces and rng.random() < 0.15 else 0
    picture = Picture(rng.choice(world.jpegs), rng.randbytes(_STAMP_BYTES), tail_bytes)
    return _Photo(_draw_id(rng, clock), picture, in_pieces)


def _draw_changes(rng: random.Random, report_id: UUID, at: LonLat, clock: datetime) -> list[Item]:
    """Draw corrections: words any number of times, a place and a withdrawal at most once each; and a wish."""
    bodies: list[dict[str, Any]] = []
    bodies += [{"add_description": f"Note {rng.randbytes(6).hex()}"} for _ in range(rng.choice([0, 0, 1, 2]))]
    if rng.random() < 0.3:
        place = _beside(rng, at, _FAR_M if rng.random() < 0.5 else _NEARBY_M)
        bodies.append({"lat": place.lat, "long": place.lon, "accuracy_m": 5.0, "location_source": "map"})
    if rng.random() < 0.2:
        bodies.append({"withdrawn": True})
    changes = [Item(_draw_id(rng, clock), Kind.CORRECTION, report_id, body) for body in bodies]
    if rng.random() < 0.4:
        changes.append(Item(_draw_id(rng, clock), rng.choice([Kind.FOLLOW, Kind.UNFOLLOW]), report_id))
    return changes


def _beside(rng: random.Random, at: LonLat, far_m: float) -> LonLat:
    side = rng.choice([-1, 1])
    there = offset(at, east_m=side * rng.uniform(0.5, 1) * far_m, north_m=rng.uniform(-0.2, 0.2) * far_m)
    return LonLat(round(there.lon, _PLACES), round(there.lat, _PLACES))


def _draw_id(rng: random.Random, clock: datetime) -> UUID:
    """Draw an id as a phone makes it: a UUIDv7 (RFC 9562) by the phone's clock."""
    ms = int(clock.timestamp() * 1000)
    rest = rng.getrandbits(74)
    return UUID(int=ms << 80 | 7 << 76 | (rest >> 62) << 64 | 2 << 62 | rest & ((1 << 62) - 1))
