"""Webhooks: what happened, posted to another system, signed (standard-webhooks 1.0)."""

import asyncio
import hmac
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from push.attempts import retry_after_s
from push.channels import ANSWER_S
from push.endpoints import EndpointRefused, endpoint_origin, is_public

_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What a receiver answered.

    Attributes:
        taken: Whether it has the event.
        gone: It wants no more of them, ever.
        error: What went wrong, for operators.
        retry_after_s: How long it asked to be left alone.
    """

    taken: bool
    gone: bool = False
    error: str | None = None
    retry_after_s: float | None = None


class _NotPublic(Exception):
    """A name of the Internet leads to a machine that is not of it."""


def signature_of(secret: bytes, event_id: str, timestamp: int, body: bytes) -> str:
    """Sign an event as standard-webhooks says: over its id, the time of sending, and the body as it is sent."""
    signed = hmac.digest(secret, f"{event_id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{b64encode(signed).decode()}"


class HookPoster:
    """Posts to receivers; follows no redirection and reads no answer beyond its head."""

    def __init__(self, *, allow_private: bool = False, timeout_s: float = ANSWER_S) -> None:
        """Prepare; nothing connects yet.

        Args:
            allow_private: Post also without TLS and to machines that the Internet does not know.
            timeout_s: How long connecting and answering may take.
        """
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=timeout_s)

    async def post(self, url: str, secret: bytes, event_id: str, body: bytes, *, now: datetime) -> HookAnswer:
        """Post one event once; trouble is an answer, never an exception."""
        timestamp = int(now.timestamp())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature_of(secret, event_id, timestamp, body),
        }
        try:
            endpoint_origin(url, allow_private=self._allow_private)
            async with (
                asyncio.timeout(self._timeout_s),  # of all of it: httpx counts anew with each byte that comes
                self._http.stream(
                    "POST", url, content=body, headers=headers, extensions={"trace": self._look}
                ) as response,
            ):
                return _answer_of(response)
        except EndpointRefused:
            return HookAnswer(taken=False, error="no address that is posted to")
        except _NotPublic:
            return HookAnswer(taken=False, error="its name leads to no public address")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return HookAnswer(taken=False, error=type(error).__name__)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _look(self, step: str, about: Mapping[str, Any]) -> None:
        if step != "connection.connect_tcp.complete" or self._allow_private:
            return
        if not is_public(about["return_value"].get_extra_info("server_addr")[0]):
            await about["return_value"].aclose()
            raise _NotPublic


def _answer_of(response: httpx.Response) -> HookAnswer:
    if 200 <= response.status_code < 300:
        return HookAnswer(taken=True)
    return HookAnswer(
        taken=False,
        gone=response.status_code == _GONE,
        error=f"HTTP {response.status_code}",
        retry_after_s=retry_after_s(response.headers),
    )
