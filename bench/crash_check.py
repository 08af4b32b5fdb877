"""What must hold after processes were killed: nothing acknowledged is lost, nothing is doubled. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a phone was told about its report."""

    report_id: UUID
    number: str
    issue_id: UUID
    photo_ids: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report as the database has it.

    Attributes:
        number: What its sender was told.
        issue_id: The issue it is in.
        ready_photos: Its photos that were made safe.
        events: How many events tell of its arrival.
    """

    number: str
    issue_id: UUID
    ready_photos: AbstractSet[UUID]
    events: int


@dataclass(frozen=True, slots=True)
class Push:
    """A push that reached the provider."""

    address: str
    event_id: UUID
    collapse_key: str


@dataclass(frozen=True, slots=True)
class Kill:
    """A process killed with SIGKILL.

    Attributes:
        name: Which one.
        after_s: Seconds since the load began.
        in_flight: Address and event of the sends it had begun and not recorded; none for one that sends nothing.
    """

    name: str
    after_s: float
    in_flight: AbstractSet[tuple[str, UUID]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the check compares.

    Attributes:
        receipts: Of all reports that were acknowledged, each sent until it was.
        stored: All reports in the database, by id.
        report_counts: What each issue says, by id.
        owed: Address and event of every push that somebody is owed.
        pushes: All that came, in order.
        kills: All kills.
        requests_sent_again: How many requests went unanswered, or met a passing error, and were repeated.
    """

    receipts: Sequence[Receipt]
    stored: Mapping[UUID, StoredReport]
    report_counts: Mapping[UUID, int]
    owed: AbstractSet[tuple[str, UUID]]
    pushes: Sequence[Push]
    kills: Sequence[Kill]
    requests_sent_again: int = 0

    @property
    def second_sends(self) -> int:
        """How many pushes came more than once, each further time counted."""
        return sum(count - 1 for count in _times_sent(self.pushes).values())

    @property
    def sends_in_flight(self) -> int:
        """Sends that kills interrupted."""
        return sum(len(kill.in_flight) for kill in self.kills)


def find_faults(evidence: Evidence) -> list[str]:
    """Compare what was promised with what is there; each fault as a sentence, none where all holds."""
    return [*_report_faults(evidence), *_count_faults(evidence), *_push_faults(evidence)]


def _report_faults(evidence: Evidence) -> list[str]:
    faults = []
    for receipt in evidence.receipts:
        stored = evidence.stored.get(receipt.report_id)
        if stored is None:
            faults.append(f"report {receipt.number} was acknowledged and is lost")
            continue
        if (stored.number, stored.issue_id) != (receipt.number, receipt.issue_id):
            faults.append(f"report {receipt.number} is now {stored.number} in issue {stored.issue_id}")
        if stored.events != 1:
            faults.append(f"report {receipt.number} arrived {stored.events} times")
        faults += [
            f"photo {photo_id} of report {receipt.number} is lost"
            for photo_id in receipt.photo_ids
            if photo_id not in stored.ready_photos
        ]
    known = {receipt.report_id for receipt in evidence.receipts}
    faults += [f"report {report_id} was sent by nobody" for report_id in evidence.stored if report_id not in known]
    return faults


def _count_faults(evidence: Evidence) -> list[str]:
    """An issue must count the reports that are in it: a join that happened twice would show here."""
    there = Counter(report.issue_id for report in evidence.stored.values())
    return [
        f"issue {issue_id} counts {evidence.report_counts.get(issue_id, 0)} reports and has {there[issue_id]}"
        for issue_id in there.keys() | evidence.report_counts.keys()
        if there[issue_id] != evidence.report_counts.get(issue_id, 0)
    ]


def _push_faults(evidence: Evidence) -> list[str]:
    sent = _times_sent(evidence.pushes)
    faults = [f"{address} never heard of event {event}" for address, event in sorted(evidence.owed - sent.keys())]
    faults += [
        f"{address} was told of event {event}, unasked" for address, event in sorted(sent.keys() - evidence.owed)
    ]
    faults += [
        f"a push of event {push.event_id} has the collapse key {push.collapse_key}"
        for push in evidence.pushes
        if push.collapse_key != str(push.event_id)
    ]
    interrupted = Counter(send for kill in evidence.kills for send in kill.in_flight)
    faults += [
        f"{address} was told of event {event} {count} times; {interrupted[address, event]} sends of it were interrupted"
        for (address, event), count in sorted(sent.items())
        if count > 1 + interrupted[address, event]
    ]
    return faults


def _times_sent(pushes: Sequence[Push]) -> Counter[tuple[str, UUID]]:
    return Counter((push.address, push.event_id) for push in pushes)
