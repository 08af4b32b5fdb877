"""`make bench-hosts`: what a push host that hangs or is dead costs the others.

Pairs of runs, one with it and one without, in turns: a tenth of the browsers is at one host, the rest at three others.
In the one run that host takes messages and does not answer, or there is nobody; in the other it answers like the rest.
Compared is how long it takes until the others' browsers have all they were told. The hosts run in a process of their
own; sending is the worker's, from the outbox.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console

from bench.servers import leave_on_sigterm
from bench.stage import empty_stage
from db.clock import database_time, seconds_passed
from db.sessions import WORKING, Database
from push.channels import AddressKind
from push.deliver import Sender
from push.encryption import public_point, to_base64url
from push.vapid import VapidKey
from push.webpush import WebPushChannel

_CITY = 1
_SLOW_SHARE = 10  # one browser in so many is at the host in trouble
_OTHERS = 3
_LOOK_S = 0.02
_PATIENCE_S = 300.0

# Hosts that answer, on ports given; one of them can be told to hang. `GET /came` counts what the others took.
_HOSTS = """
import asyncio, sys
came, hangs = 0, False
async def serve(reader, writer, troubled):
    global came, hangs
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            line, *fields = head.decode("latin-1").split("\\r\\n")
            sizes = [int(field.split(":")[1]) for field in fields if field.lower().startswith("content-length")]
            await reader.readexactly(sizes[0] if sizes else 0)
            body = b""
            if line.startswith("GET /came"):
                body = str(came).encode()
            elif line.startswith("PUT /"):
                hangs, came = line.startswith("PUT /hang"), 0
            elif troubled and hangs:
                await asyncio.sleep(3600)
            elif not troubled:
                came += 1
            writer.write(b"HTTP/1.1 201 Created\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    for number in range(int(sys.argv[1])):
        server = await asyncio.start_server(lambda r, w, n=number: serve(r, w, n == 0), "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""

_FILL = """
INSERT INTO device (id, person_id, platform, locale, push_kind, push_address, push_p256dh, push_auth, refreshed_at,
                    created_at)
SELECT md5('device' || n)::uuid, md5('person' || n)::uuid, 'web', 'fr-CA', 'webpush',
       (%(urls)s::text[])[CASE WHEN n %% %(every)s = 0 THEN 1 ELSE 2 + n %% %(others)s END] || '/push/' || n,
       %(key)s, %(auth)s, now(), now()
FROM generate_series(1, %(browsers)s) AS n
"""
_TELL = """
WITH told AS (
    INSERT INTO notification (city_id, id, event_id, person_id, kind, params, created_at, expires_at)
    SELECT %(city)s, gen_random_uuid(), %(event)s, person_id, 'resolved', '{}', now(), now() + interval '1 day'
    FROM device RETURNING id, person_id
)
INSERT INTO delivery (city_id, id, notification_id, device_id, state, attempts, due_at)
SELECT %(city)s, gen_random_uuid(), told.id, device.id, 'queued', 0, now() FROM told JOIN device USING (person_id)
"""


@contextmanager
def running_hosts() -> Iterator[list[str]]:
    """Run the host in trouble, which is the first, and the others; gives their URLs."""
    command = [sys.executable, "-c", _HOSTS, str(1 + _OTHERS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield [f"http://127.0.0.1:{int(process.stdout.readline())}" for _ in range(1 + _OTHERS)]
    finally:
        process.terminate()
        process.wait()


def refill(connection: psycopg.Connection, urls: list[str], browsers: int) -> int:
    """Have nothing but so many browsers that are to be told of one event; answers how many are at the other hosts."""
    connection.execute("DELETE FROM notification")  # and their deliveries with them
    connection.execute("DELETE FROM device")
    key = to_base64url(public_point(ec.generate_private_key(ec.SECP256R1()).public_key()))
    auth = to_base64url(bytes(16))
    named = {"urls": urls, "every": _SLOW_SHARE, "others": _OTHERS, "browsers": browsers, "key": key, "auth": auth}
    connection.execute(_FILL, named)
    connection.execute("VACUUM ANALYZE device, notification, delivery")
    row = connection.execute("SELECT gen_random_uuid()").fetchone()
    assert row is not None
    connection.execute(_TELL, {"city": _CITY, "event": row[0]})
    connection.execute("ANALYZE device, notification, delivery")
    return browsers - browsers // _SLOW_SHARE


async def measure(app_url: str, others: str, expected: int) -> float:
    """Send what is due as a worker does; answers how many messages a second the other hosts took."""
    channel = WebPushChannel(
        VapidKey(b"\1" * 32), contact="mailto:bench@example.org", clock=lambda: datetime.now(UTC), allow_private=True
    )
    async with Database(app_url, pool_size=6, patience=WORKING) as database, httpx.AsyncClient() as client:
        sender = Sender(
            database,
            {AddressKind.WEBPUSH: channel},
            render=lambda *_: ("Nid-de-poule : problème réglé", "Réglé."),
            clock=database_time,
            seconds=seconds_passed,
        )
        began = time.perf_counter()
        run = asyncio.create_task(_deliver(sender))
        try:
            while int((await client.get(f"{others}/came")).text) < expected:
                if time.perf_counter() - began > _PATIENCE_S:
                    raise TimeoutError("the others did not get theirs")
                await asyncio.sleep(_LOOK_S)
            took_s = time.perf_counter() - began
        finally:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
            await channel.close()
    return expected / took_s


async def _deliver(sender: Sender) -> None:
    while True:
        await sender.deliver_due(_CITY)
        await asyncio.sleep(_LOOK_S)


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browsers", type=int, default=6000)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    console = Console(stderr=True)
    leave_on_sigterm()
    found: dict[str, object] = {"bench": "hosts", "browsers": options.browsers}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jalon-bench-")))
        folder.chmod(0o755)  # the database server runs under an account of its own
        database = stack.enter_context(empty_stage(folder))
        hosts = stack.enter_context(running_hosts())
        connection = stack.enter_context(database.cluster.connect(database.database))
        for trouble, first in (("hangs", hosts[0]), ("dead", "http://127.0.0.1:1")):
            ratios = []
            for _ in range(options.pairs):
                rates = {}
                for troubled in (False, True):
                    urls = [first if troubled else hosts[0], *hosts[1:]]
                    expected = refill(connection, urls, options.browsers)
                    httpx.put(f"{hosts[1]}/{'hang' if troubled else 'well'}").raise_for_status()
                    rates[troubled] = asyncio.run(measure(database.app_url, hosts[1], expected))
                ratios.append(rates[True] / rates[False])
                console.print(f"{trouble}: {rates[False]:.0f}/s well, {rates[True]:.0f}/s with it, {ratios[-1]:.2f}")
            found[trouble] = {
                "ratios": [round(one, 3) for one in ratios],
                "median": round(statistics.median(ratios), 3),
            }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
