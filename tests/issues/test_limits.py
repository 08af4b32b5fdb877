"""Whose address it is, and what counts for whom."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from issues.allowances import Sender, network_of, photo_allowances, report_allowances
from issues.limits import Limits

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PHONE = UUID(int=7)
KEY = b"k" * 32


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", None),
        ("", None),
        ("203.0.113.7:443", None),
    ],
)
def test_the_network_of_an_address(address, network):
    assert network_of(address) == network


def subjects(sender: Sender, city_id: int = 1) -> set[UUID]:
    return {allowance.subject for allowance in report_allowances(Limits(), sender, city_id=city_id, now=NOON)}


def test_a_phone_that_changes_its_address_within_its_network_is_the_same_address():
    one, other = (Sender(None, f"2001:db8::{last}", KEY) for last in (1, 2))

    assert subjects(one) == subjects(other)


def test_a_report_counts_for_its_device_and_its_address_in_its_city_only():
    both = subjects(Sender(PHONE, "203.0.113.7", KEY))

    assert both == subjects(Sender(PHONE, None, KEY)) | subjects(Sender(None, "203.0.113.7", KEY))
    assert len(both) == 2
    assert both.isdisjoint(subjects(Sender(PHONE, "203.0.113.7", KEY), city_id=2))


def test_without_a_device_and_an_address_nothing_counts():
    assert report_allowances(Limits(), Sender(None, None, KEY), city_id=1, now=NOON) == []
    assert photo_allowances([Limits()], Sender(None, "203.0.113.7", KEY), now=NOON) == []


def test_a_photo_whose_city_nobody_knows_has_the_widest_limit():
    cities = [Limits(device_photos_per_day=10), Limits(device_photos_per_day=500), Limits()]

    (allowance,) = photo_allowances(cities, Sender(PHONE, None, KEY), now=NOON)

    assert allowance.most == 500
