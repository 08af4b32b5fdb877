"""A client that costs little: requests built beforehand, one keep-alive connection for each simulated person.

It shares the machine with the servers it measures, so it does no more per answer than find where the answer ends.
"""

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, cast

import uvloop

# What one person sends, one after another; each part is written as it is, so that bytes can be shared.
Exchange: TypeAlias = Sequence[Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class Target:
    """Where servers listen; connections take turns."""

    host: str
    ports: Sequence[int]


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one round.

    Attributes:
        seconds: From the first byte sent to the last answer counted.
        latencies_s: One for each exchange, from its first byte sent to its last byte received, ascending.
        statuses: How many answers had which HTTP status.
        client_cpu_s: Processor time this client took.
    """

    seconds: float
    latencies_s: Sequence[float]
    statuses: Counter[int]
    client_cpu_s: float

    @property
    def per_second(self) -> float:
        """Exchanges a second."""
        return len(self.latencies_s) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Latency that this share of exchanges did not exceed (nearest rank), in milliseconds."""
        rank = max(1, math.ceil(share * len(self.latencies_s)))
        return self.latencies_s[rank - 1] * 1000


class RanOut(Exception):
    """Fewer exchanges were prepared than the servers answered in time."""


def send_all(target: Target, exchanges: deque[Exchange], *, clients: int, seconds: float = math.inf) -> Measured:
    """Let `clients` people send for `seconds`, each the next exchange as soon as the last was answered.

    Args:
        target: Servers.
        exchanges: Prepared requests, taken from the left; what is left over stays.
        clients: Connections, opened before the clock starts.
        seconds: For how long new exchanges are begun; by default until all have been.

    Raises:
        RanOut: `exchanges` were too few for the time.
        ConnectionError: a server closed a connection.
    """
    return uvloop.run(_send_all(target, exchanges, clients=clients, seconds=seconds))


async def _send_all(target: Target, exchanges: deque[Exchange], *, clients: int, seconds: float) -> Measured:
    loop = asyncio.get_running_loop()
    people: list[_Person] = []
    try:
        for number in range(clients):
            port = target.ports[number % len(target.ports)]
            _, person = await loop.create_connection(lambda: _Person(exchanges), target.host, port)
            people.append(person)
        started, cpu = time.perf_counter(), time.process_time()
        for person in people:
            person.begin(until=started + seconds)
        await asyncio.gather(*(person.finished for person in people))
        client_cpu_s = time.process_time() - cpu
    finally:
        for person in people:
            person.close()
    return Measured(
        seconds=max(person.last_answer for person in people) - started,
        latencies_s=sorted(latency for person in people for latency in person.latencies_s),
        statuses=sum((person.statuses for person in people), Counter[int]()),
        client_cpu_s=client_cpu_s,
    )


class _Person(asyncio.Protocol):
    """One connection; sends the requests of an exchange one by one."""

    def __init__(self, exchanges: deque[Exchange]) -> None:
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latencies_s: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.last_answer = 0.0
        self._exchanges = exchanges
        self._left: deque[Sequence[bytes]] = deque()
        self._answer = bytearray()
        self._until = 0.0
        self._began = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # TCP gives nothing else

    def begin(self, *, until: float) -> None:
        """Send the first exchange, and further ones until the clock says `until`."""
        self._until = until
        self._next_exchange()

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head_end = self._answer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        length = _content_length(self._answer[:head_end].lower())
        if len(self._answer) < head_end + 4 + length:
            return
        self.statuses[int(self._answer[9:12])] += 1
        self._answer.clear()
        if self._left:
            self._transport.writelines(self._left.popleft())
            return
        now = time.perf_counter()
        self.latencies_s.append(now - self._began)
        self.last_answer = now
        if now < self._until:
            self._next_exchange()
        else:
            self.finished.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.finished.done():
            self.finished.set_exception(error or ConnectionResetError("the server closed the connection"))

    def _next_exchange(self) -> None:
        if not self._exchanges:
            if math.isinf(self._until):
                self.finished.set_result(None)
            else:
                self.finished.set_exception(RanOut())
            return
        self._left.extend(self._exchanges.popleft())
        self._began = time.perf_counter()
        self._transport.writelines(self._left.popleft())


def _content_length(head: bytearray) -> int:
    start = head.index(b"content-length:") + 15
    end = head.find(b"\r\n", start)
    return int(head[start : end if end >= 0 else len(head)])
