"""Devices on the wire."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.models.fields import Incoming, Outgoing, Text
from push.channels import AddressKind, Platform, PushKeys
from push.devices import PushAddress
from push.encryption import KeysRefused, check_keys

EXAMPLE: dict[str, Any] = {
    "platform": "android",
    "push": {"kind": "fcm", "fid": "dK3bYw0eT9mV2c4XgQz1aB"},
    "locale": "fr-CA",
}

_WEB_EXAMPLE: dict[str, Any] = {
    "platform": "web",
    "push": {
        "kind": "webpush",
        "endpoint": "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV",
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    },
    "locale": "fr-CA",
}

Address = Annotated[Text, Field(min_length=1, max_length=4096)]
Key = Annotated[Text, Field(min_length=1, max_length=100)]
PushKind = Literal["fcm", "webpush", "unifiedpush"]


_FIELDS: Final = ("fid", "token", "endpoint", "p256dh", "auth")


class PushIn(Incoming):
    """Where a device is found.

    By Firebase Cloud Messaging (`fcm`): a Firebase installation id (`fid`) or a registration token (`token`). By a
    browser's push service (`webpush`) or the distributor of an app (`unifiedpush`): what they gave for the key of
    `GET /v1/push/key`.
    """

    kind: PushKind
    fid: Address | None = Field(default=None, description="`fcm`, or `token`.")
    token: Address | None = Field(default=None, description="`fcm`, or `fid`.")
    endpoint: Annotated[Text, Field(min_length=1, max_length=2048)] | None = Field(
        default=None, description="`webpush`, `unifiedpush`: an https URL."
    )
    p256dh: Key | None = Field(default=None, description="`webpush`, `unifiedpush`: public key, 65 bytes in base64url.")
    auth: Key | None = Field(default=None, description="`webpush`, `unifiedpush`: secret, 16 bytes in base64url.")

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        given = {name for name in _FIELDS if getattr(self, name) is not None}
        if given not in (({"fid"}, {"token"}) if self.kind == "fcm" else ({"endpoint", "p256dh", "auth"},)):
            raise PydanticCustomError("push_address", "what the kind needs, and nothing else")
        if (keys := self.address.keys) is not None:
            try:
                check_keys(keys)
            except KeysRefused as error:
                raise PydanticCustomError("push_keys", "keys of a push subscription") from error
        return self

    @property
    def address(self) -> PushAddress:
        """The address, as the outbox keeps it."""
        if self.endpoint is not None and self.p256dh is not None and self.auth is not None:
            return PushAddress(AddressKind(self.kind), self.endpoint, PushKeys(self.p256dh, self.auth))
        if self.fid is not None:
            return PushAddress(AddressKind.FID, self.fid)
        assert self.token is not None  # noqa: S101 - the validator saw to it
        return PushAddress(AddressKind.TOKEN, self.token)


class DeviceIn(Incoming):
    """A device and where its pushes go."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE, _WEB_EXAMPLE]})

    platform: Platform
    push: PushIn | None = Field(default=None, description="`null`: no pushes.")
    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*$", max_length=35)] = "fr-CA"


class DeviceOut(Outgoing):
    """A device as registered; its push address is not shown again."""

    id: UUID
    platform: Platform
    locale: str
    push: PushKind | None
    refreshed_at: datetime


class PushKeyOut(Outgoing):
    """What a browser subscribes for."""

    public_key: str | None = Field(
        description="`applicationServerKey` of `PushManager.subscribe()`, in base64url; `null`: no Web Push here."
    )
