"""A stand-in for Firebase Cloud Messaging: a real server on loopback that speaks FCM v1 and its OAuth.

For the demo and the tests, where the real library talks to it over a socket. It checks what FCM checks, keeps what
came, and fails on demand. Beside Google's own calls it has:

* ``GET /messages``: what reached phones, in order; ``DELETE /messages`` empties it. A message to a topic is there once
  for each that hears of the topic.
* ``GET /topics``: which topics there are, and who hears of each.
* ``GET /count``: how many messages were accepted.
* ``GET /attempts``: every message that came, also the refused ones, each with the HTTP status it was answered.
* ``POST /faults``: how the next messages fail (see `Fault`); ``DELETE /faults`` ends it.
"""

import asyncio
import gc
import json
import random
import secrets
import socket
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import jwt
import typer
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from api.demo.fcm_account import public_key_of, write_credentials
from api.demo.fcm_rules import topic_violation_of, violation_of

# What Google's library writes as audience into its assertions, wherever the key file sends them.
_GOOGLE_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
# FCM takes either.
_SCOPES = {
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/firebase.messaging",
}
_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_REGISTRATION = "/v1/projects/{project}/registrations/{registration}"
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"

# FCM's error codes as it answers them: HTTP status, canonical status, text.
_ERRORS = {
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found."),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch"),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "Quota exceeded for the message target."),
    "INTERNAL": (500, "INTERNAL", "Internal error encountered."),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The service is currently unavailable."),
}
# Faults that are no answer of FCM's: its front end, a slow line, a line cut after the message was accepted.
_BAD_GATEWAY, _DELAY, _DROP = "BAD_GATEWAY", "DELAY", "DROP"
_FAULTS = (*_ERRORS, _BAD_GATEWAY, _DELAY, _DROP)


@dataclass(slots=True)
class Fault:
    """How messages fail: `code` is FCM's error code, or BAD_GATEWAY, DELAY or DROP.

    Attributes:
        count: For how many messages; None until the faults are deleted.
        address: Only for this push address, also where it joins or leaves a topic; None for any message.
        retry_after_s: What to write as ``Retry-After``.
        delay_s: How long to wait before answering (DELAY, whose messages are accepted).
        share: How many of the messages that it concerns it strikes: one in two for 0.5, drawn for each.
    """

    code: str
    count: int | None = 1
    address: str | None = None
    retry_after_s: int | None = None
    delay_s: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.code not in _FAULTS:
            raise ValueError(f"a fault is one of {', '.join(_FAULTS)}")


@dataclass(frozen=True, slots=True)
class Push:
    """One message that came; where a topic's reaches a phone, ``address`` is the phone's."""

    name: str
    project: str
    received_at: str
    status: int
    address_kind: str
    address: str
    collapse_key: str | None
    notification: dict[str, str]
    data: dict[str, str]
    message: dict[str, Any]


class FcmStandIn:
    """The state of the stand-in, and its ASGI application."""

    def __init__(
        self, public_key: rsa.RSAPublicKey, *, email: str, on_push: Callable[[Push], None] | None = None
    ) -> None:
        """Trust one service account.

        Args:
            public_key: Checks the account's assertions.
            email: The account's name.
            on_push: Called with every accepted message.
        """
        self._public_key = public_key
        self._email = email
        self._on_push = on_push
        self._tokens: set[str] = set()
        self._faults: list[Fault] = []
        self._topics: dict[str, set[str]] = defaultdict(set)
        self._arrived: list[Push] = []
        self.attempts: list[Push] = []
        self._accepted = 0
        self.app = Starlette(
            routes=[
                Route("/token", self._grant_token, methods=["POST"]),
                Route("/v1/projects/{project}/messages:send", self._receive_message, methods=["POST"]),
                Route(f"{_REGISTRATION}/topicSubscriptions", self._join_topic, methods=["POST"]),
                Route(f"{_REGISTRATION}/topicSubscriptions/{{topic}}", self._leave_topic, methods=["DELETE"]),
                Route("/topics", self._list_topics, methods=["GET"]),
                Route("/messages", self._list_messages, methods=["GET"]),
                Route("/messages", self._delete_messages, methods=["DELETE"]),
                Route("/count", self._count_messages, methods=["GET"]),
                Route("/attempts", self._list_attempts, methods=["GET"]),
                Route("/faults", self._add_fault, methods=["POST"]),
                Route("/faults", self._delete_faults, methods=["DELETE"]),
                Route("/tokens", self._delete_tokens, methods=["DELETE"]),
            ]
        )

    def fail(self, fault: Fault) -> None:
        """Have the next messages fail."""
        self._faults.append(fault)

    async def _grant_token(self, request: Request) -> Response:
        """Exchange an assertion signed by the service account for an access token (RFC 7523)."""
        form = await request.form()
        if form.get("grant_type") != _GRANT_TYPE:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        try:
            claims = jwt.decode(
                str(form.get("assertion", "")),
                self._public_key,
                algorithms=["RS256"],
                audience=[_GOOGLE_TOKEN_URI, str(request.url)],
                issuer=self._email,
                options={"require": ["exp", "iat", "iss", "aud"]},
            )
        except jwt.InvalidTokenError as error:
            return JSONResponse({"error": "invalid_grant", "error_description": str(error)}, 400)
        if _SCOPES.isdisjoint(claims.get("scope", "").split()):
            return JSONResponse({"error": "invalid_scope"}, 400)
        token = secrets.token_urlsafe(32)
        self._tokens.add(token)
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 3600})

    async def _receive_message(self, request: Request) -> Response:
        if not self._is_signed_in(request):
            return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        body = await request.body()
        try:
            envelope = json.loads(body)
        except ValueError:
            return _error(400, "INVALID_ARGUMENT", "Invalid JSON payload received.")
        violation = violation_of(envelope)
        if violation is not None:
            return _error(400, "INVALID_ARGUMENT", violation, "INVALID_ARGUMENT")
        message = envelope["message"]
        fault = self._next_fault(message.get("fid") or message.get("token") or message.get("topic"))
        return await self._answer(request.path_params["project"], message, fault)

    async def _join_topic(self, request: Request) -> Response:
        topic = request.query_params.get("topic_name", "")
        violation = topic_violation_of(topic)
        if violation is not None:
            return _error(400, "INVALID_ARGUMENT", violation, "INVALID_ARGUMENT")
        refused = self._refuses_change(request)
        if refused is not None:
            return refused
        if request.path_params["registration"] in self._topics[topic]:
            return _error(409, "ALREADY_EXISTS", "Requested entity already exists.")
        self._topics[topic].add(request.path_params["registration"])
        return JSONResponse({"topic_name": topic})

    async def _leave_topic(self, request: Request) -> Response:
        refused = self._refuses_change(request)
        if refused is not None:
            return refused
        self._topics[request.path_params["topic"]].discard(request.path_params["registration"])
        return JSONResponse({})

    def _refuses_change(self, request: Request) -> Response | None:
        if not self._is_signed_in(request):
            return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        fault = self._next_fault(request.path_params["registration"], named=True)
        if fault is None or fault.code not in _ERRORS:
            return None
        status, canonical, text = _ERRORS[fault.code]
        return _error(status, canonical, text, fault.code)

    def _is_signed_in(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and token in self._tokens

    async def _answer(self, project: str, message: dict[str, Any], fault: Fault | None) -> Response:
        code = None if fault is None else fault.code
        headers = {} if fault is None or fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
        if code == _BAD_GATEWAY:
            self._record(project, message, 502)
            return JSONResponse({"error": "bad gateway"}, 502, headers)  # not the shape of FCM's errors
        if code in _ERRORS:
            status, canonical, text = _ERRORS[code]
            self._record(project, message, status)
            return _error(status, canonical, text, code, headers)
        push = self._record(project, message, 200)
        if code == _DROP:
            return _CutOff()
        if fault is not None:
            await asyncio.sleep(fault.delay_s)
        return JSONResponse({"name": push.name})

    def _next_fault(self, address: str | None, *, named: bool = False) -> Fault | None:
        """Take one message's share of the first fault that concerns it, or of the first that names the address."""
        for fault in self._faults:
            concerns = fault.address == address or (fault.address is None and not named)
            if concerns and random.random() < fault.share:  # noqa: S311 - as often, not as secret
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count == 0:
                        self._faults.remove(fault)
                return fault
        return None

    def _record(self, project: str, message: dict[str, Any], status: int) -> Push:
        address_kind = next(kind for kind in ("fid", "token", "topic", "condition") if kind in message)
        push = Push(
            name=f"projects/{project}/messages/{len(self.attempts) + 1}",
            project=project,
            received_at=datetime.now(UTC).isoformat(),
            status=status,
            address_kind=address_kind,
            address=message[address_kind],
            collapse_key=message.get("android", {}).get("collapse_key"),
            notification=message.get("notification", {}),
            data=message.get("data", {}),
            message=message,
        )
        self.attempts.append(push)
        self._accepted += status == 200
        for arrived in self._arrivals(push) if status == 200 else ():
            self._arrived.append(arrived)
            if self._on_push is not None:
                self._on_push(arrived)
        return push

    def _arrivals(self, push: Push) -> list[Push]:
        """What phones get of a message."""
        if push.address_kind != "topic":
            return [push]
        return [replace(push, address=member) for member in sorted(self._topics[push.address])]

    async def _list_messages(self, _request: Request) -> Response:
        return JSONResponse([asdict(push) for push in self._arrived])

    async def _list_topics(self, _request: Request) -> Response:
        return JSONResponse({topic: sorted(members) for topic, members in sorted(self._topics.items()) if members})

    async def _count_messages(self, _request: Request) -> Response:
        return JSONResponse({"accepted": self._accepted})

    async def _list_attempts(self, _request: Request) -> Response:
        return JSONResponse([asdict(push) for push in self.attempts])

    async def _delete_messages(self, _request: Request) -> Response:
        self.attempts.clear()
        self._arrived.clear()
        self._accepted = 0
        return Response(status_code=204)

    async def _add_fault(self, request: Request) -> Response:
        try:
            fault = Fault(**await request.json())
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        self.fail(fault)
        return JSONResponse(asdict(fault), 201)

    async def _delete_faults(self, _request: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)

    async def _delete_tokens(self, _request: Request) -> Response:
        """End every access token before its time."""
        self._tokens.clear()
        return Response(status_code=204)


class _CutOff(Response):
    """An answer that breaks off: the server closes the connection where an announced body does not come."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


def _error(
    status: int, canonical: str, text: str, code: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    details = [] if code is None else [{"@type": _FCM_ERROR, "errorCode": code}]
    error = {"code": status, "message": text, "status": canonical, "details": details}
    return JSONResponse({"error": error}, status, headers)


def _prepare(
    listening: socket.socket, credentials_path: Path, on_push: Callable[[Push], None] | None
) -> tuple[uvicorn.Server, str]:
    host, port = listening.getsockname()
    url = f"http://{host}:{port}"
    account = write_credentials(credentials_path, url)
    stand_in = FcmStandIn(public_key_of(account), email=account["client_email"], on_push=on_push)
    # Errors only: an answer cut off on demand is not worth a line.
    config = uvicorn.Config(stand_in.app, log_level="critical", access_log=False, timeout_graceful_shutdown=1)
    return uvicorn.Server(config), url


@contextmanager
def running_standin(
    credentials_path: Path, *, port: int = 0, on_push: Callable[[Push], None] | None = None
) -> Iterator[str]:
    """Run a stand-in on loopback in a thread of its own; gives its base URL.

    Args:
        credentials_path: Where to write the key file that signs in at it.
        port: Where to listen; 0 for any free port.
        on_push: Called with every accepted message, in the stand-in's thread.
    """
    # Listening before the server runs: whoever comes early waits instead of being refused.
    with socket.create_server(("127.0.0.1", port), backlog=512) as listening:
        server, url = _prepare(listening, credentials_path, on_push)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="fcm-stand-in", daemon=True)
        thread.start()
        try:
            yield url
        finally:
            server.should_exit = server.force_exit = True  # also where an answer is still being delayed
            thread.join()


def describe_push(push: Push) -> str:
    """Write a push as one line: when, to which device (the start of its address), and what it says."""
    shown = push.notification
    return f"{push.received_at[11:19]}  {push.address[:12]}  {shown.get('title', '')}: {shown.get('body', '')}"


def main(
    credentials: Annotated[Path, typer.Option(help="Where to write the key file that signs in here.")],
    port: Annotated[int, typer.Option(help="Where to listen; 0 for any free port.")] = 0,
    *,
    print_pushes: Annotated[bool, typer.Option("--print", help="Print each push as it arrives.")] = False,
) -> None:
    """Run a stand-in for Firebase Cloud Messaging on loopback until told to stop."""
    # What came is kept, ever more of it and none of it in circles: looking through it took more than half of the time.
    gc.disable()
    on_push = (lambda push: typer.echo(describe_push(push))) if print_pushes else None
    with socket.create_server(("127.0.0.1", port), backlog=512) as listening:
        server, url = _prepare(listening, credentials, on_push)
        typer.echo(f"FCM stand-in on {url}")
        server.run(sockets=[listening])


if __name__ == "__main__":
    typer.run(main)
