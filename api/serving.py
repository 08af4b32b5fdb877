"""What a serving process holds, made once in `api.app` and handed to every request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

from api.cities import CitiesInForce
from api.gates import Gate, PhotoBacklog
from api.live import Live
from api.metrics import Metrics
from api.pack_tiles import PackTiles
from api.readiness import Readiness
from api.settings import Settings
from db.sessions import Database
from issues.languages import Languages
from issues.taps import Taps
from media.store import PhotoStore

if TYPE_CHECKING:  # loaded where an operator names one
    from api.other_geocoders import OtherGeocoder


@dataclass(frozen=True, slots=True)
class Serving:
    """The settings, connections and public data that requests are served with."""

    settings: Settings
    database: Database
    store: PhotoStore
    languages: Languages
    cities: CitiesInForce
    metrics: Metrics
    readiness: Readiness
    requests: Gate
    uploads: Gate
    photo_backlog: PhotoBacklog
    pack_tiles: PackTiles
    rate_key: bytes  # of the hashes under which is counted what everybody sends
    taps: Taps
    live: Live
    geocoder: OtherGeocoder | None  # asked where a city's own data know no place
    push_key: str | None  # what browsers subscribe for; None where the operator has not set up Web Push


def serving_of(request: HTTPConnection) -> Serving:
    """Get what the process that got this request holds."""
    serving = request.scope["app"].state.serving
    assert isinstance(serving, Serving)  # noqa: S101 - set by the lifespan before the first request
    return serving
