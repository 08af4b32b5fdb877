"""Words of the house that programs read as codes, for people."""

from collections.abc import Mapping
from typing import Final

from issues.actors import Role
from issues.languages import msgid
from issues.lifecycle import OrderStatus, Status

STATUS_WORDS: Final[Mapping[Status | OrderStatus, str]] = {
    Status.RECEIVED: msgid("received"),
    Status.ACKNOWLEDGED: msgid("acknowledged"),
    Status.SCHEDULED: msgid("scheduled"),
    Status.IN_PROGRESS: msgid("in progress"),
    Status.RESOLVED: msgid("resolved"),
    Status.CLOSED: msgid("closed"),
    Status.DECLINED: msgid("declined"),
    Status.TRANSFERRED: msgid("transferred"),
    OrderStatus.PLANNED: msgid("planned"),
    OrderStatus.IN_PROGRESS: msgid("in progress"),
    OrderStatus.DONE: msgid("done"),
    OrderStatus.CANCELLED: msgid("cancelled"),
}
ROLE_WORDS: Final[Mapping[Role, str]] = {
    Role.RESIDENT: msgid("resident's device"),
    Role.CREW: msgid("crew"),
    Role.AGENT: msgid("agent"),
    Role.MANAGER: msgid("manager"),
    Role.ADMIN: msgid("administrator"),
}
