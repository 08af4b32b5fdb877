"""The worker: makes photos safe, turns notices into pushes, and sends them."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import select

from api.address_lookup import LOOK_UP, address_jobs
from api.delivering import keep_delivering
from api.garbage import leave_out_what_is_loaded
from api.hooks import tell_all_webhooks
from api.map_upkeep import keep_cells
from api.service_account import NoServiceAccount, read_service_account
from api.settings import Settings
from db.clock import database_time, seconds_passed
from db.jobs import Job, JobTable, Retries, run_worker
from db.rates import FORGET_RATES, forget_rates
from db.sessions import WORKING, Database
from db.signing import signing_key
from db.tenancy import refuse_privileged_role
from geo.cities import City, list_city_ids
from issues import languages
from issues.alert_audience import settle_alert_topics, tell_alert
from issues.alerts import TELL_ALERT
from issues.catalogue import KnownCatalogues
from issues.city import load_cities
from issues.languages import Languages
from issues.letter_enclosures import LetterEnclosures
from issues.letters import Letters
from issues.notices import NoticeTexts
from issues.openings import notice_openings
from issues.packs.privacy import HIDE_PRIVATE, hide_private
from issues.pairing import pair_by_photo
from issues.push_extras import PushExtras
from issues.rescheduling import MOVE_DEADLINES, move_deadlines
from issues.taps import PURPOSE as TAPS
from issues.taps import Taps
from issues.telling import tell
from issues.usual_times import WORK_OUT, work_out_usual_times
from media.decoders import DecodeLimits, Decoders
from media.derive import DecoderFailed
from media.photos import MAKE_SAFE, PhotoState
from media.process import process_photo
from media.store import PhotoStore, open_store
from media.sweep import SWEEP, sweep
from media.uploads import FORGET_EXPIRED, forget_expired
from push.channels import ANSWER_S, AddressKind, Channel
from push.deliver import Sender
from push.digests import release_held
from push.hooks import HookPoster
from push.smtp import EmailChannel, SmtpServer
from push.topics import TOPICS_OF, TopicProvider, keep_topics
from push.vapid import PURPOSE as VAPID
from push.vapid import VapidKey
from push.webpush import WebPushChannel

_log = structlog.get_logger(__name__)

TELL: Final = "push.tell"
DELIVER: Final = "push.deliver"
BRING_DUE: Final = "push.bring_due"
TOPICS: Final = "push.topics"
WEBHOOKS: Final = "push.webhooks"

_EVERY_SIX_HOURS: Final = "23 */6 * * *"
_NIGHTLY: Final = "17 4 * * *"
_HOURLY: Final = "41 * * * *"
_EVERY_TEN_MINUTES: Final = "*/10 * * * *"
# Seconds come last here.
_EVERY_FIVE_SECONDS: Final = "* * * * * */5"

# A photo that its decoder is lost over so often is to blame; a store that does not answer is waited for for hours.
_TRIES_OF_A_DECODER: Final = 4
_PHOTO_RETRIES: Final = Retries(tries=50)


async def run_worker_process(settings: Settings, *, database_url: str) -> None:
    """Do jobs until SIGTERM or SIGINT; those in hand are finished or put back.

    Args:
        settings: What the operator set.
        database_url: The database, as the login that serves.

    Raises:
        PrivilegedRole: the database would not hold this process to one city at a time.
        DatabaseUnavailable: it is not there.
        NoServiceAccount: the key file for Firebase is none.
        NotAStore, StorageUnavailable: photos cannot be kept where the settings say.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        loop.add_signal_handler(number, stop.set)
    try:
        await run_until(stop, settings, database_url=database_url)
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)  # which leaves the signal to the system: to end the process
            signal.signal(number, handler)


async def run_until(stop: asyncio.Event, settings: Settings, *, database_url: str) -> None:
    """Do jobs until `stop` is set; see `run_worker_process`."""
    pool_size = settings.database_connections + 3  # each lane keeps one for the queue
    database = Database(database_url, pool_size=pool_size, patience=WORKING)
    async with database, AsyncExitStack() as opened:
        async with database.transaction() as session:
            await refuse_privileged_role(session)
            vapid_key = VapidKey(await signing_key(session, VAPID))
            taps = Taps(await signing_key(session, TAPS))
        folders = [languages.LOCALES, Path(__file__).parent / "locales"]
        spoken = languages.load_languages(folders)
        store = open_store(settings.photos_url)
        enclosures = LetterEnclosures(database, store)
        ways = _open_channels(settings, vapid_key, spoken, taps, enclosures)
        channels, topics = await opened.enter_async_context(ways)
        decoders = await opened.enter_async_context(_open_decoders(settings))
        photos = photo_jobs(database, store, decoders)
        texts = NoticeTexts(spoken)
        extras = PushExtras(database, spoken, taps, settings.public_url, _now)
        poster = HookPoster(allow_private=settings.webpush_private)
        opened.push_async_callback(poster.close)
        sender = Sender(
            database, channels, render=texts.render, enrich=extras.add, clock=database_time, seconds=seconds_passed
        )
        pushes = push_jobs(database, sender, stop=stop)
        add_webhooks(pushes, database, poster)
        add_alerts(pushes, database, spoken, topics, stop=stop)
        add_upkeep(pushes, database)  # quick as they are, and behind no photos
        addresses = opened.enter_context(_open_address_jobs(settings, database))
        if addresses is None:
            pushes.handle(LOOK_UP, _let_be)  # one may wait since somebody named a geocoder, and would for ever
        leave_out_what_is_loaded()
        _log.info("worker_started", push_channels=sorted(channels))
        # What has left is waited for, and recorded: else it would be sent again.
        push_grace_s = max(settings.grace_s, ANSWER_S + 5.0)
        # Lanes of their own: a flood of photos, each seconds of work, must not hold up the pushes.
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(
                run_worker(database, photos, stop=stop, concurrency=settings.decoders_at_once, grace_s=settings.grace_s)
            )
            lanes.create_task(
                run_worker(database, pushes, stop=stop, concurrency=settings.jobs_at_once, grace_s=push_grace_s)
            )
            lanes.create_task(keep_delivering(database, sender, texts, extras, stop, grace_s=push_grace_s))
            lanes.create_task(keep_cells(database, stop))
            if addresses is not None:
                lanes.create_task(run_worker(database, addresses, stop=stop, concurrency=2, grace_s=settings.grace_s))
        _log.info("worker_stopped")


def photo_jobs(database: Database, store: PhotoStore, decoders: Decoders) -> JobTable:
    """Name the jobs that make photos safe, and the one that deletes what is left of photos."""
    catalogues = KnownCatalogues()

    async def make_safe(job: Job) -> None:
        photo_id, gives_up = UUID(job.payload["photo_id"]), job.attempt >= _TRIES_OF_A_DECODER
        state = await process_photo(database, store, decoders, photo_id, now=_now(), gives_up=gives_up)
        if state is PhotoState.READY:
            async with database.transaction() as session:
                await pair_by_photo(session, photo_id, catalogues=catalogues, now=_now())

    async def sweep_store(_job: Job) -> None:
        await sweep(database, store, now=_now())

    async def forget_old_uploads(_job: Job) -> None:
        await forget_expired(database, store, now=_now())

    table = JobTable()
    table.handle(MAKE_SAFE, make_safe, _PHOTO_RETRIES)
    table.every(_EVERY_SIX_HOURS, SWEEP, sweep_store)
    table.every(_HOURLY, FORGET_EXPIRED, forget_old_uploads)
    return table


def push_jobs(database: Database, sender: Sender, *, stop: asyncio.Event) -> JobTable:
    """Name the jobs that lead from a notice to the phones.

    Args:
        database: Where notices and the outbox are.
        sender: Sends what is in the outbox.
        stop: Ends a delivery; what has not left by then is given back.
    """

    async def tell_notice(job: Job) -> None:
        city_id = int(job.payload["city_id"])
        more = True
        while more:  # a transaction for each part: a job that ends in between is done again, and goes on from there
            async with database.transaction(city_id) as session:
                more = (await tell(session, city_id, UUID(job.payload["event_id"]), now=_now())).more

    async def deliver(job: Job) -> None:
        await sender.deliver_due(int(job.payload["city_id"]), stop=stop)

    async def bring_due(_job: Job) -> None:
        async with database.transaction() as session:
            city_ids = await list_city_ids(session)
        for city_id in city_ids:
            try:
                await _each_part(database, city_id, notice_openings)
                await _each_part(database, city_id, partial(release_held, now=_now()))
            except Exception:  # noqa: BLE001 - one city's trouble must not cost the next ones their turn
                _log.warning("not_brought_due", city_id=city_id, exc_info=True)

    table = JobTable()
    table.handle(TELL, tell_notice)
    table.handle(DELIVER, deliver)
    table.every(_EVERY_FIVE_SECONDS, BRING_DUE, bring_due)
    return table


async def _each_part(database: Database, city_id: int, step: Callable[..., Awaitable[object]]) -> None:
    """Take a step in a city, each time in a transaction of its own, until nothing is left to do."""
    more: object = True
    while more:
        async with database.transaction(city_id) as session:
            more = await step(session, city_id)


def add_webhooks(table: JobTable, database: Database, poster: HookPoster) -> None:
    """Name the job that tells the other systems of cities what happened."""

    async def tell_other_systems(_job: Job) -> None:
        await tell_all_webhooks(database, poster, clock=_now)

    table.every(_EVERY_FIVE_SECONDS, WEBHOOKS, tell_other_systems)


def add_alerts(
    table: JobTable, database: Database, spoken: Languages, provider: TopicProvider | None, *, stop: asyncio.Event
) -> None:
    """Name the jobs of alerts: telling people directly, who is to be in which topic, and telling the provider so.

    Args:
        table: Where they are named.
        database: Where topics and their members are.
        spoken: The languages that there are.
        provider: Who is told; None where none is set up. Then all wait, and hear of alerts directly.
        stop: Ends the telling of who joins and leaves.
    """

    async def tell_of_alert(job: Job) -> None:
        city_id, alert_id = int(job.payload["city_id"]), UUID(job.payload["alert_id"])
        more = True
        while more:  # a transaction for each part, as with notices
            async with database.transaction(city_id) as session:
                more = (await tell_alert(session, city_id, alert_id, now=_now())).more

    async def settle(job: Job) -> None:
        async with database.transaction() as session:
            cities = (await session.execute(select(City.id, City.jurisdiction_id, City.locale).order_by(City.id))).all()
        for city in cities:
            async with database.transaction(city.id) as session:
                await settle_alert_topics(
                    session,
                    city.id,
                    UUID(job.payload["person_id"]),
                    jurisdiction_id=city.jurisdiction_id,
                    locale=city.locale,
                    languages=spoken,
                    now=_now(),
                )

    async def tell_provider(_job: Job) -> None:
        if provider is None:
            return
        async with database.transaction() as session:
            city_ids = await list_city_ids(session)
        for city_id in city_ids:
            await keep_topics(database, city_id, provider, clock=database_time, stop=stop)

    table.handle(TELL_ALERT, tell_of_alert)
    table.handle(TOPICS_OF, settle)
    table.every(_EVERY_FIVE_SECONDS, TOPICS, tell_provider)


def add_upkeep(table: JobTable, database: Database) -> None:
    """Name the jobs that forget what is over, learn how long issues took, and do again what a load or a pause did."""

    async def forget_old_rates(_job: Job) -> None:
        async with database.transaction() as session:
            await forget_rates(session, now=_now())

    async def work_out_times(_job: Job) -> None:
        async with database.transaction() as session:
            city_ids = await list_city_ids(session)
        for city_id in city_ids:
            async with database.transaction(city_id) as session:
                await work_out_usual_times(session, city_id, now=_now())

    async def move_deadlines_again(job: Job) -> None:
        begins = date.fromisoformat(job.payload["begins"])
        async with database.transaction(int(job.payload["city_id"])) as session:
            city = (await load_cities(session)).by_id(int(job.payload["city_id"]))
            if city is not None:
                codes = job.payload["service_codes"]
                await move_deadlines(session, city, begins=begins, service_codes=codes, now=_now())

    async def hide_again(job: Job) -> None:
        async with database.transaction(int(job.payload["city_id"])) as session:
            await hide_private(session, int(job.payload["city_id"]))

    table.handle(HIDE_PRIVATE, hide_again)
    table.handle(MOVE_DEADLINES, move_deadlines_again)
    table.every(_EVERY_TEN_MINUTES, FORGET_RATES, forget_old_rates)
    table.every(_NIGHTLY, WORK_OUT, work_out_times)


@asynccontextmanager
async def _open_channels(
    settings: Settings, vapid_key: VapidKey, spoken: Languages, taps: Taps, enclosures: LetterEnclosures
) -> AsyncIterator[tuple[Mapping[AddressKind, Channel], TopicProvider | None]]:
    """Open the ways to phones that the operator has set up; pushes for the others wait in the outbox."""
    channels: dict[AddressKind, Channel] = {}
    topics: TopicProvider | None = None
    if settings.fcm_credentials is None:
        _log.warning("push_not_configured", missing="JALON_FCM_CREDENTIALS")
    else:
        # Google's libraries take a second to import, and only the worker needs them.
        from push.fcm import FcmChannel  # noqa: PLC0415

        account = await asyncio.to_thread(read_service_account, settings.fcm_credentials)
        try:
            topics = fcm = FcmChannel(account, url=settings.fcm_url)
        except ValueError as error:
            raise NoServiceAccount(settings.fcm_credentials, "its private key is not one") from error
        channels |= dict.fromkeys((AddressKind.FID, AddressKind.TOKEN, AddressKind.TOPIC), fcm)
    if settings.webpush_contact is None:
        _log.info("push_not_configured", missing="JALON_WEBPUSH_CONTACT")
    else:
        web_push = WebPushChannel(
            vapid_key, contact=settings.webpush_contact, clock=_now, allow_private=settings.webpush_private
        )
        channels |= dict.fromkeys((AddressKind.WEBPUSH, AddressKind.UNIFIEDPUSH), web_push)
    if settings.smtp_url is None or settings.email_from is None or settings.public_url is None:
        _log.info("push_not_configured", missing="JALON_SMTP_URL, JALON_EMAIL_FROM or JALON_PUBLIC_URL")
    else:
        server = SmtpServer.of(settings.smtp_url.get_secret_value())
        letters = Letters(spoken, taps, settings.public_url, _now, enclosures)
        channels[AddressKind.EMAIL] = EmailChannel(server, sender=settings.email_from, compose=letters.compose)
    try:
        yield channels, topics
    finally:
        for channel in set(channels.values()):
            await channel.close()


@asynccontextmanager
async def _open_decoders(settings: Settings) -> AsyncIterator[Decoders]:
    """Get the processes that photos are decoded in; says in the log where the kernel cannot confine them."""
    limits = DecodeLimits(max_pixels=settings.photo_max_pixels)
    decoders = Decoders(at_once=settings.decoders_at_once, limits=limits)
    try:
        why = await decoders.why_unconfined()
        if why is not None:
            _log.warning("decoders_not_confined", why=why)
    except DecoderFailed as error:  # photos wait and are tried again; pushes need not
        _log.error("decoders_do_not_start", why=error.why)
    try:
        yield decoders
    finally:
        decoders.close()


@contextmanager
def _open_address_jobs(settings: Settings, database: Database) -> Iterator[JobTable | None]:
    """Get the job that asks another geocoder for addresses; None where the operator names none."""
    if settings.geocoder_url is None:
        yield None
        return
    from api.other_geocoders import OtherGeocoder  # noqa: PLC0415 - its library takes half a second to load

    other = OtherGeocoder(settings.geocoder_url.get_secret_value())
    try:
        yield address_jobs(database, other, clock=_now, rest=asyncio.sleep)
    finally:
        other.close()


async def _let_be(_job: Job) -> None:
    """Do nothing about a job that has nothing to do any more."""


def _now() -> datetime:
    return datetime.now(UTC)
