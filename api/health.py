"""What operators and their machines ask: alive, ready, the numbers."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final

import structlog
from fastapi import APIRouter
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.metrics import CONTENT_TYPE
from api.serving import Serving, serving_of
from db.jobs import JobStats, job_stats
from db.migrate import newest_revision
from db.sessions import DatabaseUnavailable
from media.store import StorageUnavailable

_log = structlog.get_logger(__name__)

router = APIRouter(tags=["operations"])

_PATIENCE_S: Final = 3.0


class _NotReadyYet(Exception):
    """The database is there, but not at the migration this program needs."""


@router.get("/healthz", response_class=JSONResponse)
async def tell_alive() -> Response:
    """Tell that the process answers; asks nobody else."""
    return JSONResponse({"alive": True})


@router.get(
    "/readyz",
    response_class=JSONResponse,
    responses={503: {"description": "Not ready; says what is missing."}},
)
async def tell_ready(request: Request) -> Response:
    """Tell whether the process can do its work: database, migrations, storage."""
    serving = serving_of(request)
    names = ("database", "migrations", "storage")
    checks = (_database(serving), _migrations(serving), serving.store.check())
    found = dict(zip(names, await asyncio.gather(*map(_works, names, checks)), strict=True))
    ready = all(found.values())
    return JSONResponse({"ready": ready, "checks": found}, status_code=200 if ready else 503)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def tell_numbers(request: Request) -> Response:
    """Tell the numbers, in Prometheus' text format."""
    serving = serving_of(request)
    jobs: JobStats | None = None
    with suppress(DatabaseUnavailable):
        async with serving.database.transaction() as session:
            jobs = await job_stats(session)
    return Response(serving.metrics.render(jobs), media_type=CONTENT_TYPE)


async def _works(name: str, check: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await check
    except (DatabaseUnavailable, StorageUnavailable, _NotReadyYet, TimeoutError) as error:
        _log.warning("not_ready", check=name, error=repr(error))
        return False
    return True


async def _database(serving: Serving) -> None:
    async with serving.database.transaction() as session:
        await session.execute(text("SELECT 1"))


async def _migrations(serving: Serving) -> None:
    async with serving.database.transaction() as session:
        stands_at = await session.scalar(text("SELECT version_num FROM alembic_version"))
    if stands_at != newest_revision():
        raise _NotReadyYet
