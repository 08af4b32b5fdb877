"""Whom a city's limits hold for, and what counts towards them.

Staff and programs with a key are the city's own, and may send as much as they like.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final
from uuid import UUID

from db.rates import Allowance, allow
from issues.limits import Limited, Limits

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
# What a provider gives to one customer; within it a phone changes its address as it likes.
_CUSTOMER_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, as far as it is counted.

    Attributes:
        device_id: The device; None for those without.
        address: Where the request came from; None where that cannot be told.
        key: Of the hashes that counts are kept under.
    """

    device_id: UUID | None
    address: str | None
    key: bytes


def report_allowances(limits: Limits, sender: Sender, *, city_id: int, now: datetime) -> list[Allowance]:
    """Tell what counts for a report: it is its device's, and its address's."""
    allowances = []
    if sender.device_id is not None:
        allowances.append(
            allow(
                Limited.DEVICE_REPORTS,
                f"{city_id} {sender.device_id}",
                most=limits.device_reports_per_hour,
                window=_HOUR,
                key=sender.key,
                now=now,
            )
        )
    network = None if sender.address is None else network_of(sender.address)
    if network is not None:
        # Behind one address there may be a whole neighbourhood.
        allowances.append(
            allow(
                Limited.ADDRESS_REPORTS,
                f"{city_id} {network}",
                most=limits.address_reports_per_hour,
                window=_HOUR,
                key=sender.key,
                now=now,
                shared=True,
            )
        )
    return allowances


def photo_allowances(cities: Iterable[Limits], sender: Sender, *, now: datetime) -> list[Allowance]:
    """Tell what counts for a photo: it is its device's.

    Args:
        cities: The limits of all cities. Nobody knows yet which one a photo will belong to, so that the widest holds.
        sender: Who sends it. Those of a report without a device come with it, and are few.
        now: The time.
    """
    if sender.device_id is None:
        return []
    most = max((limits.device_photos_per_day for limits in cities), default=Limits().device_photos_per_day)
    return [allow(Limited.DEVICE_PHOTOS, str(sender.device_id), most=most, window=_DAY, key=sender.key, now=now)]


def network_of(address: str) -> str | None:
    """Tell whose address it is: in IPv6 that of a customer's network (/64), in IPv4 its own.

    An IPv4 address in the clothes of an IPv6 one is what it is.

    Returns:
        None for what is no address.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return None
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((int(found), _CUSTOMER_BITS), strict=False))
