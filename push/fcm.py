"""Firebase Cloud Messaging, through Google's own library; the only module that knows it.

Each message goes out by a ``send_each_async`` of its own, over HTTP/1.1 connections kept open: measured against the
stand-in, for about 0.2 ms of CPU each (by ``send`` in threads over requests 0.8). Given a list, the library loses the
answers of all where one of them cannot be read.

The library's own retries (up to five sends, more after a 401) would double messages, and its sign-in asks a host of
Google's that a stand-in cannot stand in for. So its HTTP client is replaced by a sender of ours, which has neither.
"""

import asyncio
import functools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

import firebase_admin
import requests
from firebase_admin import credentials, exceptions, messaging
from google.auth.credentials import TokenState
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import Request

from push.attempts import Attempt, JsonSender, OutOfTime, retry_after_s
from push.channels import ANSWER_S, AddressKind, Message, Outcome, Platform, SendResult, SendWindow

GOOGLE_URL: Final = "https://fcm.googleapis.com"

# FCM asks for a minute of quiet where it refuses for quota without naming a time.
_QUOTA_REST_S = 60.0
# How long to leave alone what only an operator can mend: long enough to be no load, short enough to go out soon after.
_STOP_REST_S = 300.0
# When to look again for a server that could not be reached.
_UNREACHED_S = 30.0
# How long a batch waits for an access token. The fetching may take longer (the library tries three times): the batch
# then gives its turn up, and a later one finds the token.
_TOKEN_WAIT_S = 15.0

# The intent that opens what a push is about, on Android.
_OPEN: Final = "OPEN_ISSUE"
# Of what was read only the phone knows, so the badge says that there is something; the app takes it away.
_SOMETHING_NEW: Final = 1

# What FCM's answers mean, by exact type; any other is RETRY from a server in trouble, and else GIVE_UP. A sender
# mismatch is not FORGET: wrong credentials on our side would then delete every device. Nor is a NOT_FOUND that does not
# say UNREGISTERED: that is the project or the URL.
_OUTCOMES: Final[Mapping[type[Exception], Outcome]] = {
    messaging.UnregisteredError: Outcome.FORGET,
    messaging.SenderIdMismatchError: Outcome.STOP_PROJECT,
    messaging.ThirdPartyAuthError: Outcome.STOP_PLATFORM,
    messaging.QuotaExceededError: Outcome.QUOTA,
    exceptions.ResourceExhaustedError: Outcome.QUOTA,
    exceptions.InternalError: Outcome.RETRY,
    exceptions.UnavailableError: Outcome.RETRY,
    exceptions.DeadlineExceededError: Outcome.RETRY,
    exceptions.UnauthenticatedError: Outcome.STOP_PROJECT,
    exceptions.PermissionDeniedError: Outcome.STOP_PROJECT,
    exceptions.NotFoundError: Outcome.STOP_PROJECT,
    exceptions.InvalidArgumentError: Outcome.GIVE_UP,
}


class FcmChannel:
    """Sends through one Firebase project. Belongs to the event loop that first sends with it.

    It rests where FCM asks for quiet, or where only an operator can mend what is wrong: for the time of the rest,
    messages come back UNSENT. A rest concerns the project, or one platform of it.
    """

    def __init__(
        self,
        service_account: Mapping[str, Any],
        *,
        url: str = GOOGLE_URL,
        timeout_s: float = ANSWER_S,
        in_flight: int = 250,
    ) -> None:
        """Prepare the channel; nothing connects yet.

        Args:
            service_account: The parsed JSON key file of a service account; its ``token_uri`` is where access tokens
                come from.
            url: Where FCM is; Google's unless a stand-in takes its place.
            timeout_s: How long connecting, and then answering, may take; at most `ANSWER_S`.
            in_flight: How many messages are under way at once.

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
        service._fcm_topic_url = f"{url.rstrip('/')}/v1/projects/{certificate.project_id}/registrations"  # noqa: SLF001
        self._http = JsonSender(url, connections=in_flight, timeout_s=timeout_s)
        service._async_client = self._http  # noqa: SLF001
        self._turns = asyncio.Semaphore(in_flight)
        self._timeout_s = timeout_s
        self._rests: dict[Platform | None, float] = {}  # until when; None is the whole project

    async def send(self, messages: Sequence[Message], window: SendWindow) -> Sequence[SendResult]:
        """Send each message once and answer for each, in the same order."""
        resting = self._resting(None, window)
        if resting is not None:
            return [resting] * len(messages)
        failure = await self._sign_in()
        results = await self._post_all(messages, window) if failure is None else [failure] * len(messages)
        self._rest_where_stopped(messages, results, window)
        return results

    async def change_topic(self, topic: str, addresses: Sequence[str], *, joins: bool) -> Sequence[str | None]:
        """Have devices hear of a topic, or no more; FCM takes it as often as it is said.

        Args:
            topic: Its name, at most 900 of FCM's characters.
            addresses: At most 1000, of whichever kind of FCM's.
            joins: Whether they are to hear of it.

        Returns:
            For each, in order, None where it was done, or FCM's word for why it was not.
        """
        failure = await self._sign_in()
        if failure is not None:
            return [failure.error] * len(addresses)
        change = messaging.subscribe_to_topic_async if joins else messaging.unsubscribe_from_topic_async
        try:
            answer = await change(list(addresses), topic, app=self._app)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            return [type(error).__name__] * len(addresses)
        refused = {error.index: str(error.reason) for error in answer.errors}
        if "UNAUTHENTICATED" in refused.values():
            self._token.refused()
        return [refused.get(at) for at in range(len(addresses))]

    async def close(self) -> None:
        """Close the connections and let the library forget the project."""
        await self._http.aclose()
        # In a thread: the library's clean-up calls asyncio.run(), to close what is closed.
        await asyncio.to_thread(firebase_admin.delete_app, self._app)

    async def _sign_in(self) -> SendResult | None:
        """Have a fresh access token for every request; the result for the whole batch where that fails."""
        try:
            token = await self._token.fresh()
        except (GoogleAuthError, requests.RequestException, TimeoutError) as error:
            if isinstance(error, RefreshError) and not error.retryable:
                return SendResult(Outcome.STOP_PROJECT, error=_describe(error))
            return SendResult(Outcome.UNSENT, error=_describe(error), retry_after_s=_UNREACHED_S)
        self._http.headers["Authorization"] = f"Bearer {token}"
        return None

    async def _post_all(self, messages: Sequence[Message], window: SendWindow) -> list[SendResult]:
        """Post messages, and wait for their answers as long as a channel may."""
        attempts = [Attempt(window) for _ in messages]
        posts: list[asyncio.Task[SendResult]] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, window.left_s) + self._timeout_s), asyncio.TaskGroup() as group:
                for message, attempt in zip(messages, attempts, strict=True):
                    posts.append(group.create_task(self._post(message, attempt, window)))
        return [
            _abandoned(attempt) if post.cancelled() else post.result()
            for post, attempt in zip(posts, attempts, strict=True)
        ]

    async def _post(self, message: Message, attempt: Attempt, window: SendWindow) -> SendResult:
        """Post one message; an error is a result, since it must not end the batch."""
        async with self._turns:
            resting = self._resting(None, window) or self._resting(message.platform, window)
            if resting is not None:
                return resting
            try:
                with attempt.under_way():
                    answer = await messaging.send_each_async([fcm_message(message)], app=self._app)
            except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this message alone
                return self._failed(error, message, attempt, window)
        (response,) = answer.responses
        if not response.success:
            refusal = response.exception or exceptions.UnknownError("an answer without the message's name")
            return self._failed(refusal, message, attempt, window)
        self._token.accepted()
        return SendResult(Outcome.SENT, provider_id=response.message_id)

    def _failed(self, error: Exception, message: Message, attempt: Attempt, window: SendWindow) -> SendResult:
        """Give the result of a message that was not taken; the project rests where that concerns all."""
        result = _result_of(error, message, attempt)
        if result.outcome is Outcome.QUOTA:
            self._rest(None, result.retry_after_s or 0.0, window)
        if type(error) is exceptions.UnauthenticatedError and self._token.refused():
            # It ended before its time. Asking again at once would be a second send of the message too soon.
            return replace(result, outcome=Outcome.RETRY)
        return result

    def _resting(self, platform: Platform | None, window: SendWindow) -> SendResult | None:
        """Give the result of a message that is not sent because its project (None) or its platform rests."""
        rest_s = self._rests.get(platform, 0.0) - window.seconds()
        if platform not in self._rests or rest_s <= 0:
            return None
        return SendResult(Outcome.UNSENT, error=f"{platform or 'the project'} rests", retry_after_s=rest_s)

    def _rest(self, platform: Platform | None, rest_s: float, window: SendWindow) -> None:
        until = window.seconds() + rest_s
        self._rests[platform] = max(until, self._rests.get(platform, until))

    def _rest_where_stopped(
        self, messages: Sequence[Message], results: Sequence[SendResult], window: SendWindow
    ) -> None:
        """Rest where our credentials were refused and served for nobody else: one odd device must not stop the rest."""
        served = {m.platform for m, result in zip(messages, results, strict=True) if result.outcome is Outcome.SENT}
        for message, result in zip(messages, results, strict=True):
            if result.outcome is Outcome.STOP_PROJECT and not served:
                self._rest(None, _STOP_REST_S, window)
            elif result.outcome is Outcome.STOP_PLATFORM and message.platform not in served:
                self._rest(message.platform, _STOP_REST_S, window)


class _AccessToken:
    """The project's OAuth access token.

    Only the credential's ``refresh`` is called. Its ``before_request`` would also start a look-up at another of
    Google's hosts (regional access boundaries), which FCM does not need and a stand-in cannot answer.
    """

    def __init__(self, credential: Any, *, timeout_s: float) -> None:
        self._credential = credential
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._served = False  # FCM took this token before
        self._over = False

    async def fresh(self) -> str:
        async with self._lock:
            if self._over or self._credential.token_state is not TokenState.FRESH:
                # The library would wait two minutes, three times.
                request = functools.partial(Request(), timeout=self._timeout_s)
                async with asyncio.timeout(_TOKEN_WAIT_S):
                    await asyncio.to_thread(self._credential.refresh, request)
                self._served = self._over = False
            return str(self._credential.token)

    def accepted(self) -> None:
        self._served = True

    def refused(self) -> bool:
        """Have a new token fetched; tells whether this one had served, so that a new one may."""
        self._over = True
        return self._served


def fcm_message(message: Message) -> messaging.Message:
    """Write a message as FCM wants it, with the same collapse key on every platform."""
    collapse_key = str(message.collapse_id)
    target = messaging.Message(
        data=message.app_data,
        notification=messaging.Notification(title=message.title, body=message.body, image=message.image_url),
        android=messaging.AndroidConfig(
            collapse_key=collapse_key,  # replaces what still waits at FCM ...
            priority="high",
            ttl=message.ttl_s,
            # ... and this what is already shown. The app declares an activity for the action, to open the link.
            notification=messaging.AndroidNotification(
                tag=collapse_key, click_action=None if message.link is None else _OPEN
            ),
        ),
        apns=messaging.APNSConfig(
            headers={
                "apns-collapse-id": collapse_key,
                "apns-expiration": str(int(message.expires_at.timestamp())),
                "apns-priority": "10",
            },
            payload=messaging.APNSPayload(
                messaging.Aps(
                    sound="default",
                    badge=_SOMETHING_NEW,
                    thread_id=message.data.get("issue_id"),
                    category=message.data.get("kind") if message.actions else None,
                    mutable_content=True if message.image_url else None,  # lets the app fetch the picture
                )
            ),
            fcm_options=messaging.APNSFCMOptions(image=message.image_url),
        ),
        webpush=messaging.WebpushConfig(
            # A topic has at most 32 characters (RFC 8030, section 5.4): the id without its dashes.
            headers={"Topic": message.collapse_id.hex, "TTL": str(message.ttl_s), "Urgency": "high"},
            notification=messaging.WebpushNotification(
                tag=collapse_key,
                image=message.image_url,
                actions=[messaging.WebpushNotificationAction(action.code, action.label) for action in message.actions],
            ),
            # Only a link by https is taken.
            fcm_options=messaging.WebpushFCMOptions(
                link=message.link if message.link and message.link.startswith("https://") else None
            ),
        ),
    )
    # Set here and not in the constructor, which warns of `token` as deprecated: a filter for that warning would
    # change the state of the whole process, and phones that have no installation id yet still need it.
    match message.address_kind:
        case AddressKind.FID:
            target.fid = message.address
        case AddressKind.TOKEN:
            target.token = message.address
        case AddressKind.TOPIC:
            target.topic = message.address
    return target


def _result_of(error: Exception, message: Message, attempt: Attempt) -> SendResult:
    outcome = _outcome_of(error, attempt)
    description = _describe(error).replace(message.address or "(address)", "(address)")
    return SendResult(outcome, error=description, retry_after_s=_wait_s(error, outcome))


def _wait_s(error: Exception, outcome: Outcome) -> float | None:
    """How long to wait, where the answer or the lack of one says so."""
    match outcome:
        case Outcome.QUOTA:
            asked_s = _retry_after_s(error)
            return _QUOTA_REST_S if asked_s is None else asked_s
        case Outcome.UNSENT:
            return None if _is_out_of_time(error) else _UNREACHED_S
        case Outcome.RETRY:
            return _retry_after_s(error)
        case _:
            return None


def _outcome_of(error: Exception, attempt: Attempt) -> Outcome:
    """Tell what an error means: an answer of FCM's, none that can be read, or the library's refusal to send."""
    if not attempt.left:
        return Outcome.UNSENT if isinstance(error, exceptions.FirebaseError) else Outcome.GIVE_UP
    if attempt.status is None or attempt.status < 300:
        return Outcome.NO_ANSWER
    # The library fails in many ways over a body that is not FCM's own; then only the status counts.
    return _OUTCOMES.get(type(error)) or _of_status(attempt.status)


def _of_status(status: int) -> Outcome:
    """Tell what an answer means that is not FCM's own, but of something before it, or of another server."""
    if status == 429:
        return Outcome.QUOTA
    if status >= 500 or status == 408:
        return Outcome.RETRY
    return Outcome.GIVE_UP if status == 400 else Outcome.STOP_PROJECT


def _is_out_of_time(error: Exception) -> bool:
    """Tell whether the message's own time was over, which the library calls an unknown error."""
    return isinstance(error, exceptions.FirebaseError) and isinstance(error.cause, OutOfTime)


def _abandoned(attempt: Attempt) -> SendResult:
    """Give the result of a message for whose answer there is no more time."""
    return SendResult(Outcome.NO_ANSWER if attempt.left else Outcome.UNSENT, error="no answer in time")


def _retry_after_s(error: Exception) -> float | None:
    response = error.http_response if isinstance(error, exceptions.FirebaseError) else None
    return None if response is None else retry_after_s(response.headers)


def _describe(error: Exception) -> str:
    """Name an error for operators: its type and the start of its text."""
    return f"{type(error).__name__}: {error}"[:300]
