"""Outboxes that are drawn: what is in them, and that a seed always draws the same."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from bench.outbox import Item, Kind, World, draw_outbox
from geo.points import LonLat, distance_m

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SPOT = LonLat(-73.58, 45.53)
WORLD = World([SPOT], [b"\xff\xd8\xff\xd9"])


def an_outbox(seed: int, items: int = 300) -> list[Item]:
    return draw_outbox(random.Random(seed), WORLD, items=items, now=NOW)


def made_at(item: Item) -> datetime:
    """When the phone made an id, by its own clock (the first 48 bits of a UUIDv7)."""
    return datetime.fromtimestamp((item.id.int >> 80) / 1000, UTC)


def test_holds_every_kind_of_item_once_each():
    outbox = an_outbox(1)

    kinds = Counter(item.kind for item in outbox)
    assert set(kinds) == set(Kind)
    assert len({item.id for item in outbox}) == len(outbox) == 300
    assert {item.in_pieces for item in outbox if item.kind is Kind.PHOTO} == {True, False}
    assert any(item.moves for item in outbox)
    assert any(item.withdraws for item in outbox)


def test_the_same_seed_draws_the_same_and_another_does_not():
    assert an_outbox(1) == an_outbox(1)
    assert an_outbox(1) != an_outbox(2)


def test_order_is_no_order_of_time():
    outbox = an_outbox(1)
    place = {item.id: number for number, item in enumerate(outbox)}
    early = [
        place[item.id] < place[item.report_id] for item in outbox if item.kind is Kind.PHOTO and item.report_id in place
    ]

    assert set(early) == {True, False}


@pytest.mark.parametrize("seed", range(20))
def test_ids_are_of_version_7_by_a_clock_that_is_wrong_by_days(seed):
    [item] = an_outbox(seed, items=1)

    assert (item.id.version, item.id.variant) == (7, "specified in RFC 4122")
    assert NOW - timedelta(days=401) <= made_at(item) <= NOW + timedelta(days=2)


def test_clocks_are_wrong_in_both_directions():
    ages = [NOW - made_at(an_outbox(seed, items=1)[0]) for seed in range(60)]

    assert min(ages) < timedelta(0)
    assert max(ages) > timedelta(days=300)


def test_reports_name_their_photos_and_lie_near_a_spot():
    outbox = an_outbox(1)
    reports = {item.id: item for item in outbox if item.kind is Kind.REPORT}
    for item in outbox:
        if item.kind is Kind.PHOTO and item.report_id in reports:
            assert str(item.id) in reports[item.report_id].body["photo_ids"]
    assert all(distance_m(LonLat(item.body["long"], item.body["lat"]), SPOT) < 10 for item in reports.values())


def test_no_two_pictures_are_alike():
    contents = [item.picture.content for item in an_outbox(1) if item.picture is not None]

    assert len(set(contents)) == len(contents) > 50
