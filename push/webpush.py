"""Web Push (RFC 8030) to browsers, and to apps by UnifiedPush: posts to endpoints that the devices named.

Each host is somebody else's: anybody may register an endpoint of their own, which answers late, never, or byte by byte.
So a message has one time for all of it, redirections are not followed, answers are not read beyond their head, and
nothing is sent to an address that is not the Internet's, whatever a name resolves to.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import httpx

from push.attempts import Attempt, OutOfTime, retry_after_s
from push.channels import ANSWER_S, Message, Outcome, SendResult, SendWindow
from push.circuits import Circuits
from push.encryption import ENCODING, KeysRefused, encrypt
from push.endpoints import EndpointRefused, endpoint_origin, is_public
from push.vapid import VapidKey

# How long to leave a host alone that refuses for coming too fast without naming a time, as FCM asks for.
_QUOTA_REST_S: Final = 60.0
# When to look again for a host that could not be reached.
_UNREACHED_S: Final = 30.0
# An answer's body says nothing that its status does not; a short one is read so that the connection can be used again.
_BODY_READ_BYTES: Final = 4096

# What a push service's status means (RFC 8030, section 5; the services' own pages). Any other from 500 on is RETRY,
# and else GIVE_UP: redirections, and 400, 401 and 403, which may be a subscription made for another key of ours.
_OUTCOMES: Final[Mapping[int, Outcome]] = {
    404: Outcome.FORGET,
    410: Outcome.FORGET,
    408: Outcome.RETRY,
    429: Outcome.QUOTA,
}


class WebPushChannel:
    """Sends to any push service. Belongs to the event loop that first sends with it."""

    def __init__(
        self,
        key: VapidKey,
        *,
        contact: str,
        clock: Callable[[], datetime],
        allow_private: bool = False,
        timeout_s: float = ANSWER_S,
        in_flight: int = 32,
    ) -> None:
        """Prepare the channel; nothing connects yet.

        Args:
            key: Signs for this installation.
            contact: Whom a push service may write to: ``mailto:...`` or ``https://...``.
            clock: Tells the time that signatures end by, aware of its zone.
            allow_private: Send also without TLS and to machines that the Internet does not know.
            timeout_s: How long a message may take from connecting to the answer; at most `ANSWER_S`.
            in_flight: How many messages are under way at once to one host.
        """
        self._key = key
        self._contact = contact
        self._clock = clock
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._in_flight = in_flight
        self._circuits = Circuits()
        # Proxies and certificates of the environment are not for it: a proxy would hide where a name leads.
        self._http = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        )

    async def send(self, messages: Sequence[Message], window: SendWindow) -> Sequence[SendResult]:
        """Send each message once and answer for each, in the same order."""
        results: dict[int, SendResult] = {}
        by_origin: dict[str, list[int]] = defaultdict(list)
        for at, message in enumerate(messages):
            try:
                by_origin[endpoint_origin(message.address, allow_private=self._allow_private)].append(at)
            except EndpointRefused:
                results[at] = SendResult(Outcome.GIVE_UP, error="no endpoint of a push service")
        answers = await asyncio.gather(
            *(
                self._send_to_host(origin, [messages[at] for at in places], window)
                for origin, places in by_origin.items()
            )
        )
        for places, answer in zip(by_origin.values(), answers, strict=True):
            results.update(zip(places, answer, strict=True))
        return [results[at] for at in range(len(messages))]

    async def close(self) -> None:
        """Close connections to push services."""
        await self._http.aclose()

    async def _send_to_host(self, origin: str, messages: Sequence[Message], window: SendWindow) -> list[SendResult]:
        """Send to one host: first one message alone, so that a host that is not there costs one, then the others."""
        authorization = self._key.authorize(origin, contact=self._contact, now=self._clock())
        turns = asyncio.Semaphore(self._in_flight)

        async def send_one(message: Message) -> SendResult:
            async with turns:
                wait_s = self._circuits.ask(origin, window.seconds())
                if wait_s > 0:
                    return SendResult(Outcome.UNSENT, error="the push service rests", retry_after_s=wait_s)
                result = await self._post(message, authorization, window)
                self._note(origin, result, window.seconds())
                return result

        first = await send_one(messages[0])
        if first.outcome is Outcome.UNSENT:
            return [first] * len(messages)
        if first.outcome is Outcome.NO_ANSWER:
            others = SendResult(Outcome.UNSENT, error=first.error, retry_after_s=_UNREACHED_S)
            return [first, *[others] * (len(messages) - 1)]
        return [first, *await asyncio.gather(*map(send_one, messages[1:]))]

    def _note(self, origin: str, result: SendResult, now: float) -> None:
        """Note in the host's circuit what a message to it came to."""
        match result.outcome:
            case Outcome.NO_ANSWER | Outcome.RETRY:
                self._circuits.note_failure(origin, now)
            case Outcome.UNSENT if result.retry_after_s is not None:
                self._circuits.note_failure(origin, now)
            case Outcome.UNSENT:
                pass  # our time was over
            case _:
                self._circuits.note_answer(origin, now)
        if result.outcome is Outcome.QUOTA:
            self._circuits.rest(origin, now + (result.retry_after_s or 0.0))

    async def _post(self, message: Message, authorization: str, window: SendWindow) -> SendResult:
        """Post one message; once more, and shorter, where it is too long."""
        attempt = Attempt(window)
        try:
            async with asyncio.timeout(self._timeout_s):
                status, headers = await self._request(message, _encrypted(message), authorization, attempt)
                if status == 413:
                    attempt = Attempt(window)
                    shorter = _encrypted(replace(message, body=""))
                    status, headers = await self._request(message, shorter, authorization, attempt)
                return _result_of(status, headers)
        except KeysRefused:
            return SendResult(Outcome.GIVE_UP, error="keys that nothing can be encrypted for")
        except _NotPublic:
            return SendResult(Outcome.GIVE_UP, error="the endpoint's name leads to no public address")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OutOfTime) as error:
            return _failed(error, attempt)

    async def _request(
        self, message: Message, body: bytes, authorization: str, attempt: Attempt
    ) -> tuple[int, Mapping[str, str]]:
        headers = {
            "Authorization": authorization,
            "Content-Encoding": ENCODING,
            "Content-Type": "application/octet-stream",
            "TTL": str(message.ttl_s),
            # At most 32 characters (RFC 8030, section 5.4): the id without its dashes.
            "Topic": message.collapse_id.hex,
            "Urgency": "high",
        }
        extensions = {"trace": self._asking(attempt)}
        async with self._http.stream(
            "POST", message.address, content=body, headers=headers, extensions=extensions
        ) as response:
            attempt.status = response.status_code
            read = 0
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > _BODY_READ_BYTES:
                    break
            return response.status_code, response.headers

    def _asking(self, attempt: Attempt) -> Callable[[str, Mapping[str, Any]], Any]:
        """Make what the connection tells of its steps: where it leads, and that it is about to write."""

        async def trace(step: str, about: Mapping[str, Any]) -> None:
            if step == "connection.connect_tcp.complete" and not self._allow_private:
                if not is_public(about["return_value"].get_extra_info("server_addr")[0]):
                    await about["return_value"].aclose()
                    raise _NotPublic
            elif step == "http11.send_request_headers.started":
                attempt.leave()

        return trace


class _NotPublic(Exception):
    """A name of the Internet leads to a machine that is not of it."""


def _encrypted(message: Message) -> bytes:
    """Write what the device shows: JSON, with the event's id as the tag of what it replaces."""
    if message.keys is None:
        raise KeysRefused
    shown = {
        "title": message.title,
        "body": message.body,
        "tag": str(message.collapse_id),
        "data": message.app_data,
        **({"image": message.image_url} if message.image_url else {}),
        **({"actions": [{"action": a.code, "title": a.label} for a in message.actions]} if message.actions else {}),
    }
    return encrypt(json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode(), message.keys)


def _result_of(status: int, headers: Mapping[str, str]) -> SendResult:
    if 200 <= status < 300:
        return SendResult(Outcome.SENT)
    outcome = _OUTCOMES.get(status, Outcome.RETRY if status >= 500 else Outcome.GIVE_UP)
    wait_s = retry_after_s(headers) if outcome in (Outcome.QUOTA, Outcome.RETRY) else None
    if outcome is Outcome.QUOTA and wait_s is None:
        wait_s = _QUOTA_REST_S
    return SendResult(outcome, error=f"HTTP {status}", retry_after_s=wait_s)


def _failed(error: Exception, attempt: Attempt) -> SendResult:
    """Tell what the lack of an answer means. The error is named without its text, which may show the address."""
    described = type(error).__name__
    if isinstance(error, OutOfTime):
        return SendResult(Outcome.UNSENT, error="no time left")
    if attempt.status is not None:
        # Its head came, only the rest did not.
        return _result_of(attempt.status, {})
    if attempt.left:
        return SendResult(Outcome.NO_ANSWER, error=described)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return SendResult(Outcome.GIVE_UP, error=described)
    return SendResult(Outcome.UNSENT, error=described, retry_after_s=_UNREACHED_S)
