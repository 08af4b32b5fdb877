"""The one protocol that every way of reaching a device speaks: messages in, outcomes out."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

ANSWER_S: Final = 10.0
"""How long after its window has closed a channel may still wait for answers."""


class AddressKind(StrEnum):
    """What kind of push address a device gave.

    FCM takes the first two, in fields of their own. The next two are one protocol (RFC 8030) under two names, as
    devices know them: a browser's push service, and an app's distributor. E-mail is no device's but a person's, and a
    topic is everybody's who asked FCM, through us, to hear of it.
    """

    FID = "fid"
    TOKEN = "token"  # noqa: S105 - a kind of address
    WEBPUSH = "webpush"
    UNIFIEDPUSH = "unifiedpush"
    EMAIL = "email"
    TOPIC = "topic"

    @property
    def has_endpoint(self) -> bool:
        """Whether the address is a URL to post to, with keys to encrypt for."""
        return self in (AddressKind.WEBPUSH, AddressKind.UNIFIEDPUSH)


class Platform(StrEnum):
    """What a device runs; a provider's trouble may concern one of them alone."""

    ANDROID = "android"
    IOS = "ios"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class PushKeys:
    """What a message to an endpoint is encrypted for, so that no push service reads it (RFC 8291), in base64url.

    Attributes:
        p256dh: The device's public key, a point of P-256, uncompressed.
        auth: A secret of 16 bytes.
    """

    p256dh: str = field(repr=False)
    auth: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PushAction:
    """An answer that a push offers: one tap posts to its URL, without signing in.

    Attributes:
        code: How apps know it.
        label: In the device's language.
    """

    code: str
    label: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One push for one device, its words already in the device's language.

    Attributes:
        address: Where it goes; left out of ``repr`` so that no log shows it.
        title: Shown on a locked screen, as is ``body``: no place, no name, no free text.
        data: Ids for the app, not shown.
        collapse_id: The event's id. A second copy replaces the first on the phone instead of joining it.
        ttl_s: For how many seconds the provider keeps it for a phone that is off; ``expires_at`` is the same as a time.
        keys: Of an address that is an endpoint.
        params: All that the notification holds, for channels with room for more than title and body; as the rest.
        recipient_id: The device or address, as it is known here.
        link: What a tap opens; None where the city has no app or page for it.
        image_url: Of a picture that everybody may see.
        actions: What may be answered with one tap.
    """

    address_kind: AddressKind
    address: str = field(repr=False)
    platform: Platform
    title: str
    body: str
    data: Mapping[str, str]
    collapse_id: UUID
    ttl_s: int
    expires_at: datetime
    keys: PushKeys | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    locale: str = ""
    city_id: int | None = None
    person_id: UUID | None = None
    recipient_id: UUID | None = None
    link: str | None = None
    image_url: str | None = None
    actions: tuple[PushAction, ...] = ()

    @property
    def app_data(self) -> dict[str, str]:
        """What the app gets: `data`, what to open, and under `<code>_url` where to post each answer."""
        opens = {} if self.link is None else {"link": self.link}
        return {**self.data, **opens, **{f"{action.code}_url": action.url for action in self.actions}}


@dataclass(frozen=True, slots=True)
class SendWindow:
    """The time in which messages may leave; after it they may be another sender's.

    Attributes:
        closes_at: When it ends, as `seconds` counts.
        seconds: Counts on while the process is stopped or the machine sleeps, so that whoever wakes late knows.
        stop: Closes it before; what has left by then is still waited for.
    """

    closes_at: float
    seconds: Callable[[], float]
    stop: asyncio.Event | None = None

    @property
    def left_s(self) -> float:
        """For how long it is still open; 0 or less once it has closed."""
        if self.stop is not None and self.stop.is_set():
            return 0.0
        return self.closes_at - self.seconds()


class Outcome(StrEnum):
    """What a provider's answer means for the message and for the device."""

    SENT = "sent"
    UNSENT = "unsent"  # it never left: the window closed, the provider rests or cannot be reached
    RETRY = "retry"  # the provider is in trouble
    NO_ANSWER = "no_answer"  # it left, and may have been taken
    QUOTA = "quota"  # refused for coming too fast
    FORGET = "forget"  # the device is gone
    GIVE_UP = "give_up"  # this message will never be taken; the device may be well
    STOP_PROJECT = "stop_project"  # our credentials or project are wrong: says nothing about the device
    STOP_PLATFORM = "stop_platform"  # the same for one platform, such as an expired APNs key

    @property
    def is_stop(self) -> bool:
        """Whether an operator has to act before messages like this one get through."""
        return self in (Outcome.STOP_PROJECT, Outcome.STOP_PLATFORM)


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of one message.

    Attributes:
        provider_id: The provider's name for the message; only where it was sent.
        error: What went wrong, for operators; never an address.
        retry_after_s: How long the provider asked, or is known, to be left alone; None where nobody said.
    """

    outcome: Outcome
    provider_id: str | None = None
    error: str | None = None
    retry_after_s: float | None = None


class Channel(Protocol):
    """A provider of pushes."""

    async def send(self, messages: Sequence[Message], window: SendWindow) -> Sequence[SendResult]:
        """Send each message at most once and answer for each, in the same order.

        Nothing leaves once the window has closed: what has not left by then comes back UNSENT, and the call itself
        within `ANSWER_S`. Trouble is an outcome, never an exception: one dead device must not cost the others their
        message.
        """
        ...

    async def close(self) -> None:
        """Close connections to the provider."""
        ...
