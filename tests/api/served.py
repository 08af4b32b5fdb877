"""The application as callers meet it, for the tests of the API: a plugin of fixtures and the people who call."""

import asyncio
import json
import os
import threading
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
import structlog
import uvicorn
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from PIL import ExifTags, Image
from sqlalchemy import text

from api.app import create_app
from api.serving import Serving
from api.settings import Settings
from db.base import new_id
from db.cluster import Cluster
from db.sessions import Database
from issues.actors import Role
from issues.city import Cities
from issues.staff import add_staff
from media.decoders import Decoders
from media.process import process_photo
from tests.media.pictures import encoded, scene

# In Le Plateau-Mont-Royal, deep inside Montréal; and in the middle of Laval.
PLATEAU = {"lat": 45.5231, "long": -73.5817}
LAVAL = {"lat": 45.5700, "long": -73.7200}
WESTMOUNT = {"lat": 45.4850, "long": -73.5960}
NOWHERE = {"lat": 46.5, "long": -72.0}
# Of a service whose reports are never joined unasked, six metres apart.
IN_DOUBT = {**PLATEAU, "service_code": "voirie-autre"}
BESIDE = {**IN_DOUBT, "lat": PLATEAU["lat"] + 0.000054}

# What is loaded once; everything else a test begins without.
_KEPT = [
    *(
        "city",
        "neighbour",
        "layer",
        "district",
        "street",
        "address",
        "street_name",
        "owned_thing",
        "service",
        "department",
        "crew",
        "route",
    ),
    *("alembic_version", "spatial_ref_sys", "signing_key"),
]

PICTURE = encoded(scene(320, 240))


@dataclass(frozen=True)
class Api:
    """A caller of the API, with a secret or without."""

    client: AsyncClient
    secret: str | None = None

    def as_(self, secret: str | None) -> "Api":
        return Api(self.client, secret)

    async def call(self, method: str, path: str, **kwargs: Any) -> Response:
        headers = kwargs.pop("headers", {})
        if self.secret is not None:
            headers = {"Authorization": f"Bearer {self.secret}", **headers}
        return await self.client.request(method, path, headers=headers, **kwargs)

    async def get(self, path: str, **kwargs: Any) -> Response:
        return await self.call("GET", path, **kwargs)

    async def put(self, path: str, **kwargs: Any) -> Response:
        return await self.call("PUT", path, **kwargs)

    async def post(self, path: str, **kwargs: Any) -> Response:
        return await self.call("POST", path, **kwargs)

    async def patch(self, path: str, **kwargs: Any) -> Response:
        return await self.call("PATCH", path, **kwargs)

    async def delete(self, path: str, **kwargs: Any) -> Response:
        return await self.call("DELETE", path, **kwargs)


@dataclass(frozen=True)
class Device:
    """A resident's phone that has registered."""

    id: UUID
    api: Api

    @property
    def secret(self) -> str:
        assert self.api.secret is not None
        return self.api.secret


def a_secret() -> str:
    return urlsafe_b64encode(new_id().bytes + new_id().bytes).rstrip(b"=").decode()


def located_picture(lat: float = PLATEAU["lat"], long: float = PLATEAU["long"]) -> bytes:
    """A small JPEG whose EXIF says where it was taken."""
    exif = Image.Exif()
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "N", (abs(lat), 0.0, 0.0)
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "W", (abs(long), 0.0, 0.0)
    return encoded(scene(), exif=exif)


async def make_safe(app: FastAPI, photo_id: str) -> None:
    """Do the worker's part for one photo."""
    serving: Serving = app.state.serving
    decoders = Decoders(at_once=1)
    try:
        await process_photo(serving.database, serving.store, decoders, UUID(photo_id), now=datetime.now(UTC))
    finally:
        decoders.close()


def a_report(**changes: Any) -> dict[str, Any]:
    """A report of a pothole in the Plateau; `None` takes a field out."""
    report = {
        "id": str(new_id()),
        "service_code": "nid-de-poule",
        **PLATEAU,
        "accuracy_m": 8.0,
        "location_source": "gps",
        "description": "Gros trou devant l'arrêt d'autobus",
        "captured_at": "2026-11-22T08:15:30-05:00",
        **changes,
    }
    return {name: value for name, value in report.items() if value is not None}


@pytest.fixture(scope="session")
def served_database(cluster: Cluster, cities_template: str) -> Iterator[str]:
    """One database with the packs for all tests of the API: cloning one for each would take longer than they do."""
    name = f"served_{os.getpid()}_{uuid4().hex[:8]}"  # each folder of tests that imports this makes its own
    cluster.create_database(name, template=cities_template)
    yield name
    cluster.drop_database(name)


@pytest.fixture
def database_name(cluster: Cluster, served_database: str) -> str:
    """The shared database, emptied of all but the packs."""
    with cluster.connect(served_database) as connection:
        tables = connection.execute(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' AND NOT tablename = ANY(%s)",
            (_KEPT,),
        )
        # Quicker than TRUNCATE, which makes all the files of every table anew; in any order, since nothing stays.
        connection.execute("SET session_replication_role = replica")
        connection.execute(";".join(f"DELETE FROM {name}" for (name,) in tables).encode())
    return served_database


@pytest.fixture
def cities(app: FastAPI) -> Cities:
    """Montréal and Laval, as the application knows them."""
    serving: Serving = app.state.serving
    return serving.cities.current


@pytest.fixture
def settings(app_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in {"DATABASE_URL": app_url, "DATA_DIR": str(tmp_path), "DATABASE_CONNECTIONS": "4"}.items():
        monkeypatch.setenv(f"JALON_{name}", value)
    return Settings()


@pytest.fixture
def plain_logs() -> Iterator[None]:
    """Logs as a server writes them; structlog's own way of showing a traceback takes ten seconds."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    )
    yield
    structlog.reset_defaults()


@pytest_asyncio.fixture
async def app(settings: Settings, plain_logs: None) -> AsyncIterator[FastAPI]:
    """The application with Montréal and Laval, as a server would run it."""
    app = _any_application()
    async with create_app(settings).router.lifespan_context(app):
        yield app
    app.dependency_overrides.clear()


@cache
def _any_application() -> FastAPI:
    """Get one application for all tests: it looks long at each call that it has, and keeps nothing of a test's own."""
    return create_app()


@pytest_asyncio.fixture
async def api(app: FastAPI) -> AsyncIterator[Api]:
    """A caller without a secret."""
    async with AsyncClient(transport=ASGITransport(app), base_url="http://jalon.test") as client:
        yield Api(client)


@pytest.fixture
def register(api: Api) -> Callable[..., Any]:
    async def register(locale: str = "fr-CA", fid: str | None = None) -> Device:
        secret, device_id = a_secret(), new_id()
        push = None if fid is None else {"kind": "fcm", "fid": fid}
        device = {"platform": "android", "push": push, "locale": locale}
        answer = await api.as_(secret).put(f"/v1/devices/{device_id}", json=device)
        assert answer.status_code == 201, answer.text
        return Device(device_id, api.as_(secret))

    return register


@pytest.fixture
def hire(api: Api, database: Database, cities: Cities) -> Callable[..., Any]:
    async def hire(role: Role = Role.AGENT, jurisdiction_id: str = "montreal.ca", crew: str | None = None) -> Api:
        city = cities.by_jurisdiction(jurisdiction_id)
        assert city is not None
        async with database.transaction(city.id) as session:
            hired = await add_staff(session, city.id, name="Camille", role=role, crew_code=crew, now=datetime.now(UTC))
        return api.as_(hired.secret)

    return hire


@pytest.fixture
def stored(owner: Database) -> Callable[[], Any]:
    """Count what is stored behind the policies: reports, issues, photos and the like."""

    async def stored() -> dict[str, int]:
        tables = ("report_home", "report", "issue", "event", "photo", "photo_claim", "work_order", "device", "follow")
        async with owner.transaction() as session:
            return {table: (await session.scalars(text(f"SELECT count(*) FROM {table}"))).one() for table in tables}

    return stored


class _Server(uvicorn.Server):
    """A server that says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@asynccontextmanager
async def serving(config: uvicorn.Config) -> AsyncIterator[tuple[str, int]]:
    """Serve on a real socket while the block runs; gives host and port."""
    server = _Server(config)
    running = asyncio.create_task(server.serve())
    await server.is_up.wait()
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    await running


def problem_of(answer: Response, status: int, slug: str) -> dict[str, Any]:
    """Make sure that an answer is this problem, whole and without a trace of the code; answers the document."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = json.loads(answer.text)
    assert document["type"] == f"/problems/{slug}", document
    assert document["status"] == status
    assert {"title", "detail", "errors", "request_id"} <= document.keys()
    assert "Traceback" not in answer.text
    return document


def fields_of(document: dict[str, Any]) -> set[str]:
    return {error["field"] for error in document["errors"]}


@contextmanager
def on_a_port(app: FastAPI) -> Iterator[str]:
    """A server in a thread of its own; answers with its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, port=0))
    up = threading.Event()

    async def serve() -> None:
        config = server.config
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup()
        up.set()
        await server.main_loop()
        await server.shutdown()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert up.wait(30)
    host, port = server.servers[0].sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()
