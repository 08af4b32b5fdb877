"""A stand-in for a city's mail server on a real socket, which says what the test wants."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class MailServer:
    """Letters that came, and what to say to whom.

    Attributes:
        says: What to answer to RCPT or, with the key `DATA`, to a letter; each once, then as if nothing were wrong.
        always: The same, but each time, and also with the key `MAIL`; `cut` ends the line, `silence` says nothing.
        came: How many letters were begun, counted before each is answered.
    """

    letters: list[EmailMessage] = field(default_factory=list)
    says: dict[str, str] = field(default_factory=dict)
    always: dict[str, str] = field(default_factory=dict)
    came: int = 0
    port: int = 0

    async def handle_MAIL(  # noqa: N802 - as aiosmtpd calls it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.came += 1
        if (said := self.always.get("MAIL")) is not None:
            return said
        envelope.mail_from = address
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - as above
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if (said := self.says.pop(address, None) or self.always.get("RCPT")) is not None:
            return said
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        if (said := self.says.pop("DATA", None) or self.always.get("DATA")) is not None:
            if said == "silence":
                await asyncio.sleep(60)
            if said == "cut":
                server.transport.close()
            return said
        content = envelope.content
        assert isinstance(content, bytes)
        letter: Any = message_from_bytes(content, policy=default)
        self.letters.append(letter)
        return f"250 2.0.0 queued as {len(self.letters)}"


@contextmanager
def running_mail_server() -> Iterator[MailServer]:
    """Run a mail server beside the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = MailServer(port=port)
    controller = Controller(server, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
