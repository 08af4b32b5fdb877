"""Devices on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.models.fields import Incoming, Outgoing, Text
from push.channels import AddressKind, Platform

EXAMPLE: dict[str, Any] = {
    "platform": "android",
    "push": {"kind": "fcm", "fid": "dK3bYw0eT9mV2c4XgQz1aB"},
    "locale": "fr-CA",
}

Address = Annotated[Text, Field(min_length=1, max_length=4096)]


class FcmAddress(Incoming):
    """Where Firebase Cloud Messaging finds a device: a Firebase installation id, or a registration token."""

    kind: Literal["fcm"]
    fid: Address | None = None
    token: Address | None = None

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        if (self.fid is None) == (self.token is None):
            raise PydanticCustomError("push_address", "either fid or token")
        return self

    @property
    def address(self) -> tuple[AddressKind, str]:
        """The kind of address, and the address."""
        if self.fid is not None:
            return AddressKind.FID, self.fid
        assert self.token is not None  # noqa: S101 - the validator saw to it
        return AddressKind.TOKEN, self.token


class DeviceIn(Incoming):
    """A device and where its pushes go."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    platform: Platform
    push: FcmAddress | None = Field(default=None, description="`null`: no pushes.")
    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8})*$", max_length=35)] = "fr-CA"


class DeviceOut(Outgoing):
    """A device as registered; its push address is not shown again."""

    id: UUID
    platform: Platform
    locale: str
    push: Literal["fcm"] | None
    refreshed_at: datetime
