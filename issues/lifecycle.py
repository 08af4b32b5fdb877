"""How the status of an issue and of a work order may change, who may change it, and what residents are told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from issues.actors import Actor, Role


class Status(StrEnum):
    """Where an issue stands."""

    RECEIVED = "received"
    ACKNOWLEDGED = "acknowledged"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    CLOSED = "closed"
    DECLINED = "declined"
    TRANSFERRED = "transferred"


OPEN = frozenset({Status.RECEIVED, Status.ACKNOWLEDGED, Status.SCHEDULED, Status.IN_PROGRESS})
CLOSED = frozenset(Status) - OPEN

_DONE_WITH = (Status.RESOLVED, Status.DECLINED, Status.TRANSFERRED)

# Nothing leads back to `received`: a city that has looked at an issue cannot say that it has not. From a closed
# status an issue is reopened, to where the work begins anew.
TRANSITIONS: Mapping[Status, tuple[Status, ...]] = {
    Status.RECEIVED: (Status.ACKNOWLEDGED, Status.SCHEDULED, Status.IN_PROGRESS, *_DONE_WITH),
    Status.ACKNOWLEDGED: (Status.SCHEDULED, Status.IN_PROGRESS, *_DONE_WITH),
    Status.SCHEDULED: (Status.ACKNOWLEDGED, Status.IN_PROGRESS, *_DONE_WITH),
    Status.IN_PROGRESS: (Status.ACKNOWLEDGED, Status.SCHEDULED, *_DONE_WITH),
    Status.RESOLVED: (Status.ACKNOWLEDGED, Status.SCHEDULED, Status.IN_PROGRESS, Status.CLOSED),
    Status.CLOSED: (Status.ACKNOWLEDGED,),
    Status.DECLINED: (Status.ACKNOWLEDGED, Status.CLOSED),
    Status.TRANSFERRED: (Status.ACKNOWLEDGED, Status.CLOSED),
}

# What a crew may do to the issues of its orders; agents and above may make every transition.
CREW_STATUSES = frozenset({Status.SCHEDULED, Status.IN_PROGRESS, Status.RESOLVED})


class OrderStatus(StrEnum):
    """Where a work order stands."""

    PLANNED = "planned"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    CANCELLED = "cancelled"


ACTIVE_ORDERS = frozenset({OrderStatus.PLANNED, OrderStatus.IN_PROGRESS})

ORDER_TRANSITIONS: Mapping[OrderStatus, tuple[OrderStatus, ...]] = {
    OrderStatus.PLANNED: (OrderStatus.IN_PROGRESS, OrderStatus.DONE, OrderStatus.CANCELLED),
    OrderStatus.IN_PROGRESS: (OrderStatus.DONE, OrderStatus.CANCELLED),
    OrderStatus.DONE: (),
    OrderStatus.CANCELLED: (),
}


class NoticeKind(StrEnum):
    """What residents are told; everything else they can read, but it does not ring."""

    ACKNOWLEDGED = "acknowledged"
    SCHEDULED = "scheduled"
    POSTPONED = "postponed"  # back from scheduled or in progress to acknowledged
    RESOLVED = "resolved"
    DECLINED = "declined"
    TRANSFERRED = "transferred"
    REOPENED = "reopened"
    NOTE = "note"
    OPENED = "opened"  # to those who subscribed to the place
    ALERT = "alert"  # of no issue: what the city tells a district, or everybody, who asked for it

    @property
    def is_state(self) -> bool:
        """Whether it tells where an issue stands: worth nothing any more once it stands elsewhere."""
        return self not in (NoticeKind.NOTE, NoticeKind.ALERT)


_TOLD = {
    Status.ACKNOWLEDGED: NoticeKind.ACKNOWLEDGED,
    Status.SCHEDULED: NoticeKind.SCHEDULED,
    Status.RESOLVED: NoticeKind.RESOLVED,
    Status.DECLINED: NoticeKind.DECLINED,
    Status.TRANSFERRED: NoticeKind.TRANSFERRED,
}


@dataclass(eq=False)
class TransitionNotAllowed(Exception):
    """A status does not lead to the one that was asked for.

    Attributes:
        allowed: Where it leads for the actor who asked; empty where nowhere.
    """

    current: Status | OrderStatus
    wanted: Status | OrderStatus
    allowed: Sequence[Status | OrderStatus]


@dataclass(eq=False)
class NotAllowed(Exception):
    """A role may not do this at all, or not to this issue or order.

    Attributes:
        doing: What was tried, as a word for programs: 'status', 'plan', 'crew', ...
    """

    role: Role
    doing: str


def allowed_transitions(current: Status, role: Role) -> tuple[Status, ...]:
    """Where a role may take an issue from a status, in the order of the table; empty for residents."""
    match role:
        case Role.RESIDENT:
            return ()
        case Role.CREW:
            return tuple(status for status in TRANSITIONS[current] if status in CREW_STATUSES)
        case _:
            return TRANSITIONS[current]


def check_transition(current: Status, wanted: Status, actor: Actor) -> None:
    """Let an actor take an issue from one status to another, or say why not.

    Whether the issue is one of a crew's orders is not known here; see `issues.status`.

    Raises:
        NotAllowed: the actor's role may never bring an issue to that status.
        TransitionNotAllowed: the current status does not lead there.
    """
    if not actor.is_staff or (actor.role is Role.CREW and wanted not in CREW_STATUSES):
        raise NotAllowed(actor.role, "status")
    if wanted not in TRANSITIONS[current]:
        raise TransitionNotAllowed(current, wanted, allowed_transitions(current, actor.role))


def check_order_transition(current: OrderStatus, wanted: OrderStatus, actor: Actor) -> None:
    """Let an actor take a work order from one status to another, or say why not.

    Raises:
        NotAllowed: calling an order off is for agents and above, and nothing is for residents.
        TransitionNotAllowed: the current status does not lead there.
    """
    if not actor.is_staff or (wanted is OrderStatus.CANCELLED and not actor.at_least(Role.AGENT)):
        raise NotAllowed(actor.role, "order-status")
    if wanted not in ORDER_TRANSITIONS[current]:
        raise TransitionNotAllowed(current, wanted, ORDER_TRANSITIONS[current])


def issue_status_after(order: OrderStatus, current: Status) -> Status | None:
    """Where an issue goes when its work order reaches a status; None where it stays.

    A closed issue stays as somebody decided, and work already going on is not put back to scheduled because more
    of it was planned.
    """
    if current in CLOSED:
        return None
    match order:
        case OrderStatus.PLANNED:
            wanted = Status.IN_PROGRESS if current is Status.IN_PROGRESS else Status.SCHEDULED
        case OrderStatus.IN_PROGRESS:
            wanted = Status.IN_PROGRESS
        case OrderStatus.DONE:
            wanted = Status.RESOLVED
        case OrderStatus.CANCELLED:
            wanted = Status.ACKNOWLEDGED if current in {Status.SCHEDULED, Status.IN_PROGRESS} else current
    return None if wanted is current else wanted


def notice_of(before: Status, after: Status, *, public_note: bool) -> NoticeKind | None:
    """What residents are told of a change, of a note for them, or of both at once; None where nothing rings."""
    if before is not after:
        if before in CLOSED and after in OPEN:
            return NoticeKind.REOPENED
        if before in {Status.SCHEDULED, Status.IN_PROGRESS} and after is Status.ACKNOWLEDGED:
            return NoticeKind.POSTPONED
        if after in _TOLD:
            return _TOLD[after]
    return NoticeKind.NOTE if public_note else None
