"""Sending what the outbox holds: lease and commit, send with no transaction open, record and commit.

A message goes out twice only where its sender was killed between the provider's answer and the record of it; the copy
then carries the same collapse id, so that the phone shows one.
"""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from db.sessions import Database, DatabaseUnavailable
from push.channels import AddressKind, Channel, Message, Outcome, SendResult
from push.outbox import Lease, LeasedDelivery, lease_deliveries, next_due_at, record_results

_log = logging.getLogger(__name__)

Render = Callable[[str, Mapping[str, Any], str], tuple[str, str]]
"""Writes a notification's title and body from its kind, its params and the device's locale."""

# Longer than a batch can take: signing in, then two rounds of messages, each with time to connect and to answer.
_BATCH = 100
_LEASE_S = 60.0
_RECORD_AGAIN_S = 1.0
# What of a notification's params an app gets, beside the event's id and the kind.
_DATA = ("issue_id", "report_id", "jurisdiction_id", "status")


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one run of `deliver_due` did.

    Attributes:
        outcomes: How many messages had which outcome.
        next_due_at: When to run again; None where nothing waits.
    """

    outcomes: Mapping[Outcome, int]
    next_due_at: datetime | None


async def deliver_due(
    database: Database,
    city_id: int,
    channels: Mapping[AddressKind, Channel],
    *,
    render: Render,
    clock: Callable[[], datetime],
    stop: asyncio.Event | None = None,
) -> Delivered:
    """Send all deliveries of a city that are due, in batches, until none is.

    Any number of runs may go on at once, also for one city: no delivery is in two of them.

    Args:
        database: Where the outbox is; each step takes a short transaction of its own.
        city_id: The city.
        channels: Who reaches which kind of address. Without one, deliveries wait for an operator to configure it.
        render: The words, in the device's language.
        clock: Gives the time, aware of its zone.
        stop: Set it to have the run end after the batch it is at.
    """
    outcomes: Counter[Outcome] = Counter()
    while stop is None or not stop.is_set():
        async with database.transaction(city_id) as session:
            lease = await lease_deliveries(session, city_id, now=clock(), limit=_BATCH, lease_s=_LEASE_S)
        if lease.deliveries:
            results = await _send(lease, channels, render)
            await _record(database, city_id, lease, results, clock)
            outcomes.update(result.outcome for result in results)
            _report_stops(city_id, results)
        elif not lease.settled:
            break
    async with database.transaction(city_id) as session:
        return Delivered(outcomes, await next_due_at(session, city_id))


async def _send(lease: Lease, channels: Mapping[AddressKind, Channel], render: Render) -> Sequence[SendResult]:
    """Send a batch, each kind of address by its channel at the same time; one result for each, in order."""
    results: dict[int, SendResult] = {}
    batches: dict[AddressKind, dict[int, Message]] = defaultdict(dict)
    for at, delivery in enumerate(lease.deliveries):
        if delivery.address_kind not in channels:
            results[at] = SendResult(Outcome.STOP_PROJECT, error=f"no channel for {delivery.address_kind}")
            continue
        try:
            batches[delivery.address_kind][at] = _message(delivery, render, sent_at=lease.at)
        except Exception as error:  # noqa: BLE001 - words that cannot be written must not cost the others theirs
            results[at] = SendResult(Outcome.GIVE_UP, error=f"rendering: {error!r}")
    answers = await asyncio.gather(*(channels[kind].send(list(batch.values())) for kind, batch in batches.items()))
    for batch, answer in zip(batches.values(), answers, strict=True):
        results.update(zip(batch, answer, strict=True))
    return [results[at] for at in range(len(lease.deliveries))]


def _message(delivery: LeasedDelivery, render: Render, *, sent_at: datetime) -> Message:
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
    )


async def _record(
    database: Database, city_id: int, lease: Lease, results: Sequence[SendResult], clock: Callable[[], datetime]
) -> None:
    """Record a batch's results, through a restart of the database if need be: unrecorded, they are sent again.

    Raises:
        DatabaseUnavailable: it has not come back before the lease ended.
    """
    while True:
        try:
            async with database.transaction(city_id) as session:
                recorded = await record_results(session, city_id, lease, results, now=clock())
            break
        except DatabaseUnavailable:
            if clock() >= lease.until:
                raise
            await asyncio.sleep(_RECORD_AGAIN_S)
    if recorded < len(results):
        _log.warning("push lease lost", extra={"city_id": city_id, "deliveries": len(results) - recorded})


def _report_stops(city_id: int, results: Sequence[SendResult]) -> None:
    stops = [result for result in results if result.outcome.is_stop]
    if stops:
        _log.error(
            "push stopped",
            extra={"city_id": city_id, "outcome": stops[0].outcome, "error": stops[0].error, "deliveries": len(stops)},
        )
