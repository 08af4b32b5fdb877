"""`jalon doctor`: is everything there that Jalon needs?"""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from api.cli.output import AsJson, show_json, show_table

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from api.cli.reach import Reached
    from api.settings import Settings

_OLDEST_POSTGRESQL = 15
_OLDEST_POSTGIS = (3, 3)
_LITTLE_SPACE_BYTES = 1_000_000_000
_CLOCKS_APART_S = 2.0
_LONG_WAIT_S = 60.0


class State(StrEnum):
    """How a check came out."""

    FINE = "ok"
    LOOK = "look"  # Jalon runs, but somebody should look
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    state: State
    what: str
    detail: str


def doctor(as_json: AsJson = False) -> None:
    """Check settings, database, storage, push and clock; ends with 1 if something is wrong."""
    from api.cli.reach import reached_database
    from api.settings import Settings

    settings = Settings()
    findings = [
        *_look_at_settings(settings),
        _look_at_push(settings),
        _look_at_web_push(settings),
        _look_at_email(settings),
    ]
    try:
        with reached_database(settings) as reached:
            findings += asyncio.run(_look_at_database(reached))
    except Exception as error:
        findings.append(_unexpected("database", error))
    findings.append(asyncio.run(_look_at_storage(settings)))
    findings.append(asyncio.run(_look_at_decoders()))
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        show_table(["", "what", ""], [(entry.state, entry.what, entry.detail) for entry in findings], empty="")
    raise typer.Exit(int(any(finding.state is State.WRONG for finding in findings)))


def _look_at_settings(settings: "Settings") -> Iterator[Finding]:
    from api.settings import unknown_variables

    strange = unknown_variables(os.environ)
    if strange:
        yield Finding(State.LOOK, "settings", f"no settings of Jalon: {', '.join(strange)}")
    else:
        yield Finding(State.FINE, "settings", "every JALON_ variable is known")
    folder = next((path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists()), None)
    free = shutil.disk_usage(folder or "/").free
    state = State.LOOK if free < _LITTLE_SPACE_BYTES else State.FINE
    yield Finding(state, "disk", f"{free / 1e9:.1f} GB free in {settings.data_dir}")


def _look_at_push(settings: "Settings") -> Finding:
    from api.service_account import NoServiceAccount, read_service_account

    if settings.fcm_credentials is None:
        return Finding(State.LOOK, "push", "JALON_FCM_CREDENTIALS is not set: no pushes to phones")
    try:
        project = read_service_account(settings.fcm_credentials)["project_id"]
    except NoServiceAccount as error:
        return Finding(State.WRONG, "push", str(error))
    return Finding(State.FINE, "push", f"Firebase project {project} at {settings.fcm_url}")


def _look_at_web_push(settings: "Settings") -> Finding:
    if settings.webpush_contact is None:
        return Finding(State.LOOK, "web push", "JALON_WEBPUSH_CONTACT is not set: no pushes to browsers")
    if settings.webpush_private:
        return Finding(State.LOOK, "web push", "JALON_WEBPUSH_PRIVATE is set: devices may have it post to any address")
    return Finding(State.FINE, "web push", f"push services may write to {settings.webpush_contact}")


def _look_at_email(settings: "Settings") -> Finding:
    from push.smtp import SmtpServer

    needed = {
        "JALON_SMTP_URL": settings.smtp_url,
        "JALON_EMAIL_FROM": settings.email_from,
        "JALON_PUBLIC_URL": settings.public_url,
    }
    missing = [name for name, value in needed.items() if value is None]
    if settings.smtp_url is None or missing:
        return Finding(State.LOOK, "e-mail", f"{', '.join(missing)} not set: no e-mail")
    server = SmtpServer.of(settings.smtp_url.get_secret_value())
    return Finding(State.FINE, "e-mail", f"from {settings.email_from} through {server.host}:{server.port}")


async def _look_at_storage(settings: "Settings") -> Finding:
    from api.settings import mask_url
    from media.store import open_store

    shown = mask_url(settings.photos_url)
    try:
        await open_store(settings.photos_url).check()
    except Exception as error:
        return _unexpected("storage", error)
    owner = _owner_of(settings.photos_url)
    if os.geteuid() == 0 and owner not in (None, "root"):
        return Finding(State.FINE, "storage", f"{shown} can be written to by root; it belongs to {owner}")
    return Finding(State.FINE, "storage", f"{shown} can be written to")


def _owner_of(storage_url: str) -> str | None:
    """Who owns the folder of a local store; None for an object store."""
    parts = urlsplit(storage_url)
    if parts.scheme != "file":
        return None
    folder = Path(unquote(parts.path))
    try:
        return folder.owner()
    except KeyError:
        return str(folder.stat().st_uid)


async def _look_at_decoders() -> Finding:
    from media.decoders import Decoders
    from media.derive import DecoderFailed

    decoders = Decoders(at_once=1)
    try:
        why = await decoders.why_unconfined()
    except DecoderFailed as error:
        return Finding(State.WRONG, "photos", f"the program that decodes photos does not start ({error.why})")
    except OSError as error:
        return Finding(State.WRONG, "photos", f"the program that decodes photos cannot be started ({error.strerror})")
    finally:
        decoders.close()
    if why is not None:
        limits = "limited in memory and time, but able to open files and connections"
        return Finding(State.LOOK, "photos", f"decoders are {limits} ({why})")
    return Finding(State.FINE, "photos", "decoders are confined: no files, no network, no programs")


async def _look_at_database(reached: "Reached") -> list[Finding]:
    from api.cli.reach import check_login
    from db.sessions import Database
    from db.tenancy import APP_ROLE

    try:
        await check_login(reached.app_url)
    except Exception as error:
        return [_unexpected("database", error)]
    looks: list[tuple[str, Callable[[AsyncSession], Awaitable[Finding]]]] = [
        ("database", _versions),
        ("clock", _clock),
        ("migrations", _migrations),
        ("cities", _cities),
        ("jobs", _jobs),
        ("pushes", _pushes),
        ("alerts", _alerts),
    ]
    findings = [Finding(State.FINE, "roles", f"works as {APP_ROLE}, held by row-level security")]
    async with Database(reached.app_url, pool_size=1) as database:
        for what, look in looks:
            try:
                async with database.transaction() as session:
                    findings.append(await look(session))
            except Exception as error:
                findings.append(_unexpected(what, error))
            if what == "migrations" and findings[-1].state is not State.FINE:
                break  # the rest looks into tables
    return findings


async def _versions(session: "AsyncSession") -> Finding:
    from sqlalchemy import text

    query = "SELECT current_setting('server_version_num')::int, postgis_lib_version()"
    server, postgis = (await session.execute(text(query))).one()
    new_enough = server // 10000 >= _OLDEST_POSTGRESQL and tuple(map(int, postgis.split(".")[:2])) >= _OLDEST_POSTGIS
    told = f"PostgreSQL {server // 10000}.{server % 10000}, PostGIS {postgis}"
    if new_enough:
        return Finding(State.FINE, "database", told)
    return Finding(State.WRONG, "database", f"{told}: needs {_OLDEST_POSTGRESQL} and 3.3 or newer")


async def _clock(session: "AsyncSession") -> Finding:
    from sqlalchemy import text

    there = (await session.execute(text("SELECT clock_timestamp()"))).scalar_one()
    apart_s = abs((datetime.now(UTC) - there).total_seconds())
    state = State.FINE if apart_s < _CLOCKS_APART_S else State.LOOK
    return Finding(state, "clock", f"{apart_s:.1f} s from the database's")


async def _migrations(session: "AsyncSession") -> Finding:
    from api.cli.reach import applied_revision
    from db.revisions import newest_revision

    there = await applied_revision(session)
    if there == newest_revision():
        return Finding(State.FINE, "migrations", f"at {there}, the newest")
    return Finding(State.WRONG, "migrations", f"at {there or 'none'}, not {newest_revision()}: jalon db migrate")


async def _cities(session: "AsyncSession") -> Finding:
    from sqlalchemy import select

    from geo.cities import City

    cities = (await session.execute(select(City.jurisdiction_id, City.timezone).order_by(City.jurisdiction_id))).all()
    for _, timezone in cities:
        try:
            ZoneInfo(timezone)
        except ZoneInfoNotFoundError:
            return Finding(State.WRONG, "cities", f"this machine does not know the time zone {timezone}")
    if not cities:
        return Finding(State.LOOK, "cities", "none is loaded: jalon city load DIR")
    return Finding(State.FINE, "cities", ", ".join(city for city, _ in cities))


async def _jobs(session: "AsyncSession") -> Finding:
    from db.jobs import job_stats

    stats = await job_stats(session)
    waiting_s = stats.oldest_waiting_s or 0
    if waiting_s > _LONG_WAIT_S:
        return Finding(State.LOOK, "jobs", f"the oldest has waited {waiting_s:.0f} s: does jalon work run?")
    if stats.dead:
        return Finding(State.LOOK, "jobs", f"{len(stats.dead)} dead: jalon jobs")
    return Finding(State.FINE, "jobs", "none waits long, none is dead")


async def _pushes(session: "AsyncSession") -> Finding:
    from sqlalchemy import select

    from db.tenancy import enter_city
    from geo.cities import City
    from push.backlog import push_backlog, push_troubles

    now = datetime.now(UTC)
    queued, overdue_s, put_off = 0, 0.0, []
    for city_id, name in (await session.execute(select(City.id, City.jurisdiction_id).order_by(City.id))).all():
        await enter_city(session, city_id)
        backlog = await push_backlog(session, city_id, now=now)
        queued, overdue_s = queued + backlog.queued, max(overdue_s, backlog.overdue_s)
        for trouble in await push_troubles(session, city_id, now=now):
            until = f"until {trouble.next_at:%Y-%m-%d %H:%M:%S} UTC"
            put_off.append(f"{trouble.queued} of {name} by {trouble.channel} {until} ({trouble.error})")
    told = f"{queued} wait, the oldest has been due for {overdue_s:.0f} s" if queued else "none waits"
    if put_off:
        return Finding(State.LOOK, "pushes", f"{told}; put off: {', '.join(put_off)}")
    return Finding(State.LOOK if overdue_s > _LONG_WAIT_S else State.FINE, "pushes", told)


async def _alerts(session: "AsyncSession") -> Finding:

    from db.tenancy import enter_city
    from geo.cities import list_city_ids
    from push.topics import topic_backlog

    now, waiting, overdue_s = datetime.now(UTC), 0, 0.0
    for city_id in await list_city_ids(session):
        await enter_city(session, city_id)
        backlog = await topic_backlog(session, city_id, now=now)
        if backlog.error is not None:
            told = f"{backlog.waiting} devices of city {city_id} have yet to join or leave topics ({backlog.error})"
            return Finding(State.LOOK, "alerts", told)
        waiting, overdue_s = waiting + backlog.waiting, max(overdue_s, backlog.overdue_s)
    state = State.LOOK if overdue_s > _LONG_WAIT_S else State.FINE
    return Finding(state, "alerts", f"{waiting} devices have yet to join or leave topics, since {overdue_s:.0f} s")


def _unexpected(what: str, error: Exception) -> Finding:
    from api.cli.refusals import explain

    return Finding(State.WRONG, what, explain(error) or f"{type(error).__name__}: {error}".partition("\n")[0])
