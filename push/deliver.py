"""Sending what the outbox holds: lease and commit, send with no transaction open, record and commit.

A message goes out twice only where its sender was killed, or cut off from the database, between the provider's answer
and the record of it; the copy then carries the same collapse id, so that the phone shows one. Else a lease forbids it:

    0 s        30 s               40 s                    60 s
    |  window  |  last answers    |  time to record       |  due again, for anybody
    |  nothing leaves after it

A batch is sent by lanes, one for each provider or push host. A lane that takes long is not waited for: the others go on
with the next batches, and what these hold for the slow one keeps until it has come through. One that is only busy is
waited for a little, lest what it could send at once be put off; not so one that gave no answer the last time.

The window is counted from before the lease was taken, by a clock that goes on while the process is stopped; the lease
by the database's clock. So no machine's clock has to agree with another's.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Self

from sqlalchemy.ext.asyncio import AsyncSession

from db.sessions import Database, DatabaseUnavailable
from push.channels import AddressKind, Channel, Message, Outcome, SendResult, SendWindow
from push.outbox import Lease, LeasedDelivery, lease_deliveries, record_results

_log = logging.getLogger(__name__)

Render = Callable[[str, Mapping[str, Any], str], tuple[str, str]]
"""Writes a notification's title and body from its kind, its params and the device's locale."""

Enrich = Callable[[Message], Awaitable[Message]]
"""Adds to a message what it carries besides its words; never fails, and is quick."""

WINDOW_S: Final = 30.0
LEASE_S: Final = 60.0
BATCH: Final = 250

# How long the next batch waits for the lanes of one, and for those that it wants if none of them is free.
_PATIENCE_S = 1.0
_LANES_PATIENCE_S = 2.0
# How long a part of a batch waits for its lane.
_LANE_PATIENCE_S = 3.0
# When what was for a busy lane is looked at again.
_PASS_BY_S = 15.0
_RECORD_AGAIN_S = 1.0
# How long what was answered may take to be recorded where everything else has ended.
_LAST_RECORDS_S = 5.0
# How many batches may be unrecorded while the next one is sent.
_UNRECORDED = 3
# What of a notification's params an app gets, beside the event's id and the kind.
_DATA = ("issue_id", "report_id", "work_order_id", "jurisdiction_id", "status")


class Sender:
    """Sends what is due in any city, one batch at a time, so that no batch waits for another's messages to leave.

    One for each process. Any number of processes may send at once, also for one city: no delivery is in two of them.
    """

    def __init__(
        self,
        database: Database,
        channels: Mapping[AddressKind, Channel],
        *,
        render: Render,
        enrich: Enrich | None = None,
        clock: Callable[[AsyncSession], Awaitable[datetime]],
        seconds: Callable[[], float],
    ) -> None:
        """Prepare to send.

        Args:
            database: Where the outbox is; each step takes a short transaction of its own.
            channels: Who reaches which kind of address. Without one, deliveries wait for an operator to configure it.
            render: The words, in the device's language.
            enrich: Adds links and pictures; without it, pushes have none.
            clock: Gives the time that leases are counted in, aware of its zone: the database's, which all share.
            seconds: Counts on while the process is stopped or the machine sleeps.
        """
        self._database = database
        self._channels = channels
        self._compose = _composing(render, enrich)
        self._clock = clock
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._waiting: set[int] = set()
        self._busy: dict[str, asyncio.Future[None]] = {}  # lanes that are sending, each until it is done
        self._silent: set[str] = set()  # lanes that had no answer for anything the last time, or for long now

    async def deliver_due(self, city_id: int, *, stop: asyncio.Event | None = None) -> Mapping[Outcome, int]:
        """Send all deliveries of a city that are due, in batches, until none is.

        Where another run for the city has yet to look for them, this one leaves them to it.

        Args:
            city_id: The city.
            stop: Set it to have the run end; what has not left by then is given back.

        Returns:
            How many messages had which outcome.
        """
        outcomes: Counter[Outcome] = Counter()
        found_some = city_id not in self._waiting
        async with _Lanes(outcomes) as lanes:
            while found_some and not (stop is not None and stop.is_set()):
                await self._wait_for_turn(city_id)
                try:
                    found_some = await self._deliver_batch(city_id, lanes, stop)
                finally:
                    self._turn.release()
        return outcomes

    async def _wait_for_turn(self, city_id: int) -> None:
        self._waiting.add(city_id)
        try:
            await self._turn.acquire()
        finally:
            self._waiting.discard(city_id)

    async def _deliver_batch(self, city_id: int, lanes: "_Lanes", stop: asyncio.Event | None) -> bool:
        """Send one batch, but for lanes that are busy; answers whether there was any.

        After a full batch the next one is leased while that is on its way: something is always ready to be sent.
        """
        opened = self._seconds()
        async with self._database.transaction(city_id) as session:
            now = await self._clock(session)
            lease = await lease_deliveries(session, city_id, now=now, limit=BATCH, window_s=WINDOW_S, lease_s=LEASE_S)
        # Nothing leaves once it is worth nothing: a batch with such a message has less time.
        worth_s = ((delivery.expires_at - lease.at).total_seconds() for delivery in lease.deliveries)
        window = SendWindow(opened + min([WINDOW_S, *worth_s]), self._seconds, stop)
        await lanes.come_through()
        await self._wait_for_lanes(lease.deliveries)
        parts: dict[str, list[LeasedDelivery]] = defaultdict(list)
        for delivery in lease.deliveries:
            parts[delivery.lane].append(delivery)
        free = [lane for lane in parts if lane not in self._busy and lane not in self._silent]
        lanes.start(
            {
                lane: self._deliver_part(city_id, lane, replace(lease, deliveries=parts[lane]), window, lanes)
                for lane in parts
            },
            awaited=free or parts,
        )
        if len(lease.deliveries) == BATCH:
            await lanes.records(at_most=_UNRECORDED)
        else:
            await lanes.come_through()
            await lanes.records(at_most=0)
        return bool(lease.deliveries) or lease.settled > 0

    async def _wait_for_lanes(self, deliveries: Sequence[LeasedDelivery]) -> None:
        """Wait a while where all are for lanes that are busy, rather than take batch after batch to put them back.

        Push hosts without an answer are not waited for: they are many and anybody's.
        """
        wanted = {delivery.lane for delivery in deliveries}
        providers = {delivery.lane for delivery in deliveries if not delivery.address_kind.has_endpoint}
        awaited = (wanted - self._silent) | providers
        if awaited and wanted <= self._busy.keys():
            busy = [self._busy[lane] for lane in awaited]
            await asyncio.wait(busy, timeout=_LANES_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)

    async def _gets_free(self, lane: str) -> bool:
        """Tell whether a lane is free, or gets so in good time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _LANE_PATIENCE_S
        while lane in self._busy and lane not in self._silent:
            if loop.time() >= until:
                self._silent.add(lane)
                break
            await asyncio.wait([self._busy[lane]], timeout=until - loop.time())
        return lane not in self._busy

    async def _deliver_part(
        self, city_id: int, lane: str, lease: Lease, window: SendWindow, lanes: "_Lanes"
    ) -> Sequence[SendResult]:
        """Send one lane's part of a batch, or put it back where the lane is busy with another's."""
        if not await self._gets_free(lane):
            busy = SendResult(Outcome.UNSENT, error="its provider is slow", retry_after_s=_PASS_BY_S)
            results: Sequence[SendResult] = [busy] * len(lease.deliveries)
        else:
            self._busy[lane] = asyncio.get_running_loop().create_future()
            try:
                results = await _send(city_id, lease, self._channels, self._compose, window)
            finally:
                self._busy.pop(lane).set_result(None)
            self._note_answers(lane, results)
        lanes.later(self._record(city_id, lease, results))
        _report_stops(city_id, results)
        return results

    def _note_answers(self, lane: str, results: Sequence[SendResult]) -> None:
        """Remember whether a lane answered; any answer will do."""
        if all(result.outcome in (Outcome.NO_ANSWER, Outcome.UNSENT) for result in results):
            self._silent.add(lane)
        else:
            self._silent.discard(lane)

    async def _record(self, city_id: int, lease: Lease, results: Sequence[SendResult]) -> None:
        """Record a batch's results, however long the database is away: unrecorded, they are sent again."""
        recorded: int | None = None
        while recorded is None:
            try:
                async with self._database.transaction(city_id) as session:
                    now = await self._clock(session)
                    recorded = await record_results(session, city_id, lease, results, now=now)
            except DatabaseUnavailable as error:
                _log.warning("push results wait for the database", extra={"city_id": city_id, "error": repr(error)})
                await asyncio.sleep(_RECORD_AGAIN_S)
        if recorded < len(results):
            _log.warning("push lease lost", extra={"city_id": city_id, "deliveries": len(results) - recorded})


class _Lanes:
    """The parts of one run's batches that are under way, and the records of those sent; counts what became of them."""

    def __init__(self, outcomes: Counter[Outcome]) -> None:
        self._outcomes = outcomes
        self._parts: set[asyncio.Task[Sequence[SendResult]]] = set()
        self._awaited: list[asyncio.Task[Sequence[SendResult]]] = []
        self._records: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, failure: type[BaseException] | None, *_: object) -> None:
        """Wait for all that is under way, also where the run has failed; where it is cancelled, send no more.

        What was answered is recorded even then, if the database is there: else it would be sent again.
        """
        cancelled = failure is not None and issubclass(failure, asyncio.CancelledError)
        if cancelled:
            for part in self._parts:
                part.cancel()
        await asyncio.gather(*self._parts, return_exceptions=True)
        if cancelled and self._records:
            await asyncio.wait(self._records, timeout=_LAST_RECORDS_S)
            for record in self._records:
                record.cancel()
        await asyncio.gather(*self._records, return_exceptions=True)
        if failure is None:
            self._collect()

    def start(self, parts: Mapping[str, Coroutine[Any, Any, Sequence[SendResult]]], *, awaited: Iterable[str]) -> None:
        """Start a batch's parts, each of a lane; the next batch awaits some of them."""
        started = {lane: asyncio.create_task(part) for lane, part in parts.items()}
        self._parts |= set(started.values())
        self._awaited = [started[lane] for lane in awaited]

    async def come_through(self) -> None:
        """Wait for the parts of the last batch that are awaited, as long as the next batch does."""
        if self._awaited:
            await asyncio.wait(self._awaited, timeout=_PATIENCE_S)
        self._collect()

    def later(self, record: Coroutine[Any, Any, None]) -> None:
        """Have results recorded while the next batch is leased and sent."""
        self._records.add(asyncio.create_task(record))

    async def records(self, *, at_most: int) -> None:
        """Wait until so few batches are still to be recorded."""
        while len(self._records) > at_most:
            await asyncio.wait(self._records, return_when=asyncio.FIRST_COMPLETED)
            self._collect()

    def _collect(self) -> None:
        sent = {task for task in self._parts if task.done()}
        recorded = {task for task in self._records if task.done()}
        self._parts -= sent
        self._records -= recorded
        for task in recorded:
            task.result()
        for part in sent:
            self._outcomes.update(result.outcome for result in part.result())


async def _send(
    city_id: int, lease: Lease, channels: Mapping[AddressKind, Channel], compose: "_Compose", window: SendWindow
) -> Sequence[SendResult]:
    """Send a batch, each kind of address by its channel at the same time; one result for each, in order."""
    results: dict[int, SendResult] = {}
    batches: dict[AddressKind, dict[int, Message]] = defaultdict(dict)
    for at, delivery in enumerate(lease.deliveries):
        if delivery.address_kind not in channels:
            results[at] = SendResult(Outcome.STOP_PROJECT, error=f"no channel for {delivery.address_kind}")
            continue
        try:
            batches[delivery.address_kind][at] = await compose(city_id, delivery, lease.at)
        except Exception as error:  # noqa: BLE001 - words that cannot be written must not cost the others theirs
            results[at] = SendResult(Outcome.GIVE_UP, error=f"rendering: {error!r}")
    answers = await asyncio.gather(
        *(channels[kind].send(list(batch.values()), window) for kind, batch in batches.items())
    )
    for batch, answer in zip(batches.values(), answers, strict=True):
        results.update(zip(batch, answer, strict=True))
    return [results[at] for at in range(len(lease.deliveries))]


_Compose = Callable[[int, LeasedDelivery, datetime], Awaitable[Message]]


def _composing(render: Render, enrich: Enrich | None) -> _Compose:
    """Make what writes a message for a delivery, with all that it carries."""

    async def compose(city_id: int, delivery: LeasedDelivery, sent_at: datetime) -> Message:
        message = _message(city_id, delivery, render, sent_at=sent_at)
        return message if enrich is None else await enrich(message)

    return compose


def _message(city_id: int, delivery: LeasedDelivery, render: Render, *, sent_at: datetime) -> Message:
    title, body = render(delivery.kind, delivery.params, delivery.locale)
    data = {name: str(delivery.params[name]) for name in _DATA if delivery.params.get(name) is not None}
    return Message(
        address_kind=delivery.address_kind,
        address=delivery.address,
        platform=delivery.platform,
        title=title,
        body=body,
        data={"event_id": str(delivery.event_id), "kind": delivery.kind, **data},
        collapse_id=delivery.event_id,
        ttl_s=max(1, int((delivery.expires_at - sent_at).total_seconds())),
        expires_at=delivery.expires_at,
        keys=delivery.keys,
        params=delivery.params,
        locale=delivery.locale,
        city_id=city_id,
        person_id=delivery.person_id,
        recipient_id=delivery.device_id,
    )


def _report_stops(city_id: int, results: Sequence[SendResult]) -> None:
    stops = [result for result in results if result.outcome.is_stop]
    if stops:
        _log.error(
            "push stopped",
            extra={"city_id": city_id, "outcome": stops[0].outcome, "error": stops[0].error, "deliveries": len(stops)},
        )
