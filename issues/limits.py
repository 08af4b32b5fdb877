"""How much each device and each address may send, as a city says; counted by `issues.allowances`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class Limited(StrEnum):
    """What is counted."""

    DEVICE_REPORTS = "device_reports"
    DEVICE_PHOTOS = "device_photos"
    ADDRESS_REPORTS = "address_reports"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a city takes of one sender."""

    device_reports_per_hour: int = 30
    device_photos_per_day: int = 300
    address_reports_per_hour: int = 600

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read what a pack says; the rest is as above."""
        return cls(**settings)
