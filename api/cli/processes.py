"""`jalon serve` and `jalon work`: the two processes that run for ever."""

import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.cli.reach import Reached


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [JALON_HOST].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [JALON_PORT].")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that share the port [JALON_WORKERS].")] = None,
) -> None:
    """Serve the API until SIGTERM or Ctrl-C; requests in flight are finished."""
    import uvicorn

    from api.cli.reach import environment_for_processes, reached_database
    from api.logs import configure_logs
    from api.processes import run_server
    from api.settings import Settings
    from api.wire import ProblemHttpProtocol

    settings = Settings()
    configure_logs(settings.log_level)
    count = workers or settings.workers
    with _until_told_to_stop(), reached_database(settings) as reached:
        _make_ready(reached, settings.photos_url)
        with environment_for_processes(reached, several=count > 1):
            config = uvicorn.Config(
                "api.cli.processes:application",
                factory=True,
                host=host or settings.host,
                port=settings.port if port is None else port,
                workers=count,
                loop="uvloop",
                http=ProblemHttpProtocol,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=True,
                forwarded_allow_ips=settings.trusted_proxies,
                timeout_graceful_shutdown=int(settings.grace_s),
                # It answers only once it has imported everything; at the usual 5 s, uvicorn would kill and start
                # processes for ever on a machine that is busy.
                timeout_worker_healthcheck=60,
            )
            run_server(config)


def work() -> None:
    """Do the jobs (photos, pushes) until SIGTERM or Ctrl-C; jobs in hand are finished."""
    import uvloop

    from api.cli.reach import reached_database
    from api.logs import configure_logs
    from api.settings import Settings
    from api.worker import run_worker_process
    from media.niceness import weigh_session

    if os.getsid(0) == os.getpid():  # as a service is
        weigh_session(os.nice(0))
    settings = Settings()
    configure_logs(settings.log_level)
    with _until_told_to_stop(), reached_database(settings) as reached:
        _make_ready(reached, settings.photos_url)
        uvloop.run(run_worker_process(settings, database_url=reached.app_url))


def application() -> "FastAPI":
    """Make the application in a process that uvicorn started."""
    import multiprocessing

    from api.app import create_app
    from api.logs import configure_logs
    from api.settings import Settings

    settings = Settings()
    configure_logs(settings.log_level)
    if multiprocessing.parent_process() is not None:
        _end_with_parent()
    app = create_app(settings)
    _settle_in(app, settings.notice_s)
    return app


def _make_ready(reached: "Reached", storage_url: str) -> None:
    """Refuse here, in one line, what every process would stumble over."""
    import asyncio

    import structlog

    from api.cli.reach import bring_up_to_date, check_fit_to_serve
    from media.store import open_store

    if reached.cluster is not None:
        log = structlog.get_logger(__name__)
        bring_up_to_date(reached.owner_url, before=lambda: log.info("migrating"))
    asyncio.run(check_fit_to_serve(reached))
    open_store(storage_url)


@contextmanager
def _until_told_to_stop() -> Iterator[None]:
    """SIGTERM and Ctrl-C end the block, in their own time, and with it the command; that is no failure.

    What the block holds is let go of: the private cluster above all.
    """
    from api.stopping import take_sigterm_as_interrupt

    take_sigterm_as_interrupt()
    # uvicorn, once it has stopped, sends itself again the signal that stopped it.
    with suppress(KeyboardInterrupt):
        yield


def _settle_in(app: "FastAPI", notice_s: float) -> None:
    """Have the application leave what it loaded out of garbage collection, and say when it stops being ready.

    It says so before uvicorn stops listening.
    """
    from api.garbage import leave_out_what_is_loaded
    from api.stopping import announced

    running = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with running(app) as state:
            leave_out_what_is_loaded()
            with announced(app.state.serving.readiness.leave, notice_s=notice_s):
                yield state

    app.router.lifespan_context = lifespan


def _end_with_parent() -> None:
    """End this process when the one that started it is gone (killed): it would keep the port from the next."""
    import multiprocessing
    from multiprocessing.connection import wait

    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101 - looked at by the caller

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
