"""A bad line: one connection for one request, which may break after any byte, sent or received."""

import asyncio
import json
import random
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_PIECE_BYTES = 65_536
# Heads of answers have some 300 bytes and bodies up to a few thousand, so most of these fall into an answer.
_LONGEST_CUT_ANSWER = 900
# Closed so, a connection is reset, and what was still to be delivered is not: a phone in a tunnel.
_RESET = struct.pack("ii", 1, 0)


class NoAnswer(Exception):
    """No whole answer came: nobody listened, the line broke, or it took too long."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a line breaks.

    Attributes:
        sent: After so many bytes of the request; None for all of it.
        received: Then after so many bytes of the answer.
        reset: Whether the other side is told so (a reset), or only hears no more (an end).
    """

    sent: int | None
    received: int
    reset: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that came whole; names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after_s(self) -> int | None:
        """How long to wait before asking again; None where nothing is said."""
        header = self.headers.get("retry-after")
        return None if header is None else int(header)

    def json(self) -> dict[str, Any]:
        """Read the body; an empty one has no fields."""
        fields: dict[str, Any] = json.loads(self.body) if self.body else {}
        return fields


def write_request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Write a request that ends its connection."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def draw_cut(rng: random.Random, request: bytes) -> Cut:
    """Draw where a line breaks: while the request is sent, or while the answer comes, each as likely."""
    reset = rng.random() < 0.5
    if rng.random() < 0.5:
        return Cut(rng.randrange(len(request)), 0, reset)
    return Cut(None, rng.randrange(_LONGEST_CUT_ANSWER), reset)


async def call(port: int, request: bytes, *, cut: Cut | None, timeout_s: float) -> Answer:
    """Send a request to a port of this machine, and get the answer.

    Args:
        port: Where a server listens, or did.
        request: As `write_request` wrote it.
        cut: Where the line breaks; None where it holds. An answer shorter than the cut comes whole.
        timeout_s: How long all of it may take.

    Raises:
        NoAnswer: none came, or not all of it.
    """
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return _read_answer(await _exchange(reader, writer, request, cut), request)
            finally:
                if cut is not None and cut.reset:
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
                # The socket closes in the loop's next turn, which may be its last.
                with suppress(ConnectionError):
                    await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        raise NoAnswer(repr(error)) from error


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, cut: Cut | None
) -> bytes:
    """Send as much as the line takes; get what it brings."""
    # Who is refused while sending may find the line closed, and the answer on it.
    with suppress(ConnectionError):
        ends = len(request) if cut is None or cut.sent is None else cut.sent
        for begins in range(0, ends, _PIECE_BYTES):
            writer.write(request[begins : min(begins + _PIECE_BYTES, ends)])
            await writer.drain()
    if cut is None:
        return await reader.read()
    received = b""
    while len(received) < cut.received:
        piece = await reader.read(cut.received - len(received))
        if not piece:
            break
        received += piece
    return received


def _read_answer(received: bytes, request: bytes) -> Answer:
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        raise NoAnswer("the line broke")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    has_body = not request.startswith(b"HEAD ")
    if has_body and len(body) < int(headers.get("content-length", 0)):
        raise NoAnswer("the line broke within the answer")
    return Answer(int(status_line.split()[1]), headers, body)
