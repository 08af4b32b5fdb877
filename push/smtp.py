"""E-mail, through an SMTP server (RFC 5321) that the operator names.

A letter has one name, made of the event and the address: what is sent a second time has it too, so that mail programs
know it for the same. Here counts what the server says at once; what it writes back later is for `push.bounces`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from push.channels import ANSWER_S, Message, Outcome, SendResult, SendWindow

# Folded at less, a link in a header is written in code (RFC 2047), which nobody may who reads List-Unsubscribe.
_POLICY: Final = SMTP.clone(max_line_length=998)
_UNREACHED_S: Final = 30.0
_CONNECTIONS: Final = 4
# The server knows of no such mailbox (RFC 5321, 4.2.3); RFC 3463 says so more exactly by 5.1.x.
_NO_SUCH_MAILBOX: Final = frozenset({550, 551, 553})
_PORTS: Final = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where letters are handed in; STARTTLS is used wherever it is offered."""

    host: str
    port: int
    tls: bool
    username: str | None
    password: str | None = field(repr=False)

    @classmethod
    def of(cls, url: str) -> "SmtpServer":
        """Read ``smtp://user:password@host:587`` or ``smtps://...``.

        Raises:
            ValueError: it is no such address.
        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("an SMTP server is named smtp://user:password@host:587 or smtps://...")
        return cls(
            host=parts.hostname,
            port=parts.port or _PORTS[parts.scheme],
            tls=parts.scheme == "smtps",
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )


@dataclass(frozen=True, slots=True)
class Letter:
    """What a letter says, in its reader's language, and the link that ends all letters (RFC 8058)."""

    subject: str
    text: str
    html: str
    unsubscribe_url: str
    pictures: Sequence["Picture"] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a letter's HTML shows, as ``cid:`` and its id; nothing is fetched from anywhere.

    Attributes:
        cid: Its id, of no other picture in the world (RFC 2392): ``name@domain``.
        subtype: ``png`` or another of ``image/``.
    """

    cid: str
    subtype: str
    content: bytes = field(repr=False)


class EmailChannel:
    """Hands letters in at one SMTP server, some at a time over a connection each."""

    def __init__(
        self,
        server: SmtpServer,
        *,
        sender: str,
        compose: Callable[[Message], Awaitable[Letter]],
        timeout_s: float = ANSWER_S,
    ) -> None:
        """Prepare the channel; nothing connects yet.

        Args:
            server: Where to hand in.
            sender: Whom letters are from: an address, or ``Name <address>``.
            compose: Makes a letter of a message.
            timeout_s: How long each step of the protocol may take; at most `ANSWER_S`.
        """
        self._server = server
        self._sender = sender
        self._address = parseaddr(sender)[1]
        self._compose = compose
        self._timeout_s = timeout_s

    async def send(self, messages: Sequence[Message], window: SendWindow) -> Sequence[SendResult]:
        """Send each message once and answer for each, in the same order."""
        batch = _Batch(messages, window)
        async with asyncio.TaskGroup() as hands:
            for _ in range(min(_CONNECTIONS, len(messages))):
                hands.create_task(self._hand_in(batch))
        return batch.answers()

    async def close(self) -> None:
        """Nothing stays open between batches."""

    async def _hand_in(self, batch: "_Batch") -> None:
        """Hand in what waits over one connection, and over another where that breaks."""
        while batch.waits:
            client = self._client()
            try:
                async with asyncio.timeout(batch.patience_s(self._timeout_s)):
                    await client.connect()
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                batch.fail(_of_connection(error))
                client.close()
                return
            try:
                await self._use(client, batch)
            finally:
                client.close()

    async def _use(self, client: aiosmtplib.SMTP, batch: "_Batch") -> None:
        """Hand in one letter after another until none waits or the connection is of no more use."""
        while (taken := batch.take()) is not None:
            at, message = taken
            try:
                letter = await self._written(message)
                message.address.encode("ascii")  # others need an extension that few servers have (RFC 6531)
            except Exception as error:  # noqa: BLE001 - a letter that cannot be written must not cost the others theirs
                batch.note(at, SendResult(Outcome.GIVE_UP, error=f"letter: {error!r}"))
                continue
            attempt = _Attempt()
            try:
                async with asyncio.timeout(batch.patience_s(self._timeout_s)):
                    batch.note(at, await attempt.make(client, self._address, message.address, letter))
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                batch.note(at, attempt.result_of(error))
                if not isinstance(error, aiosmtplib.SMTPResponseException) or error.code == 421:
                    return
                try:
                    await client.rset()
                except (aiosmtplib.SMTPException, OSError):
                    return

    def _client(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls,
            username=server.username,
            password=server.password,
            timeout=self._timeout_s,
        )

    async def _written(self, message: Message) -> bytes:
        letter = await self._compose(message)
        written = EmailMessage(policy=_POLICY)
        written["From"] = self._sender
        written["To"] = message.address
        written["Subject"] = letter.subject
        written["Date"] = formatdate(usegmt=True)
        written["Message-ID"] = f"<{message.collapse_id}.{message.recipient_id}@{self._address.partition('@')[2]}>"
        written["List-Unsubscribe"] = f"<{letter.unsubscribe_url}>"
        written["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        written["Auto-Submitted"] = "auto-generated"  # nobody's answering machine answers (RFC 3834)
        written.set_content(letter.text)
        written.add_alternative(letter.html, subtype="html")
        if letter.pictures:
            html = written.get_payload(1)
            assert isinstance(html, EmailMessage)  # noqa: S101 - the second of the two forms
            for picture in letter.pictures:
                name = f"{picture.cid.partition('.')[0]}.{picture.subtype}"
                html.add_related(
                    picture.content, "image", picture.subtype, cid=f"<{picture.cid}>", filename=name,
                    disposition="inline",
                )  # fmt: skip
        return written.as_bytes()


class _Batch:
    """Letters on their way, taken one by one."""

    def __init__(self, messages: Sequence[Message], window: SendWindow) -> None:
        self._waiting = deque(enumerate(messages))
        self._results: dict[int, SendResult] = {}
        self._count = len(messages)
        self._window = window
        self._failure = SendResult(Outcome.UNSENT, error="the window closed")

    @property
    def waits(self) -> bool:
        return bool(self._waiting) and self._window.left_s > 0

    def patience_s(self, most_s: float) -> float:
        """How long a step may take: the whole call ends within `ANSWER_S` after the window."""
        return max(0.0, min(most_s, self._window.left_s + ANSWER_S))

    def take(self) -> tuple[int, Message] | None:
        return self._waiting.popleft() if self.waits else None

    def note(self, at: int, result: SendResult) -> None:
        self._results[at] = result

    def fail(self, failure: SendResult) -> None:
        """Note why nothing more leaves."""
        self._failure = failure

    def answers(self) -> list[SendResult]:
        return [self._results.get(at, self._failure) for at in range(self._count)]


class _Attempt:
    """One letter, as far as it got."""

    def __init__(self) -> None:
        self._step = "MAIL"

    async def make(self, client: aiosmtplib.SMTP, sender: str, address: str, letter: bytes) -> SendResult:
        await client.mail(sender)
        self._step = "RCPT"
        await client.rcpt(address)
        self._step = "DATA"
        answer = await client.data(letter)
        return SendResult(Outcome.SENT, provider_id=answer.message[:200])

    def result_of(self, error: Exception) -> SendResult:
        """Tell what an error means: an answer of the server's, or none."""
        said = f"{self._step}: {type(error).__name__}"
        if not isinstance(error, aiosmtplib.SMTPResponseException) or error.code < 400:
            if self._step == "DATA":
                return SendResult(Outcome.NO_ANSWER, error=said)
            return SendResult(Outcome.UNSENT, error=said, retry_after_s=_UNREACHED_S)
        said = f"{self._step}: {error.code}"  # never its text, which may hold the address
        if error.code < 500:
            return SendResult(Outcome.RETRY, error=said)
        if self._step == "MAIL":
            return SendResult(Outcome.STOP_PROJECT, error=said)
        if self._step == "RCPT" and (error.code in _NO_SUCH_MAILBOX or error.message.startswith("5.1.")):
            return SendResult(Outcome.FORGET, error=said)
        return SendResult(Outcome.GIVE_UP, error=said)


def _of_connection(error: Exception) -> SendResult:
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return SendResult(Outcome.STOP_PROJECT, error=f"AUTH: {error.code}")
    return SendResult(Outcome.UNSENT, error=f"connecting: {type(error).__name__}", retry_after_s=_UNREACHED_S)
