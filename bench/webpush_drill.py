"""`make drill-webpush`: what we send to browsers, read by a program that has nothing of ours.

Two push services run in node; http_ece, which browsers' push services and their senders are tested with, reads the
bodies, and node checks the signatures. One batch goes to browsers of both, with texts of all sizes; beside it, what is
to be refused: a body for another browser's keys, and a signature for the other service.
"""

import argparse
import asyncio
import json
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.servers import leave_on_sigterm
from db.base import new_id
from push.channels import AddressKind, Message, Outcome, Platform, PushKeys, SendResult, SendWindow
from push.vapid import VapidKey
from push.webpush import WebPushChannel

_KEY = VapidKey(b"\1" * 32)
_CONTACT = "mailto:drill@example.org"
_SERVICE = Path(__file__).parent / "webpush" / "service.js"
_MODULES = Path(".venv/webpush")
_LETTERS = 'aàéîçœ’ «»\n"\\😀مسن漢字'
_MOST_LETTERS = 1500  # of one to four bytes: nearly as much as a push service has to take


@contextmanager
def running_services(browsers: int) -> Iterator[tuple[dict[str, Any], "subprocess.Popen[str]"]]:
    """Run two push services with so many browsers; gives what they said first, and the process that goes on saying."""
    command = ["node", str(_SERVICE), str(_MODULES), _KEY.public_key, str(browsers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline()), process
    finally:
        process.terminate()
        process.wait()


def draw_messages(subscriptions: Sequence[dict[str, Any]], rng: random.Random) -> list[Message]:
    """Write a message to each browser, of every size from nothing on."""
    now, messages = datetime.now(UTC), []
    for subscription in subscriptions:
        event_id = new_id()
        body = "".join(rng.choices(_LETTERS, k=rng.randrange(_MOST_LETTERS)))
        messages.append(
            Message(
                address_kind=AddressKind.WEBPUSH,
                address=subscription["endpoint"],
                platform=Platform.WEB,
                title="Nid-de-poule : problème réglé",
                body=body,
                data={"event_id": str(event_id), "kind": "resolved"},
                collapse_id=event_id,
                ttl_s=3600,
                expires_at=now + timedelta(hours=1),
                keys=PushKeys(subscription["p256dh"], subscription["auth"]),
            )
        )
    return messages


async def send(messages: Sequence[Message], key: VapidKey = _KEY) -> Sequence[SendResult]:
    """Send a batch as a worker does."""
    channel = WebPushChannel(key, contact=_CONTACT, clock=lambda: datetime.now(UTC), allow_private=True)
    try:
        return await channel.send(messages, SendWindow(time.monotonic() + 30, time.monotonic))
    finally:
        await channel.close()


class _ForAnother(VapidKey):
    """Signs for one service, whichever it posts to."""

    def __init__(self, origin: str) -> None:
        super().__init__(b"\1" * 32)
        self._origin = origin

    def authorize(self, origin: str, *, contact: str, now: datetime) -> str:
        assert origin != self._origin
        return super().authorize(self._origin, contact=contact, now=now)


def find_faults(
    messages: Sequence[Message], results: Sequence[SendResult], heard: Sequence[dict[str, Any]]
) -> list[str]:
    """Name what a browser could not read, or read otherwise than it was written."""
    faults = [
        f"message {at} ended as {result.outcome}" for at, result in enumerate(results) if result.outcome != "sent"
    ]
    read = {one["endpoint"]: one for one in heard}
    for at, message in enumerate(messages):
        shown = {"title": message.title, "body": message.body, "tag": str(message.collapse_id), "data": message.data}
        arrived = read.get(message.address, {"refused": "nothing came"})
        if "refused" in arrived:
            faults.append(f"message {at}: {arrived['refused']}")
        elif json.loads(arrived["text"]) != shown:
            faults.append(f"message {at} is read as another")
    return faults


def main() -> None:
    """Send so many and say what was read; exits with 1 where one was not, or where what is wrong was taken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=400)
    options = parser.parse_args()
    leave_on_sigterm()
    with running_services(options.messages) as (there, process):
        assert process.stdout is not None
        messages = draw_messages(there["subscriptions"], random.Random(1))
        results = asyncio.run(send(messages))
        faults = find_faults(messages, results, [json.loads(process.stdout.readline()) for _ in messages])
        stranger, other = messages[0], messages[2]  # two browsers of the first service
        wrong = [
            *asyncio.run(send([replace(stranger, keys=other.keys)])),
            *asyncio.run(send([stranger], _ForAnother(there["origins"][1]))),
            *asyncio.run(send([stranger], VapidKey(b"\2" * 32))),
        ]
        refused = [json.loads(process.stdout.readline()).get("refused") for _ in wrong]
    faults += [f"what is wrong was taken: {at}" for at, said in enumerate(refused) if said is None]
    faults += [f"what is wrong ended as {one.outcome}" for one in wrong if one.outcome is not Outcome.GIVE_UP]
    found = {
        "drill": "webpush",
        "messages": len(messages),
        "longest_bytes": max(len(m.body.encode()) for m in messages),
    }
    print(json.dumps({**found, "services": len(there["origins"]), "refused": refused, "faults": len(faults)}))
    for fault in faults[:20]:
        print(fault)
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
