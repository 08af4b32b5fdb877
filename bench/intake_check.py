"""What must hold after a bad day: everything that a phone was told is kept is there, once, and nothing else. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from bench.outbox import Item, Kind, PhotoHeld

# Refused because of another item of the same outbox: what was taken back is not corrected any more.
_AFTER_WITHDRAWAL = "409 /problems/report-withdrawn"


@dataclass(slots=True)
class Promises:
    """What one phone sent, and what it was told.

    Attributes:
        phone_id: Whose.
        seed: Draws all that the phone does.
        items: All that it had to send, by id.
        photos: What it holds of its photos, by id.
        accepted: Items that were answered with success.
        refused: Items that were refused for good, and how.
        numbers: Every number that it was told, by report.
        wishes: Issues that it asked to follow (True) or not to.
        broken: What contradicted an earlier answer at once.
    """

    phone_id: UUID
    seed: str
    items: Mapping[UUID, Item]
    photos: Mapping[UUID, PhotoHeld]
    accepted: set[UUID] = field(default_factory=set)
    refused: dict[UUID, str] = field(default_factory=dict)
    numbers: dict[UUID, set[str]] = field(default_factory=dict)
    wishes: dict[UUID, bool] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def changes_of(self, report_id: UUID) -> list[Item]:
        """List the corrections of a report that were accepted."""
        return [
            item
            for item in self.items.values()
            if item.report_id == report_id and item.kind is Kind.CORRECTION and item.id in self.accepted
        ]


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A report as the database has it.

    Attributes:
        fields: What its sender wrote, by the names of the wire.
        arrivals: How many events tell that it arrived, corrections of its place not counted.
        last_issue_id: The issue that the last of its events has it come into.
        words: What corrections added, by command.
        moves: Commands that put its place right.
        withdrawals: Commands that took it back.
    """

    number: str
    sender: str
    issue_id: UUID
    fields: Mapping[str, Any]
    is_withdrawn: bool
    arrivals: int
    last_issue_id: UUID | None
    words: Mapping[UUID, str]
    moves: Sequence[UUID]
    withdrawals: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class KeptPhoto:
    """A photo as database and store have it.

    Attributes:
        uploader: Who sent it.
        state: How far it has come.
        sha256: Of the bytes in the store; None where there are none.
        attached_to: The report that it is shown with; None for none.
    """

    uploader: str
    state: str
    sha256: str | None
    attached_to: UUID | None


@dataclass(frozen=True, slots=True)
class KeptIssue:
    """An issue as the database has it."""

    report_count: int
    is_open: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is there.

    Attributes:
        follows: Wishes by phone and issue.
        orphans: Keys of the store that no row names, after the sweep.
        dead_jobs: Kinds of jobs that failed for the last time.
    """

    reports: Mapping[UUID, KeptReport]
    photos: Mapping[UUID, KeptPhoto]
    issues: Mapping[UUID, KeptIssue]
    follows: Mapping[tuple[UUID, UUID], bool]
    orphans: AbstractSet[str]
    dead_jobs: Sequence[str]


def find_faults(promises: Sequence[Promises], kept: Kept) -> list[str]:
    """Compare what was promised with what is there; each fault as a sentence, none where all holds."""
    faults = [fault for each in promises for fault in _faults_of_phone(each, kept)]
    sent = {item_id for each in promises for item_id in each.items}
    faults += [f"report {report_id} was sent by nobody" for report_id in kept.reports.keys() - sent]
    faults += [f"photo {photo_id} was sent by nobody" for photo_id in kept.photos.keys() - sent]
    faults += _issue_faults(kept)
    faults += [f"{key} is in the store and named by nobody" for key in sorted(kept.orphans)]
    faults += [f"a job {kind} is dead" for kind in kept.dead_jobs]
    return faults


def _faults_of_phone(told: Promises, kept: Kept) -> Iterator[str]:
    for fault in _each_fault(told, kept):
        yield f"{fault} (phone {told.seed})"


def _each_fault(told: Promises, kept: Kept) -> Iterator[str]:
    yield from told.broken
    for item in told.items.values():
        if item.id in told.accepted:
            yield from _faults_of_accepted(item, told, kept)
        elif item.id not in told.refused:
            yield f"{item.kind} {item.id} never got through"
        elif told.refused[item.id] != _AFTER_WITHDRAWAL or not _takes_back(told, item.report_id):
            yield f"{item.kind} {item.id} was refused: {told.refused[item.id]}"
    for issue_id, following in told.wishes.items():
        if kept.follows.get((told.phone_id, issue_id)) is not following:
            yield f"the wish about issue {issue_id} is lost"


def _takes_back(told: Promises, report_id: UUID) -> bool:
    return any(item.withdraws and item.report_id == report_id for item in told.items.values())


def _faults_of_accepted(item: Item, told: Promises, kept: Kept) -> Iterator[str]:
    if item.kind is Kind.REPORT:
        yield from _report_faults(item, told, kept)
    elif item.kind is Kind.PHOTO:
        yield from _photo_faults(item, told, kept)


def _report_faults(item: Item, told: Promises, kept: Kept) -> Iterator[str]:
    report = kept.reports.get(item.id)
    if report is None:
        yield f"report {item.id} was acknowledged and is lost"
        return
    if {report.number} != told.numbers[item.id]:
        yield f"report {item.id} is {report.number}, its sender was told {sorted(told.numbers[item.id])}"
    if report.sender != f"device:{told.phone_id}":
        yield f"report {item.id} is kept as of {report.sender}"
    if report.arrivals != 1:
        yield f"report {item.id} arrived {report.arrivals} times"
    if report.issue_id != report.last_issue_id:
        yield f"report {item.id} is in issue {report.issue_id}, its history says {report.last_issue_id}"
    yield from _content_faults(item, told, report)
    yield from _change_faults(item, told, report)


def _content_faults(item: Item, told: Promises, report: KeptReport) -> Iterator[str]:
    expected = dict(item.body)
    for change in told.changes_of(item.id):
        if change.moves:
            expected |= change.body
    for name, value in report.fields.items():
        if not _same(value, expected[name]):
            yield f"report {item.id} has {name} {value!r} instead of {expected[name]!r}"


def _same(kept: Any, sent: Any) -> bool:
    """Compare; a moment may be written in several ways."""
    return bool(kept == (datetime.fromisoformat(sent) if isinstance(kept, datetime) else sent))


def _change_faults(item: Item, told: Promises, report: KeptReport) -> Iterator[str]:
    """Every accepted change is in force once, and no other is."""
    changes = told.changes_of(item.id)
    expected: dict[str, Mapping[UUID, Any]] = {
        "words": {change.id: change.body["add_description"] for change in changes if "add_description" in change.body},
        "place": Counter(change.id for change in changes if change.moves),
        "withdrawal": Counter(change.id for change in changes if change.withdraws),
    }
    in_force: dict[str, Mapping[UUID, Any]] = {
        "words": dict(report.words),
        "place": Counter(report.moves),
        "withdrawal": Counter(report.withdrawals),
    }
    for what, there in in_force.items():
        if there != expected[what]:
            yield f"report {item.id}: {what} in force {_listed(there)}, accepted {_listed(expected[what])}"
    if report.is_withdrawn is not bool(expected["withdrawal"]):
        yield f"report {item.id} is {'' if report.is_withdrawn else 'not '}taken back"


def _listed(commands: Mapping[UUID, Any]) -> list[str]:
    return [f"{command_id}: {what}" for command_id, what in sorted(commands.items())]


def _photo_faults(item: Item, told: Promises, kept: Kept) -> Iterator[str]:
    held, photo = told.photos[item.id], kept.photos.get(item.id)
    if photo is None:
        yield f"photo {item.id} was acknowledged and is lost"
        return
    if photo.uploader != f"device:{told.phone_id}":
        yield f"photo {item.id} is kept as of {photo.uploader}"
    if photo.sha256 is None:
        yield f"the bytes of photo {item.id} are lost"
    elif photo.sha256 != held.sha256:
        yield f"the bytes of photo {item.id} are others than the phone's"
    if photo.state != "ready":
        yield f"photo {item.id} is {photo.state}"
    if photo.attached_to != held.report_id:
        yield f"photo {item.id} is attached to {photo.attached_to} instead of report {held.report_id}"


def _issue_faults(kept: Kept) -> Iterator[str]:
    there = Counter(report.issue_id for report in kept.reports.values() if not report.is_withdrawn)
    for issue_id, issue in kept.issues.items():
        if issue.report_count != there[issue_id]:
            yield f"issue {issue_id} counts {issue.report_count} reports and has {there[issue_id]}"
        if issue.is_open and not there[issue_id]:
            yield f"issue {issue_id} is open, and nobody reports it any more"
