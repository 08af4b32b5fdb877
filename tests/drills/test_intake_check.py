"""The intake drill's judge: it must see every kind of loss, or its silence means nothing."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from bench.intake_check import Kept, KeptIssue, KeptPhoto, KeptReport, Promises, find_faults
from bench.outbox import Item, Kind, PhotoHeld

PHONE, REPORT, PHOTO, WORDS, MOVE, WITHDRAWAL, TOO_LATE, ISSUE, OTHER_REPORT, OTHER_ISSUE = (
    UUID(int=number) for number in range(1, 11)
)
TAKEN_AT = datetime(2025, 12, 1, 12, 0, tzinfo=UTC)
SENDER = f"device:{PHONE}"
AFTER_WITHDRAWAL = "409 /problems/report-withdrawn"

BODY: dict[str, Any] = {
    "service_code": "trottoir",
    "lat": 45.5,
    "long": -73.6,
    "description": "Fissuré",
    "photo_ids": [str(PHOTO)],
    "captured_at": TAKEN_AT.isoformat(),
}
NEW_PLACE = {"lat": 45.51, "long": -73.61}


def a_report(**changes: Any) -> KeptReport:
    """The report that was taken back, as it should be kept."""
    fields = BODY | NEW_PLACE | {"captured_at": TAKEN_AT}
    whole = KeptReport(
        number="2026-000001",
        sender=SENDER,
        issue_id=ISSUE,
        fields=fields,
        is_withdrawn=True,
        arrivals=1,
        last_issue_id=ISSUE,
        words={WORDS: "Côté nord"},
        moves=[MOVE],
        withdrawals=[WITHDRAWAL],
    )
    return replace(whole, **changes)


OTHER = a_report(
    number="2026-000002", fields={}, is_withdrawn=False, words={}, moves=[], withdrawals=[], issue_id=OTHER_ISSUE
)
OTHER = replace(OTHER, last_issue_id=OTHER_ISSUE)


def promised(**changes: Any) -> Promises:
    """What the phone was told."""
    items = [
        Item(REPORT, Kind.REPORT, REPORT, BODY),
        Item(OTHER_REPORT, Kind.REPORT, OTHER_REPORT, {}),
        Item(PHOTO, Kind.PHOTO, REPORT),
        Item(WORDS, Kind.CORRECTION, REPORT, {"add_description": "Côté nord"}),
        Item(MOVE, Kind.CORRECTION, REPORT, NEW_PLACE),
        Item(WITHDRAWAL, Kind.CORRECTION, REPORT, {"withdrawn": True}),
        Item(TOO_LATE, Kind.CORRECTION, REPORT, {"add_description": "Trop tard"}),
    ]
    told = Promises(PHONE, "1-0", {item.id: item for item in items}, {PHOTO: PhotoHeld(REPORT, "ab")})
    told.accepted = set(told.items) - {TOO_LATE}
    told.refused = {TOO_LATE: AFTER_WITHDRAWAL}
    told.numbers = {REPORT: {"2026-000001"}, OTHER_REPORT: {"2026-000002"}}
    told.wishes = {ISSUE: True}
    return replace(told, **changes)


WHOLE = Kept(
    reports={REPORT: a_report(), OTHER_REPORT: OTHER},
    photos={PHOTO: KeptPhoto(SENDER, "ready", "ab", REPORT)},
    issues={ISSUE: KeptIssue(0, is_open=False), OTHER_ISSUE: KeptIssue(1, is_open=True)},
    follows={(PHONE, ISSUE): True},
    orphans=set(),
    dead_jobs=[],
)


def with_report(**changes: Any) -> Kept:
    return replace(WHOLE, reports={**WHOLE.reports, REPORT: a_report(**changes)})


def with_photo(**changes: Any) -> Kept:
    return replace(WHOLE, photos={PHOTO: replace(WHOLE.photos[PHOTO], **changes)})


def with_issues(**issues: KeptIssue) -> Kept:
    return replace(WHOLE, issues={ISSUE: issues.get("first", WHOLE.issues[ISSUE]), OTHER_ISSUE: issues["other"]})


def test_finds_nothing_where_all_holds():
    assert find_faults([promised()], WHOLE) == []


@pytest.mark.parametrize(
    ("damaged", "fault"),
    [
        (replace(WHOLE, reports={OTHER_REPORT: OTHER}), "was acknowledged and is lost"),
        (replace(WHOLE, reports={**WHOLE.reports, uuid4(): a_report()}), "was sent by nobody"),
        (with_report(number="2026-000009"), "is 2026-000009, its sender was told"),
        (with_report(sender="anonymous"), "is kept as of anonymous"),
        (with_report(arrivals=2), "arrived 2 times"),
        (with_report(last_issue_id=OTHER_ISSUE), "its history says"),
        (with_report(fields={"description": "Fissure"}), "has description 'Fissure'"),
        (with_report(fields={"lat": BODY["lat"]}), "has lat 45.5 instead of 45.51"),
        (with_report(fields={"captured_at": datetime(2026, 11, 23, tzinfo=UTC)}), "has captured_at"),
        (with_report(fields={"photo_ids": []}), "has photo_ids [] instead"),
        (with_report(words={}), "words in force []"),
        (with_report(words={WORDS: "Côté nord", uuid4(): "Côté nord"}), "words in force"),
        (with_report(words={WORDS: "Côté nord", TOO_LATE: "Trop tard"}), "words in force"),
        (with_report(moves=[]), "place in force []"),
        (with_report(moves=[MOVE, MOVE]), "place in force"),
        (with_report(withdrawals=[]), "withdrawal in force []"),
        (with_photo(sha256="cd"), "are others than the phone's"),
        (with_photo(sha256=None), "the bytes of photo"),
        (with_photo(state="rejected"), "is rejected"),
        (with_photo(attached_to=None), "is attached to None"),
        (with_photo(uploader="device:another"), "is kept as of device:another"),
        (replace(WHOLE, photos={}), "photo 00000000-0000-0000-0000-000000000003 was acknowledged and is lost"),
        (replace(WHOLE, photos={**WHOLE.photos, uuid4(): WHOLE.photos[PHOTO]}), "was sent by nobody"),
        (with_issues(other=KeptIssue(2, is_open=True)), "counts 2 reports and has 1"),
        (with_issues(first=KeptIssue(0, is_open=True), other=KeptIssue(1, is_open=True)), "nobody reports it"),
        (replace(WHOLE, follows={}), "the wish about issue"),
        (replace(WHOLE, follows={(PHONE, ISSUE): False}), "the wish about issue"),
        (replace(WHOLE, orphans={"originals/ab/ab"}), "originals/ab/ab is in the store and named by nobody"),
        (replace(WHOLE, dead_jobs=["media.make_safe"]), "a job media.make_safe is dead"),
    ],
)
def test_finds_each_kind_of_damage(damaged, fault):
    [found] = find_faults([promised()], damaged)

    assert fault in found


def test_finds_a_report_that_counts_though_it_was_taken_back():
    still_counted = replace(with_report(is_withdrawn=False), issues=with_issues(other=WHOLE.issues[OTHER_ISSUE]).issues)

    assert [fault.partition(" (")[0] for fault in find_faults([promised()], still_counted)] == [
        f"report {REPORT} is not taken back",
        f"issue {ISSUE} counts 0 reports and has 1",
    ]


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        (promised(refused={}), "correction 00000000-0000-0000-0000-000000000007 never got through"),
        (promised(refused={TOO_LATE: "422 /problems/invalid-fields"}), "was refused: 422"),
        (promised(numbers={REPORT: {"2026-000001", "2026-000005"}, OTHER_REPORT: {"2026-000002"}}), "told ['2026-000"),
        (promised(broken=["photo went back"]), "photo went back (phone 1-0)"),
    ],
)
def test_finds_what_a_phone_should_not_have_been_told(told, fault):
    [found] = find_faults([told], WHOLE)

    assert fault in found


def test_minds_that_a_correction_is_refused_for_a_withdrawal_that_nobody_made():
    items = {key: item for key, item in promised().items.items() if key != WITHDRAWAL}
    told = promised(items=items, accepted=set(items) - {TOO_LATE})
    kept = with_report(withdrawals=[], is_withdrawn=False)
    kept = replace(kept, issues={**WHOLE.issues, ISSUE: KeptIssue(1, is_open=True)})

    [found] = find_faults([told], kept)

    assert "was refused: 409 /problems/report-withdrawn" in found
