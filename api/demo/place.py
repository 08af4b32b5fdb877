"""Where the demo plays."""

from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

_CITIES: Final = Path(__file__).resolve().parents[2] / "cities"

PACKS: Final = (_CITIES / "montreal", _CITIES / "laval")
SAMPLES: Final = _CITIES / "montreal" / "samples"
HOME: Final = "montreal.ca"
BESIDE: Final = "laval.ca"
"""A second city, with reports and without a story."""
TIMEZONE: Final = ZoneInfo("America/Toronto")
CREW: Final = "voirie-1"
