"""The serving application: the only place where its parts are put together."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import Depends, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware

from api import health
from api.cities import CitiesInForce
from api.gates import Gate, PhotoBacklog
from api.live import Live
from api.metrics import Metrics
from api.middleware import RequestFrame
from api.openapi import describe
from api.openapi import problems as problem_responses
from api.pack_tiles import PackTiles
from api.problems.handlers import install_handlers
from api.queries import refuse_unknown_parameters
from api.readiness import Readiness
from api.routers import (
    alerts,
    basemap,
    corrections,
    devices,
    hotspots,
    issues,
    live,
    matches,
    me,
    minimap,
    ogc,
    pauses,
    photos,
    places,
    problems,
    push,
    regrouping,
    reports,
    subscriptions,
    sync,
    taps,
    tiles,
    uploads,
    webhooks,
    work_orders,
)
from api.scope import STALL_S
from api.serving import Serving
from api.settings import Settings
from api.tus import TusFrame
from db.rates import PURPOSE as RATES
from db.sessions import Database
from db.signing import signing_key
from db.tenancy import refuse_privileged_role
from issues import languages
from issues.city import load_cities
from issues.taps import PURPOSE as TAPS
from issues.taps import Taps
from media.store import open_store
from push.vapid import PURPOSE as VAPID
from push.vapid import VapidKey

if TYPE_CHECKING:
    from api.other_geocoders import OtherGeocoder

# What a page of another site may read beside the body and its type.
_SHOWN_TO_PAGES: Final = (
    *("Accept-Ranges", "Content-Language", "Content-Range", "ETag", "Link", "Location", "Retry-After", "X-Request-Id"),
    *("Tus-Extension", "Tus-Max-Size", "Tus-Resumable", "Tus-Version", "Upload-Expires", "Upload-Length"),
    "Upload-Offset",
)
_DESCRIPTION: Final = """
Residents' reports of problems in their city, from the phone to the crew and back.

Ids are made by callers (UUIDv7): the same call again has the same result. Positions are WGS 84, times RFC 3339,
lengths metres. Refusals are problem documents (RFC 9457) in the caller's language.
"""
# The first match answers, so what is called most comes first.
_PARTS: Final = (
    reports,
    sync,
    corrections,
    photos,
    uploads,
    issues,
    regrouping,
    matches,
    hotspots,
    work_orders,
    pauses,
    places,
    tiles,
    basemap,
    minimap,
    ogc,
    devices,
    push,
    subscriptions,
    alerts,
    me,
    webhooks,
    taps,
    live,
    health,
    problems,
)
_PACK_TILES_BYTES: Final = 32 << 20


def create_app(settings: Settings | None = None) -> FastAPI:
    """Put the application together; nothing connects before its lifespan begins.

    Args:
        settings: What the operator set; None reads the environment.
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with _open_serving(settings) as app.state.serving:
            yield {STALL_S: settings.request_stall_s}

    # As FastAPI itself, but its page for trying out the API needs nothing from elsewhere.
    app = FastAPIOffline(
        title="Jalon",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        dependencies=[Depends(refuse_unknown_parameters)],
        responses=problem_responses(401, 403, 404, 408, 422, 500, 503),
        redirect_slashes=False,
        redoc_url=None,
    )
    app.add_middleware(TusFrame, path=uploads.router.prefix)
    app.add_middleware(RequestFrame)
    # Who may do what hangs on a token or secret in the request, never on where a page came from.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=_SHOWN_TO_PAGES,
        max_age=86_400,
    )
    install_handlers(app)
    for part in _PARTS:
        app.include_router(part.router)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign] # the way FastAPI documents
    return app


@asynccontextmanager
async def _open_serving(settings: Settings) -> AsyncIterator[Serving]:
    """Open what requests are served with.

    Raises:
        PrivilegedRole: the database would not hold this process to one city at a time.
        DatabaseUnavailable: it is not there.
    """
    spoken = languages.load_languages([languages.LOCALES, Path(__file__).parent / "locales"])
    async with Database(database_url(settings), pool_size=settings.database_connections) as database:
        async with database.transaction() as session:
            await refuse_privileged_role(session)
            cities = CitiesInForce(await load_cities(session), spoken)
            rate_key = await signing_key(session, RATES)
            taps_key = Taps(await signing_key(session, TAPS))
            push_key = VapidKey(await signing_key(session, VAPID)).public_key
        store = open_store(settings.photos_url)
        live = Live(database)
        geocoder = _open_geocoder(settings)
        serving = Serving(
            settings=settings,
            database=database,
            store=store,
            languages=spoken,
            cities=cities,
            metrics=Metrics(),
            readiness=Readiness(database, store, time.monotonic),
            requests=Gate(settings.requests_at_once),
            uploads=Gate(settings.uploads_at_once),
            photo_backlog=PhotoBacklog(most=settings.photos_waiting, clock=time.monotonic),
            pack_tiles=PackTiles(most_bytes=_PACK_TILES_BYTES),
            rate_key=rate_key,
            taps=taps_key,
            live=live,
            geocoder=geocoder,
            push_key=None if settings.webpush_contact is None else push_key,
        )
        chores = [asyncio.create_task(cities.keep_fresh(database)), asyncio.create_task(live.keep_telling())]
        try:
            yield serving
        finally:
            for chore in chores:
                chore.cancel()
                with suppress(asyncio.CancelledError):
                    await chore
            await live.close()
            if geocoder is not None:
                geocoder.close()


def _open_geocoder(settings: Settings) -> "OtherGeocoder | None":
    """Prepare to ask the geocoder that the operator names, if there is one."""
    if settings.geocoder_url is None:
        return None
    from api.other_geocoders import OtherGeocoder  # noqa: PLC0415 - its library takes half a second to load

    return OtherGeocoder(settings.geocoder_url.get_secret_value())


def database_url(settings: Settings) -> str:
    """Get the database to serve from.

    Raises:
        ValueError: none is named. The commands name the private cluster's before they start a server.
    """
    if settings.database_url is None:
        raise ValueError("JALON_DATABASE_URL is not set")
    return settings.database_url.get_secret_value()
