"""What operators and their machines ask: alive, ready, the numbers."""

from contextlib import suppress

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from api.metrics import CONTENT_TYPE
from api.serving import serving_of
from db.clock import database_time
from db.jobs import JobStats, job_stats
from db.sessions import DatabaseUnavailable
from db.tenancy import enter_city
from push.backlog import Backlog, push_backlog
from push.outcomes import Outcomes, read_outcomes

router = APIRouter(tags=["operations"])


@router.get("/", include_in_schema=False)
async def show_the_way() -> Response:
    """Lead people who open the bare address to where the calls are described and can be tried out."""
    return RedirectResponse("docs")


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
    """Tell whether the process can do its work: database, migrations, storage; looked at some seconds ago at most."""
    found = await serving_of(request).readiness.find()
    ready = all(found.values())
    return JSONResponse({"ready": ready, "checks": found}, status_code=200 if ready else 503)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def tell_numbers(request: Request) -> Response:
    """Tell the numbers, in Prometheus' text format."""
    serving = serving_of(request)
    jobs: JobStats | None = None
    pushes: dict[str, Backlog] = {}
    outcomes: dict[str, Outcomes] = {}
    with suppress(DatabaseUnavailable):
        async with serving.database.transaction() as session:
            jobs = await job_stats(session)
            now = await database_time(session)
            for city_id, book in serving.cities.current.books.items():
                await enter_city(session, city_id)
                pushes[book.jurisdiction_id] = await push_backlog(session, city_id, now=now)
                outcomes[book.jurisdiction_id] = await read_outcomes(session, city_id)
    return Response(serving.metrics.render(jobs, pushes, outcomes), media_type=CONTENT_TYPE)
