"""What people wish to hear, and when, on the wire."""

from datetime import time, timedelta
from functools import cache
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError
from shapely.geometry import Polygon

from api.models.fields import Code, Flag, Incoming, Latitude, Longitude, Outgoing, Text
from geo.points import LonLat, offset
from issues.lifecycle import NoticeKind
from issues.subscriptions import Circle, SubscriptionView
from push.pacing import Digest, Means, Preferences, Quiet

_EXAMPLE: Final[dict[str, Any]] = {"circle": {"lat": 45.5231, "long": -73.5817, "radius_m": 500}, "kinds": ["opened"]}
_DISTRICT_EXAMPLE: Final[dict[str, Any]] = {
    "district": "arrondissements:le-plateau-mont-royal",
    "services": ["nid-de-poule"],
    "kinds": ["opened", "resolved"],
}
_ALERT_EXAMPLE: Final[dict[str, Any]] = {"district": "arrondissements:le-plateau-mont-royal", "kinds": ["alert"]}
_PREFERENCES_EXAMPLE: Final[dict[str, Any]] = {
    "kinds": ["scheduled", "resolved", "note"],
    "channels": ["push", "email"],
    "fallback_after_h": 4,
    "time_zone": "America/Toronto",
    "quiet_hours": {"from": "22:00", "to": "07:00"},
    "most_a_day": 5,
    "digest": None,
    "safety_rings": True,
}
_MOST_CORNERS: Final = 500
_LARGEST_DEGREES: Final = 1.0
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Position = tuple[Longitude, Latitude]
Kinds = Annotated[list[NoticeKind], Field(min_length=1, max_length=len(NoticeKind))]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def _zone(name: str) -> str:
    if name not in _zones():
        raise PydanticCustomError("time_zone", "a time zone such as America/Toronto")
    return name


@cache
def _zones() -> frozenset[str]:
    """Read which zones there are: those that have a name of their own, not the machine's own time."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


def _whole_minutes(value: Any) -> Any:
    """Take "22:00" and nothing else: no seconds, no offset."""
    if isinstance(value, str) and len(value) == 5 and value[2] == ":":
        return value
    raise PydanticCustomError("wall_time", "hours and minutes such as 22:00")


WallTime = Annotated[time, BeforeValidator(_whole_minutes)]
TimeZone = Annotated[Text, Field(max_length=64), AfterValidator(_zone)]


class CircleIn(Incoming):
    """All within some metres of a place."""

    lat: Latitude
    long: Longitude
    radius_m: Annotated[float, Field(ge=50, le=10_000, allow_inf_nan=False)]


class AreaIn(Incoming):
    """A drawn area (GeoJSON polygon, longitude first) without holes."""

    type: Literal["Polygon"]
    coordinates: Annotated[
        list[Annotated[list[Position], Field(min_length=4, max_length=_MOST_CORNERS)]],
        Field(min_length=1, max_length=1),
    ]

    @model_validator(mode="after")
    def _is_an_area(self) -> Self:
        [ring] = self.coordinates
        shape = Polygon(ring)
        west, south, east, north = shape.bounds
        if ring[0] != ring[-1] or not shape.is_valid or max(east - west, north - south) > _LARGEST_DEGREES:
            raise PydanticCustomError("area", "a closed ring that does not cross itself, at most a degree across")
        return self


class SubscriptionIn(Incoming):
    """Where, of what and what to hear: a district, a drawn area or a circle, one of the three.

    The kind `alert` is what the city itself tells a district: who names it hears of the district's alerts and of those
    for the whole city; without a place, of these alone.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE, _DISTRICT_EXAMPLE, _ALERT_EXAMPLE]})

    district: Annotated[Text, Field(pattern=r"^[^:]+:.+$", max_length=200)] | None = Field(
        default=None, description="`layer:code`"
    )
    area: AreaIn | None = None
    circle: CircleIn | None = None
    services: Annotated[list[Code], Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="Codes of services; `null`: all."
    )
    kinds: Kinds = Field(default_factory=lambda: [NoticeKind.OPENED, NoticeKind.RESOLVED])

    @model_validator(mode="after")
    def _has_one_place(self) -> Self:
        places = sum(place is not None for place in (self.district, self.area, self.circle))
        if places > 1 or (places == 0 and set(self.kinds) != {NoticeKind.ALERT}):
            raise PydanticCustomError("one_place", "a district, an area or a circle: one of them")
        if NoticeKind.ALERT in self.kinds and (self.area is not None or self.circle is not None):
            raise PydanticCustomError("alert_place", "a district for alerts, or no place for the whole city's")
        return self

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """The west, south, east and north of what was drawn; None for a district."""
        if self.area is not None:
            lons, lats = zip(*self.area.coordinates[0], strict=True)
            return min(lons), min(lats), max(lons), max(lats)
        if self.circle is None:
            return None
        middle = LonLat(lon=self.circle.long, lat=self.circle.lat)
        south_west = offset(middle, east_m=-self.circle.radius_m, north_m=-self.circle.radius_m)
        north_east = offset(middle, east_m=self.circle.radius_m, north_m=self.circle.radius_m)
        return south_west.lon, south_west.lat, north_east.lon, north_east.lat

    def to_view(self, subscription_id: UUID) -> SubscriptionView:
        """The wish, for the rooms below."""
        circle = self.circle
        return SubscriptionView(
            id=subscription_id,
            district=self.district,
            area=None if self.area is None else [LonLat(lon=lon, lat=lat) for lon, lat in self.area.coordinates[0]],
            circle=None if circle is None else Circle(LonLat(lon=circle.long, lat=circle.lat), circle.radius_m),
            services=None if self.services is None else tuple(self.services),
            kinds=tuple(dict.fromkeys(self.kinds)),
        )


class SubscriptionOut(Outgoing):
    """A subscription as it stands."""

    id: UUID
    jurisdiction_id: str
    district: str | None
    area: dict[str, Any] | None = Field(description="GeoJSON polygon.")
    circle: dict[str, float] | None
    services: list[str] | None
    kinds: list[NoticeKind]

    @classmethod
    def of(cls, found: SubscriptionView, *, jurisdiction_id: str) -> Self:
        """Put a subscription on the wire, as its person drew it."""
        area, circle = found.area, found.circle
        ring = None if area is None else [[at.lon, at.lat] for at in area]
        return cls(
            id=found.id,
            jurisdiction_id=jurisdiction_id,
            district=found.district,
            area=None if ring is None else {"type": "Polygon", "coordinates": [ring]},
            circle=None
            if circle is None
            else {"lat": circle.at.lat, "long": circle.at.lon, "radius_m": circle.radius_m},
            services=None if found.services is None else list(found.services),
            kinds=list(found.kinds),
        )


class QuietHours(Incoming):
    """From when to when, by the clock on the wall, nothing rings; over midnight where `from` is later than `to`."""

    model_config = ConfigDict(populate_by_name=True)

    begins: WallTime = Field(alias="from")
    ends: WallTime = Field(alias="to")

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.begins == self.ends:
            raise PydanticCustomError("quiet_hours", "two different times")
        return self


class DigestIn(Incoming):
    """All news at once, every day, or every week on a weekday."""

    every: Literal["day", "week"]
    at: WallTime
    weekday: Weekday | None = Field(default=None, description="For `week`, and only then.")

    @model_validator(mode="after")
    def _names_its_day(self) -> Self:
        if (self.weekday is not None) != (self.every == "week"):
            raise PydanticCustomError("weekday", "a weekday for week, and only then")
        return self


class PreferencesIn(Incoming):
    """What a person wishes of all that is told to them; what is left out is as for everybody else."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PREFERENCES_EXAMPLE]})

    kinds: Kinds | None = Field(default=None, description="Only these kinds of news; `null`: all.")
    channels: Annotated[list[Means], Field(min_length=1, max_length=len(Means))] = Field(
        default_factory=lambda: [Means.PUSH, Means.EMAIL],
        description="How to be reached, the dearest first; the next is tried where that did not work.",
    )
    fallback_after_h: Annotated[float, Field(ge=0, le=20, allow_inf_nan=False)] = Field(
        default=4, description="How long a channel is given before the next is tried."
    )
    time_zone: TimeZone | None = Field(default=None, description="Needed for the next three.")
    quiet_hours: QuietHours | None = None
    most_a_day: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="What is more comes together on the next day."
    )
    digest: DigestIn | None = None
    safety_rings: Flag = Field(
        default=True, description="Whether news of services that concern safety ring at once all the same."
    )

    @model_validator(mode="after")
    def _has_its_clock(self) -> Self:
        timed = (self.quiet_hours, self.most_a_day, self.digest)
        if self.time_zone is None and any(wish is not None for wish in timed):
            raise PydanticCustomError("needs_time_zone", "with a time_zone")
        if len(set(self.channels)) < len(self.channels):
            raise PydanticCustomError("channels", "each channel once")
        return self

    def to_preferences(self) -> Preferences:
        """The wishes, for the rooms below."""
        quiet, digest = self.quiet_hours, self.digest
        return Preferences(
            kinds=None if self.kinds is None else tuple(self.kinds),
            means=tuple(self.channels),
            fallback_after=timedelta(hours=self.fallback_after_h),
            zone=None if self.time_zone is None else ZoneInfo(self.time_zone),
            quiet=None if quiet is None else Quiet(quiet.begins, quiet.ends),
            most_a_day=self.most_a_day,
            digest=None
            if digest is None
            else Digest(digest.at, None if digest.weekday is None else _WEEKDAYS.index(digest.weekday)),
            safety_rings=self.safety_rings,
        )


class PreferencesOut(Outgoing):
    """What a person wishes, as they may send it again."""

    kinds: list[NoticeKind] | None
    channels: list[Means]
    fallback_after_h: float
    time_zone: str | None
    quiet_hours: dict[str, str] | None
    most_a_day: int | None
    digest: dict[str, str] | None
    safety_rings: bool

    @classmethod
    def of(cls, wishes: Preferences) -> Self:
        """Put wishes on the wire."""
        quiet = wishes.quiet
        return cls(
            kinds=None if wishes.kinds is None else [NoticeKind(kind) for kind in wishes.kinds],
            channels=list(wishes.means),
            fallback_after_h=wishes.fallback_after / timedelta(hours=1),
            time_zone=None if wishes.zone is None else wishes.zone.key,
            quiet_hours=None if quiet is None else {"from": f"{quiet.begins:%H:%M}", "to": f"{quiet.ends:%H:%M}"},
            most_a_day=wishes.most_a_day,
            digest=None if wishes.digest is None else _digest(wishes.digest),
            safety_rings=wishes.safety_rings,
        )


def _digest(digest: Digest) -> dict[str, str]:
    if digest.weekday is None:
        return {"every": "day", "at": f"{digest.at:%H:%M}"}
    return {"every": "week", "at": f"{digest.at:%H:%M}", "weekday": _WEEKDAYS[digest.weekday]}
