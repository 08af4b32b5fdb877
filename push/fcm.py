"""Firebase Cloud Messaging, through Google's own library; the only module that knows it.

Each message goes out by ``messaging.send`` in a thread of a pool, over HTTP connections kept open. Measured against the
stand-in: 1000 messages/s for 0.9 ms of CPU each; the library's ``send_each_async`` 450/s for 2.2 ms, its ``send_each``
780/s for 1.3 ms. Given a list, those also lose the answers of all where one of them cannot be read.

The library's own retries (up to five sends, more after a 401) would double messages, and its sign-in asks a host of
Google's that a stand-in cannot stand in for. So its HTTP client is replaced by one without either, before first use.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any, Final
from uuid import uuid4

import firebase_admin
import requests
from firebase_admin import _http_client, credentials, exceptions, messaging
from google.auth.credentials import TokenState
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import Request
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from push.channels import AddressKind, Message, Outcome, SendResult

GOOGLE_URL: Final = "https://fcm.googleapis.com"

# FCM asks for a minute of quiet where it refuses for quota without naming a time.
_QUOTA_PAUSE_S = 60.0
# How long a batch waits for an access token. The fetching may take longer (the library tries three times): the batch
# then gives its turn up, and a later one finds the token.
_TOKEN_WAIT_S = 15.0

# By exact type; any other answer of FCM's is GIVE_UP. A sender mismatch is not FORGET: wrong credentials on our side
# would then delete every device. Nor is a NOT_FOUND that does not say UNREGISTERED: that is the project or the URL.
_OUTCOMES: Final[Mapping[type[Exception], Outcome]] = {
    messaging.UnregisteredError: Outcome.FORGET,
    messaging.SenderIdMismatchError: Outcome.STOP_PROJECT,
    messaging.ThirdPartyAuthError: Outcome.STOP_PLATFORM,
    messaging.QuotaExceededError: Outcome.RETRY,
    exceptions.ResourceExhaustedError: Outcome.RETRY,
    exceptions.InternalError: Outcome.RETRY,
    exceptions.UnavailableError: Outcome.RETRY,
    exceptions.DeadlineExceededError: Outcome.RETRY,
    exceptions.UnauthenticatedError: Outcome.STOP_PROJECT,
    exceptions.PermissionDeniedError: Outcome.STOP_PROJECT,
    exceptions.NotFoundError: Outcome.STOP_PROJECT,
    exceptions.InvalidArgumentError: Outcome.GIVE_UP,
    ValueError: Outcome.GIVE_UP,  # the library refuses to send it
}


class FcmChannel:
    """Sends through one Firebase project. Belongs to the event loop that first sends with it."""

    def __init__(
        self,
        service_account: Mapping[str, Any],
        *,
        url: str = GOOGLE_URL,
        timeout_s: float = 10,
        in_flight: int = 64,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare the channel; nothing connects yet.

        Args:
            service_account: The parsed JSON key file of a service account; its ``token_uri`` is where access tokens
                come from.
            url: Where FCM is; Google's unless a stand-in takes its place.
            timeout_s: How long connecting, and then answering, may take; past it the outcome is RETRY.
            in_flight: How many messages are under way at once, each in a thread.
            monotonic: Seconds that only ever grow, for pauses.

        Raises:
            ValueError: the key file is not a service account's.
        """
        certificate = credentials.Certificate(dict(service_account))
        self._token = _AccessToken(certificate.get_credential(), timeout_s=timeout_s)
        # A name of its own: the library keeps its apps in one table for the whole process.
        self._app = firebase_admin.initialize_app(
            certificate, {"projectId": certificate.project_id}, name=f"jalon-{uuid4()}"
        )
        service = messaging._get_messaging_service(self._app)  # noqa: SLF001 - no public way to set URL and retries
        service._fcm_url = f"{url.rstrip('/')}/v1/projects/{certificate.project_id}/messages:send"  # noqa: SLF001
        self._http = _http_without_retries(in_flight)
        service._client = _http_client.JsonHttpClient(session=self._http, retries=None, timeout=timeout_s)  # noqa: SLF001
        self._threads = ThreadPoolExecutor(in_flight, thread_name_prefix="fcm")
        self._monotonic = monotonic
        self._paused_until = float("-inf")

    async def send(self, messages: Sequence[Message]) -> Sequence[SendResult]:
        """Send each message once and answer for each, in the same order.

        After a refusal for quota the whole project rests for the time that FCM named (60 s without): until then
        messages come back as RETRY without being sent.
        """
        failure = await self._sign_in()
        if failure is not None:
            return [failure] * len(messages)
        answers = await self._post_all(messages)
        refused = [at for at, answer in enumerate(answers) if type(answer) is exceptions.UnauthenticatedError]
        if refused:
            # The token ended before its time (a key turned, a stand-in restarted); none of these was accepted.
            self._token.discard()
            if await self._sign_in() is None:
                again = await self._post_all([messages[at] for at in refused])
                for at, answer in zip(refused, again, strict=True):
                    answers[at] = answer
        return [
            _result_of(answer, message) if isinstance(answer, Exception) else answer
            for message, answer in zip(messages, answers, strict=True)
        ]

    async def close(self) -> None:
        """Wait for what is under way, close the connections and let the library forget the project."""
        # In a thread for both: the wait would block, and the library's clean-up calls asyncio.run().
        await asyncio.to_thread(self._threads.shutdown)
        await asyncio.to_thread(firebase_admin.delete_app, self._app)
        self._http.close()

    async def _sign_in(self) -> SendResult | None:
        """Have a fresh access token for every request; the result for the whole batch where that fails."""
        try:
            token = await self._token.fresh()
        except (GoogleAuthError, requests.RequestException, TimeoutError) as error:
            refused = isinstance(error, RefreshError) and not error.retryable
            return SendResult(Outcome.STOP_PROJECT if refused else Outcome.RETRY, error=_describe(error))
        self._http.auth = _Bearer(token)
        return None

    async def _post_all(self, messages: Sequence[Message]) -> list[SendResult | Exception]:
        loop = asyncio.get_running_loop()
        return list(await asyncio.gather(*(loop.run_in_executor(self._threads, self._post, m) for m in messages)))

    def _post(self, message: Message) -> SendResult | Exception:
        """Post one message, in a thread; an error is handed back, since it must not end the batch."""
        rest_s = self._paused_until - self._monotonic()
        if rest_s > 0:
            return SendResult(Outcome.RETRY, error="quota: the project rests", retry_after_s=rest_s)
        try:
            return SendResult(Outcome.SENT, provider_id=messaging.send(fcm_message(message), app=self._app))
        except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this message alone
            if isinstance(error, exceptions.ResourceExhaustedError):
                self._paused_until = max(self._paused_until, self._monotonic() + _quota_pause_s(error))
            return error


def _http_without_retries(connections: int) -> requests.Session:
    session = requests.Session()
    adapter = HTTPAdapter(pool_maxsize=connections, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Bearer(AuthBase):
    """Writes the access token into a request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _AccessToken:
    """The project's OAuth access token.

    Only the credential's ``refresh`` is called. Its ``before_request`` would also start a look-up at another of
    Google's hosts (regional access boundaries), which FCM does not need and a stand-in cannot answer.
    """

    def __init__(self, credential: Any, *, timeout_s: float) -> None:
        self._credential = credential
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()

    async def fresh(self) -> str:
        async with self._lock:
            if self._credential.token_state is not TokenState.FRESH:
                # The library would wait two minutes, three times.
                request = functools.partial(Request(), timeout=self._timeout_s)
                async with asyncio.timeout(_TOKEN_WAIT_S):
                    await asyncio.to_thread(self._credential.refresh, request)
            return str(self._credential.token)

    def discard(self) -> None:
        self._credential.token = None


def fcm_message(message: Message) -> messaging.Message:
    """Write a message as FCM wants it, with the same collapse key on every platform."""
    collapse_key = str(message.collapse_id)
    target = messaging.Message(
        data=dict(message.data),
        notification=messaging.Notification(title=message.title, body=message.body),
        android=messaging.AndroidConfig(
            collapse_key=collapse_key,  # replaces what still waits at FCM ...
            priority="high",
            ttl=message.ttl_s,
            notification=messaging.AndroidNotification(tag=collapse_key),  # ... and this what is already shown
        ),
        apns=messaging.APNSConfig(
            headers={
                "apns-collapse-id": collapse_key,
                "apns-expiration": str(int(message.expires_at.timestamp())),
                "apns-priority": "10",
            },
            payload=messaging.APNSPayload(messaging.Aps(sound="default")),
        ),
        webpush=messaging.WebpushConfig(
            # A topic has at most 32 characters (RFC 8030, section 5.4): the id without its dashes.
            headers={"Topic": message.collapse_id.hex, "TTL": str(message.ttl_s), "Urgency": "high"},
            notification=messaging.WebpushNotification(tag=collapse_key),
        ),
    )
    # Set here and not in the constructor, which warns of `token` as deprecated: a filter for that warning would
    # change the state of the whole process, and phones that have no installation id yet still need it.
    match message.address_kind:
        case AddressKind.FID:
            target.fid = message.address
        case AddressKind.TOKEN:
            target.token = message.address
    return target


def _result_of(error: Exception, message: Message) -> SendResult:
    outcome = _OUTCOMES.get(type(error)) or (Outcome.RETRY if _may_pass(error) else Outcome.GIVE_UP)
    retry_after_s = None
    if isinstance(error, exceptions.ResourceExhaustedError):
        retry_after_s = _quota_pause_s(error)
    elif outcome is Outcome.RETRY and isinstance(error, exceptions.FirebaseError):
        retry_after_s = _retry_after_s(error)
    description = _describe(error).replace(message.address, "(address)")
    return SendResult(outcome, error=description, retry_after_s=retry_after_s)


def _quota_pause_s(error: exceptions.FirebaseError) -> float:
    asked_s = _retry_after_s(error)
    return _QUOTA_PAUSE_S if asked_s is None else asked_s


def _may_pass(error: Exception) -> bool:
    """Tell whether an error that the table does not know is worth another try.

    A broken connection and a gateway's answer (502, 504) are. So is what is no answer of FCM's at all: the library
    fails in many ways over a body that is not its own, and a message sent twice is better than one lost.
    """
    if not isinstance(error, exceptions.FirebaseError) or error.http_response is None:
        return True
    status: int = error.http_response.status_code
    return status >= 500 or status == 408


def _retry_after_s(error: exceptions.FirebaseError) -> float | None:
    """Read ``Retry-After``: seconds, or a date, which is compared with the answer's own (RFC 9110, 10.2.3)."""
    headers = {} if error.http_response is None else error.http_response.headers
    value = headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return None
    return max(0.0, wait.total_seconds())


def _describe(error: Exception) -> str:
    """Name an error for operators: its type and the start of its text."""
    return f"{type(error).__name__}: {error}"[:300]
