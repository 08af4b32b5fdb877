"""When somebody may be told: by their own clock, in every zone and on the nights when it changes."""

import random
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from push.pacing import Digest, Means, Preferences, Quiet, day_of, is_quiet, turn_of

TORONTO = ZoneInfo("America/Toronto")
NIGHT = Quiet(time(22), time(7))
MINUTE = timedelta(minutes=1)


def at(text: str, zone: ZoneInfo = TORONTO, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


def turn(wishes: Preferences, now: datetime, *, told_today: int = 0, safety: bool = False):
    return turn_of(wishes, told_today=told_today, safety=safety, now=now)


@pytest.mark.parametrize(
    ("now", "told_at"),
    [
        ("2026-11-23 12:00", "2026-11-23 12:00"),
        ("2026-11-23 21:59", "2026-11-23 21:59"),
        ("2026-11-23 22:00", "2026-11-24 07:00"),
        ("2026-11-24 06:59", "2026-11-24 07:00"),
        ("2026-11-24 07:00", "2026-11-24 07:00"),
        # Clocks go forward at 02:00, and back at 02:00.
        ("2026-03-07 23:00", "2026-03-08 07:00"),
        ("2026-10-31 23:00", "2026-11-01 07:00"),
    ],
)
def test_what_happens_in_quiet_hours_is_told_when_they_end(now, told_at):
    told = turn(Preferences(zone=TORONTO, quiet=NIGHT), at(now))

    assert (told.at, told.held) == (at(told_at), now != told_at)


@pytest.mark.parametrize(
    ("quiet", "now", "told_at"),
    [
        # 02:30 is left out: the clock goes from 01:59 to 03:00, and half an hour later it is surely over.
        (Quiet(time(22), time(2, 30)), at("2026-03-08 01:00"), at("2026-03-08 03:30")),
        # 01:30 comes twice, and it is quiet again between the first and the second.
        (Quiet(time(22), time(1, 30)), at("2026-11-01 00:30"), at("2026-11-01 01:30", fold=1)),
        (Quiet(time(1), time(2)), at("2026-11-01 01:10"), at("2026-11-01 02:00")),
    ],
)
def test_quiet_hours_that_end_in_the_hour_of_the_change_end_at_its_later_reading(quiet, now, told_at):
    assert turn(Preferences(zone=TORONTO, quiet=quiet), now).at == told_at


def _changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """The hours of a year before which a zone changes its clock."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(0, 366 * 24, 6)]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    return [hour for hour, before, after in zip(hours[1:], offsets, offsets[1:], strict=False) if before != after]


def test_in_a_thousand_clocks_and_zones_nobody_is_rung_up_in_quiet_hours():
    dice = random.Random(6)
    zones = sorted(name for name in available_timezones() if "/" in name)
    nights = 0
    for _ in range(1000):
        zone = ZoneInfo(dice.choice(zones))
        quiet = Quiet(*(time(dice.randrange(24), dice.choice([0, 15, 30, 59])) for _ in range(2)))
        if quiet.begins == quiet.ends:
            continue
        year = dice.randrange(2000, 2037)
        changes = _changes(zone, year) if dice.random() < 0.5 else []
        nights += bool(changes)
        near = dice.choice(changes) if changes else datetime(year, 1, 1, tzinfo=UTC) + timedelta(dice.randrange(365))
        now = near + timedelta(seconds=dice.randrange(-86400, 86400))
        digest = dice.choice([None, None, Digest(time(dice.randrange(24))), Digest(time(3), dice.randrange(7))])
        wishes = Preferences(zone=zone, quiet=quiet, digest=digest, most_a_day=dice.choice([None, 3]))

        told = turn(wishes, now, told_today=dice.choice([0, 3]))

        assert not is_quiet(quiet, zone, told.at), (zone, quiet, now)
        assert now <= told.at <= now + timedelta(days=10)
        assert told.held or told.at == now
        assert told.quiet is not None
        begins, ends = told.quiet
        assert told.at < begins < ends
        assert not is_quiet(quiet, zone, ends)
        # Between its turn and the next quiet hours there is no quiet minute, else what is tried again would ring in it.
        step = max(MINUTE, (begins - told.at) / 50)
        minute = told.at
        while minute < begins:
            assert not is_quiet(quiet, zone, minute), (zone, quiet, now, minute)
            minute += step
    assert nights > 150


def test_who_wants_no_quiet_or_says_no_zone_is_told_at_once():
    now = at("2026-11-23 03:00")

    assert turn(Preferences(), now).at == now
    assert not turn(Preferences(zone=TORONTO), now).held


def test_what_concerns_safety_rings_also_in_the_night_unless_that_is_unwanted():
    now = at("2026-11-23 03:00")
    wishes = Preferences(zone=TORONTO, quiet=NIGHT, digest=Digest(time(8)), most_a_day=1)

    assert turn(wishes, now, told_today=9, safety=True).at == now
    unwanted = Preferences(zone=TORONTO, quiet=NIGHT, safety_rings=False)
    assert turn(unwanted, now, safety=True).at == at("2026-11-23 07:00")


@pytest.mark.parametrize(
    ("digest", "told_at"),
    [
        (Digest(time(18)), "2026-11-23 18:00"),
        (Digest(time(12)), "2026-11-24 12:00"),  # it is noon now
        (Digest(time(6)), "2026-11-24 07:00"),  # in quiet hours
        (Digest(time(8), weekday=0), "2026-11-30 08:00"),
        (Digest(time(8), weekday=3), "2026-11-26 08:00"),
    ],
)
def test_a_digest_comes_at_its_time_and_never_in_quiet_hours(digest, told_at):
    told = turn(Preferences(zone=TORONTO, quiet=NIGHT, digest=digest), at("2026-11-23 12:00"))

    assert (told.at, told.held) == (at(told_at), True)


@pytest.mark.parametrize(("told_today", "told_at"), [(2, "2026-11-23 12:00"), (3, "2026-11-24 08:00")])
def test_what_is_too_much_for_a_day_comes_on_the_next(told_today, told_at):
    told = turn(Preferences(zone=TORONTO, most_a_day=3), at("2026-11-23 12:00"), told_today=told_today)

    assert told.at == at(told_at)


@pytest.mark.parametrize(("day", "hours"), [("2026-11-23", 24), ("2026-03-08", 23), ("2026-11-01", 25)])
def test_a_day_is_as_long_as_the_clock_makes_it(day, hours):
    begins, ends = day_of(TORONTO, at(f"{day} 12:00"))

    assert ends - begins == timedelta(hours=hours)


@pytest.mark.parametrize(
    "wishes",
    [
        Preferences(),
        Preferences(
            kinds=("resolved",), means=(Means.EMAIL,), fallback_after=timedelta(hours=1), zone=TORONTO, quiet=NIGHT,
            most_a_day=2, digest=Digest(time(8, 30), 4), safety_rings=False,
        ),
    ],
)  # fmt: skip
def test_wishes_are_read_as_they_were_written(wishes):
    assert Preferences.of_json(wishes.to_json()) == wishes


def test_a_zone_that_the_machine_does_not_know_any_more_has_its_person_told_at_once():
    stored = Preferences(zone=TORONTO, quiet=NIGHT).to_json() | {"zone": "Europe/Gone"}

    wishes = Preferences.of_json(stored)

    assert turn_of(wishes, told_today=0, safety=False, now=at("2026-01-15T23:00-05:00")).at == at(
        "2026-01-15T23:00-05:00"
    )
